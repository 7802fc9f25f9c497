"""What a destination is made of: the public interface for packages that bring one.

A destination is a subclass of `Destination`: its fields and the checks between them, the request
that it makes from encoded records, and how it reads an answer. A package brings it by the entry
point group `backfill.destinations`; `backfill.testing` holds the tests that it must pass.
"""

from __future__ import annotations

from backfill.core.model import Fault, Flow, Reply, Verdict
from backfill.core.secret import Secret
from backfill.destination.base import Destination
from backfill.destination.declaration_check import declaration_errors
from backfill.destination.fields import AnyOf, Field, Kind, TargetAgrees
from backfill.destination.verdicts import (
    INVALID,
    body_text,
    fault_verdict,
    id_of,
    is_words,
    json_object,
    reply_verdict,
    status_flow,
    text_of,
    waits,
)

__all__ = [
    "INVALID",
    "AnyOf",
    "Destination",
    "Fault",
    "Field",
    "Flow",
    "Kind",
    "Reply",
    "Secret",
    "TargetAgrees",
    "Verdict",
    "body_text",
    "declaration_errors",
    "fault_verdict",
    "id_of",
    "is_words",
    "json_object",
    "reply_verdict",
    "status_flow",
    "text_of",
    "waits",
]
