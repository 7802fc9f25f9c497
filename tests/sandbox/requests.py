"""Valid requests of each endpoint, to be spoilt by the tests."""

from __future__ import annotations

import copy
from typing import Any

POPULATION = "7d9f4c1e-52f0-4a86-9a30-2f1b6a1c0d11"
PRISTO_PATH = f"/v1/events/send/{POPULATION}"
EVENTS_PATH = "/v2/watch/event"
FEEDBACKS_PATH = "/v2/watch/feedback"
HEADERS = {"Authorization": "Bearer some-token", "X-API-Key": "some-key"}

_PRISTO = {
    "contact": {
        "id": "0f3b2a52-6f0e-4f5e-8a8b-0a4a3c1f7e01",
        "email": "noa@example.com",
        "phone": "+12025550143",
        "language": "he",
        "name": "נועה",
        "lastName": "Lévy",
        "customFields": {"tier": "gold"},
    },
    "type": "purchase",
    "occurredAt": "2024-03-01T09:30:00.250Z",
    "customFields": {"amount": "12.30"},
}
_EVENT = {
    "target": {"type": "phone_number", "value": "+12025550143"},
    "label": "onboarding.complete",
    "confidence": "high",
}
_FEEDBACK = {
    "target": {"type": "phone_number", "value": "+447700900123"},
    "type": "verification.started",
    "metadata": {"correlation_id": "c-1"},
}


def pristo(**changes: Any) -> dict[str, Any]:
    """A Pristo event; a change is a dotted name with `__` for its dots, None takes it away."""
    return _changed(_PRISTO, changes)


def event(**changes: Any) -> dict[str, Any]:
    return _changed(_EVENT, changes)


def feedback(**changes: Any) -> dict[str, Any]:
    return _changed(_FEEDBACK, changes)


def _changed(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    record = copy.deepcopy(base)
    for name, value in changes.items():
        *above, last = name.split("__")
        place = record
        for part in above:
            place = place[part]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return record
