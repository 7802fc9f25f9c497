"""The endpoint of another's destination takes what is declared, and nothing else."""

from __future__ import annotations

import json

import pytest

from backfill.core.errors import ConfigError
from backfill.destination import Secret
from backfill.destinations import builtin_destinations, destination
from backfill.sandbox import DeclaredEndpoint, endpoints_for
from tests.plugin_package.acme_visits import AcmeVisits

ACME = AcmeVisits()
HERE = DeclaredEndpoint(ACME)
PRISTO = DeclaredEndpoint(destination("pristo-events"))
VISIT = {"visitor": "a", "at": "2024-03-01T09:15:00Z", "page": {"url": "/prices"}}


def request(*visits: object) -> bytes:
    return ACME.body([json.dumps(each).encode() for each in visits])


def test_a_request_of_the_destination_is_taken():
    items = HERE.items(HERE.read(request(VISIT, VISIT)))
    assert items == [VISIT, VISIT]
    assert HERE.refuses(items, ()) is None
    assert (HERE.key(VISIT), HERE.time(VISIT)) == ("a", "2024-03-01T09:15:00Z")
    assert HERE.success("r", 2) == (200, b'{"taken": 2}')


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"visitor": ""}, "0.visitor"),
        ({"visitor": "x" * 41}, "0.visitor"),
        ({"at": "yesterday"}, "0.at"),
        ({"phone": "0541"}, "0.phone"),
        ({"page": {"url": "/", "kind": "third"}}, "0.page.kind"),
        ({"page": {}}, "0: "),  # neither phone nor page
        ({"shoe": "9"}, "0: "),
    ],
)
def test_a_record_that_was_not_declared_so_is_refused(change, words):
    refusal = HERE.refuses([{**VISIT, **change}], ())
    assert refusal is not None
    assert refusal.status == 400
    assert words in refusal.message


def test_a_batch_that_is_too_large_is_refused():
    assert HERE.refuses([VISIT] * 20, ()) is None
    assert HERE.refuses([VISIT] * 21, ()) is not None


@pytest.mark.parametrize("body", [b"", b"[]", b'{"visits": 7}', b'{"visits": [], "visits": []}'])
def test_a_body_that_holds_no_records_is_not_read(body):
    with pytest.raises(ValueError, match=r"."):
        HERE.read(body)


def test_address_credential_and_media_type_are_the_destinations():
    headers = ACME.headers(Secret("s3"))
    assert HERE.takes("/visits")
    assert not HERE.takes("/visits/")
    assert HERE.credential(headers) == "s3"
    assert HERE.credential({}) == ""
    assert HERE.refuses_address("/visits", headers) is None
    refusal = HERE.refuses_address("/visits", {**headers, "Content-Type": "text/plain"})
    assert refusal is not None
    assert refusal.status == 415
    assert HERE.request_id({"Idempotency-Key": "r-1"}) == "r-1"


def test_a_population_stands_in_the_path_and_bearer_before_the_token():
    assert PRISTO.takes("/v1/events/send/5d6d9c0e-0000-4000-8000-000000000001")
    assert not PRISTO.takes("/v1/events/send/a/b")
    watch = DeclaredEndpoint(destination("watch-events"))
    assert watch.credential({"Authorization": "Bearer s3"}) == "s3"
    assert watch.credential({"Authorization": "s3"}) == ""


def test_our_own_are_played_by_the_sandboxs_own_reading():
    served = endpoints_for([*builtin_destinations().values(), ACME])
    declared = [each.destination for each in served if isinstance(each, DeclaredEndpoint)]
    assert declared == ["acme-visits"]


def test_a_destination_whose_requests_cannot_be_read_is_said_to_be_one():
    class Lines(AcmeVisits):
        name = "acme-lines"

        def body(self, items):
            return b"\n".join(items)

    with pytest.raises(ConfigError, match="cannot play the server of 'acme-lines'") as caught:
        endpoints_for([Lines()])
    assert "`items`" in str(caught.value)
