"""How many values of a field one core checks in a second.

    python -m benchmarks.checks --values 1_000_000

Each check runs as preparing runs it, over invented values that people write; the best of a few
rounds counts, by the processor's time, so what else the machine does matters little. Prints
Markdown.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import phonenumbers
import polars as pl

from backfill.checks.fields import check
from backfill.config import Rules
from backfill.destination import Field
from backfill.destinations import builtin_destinations

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROUNDS = 3

_NAMESPACE = "5b0c7d1e-9a34-4c58-8f21-6d3e0a9b7c42"

_Case = tuple[str, Field, pl.Series, Rules]


def cases(count: int) -> Iterator[_Case]:
    """Checks by name: a field, `count` values of it, and the rules that they are held to."""
    row = pl.int_range(count, eager=True)
    digits = row.hash(1).cast(pl.String).str.zfill(20)
    fiction = pl.select(pl.format("+1202555{}", digits.str.tail(4))).to_series()
    spaced = pl.select(pl.format("+1 (202) 555-{}", digits.str.tail(4))).to_series()
    dialled = pl.select(pl.format("05{}", digits.str.tail(8))).to_series()
    everywhere = _changed(digits)
    phone, target = _field("pristo-events", "contact.phone"), _field("watch-events", "target.value")
    for level in ("e164", "possible", "valid"):
        rules = Rules(phone=level)
        yield f"phone, `{level}`", phone, fiction, rules
        yield f"phone, `{level}`, every region's plan", phone, everywhere, rules
    yield "phone, with separators", phone, spaced, Rules()
    yield "phone, national, `phone_region`", phone, dialled, Rules(phone_region="IL")
    yield "target, phones", target, fiction, Rules()
    uuids = pl.select(
        pl.format("{}-0000-4000-8000-{}", digits.str.tail(8), row.cast(pl.String).str.zfill(12))
    ).to_series()
    named = Rules.model_validate({"contact_id": {"namespace": _NAMESPACE}})
    contact = _field("pristo-events", "contact.id")
    yield "contact id, UUIDs", contact, uuids, Rules()
    yield "contact id, own ids into UUIDs", contact, row.cast(pl.String), named
    emails = pl.select(pl.format("user{}@example.com", row)).to_series()
    yield "email", _field("pristo-events", "contact.email"), emails, Rules()
    custom = _field("pristo-events", "customFields.any")
    yield "custom value, text", custom, emails, Rules()
    yield "custom value, float", custom, (row.hash(2) % 100_000).cast(pl.Float64) / 100, Rules()
    time_field = _field("pristo-events", "occurredAt")
    micros = 1_650_000_000_000_000 + (row.hash(3) % 10**14).cast(pl.Int64)
    moments = micros.cast(pl.Datetime("us", "UTC"))
    written = moments.dt.to_string("%Y-%m-%dT%H:%M:%S%.3f")
    yield "time, typed", time_field, moments, Rules()
    yield "time, RFC 3339", time_field, written + "Z", Rules()
    yield "time, with an offset", time_field, written + "+03:00", Rules()
    yield "time, epoch milliseconds", time_field, micros // 1_000, Rules()


def _field(destination: str, name: str) -> Field:
    found = builtin_destinations()[destination].field_for(name)
    assert found is not None
    return found


def _changed(digits: pl.Series) -> pl.Series:
    """Example numbers of every region and type with their last two digits exchanged for others."""
    known = sorted(
        phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        for region in phonenumbers.SUPPORTED_REGIONS
        for kind in phonenumbers.PhoneNumberType.values()
        if (number := phonenumbers.example_number_for_type(region, kind)) is not None
    )
    examples = pl.Series(known)
    chosen = examples.gather(digits.hash(4) % len(examples))
    ends = pl.concat_str(chosen.str.head(-2), digits.str.tail(2))
    return pl.select(ends).to_series()


def speed(field: Field, values: pl.Series, rules: Rules) -> float:
    """Values a second of the processor's time."""
    checked = check(
        field, pl.col("value"), values.dtype, rules=rules, timezone="Asia/Jerusalem", now=NOW
    )
    parts = checked.within("packed")
    query = (
        values.alias("value")
        .to_frame()
        .lazy()
        .with_columns(checked.packed.alias("packed"))
        .select(parts.value.alias("value"), *(broken.alias(rule) for rule, broken in parts.broken))
    )
    best = float("inf")
    for _ in range(ROUNDS):
        before = time.process_time()
        query.collect(engine="in-memory")
        best = min(best, time.process_time() - before)
    return len(values) / best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--values", type=int, default=1_000_000)
    given = parser.parse_args()
    print(f"Checks of {given.values:,} values each.\n")
    print("| check | million values/s of one core |")
    print("|---|---:|")
    for name, field, values, rules in cases(given.values):
        print(f"| {name} | {speed(field, values, rules) / 1e6:.1f} |")


if __name__ == "__main__":
    main()
