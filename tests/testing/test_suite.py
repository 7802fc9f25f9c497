"""The suite finds what is wrong with a destination, and passes one of another package."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import Phase, settings

from backfill.core.model import Books, State
from backfill.destination import Fault, Flow, Reply, Verdict
from backfill.testing import DestinationTests
from backfill.testing import suite as module
from backfill.testing.crashes import Campaign
from tests.destinations.packages import add_package
from tests.plugin_package.acme_visits import AcmeVisits


@pytest.mark.timeout(300)  # a crash campaign starts several processes
class TestAcmeVisits(DestinationTests):
    kills = 1

    @pytest.fixture(autouse=True)
    def _installed(self, tmp_path, monkeypatch):
        place = tmp_path / "site"
        add_package(
            place,
            "acme-visits",
            {"acme-visits": "tests.plugin_package.acme_visits:AcmeVisits"},
        )
        monkeypatch.syspath_prepend(place)

    destination = AcmeVisits()


class Boastful(AcmeVisits):
    """Takes every 2xx for a success."""

    def verdict(self, answer, size):
        if isinstance(answer, Reply) and 200 <= answer.status < 300:
            return Verdict(Flow.DELIVERED, http_status=answer.status)
        return super().verdict(answer, size)


class Raising(AcmeVisits):
    """Trusts a body to be JSON."""

    def verdict(self, answer, size):
        if isinstance(answer, Reply):
            json.loads(answer.body)
        return super().verdict(answer, size)


class Forgetful(AcmeVisits):
    """Says something else the second time."""

    times = 0

    def verdict(self, answer, size):
        self.times += 1
        return Verdict(Flow.UNKNOWN, reason=f"time {self.times}")


class Careless(AcmeVisits):
    """Sends again what may have arrived, and nothing tells a repetition."""

    def request_headers(self, record):
        return {}

    def verdict(self, answer, size):
        if isinstance(answer, Fault):
            return Verdict(Flow.AGAIN)
        return super().verdict(answer, size)


class Patient(AcmeVisits):
    """Has no end of a wrong credential, and reads no wait."""

    def verdict(self, answer, size):
        return Verdict(Flow.AGAIN)


class Losing(AcmeVisits):
    """Leaves the last record out of a body."""

    def body(self, items):
        return super().body(items[:-1] or items)


class Broken(AcmeVisits):
    """Forgets its credential, and what its path is."""

    def headers(self, credential):
        return {"Content-Type": "application/json"}


class Undeclared(AcmeVisits):
    """Orders by a field that it does not have."""

    ordering_field = "customer"


@pytest.mark.parametrize(
    ("made", "test"),
    [
        (Boastful, "test_nothing_less_than_the_documented_success_delivers"),
        (Raising, "test_every_answer_has_one_verdict"),
        (Forgetful, "test_every_answer_has_one_verdict"),
        (Careless, "test_a_fault_is_sent_again_only_where_that_is_safe"),
        (Patient, "test_a_refused_credential_stops_the_run"),
        (Patient, "test_a_429_slows_the_run_down"),
        (Patient, "test_the_documented_success_delivers"),
        (Losing, "test_a_body_gives_back_the_records_that_went_in"),
        (Broken, "test_its_address_and_headers_can_be_sent"),
        (Undeclared, "test_its_data_is_whole"),
    ],
)
def test_the_suite_finds(made, test, monkeypatch):
    found = settings(module._SETTINGS, phases=[Phase.generate])  # and none that is simpler
    monkeypatch.setattr(module, "_SETTINGS", found)
    suite = type("Suite", (DestinationTests,), {"destination": made()})()
    with pytest.raises((AssertionError, ValueError)):
        getattr(suite, test)()


GOOD: dict[str, Any] = {
    "books": Books(input=2, delivered=1, unknown=1),
    "states": {"a": State.DELIVERED, "b": State.UNKNOWN},
    "arrived": {"a": 1, "b": 1},
    "seen": {"overlaps": 0, "disorder": 0},
    "unknown_allowed": 1,
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"books": Books(input=2, delivered=1)}, "the books"),
        ({"books": Books(input=2, failed=1, unknown=1)}, "valid records did not go"),
        ({"unknown_allowed": 0}, "1 records are unknown"),
        ({"arrived": {"a": 2, "b": 1}}, "more than once, such as a"),
        ({"arrived": {"b": 1}}, "a counts as delivered and never arrived"),
        ({"states": {"a": State.DELIVERED, "b": State.PENDING}}, "b arrived and counts as pending"),
        ({"seen": {"overlaps": 3, "disorder": 0}}, "3 overlaps"),
    ],
)
def test_a_campaign_tells_what_is_wrong(change, words):
    assert Campaign(**GOOD).problems() == []
    (problem,) = Campaign(**{**GOOD, **change}).problems()
    assert words in problem


def test_without_hypothesis_only_the_suite_is_missing():
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "import backfill.destination, backfill.cli\n"
        "try: import backfill.testing\n"
        "except ImportError as error: assert 'backfill[testing]' in str(error)\n"
        "else: raise AssertionError('imported')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
