"""The conformance suite: a class of tests to inherit from.

Each test's docstring is the promise that a run relies on. The checks are plain `assert`s.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.destination import (
    Destination,
    Fault,
    Flow,
    Reply,
    Secret,
    Verdict,
    declaration_errors,
)
from backfill.destinations import destination as installed
from backfill.sandbox import DeclaredEndpoint, endpoints_for
from backfill.testing.answers import answers, items
from backfill.testing.crashes import crash_campaign
from backfill.testing.samples import record_of

__all__ = ["DestinationTests"]

_KEY = "5d6d9c0e-3f52-4a86-9a30-2f1b6a1c0d11"
_LONGEST_REASON = 1000  # characters
_LONGEST_ID = 200  # characters
_SETTINGS = settings(max_examples=150, deadline=None, database=None, report_multiple_bugs=False)


class DestinationTests:
    """Inherit, and set `destination` to an instance of the class to be tested.

    `kills` is how many processes the crash campaign kills.
    """

    destination: ClassVar[Destination]
    kills: ClassVar[int] = 2

    # --- what it declares ----------------------------------------------------------------------

    def test_its_data_is_whole(self) -> None:
        """Every attribute is there and names fields that are declared."""
        assert declaration_errors(self.destination) == ()

    def test_it_is_found_by_its_name(self) -> None:
        """The package is installed, and its entry point names this class."""
        assert type(installed(self.destination.name)) is type(self.destination)

    # --- verdicts ------------------------------------------------------------------------------

    def test_every_answer_has_one_verdict(self) -> None:
        """A verdict is total and pure, and holds nothing that could not be written down."""

        def check(answer: Reply | Fault, size: int) -> None:
            verdict = self.destination.verdict(answer, size)
            assert verdict == self.destination.verdict(answer, size), "not a pure function"
            _assert_storable(verdict, size)
            if isinstance(answer, Reply):
                assert verdict.http_status == answer.status
            if verdict.flow is Flow.DELIVERED:
                assert isinstance(answer, Reply), f"{answer} delivered nothing"
                assert 200 <= answer.status < 300, f"delivered by a {answer.status}"

        self._for_all(check, answers(self.destination))

    def test_a_fault_is_sent_again_only_where_that_is_safe(self) -> None:
        """What never reached the server is sent again; what may have is not taken to be lost."""
        for fault in Fault:
            flow = self.destination.verdict(fault, 1).flow
            if not fault.reached:
                assert flow is Flow.AGAIN, f"{fault}: the server did nothing"
            else:
                assert flow in self._doubtful, f"{fault}: the server may have acted"

    def test_a_server_that_broke_off_may_have_acted(self) -> None:
        """A 500, 502 or 504 says neither yes nor no, whatever its body."""
        for status in (500, 502, 504):
            for body in (b"", b"<html>", self.destination.error(status, "later")):
                flow = self.destination.verdict(Reply(status, body=body), 1).flow
                assert flow in self._doubtful, f"{status} with {body!r}"

    def test_a_refused_credential_stops_the_run(self) -> None:
        """No other record would fare better after a 401 or a 403."""
        for status in (401, 403):
            reply = Reply(status, body=self.destination.error(status, "no"))
            assert self.destination.verdict(reply, 1).flow is Flow.STOP

    def test_a_429_slows_the_run_down(self) -> None:
        """Its wait is read, and the records are sent again."""
        reply = Reply(429, {"retry-after": "7"}, self.destination.error(429, "slow down"))
        verdict = self.destination.verdict(reply, 1)
        assert (verdict.flow, verdict.throttled, verdict.retry_after) == (Flow.AGAIN, True, 7.0)

    def test_the_documented_success_delivers(self) -> None:
        """For a request of any size, and only under its own status."""
        for size in self._sizes:
            reply = self.destination.success(size)
            assert self.destination.verdict(reply, size).flow is Flow.DELIVERED, f"{size} records"
            broken = Reply(500, reply.headers, reply.body)
            assert self.destination.verdict(broken, size).flow is not Flow.DELIVERED

    def test_nothing_less_than_the_documented_success_delivers(self) -> None:
        """Not half of it, not a gateway's page, not an error under its status."""
        reply = self.destination.success(1)
        if not reply.body:
            return  # the status alone is the success that is documented
        others = [reply.body[:end] for end in range(len(reply.body))]
        for body in (*others, b"<html>OK</html>", self.destination.error(400, "no")):
            verdict = self.destination.verdict(Reply(reply.status, reply.headers, body), 1)
            assert verdict.flow is not Flow.DELIVERED, f"delivered by {body!r}"

    # --- requests ------------------------------------------------------------------------------

    def test_a_body_gives_back_the_records_that_went_in(self) -> None:
        """Whatever text they hold, and from one record to `batch_size` of them."""

        def check(records: list[dict[str, Any]]) -> None:
            encoded = [json.dumps(each, ensure_ascii=False).encode() for each in records]
            body = self.destination.body(encoded)
            assert body == self.destination.body(encoded), "not a pure function"
            assert list(self.destination.items(body)) == records

        for size in self._sizes:
            check([record_of(self.destination, number) for number in range(size)])
        most = min(4, self.destination.batch_size)
        _all(st.lists(items(), min_size=1, max_size=most))(check)()

    def test_its_address_and_headers_can_be_sent(self) -> None:
        """A path begins with a slash, headers are text without line breaks, a secret is in one."""
        population = _KEY if self.destination.needs_population else None
        path = self.destination.path(population)
        assert path.startswith("/")
        assert path.isascii()
        assert population is None or population in path
        headers = self.destination.headers(Secret("invented-credential"))
        assert headers != self.destination.headers(Secret("another")), "no header has the secret"
        for name, value in {**headers, **self.destination.request_headers(_KEY)}.items():
            assert name.isascii()
            assert value.isprintable(), f"the header {name}"

    # --- its server, as the sandbox plays it ---------------------------------------------------

    def test_the_sandbox_takes_its_records(self) -> None:
        """What the fields allow is taken, also by a view of the sandbox's own."""
        (own,) = endpoints_for([self.destination])
        records = [record_of(self.destination, n) for n in range(self.destination.batch_size)]
        body = self.destination.body([json.dumps(each).encode() for each in records])
        for endpoint in (DeclaredEndpoint(self.destination), own):
            content = endpoint.read(body)
            assert list(endpoint.items(content)) == records
            assert endpoint.refuses(content, ()) is None
            assert all(endpoint.key(each) for each in records)

    def test_the_sandbox_refuses_what_is_not_declared(self) -> None:
        """A record without a required field, with another one, and one record too many."""
        endpoint = DeclaredEndpoint(self.destination)
        record = record_of(self.destination, 0)
        assert endpoint.refuses([{**record, "not.declared": "x"}], ())
        assert endpoint.refuses([record] * (self.destination.batch_size + 1), ())
        for field in self.destination.fields:
            if field.required:
                assert endpoint.refuses([_without(record, field.name)], ()), field.name

    def test_a_killed_run_loses_nothing_and_repeats_nothing(self, tmp_path: Path) -> None:
        """Real processes, killed while they send; the books and the server agree afterwards."""
        campaign = crash_campaign(self.destination, tmp_path, kills=self.kills)
        assert campaign.problems() == []

    # --- what the tests share ------------------------------------------------------------------

    @property
    def _sizes(self) -> list[int]:
        return sorted({1, min(2, self.destination.batch_size), self.destination.batch_size})

    @property
    def _doubtful(self) -> set[Flow]:
        """What an answer may mean after which the server may have acted.

        To send again is safe only where each request bears a key by which a repetition is known.
        """
        keyed = _KEY in self.destination.request_headers(_KEY).values()
        return {Flow.AMBIGUOUS, Flow.UNKNOWN} | ({Flow.AGAIN} if keyed else set())

    def _for_all(
        self,
        check: Callable[[Reply | Fault, int], None],
        replies: st.SearchStrategy[Reply | Fault],
    ) -> None:
        sizes = st.integers(1, self.destination.batch_size)
        _SETTINGS(given(replies, sizes)(check))()


def _all(values: st.SearchStrategy[Any]) -> Callable[[Callable[[Any], None]], Callable[[], None]]:
    """Run a check with many values; in here, so that a test can be inherited."""
    return lambda check: _SETTINGS(given(values)(check))


def _assert_storable(verdict: Verdict, size: int) -> None:
    """A ledger, a terminal and a page can hold what a verdict says."""
    assert isinstance(verdict.flow, Flow)
    assert len(verdict.reason) <= _LONGEST_REASON
    for text in (verdict.reason, verdict.request_id or "", *verdict.bad.values()):
        assert text.isprintable(), f"not printable: {text!r}"
        text.encode()
    assert verdict.request_id is None or 0 < len(verdict.request_id) <= _LONGEST_ID
    assert all(0 <= index < size for index in verdict.bad), "a bad item outside of the request"
    for wait in (verdict.retry_after, verdict.wait_until):
        assert wait is None or (wait >= 0 and math.isfinite(wait))


def _without(record: dict[str, Any], name: str) -> dict[str, Any]:
    """The record less one value, at a dotted name."""
    first, _, rest = name.partition(".")
    kept = {each: value for each, value in record.items() if each != first}
    return {**kept, first: _without(record[first], rest)} if rest else kept
