"""What counts as an email address, against a strict validator of JSON Schema."""

from __future__ import annotations

import jsonschema_rs
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.checks.checked import Checked, Steps
from backfill.checks.emails import check_email

STRICT = jsonschema_rs.validator_for({"type": "string", "format": "email"}, validate_formats=True)


def judged(addresses: list[str]) -> list[tuple[str | None, bool]]:
    """(what would be sent, whether it is refused) for each address."""
    steps = check_email()
    whole = Steps(({"text": pl.field("raw")}, *steps.stages), steps.rules)
    checked = Checked.from_steps(pl.col("raw"), whole)
    frame = pl.DataFrame({"raw": addresses}, schema={"raw": pl.String})
    return frame.lazy().select(checked.value, checked.broken[0][1]).collect().rows()


def test_an_ordinary_address_is_accepted_and_so_it_is_by_a_strict_validator():
    addresses = [
        "ann@example.com",
        "ann.b+shop_1@mail.example.co.uk",
        "o'brien!#$%&*/=?^`{|}~-@example.org",
        "1@2.example",
        "ann@xn--bcher-kva.example",
        "ann@a--b.example",
        "a" * 64 + "@example.com",
        "ann@" + "b" * 63 + ".example",
        "ann@" + ".".join(["b" * 60] * 4) + ".ex",
    ]
    assert judged(addresses) == [(address, False) for address in addresses]
    assert all(map(STRICT.is_valid, addresses))


def test_what_is_no_plain_address_is_refused():
    addresses = [
        "ann",
        "@example.com",
        "ann@",
        "ann@example",
        "ann@@example.com",
        "ann@example.com.",
        "ann@.example.com",
        "ann@example..com",
        ".ann@example.com",
        "ann.@example.com",
        "a..b@example.com",
        "ann b@example.com",
        "ann@exam ple.com",
        "ann@-b.example",
        "ann@b-.example",
        "ann@192.0.2.1",
        "ann@[192.0.2.1]",
        '"ann"@example.com',
        "Ann <ann@example.com>",
        "mailto:ann@example.com",
        "ann@example.com, bob@example.com",
        "änn@example.com",
        "ann@bücher.example",
        "ann@xn--a.example",
        "ann@ab--cd.example",
        "ann@a---b.example",
        "ann\x00@example.com",
        "ann@exam\nple.com",
        "a" * 65 + "@example.com",
        "ann@" + "b" * 64 + ".example",
        "ann@" + ".".join(["b" * 62] * 4) + ".example",
    ]
    assert judged(addresses) == [(address, True) for address in addresses]


SIGN = st.sampled_from("ab1XxNn-._+@!'\"()<>,;:\\ é\u200b\x00")
NEAR = st.builds(
    lambda local, labels: f"{local}@{'.'.join(labels)}",
    st.text("aZ9.+-_'", min_size=1, max_size=70),
    st.lists(st.text("aZ9-xn", min_size=0, max_size=66), min_size=1, max_size=5),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.emails(), NEAR, st.text(SIGN, max_size=20)), min_size=1, max_size=12))
def test_a_strict_validator_accepts_all_that_is_accepted(addresses):
    for sent, refused in judged(addresses):
        if sent is not None and not refused:
            assert STRICT.is_valid(sent), sent
