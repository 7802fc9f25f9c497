"""One field at a time: canonical values, and rules on both sides of their edge."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from backfill.checks.fields import check, cross_rules, required_rule, warned
from backfill.checks.rules import RULES, rule_named, rules_of
from backfill.config import Rules
from backfill.config.rules import ContactId
from backfill.core.errors import ConfigError
from backfill.destination import Destination, Field, Kind
from backfill.destinations import builtin_destinations

NOW = datetime(2025, 6, 1, tzinfo=UTC)
PRISTO = builtin_destinations()["pristo-events"]
EVENTS = builtin_destinations()["watch-events"]
FEEDBACKS = builtin_destinations()["watch-feedbacks"]
ID = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"


def field_of(destination: Destination, name: str) -> Field:
    field = destination.field_for(name)
    assert field is not None
    return field


def judge(
    destination: Destination,
    name: str,
    value: object,
    dtype: pl.DataType | type[pl.DataType] | None = None,
    *,
    zone: str | None = None,
    **rules: Any,
) -> tuple[object, list[str]]:
    """The canonical value of one raw value, and the rules that it broke."""
    raw = pl.Series("raw", [value], dtype=dtype, strict=False)
    checked = check(
        field_of(destination, name),
        pl.col("raw"),
        raw.dtype,
        rules=Rules(**rules),
        timezone=zone,
        now=NOW,
    )
    parts = checked.within("checked")
    frame = (
        raw.to_frame()
        .lazy()
        .select(checked.packed.alias("checked"))
        .select(parts.value.alias("value"), *(expr.alias(rule) for rule, expr in parts.broken))
        .collect()
    )
    row = frame.row(0, named=True)
    kept = row.pop("value")
    assert all(isinstance(each, bool) for each in row.values()), "a rule was null"
    return kept, [rule for rule, is_broken in row.items() if is_broken]


@pytest.mark.parametrize(
    ("name", "value", "canonical", "broken"),
    [
        ("contact.id", f" {ID.upper()}\n", ID, []),
        ("contact.id", ID.replace("-", ""), ID.replace("-", ""), ["uuid"]),
        ("contact.phone", " +1 202-555-0123 ", "+12025550123", []),
        ("contact.phone", "12025550123", "12025550123", ["e164"]),
        ("contact.email", " Ann@Example.com ", "Ann@Example.com", []),
        ("contact.email", "ann@example", "ann@example", ["email"]),
        ("contact.language", " HE ", "he", []),
        ("contact.language", "en-US", "en-us", ["language"]),
        ("contact.language", "eng", "eng", ["language"]),
        ("contact.language", "iw", "iw", ["language"]),
        ("contact.name", "  Ann  ", "  Ann  ", []),
        ("contact.name", "  ", "  ", []),
        ("customFields.x", " é\u200d ", " é\u200d ", []),
        ("type", " purchase ", "purchase", []),
    ],
)
def test_codes_ids_phones_and_emails_are_made_canonical_and_text_stays(
    name, value, canonical, broken
):
    assert judge(PRISTO, name, value) == (canonical, broken)


@pytest.mark.parametrize("field", [f for d in builtin_destinations().values() for f in d.fields])
@pytest.mark.parametrize("value", [None, ""])
def test_a_null_and_an_empty_text_are_missing_and_break_nothing_here(field, value):
    for destination in builtin_destinations().values():
        if field in destination.fields:
            name = field.name.replace("*", "x")
            assert judge(destination, name, value, pl.String) == (None, [])


@pytest.mark.parametrize(
    ("destination", "name"),
    [
        (PRISTO, "contact.id"),
        (PRISTO, "contact.phone"),
        (PRISTO, "contact.email"),
        (PRISTO, "type"),
        (PRISTO, "occurredAt"),
        (EVENTS, "label"),
        (EVENTS, "confidence"),
        (EVENTS, "target.value"),
    ],
)
def test_white_space_alone_is_missing_where_something_must_be_said(destination, name):
    assert judge(destination, name, " \t\u00a0\n") == (None, [])


def test_a_label_is_sent_as_it_is():
    assert judge(EVENTS, "label", " onboarding.start ") == (" onboarding.start ", [])


@pytest.mark.parametrize(
    ("limit", "length", "broken"),
    [(50, 50, []), (50, 51, ["max_length"]), (255, 255, []), (255, 256, ["max_length"])],
)
def test_custom_values_are_counted_in_characters_and_never_cut(limit, length, broken):
    for sign in ("x", "é", "😀"):
        text = sign * length
        assert judge(PRISTO, "customFields.x", text, custom_value_max=limit) == (text, broken)


@pytest.mark.parametrize(("length", "broken"), [(80, []), (81, ["max_length"])])
def test_a_correlation_id_has_at_most_80_characters(length, broken):
    text = "é" * length
    assert judge(FEEDBACKS, "metadata.correlation_id", text) == (text, broken)


def test_a_correlation_id_beyond_64_characters_is_warned_of():
    name = "metadata.correlation_id"
    frame = pl.DataFrame({name: ["é" * 64, "é" * 65, None]})
    expr = warned(field_of(FEEDBACKS, name), name, Rules())
    assert expr is not None
    assert frame.select(expr).to_series().to_list() == [False, True, False]
    assert warned(field_of(EVENTS, "label"), "label", Rules()) is None


def test_a_phone_that_nobody_can_have_is_warned_of_where_its_shape_is_all_that_counts():
    name = "target.value"
    sent = ["+12025550143", "+4407700900110", "+1555", "person@example.com", None]
    frame = pl.DataFrame({name: sent})
    expr = warned(field_of(EVENTS, name), name, Rules())
    assert expr is not None
    assert frame.select(expr).to_series().to_list() == [False, True, True, False, False]
    for closer in ("possible", "valid"):
        assert warned(field_of(EVENTS, name), name, Rules(phone=closer)) is None


@pytest.mark.parametrize(
    ("value", "broken"),
    [("high", []), (" high ", []), ("High", ["choice"]), ("5", ["choice"]), ("hig", ["choice"])],
)
def test_confidence_is_one_of_the_words_and_is_never_guessed(value, broken):
    assert judge(EVENTS, "confidence", value) == (value.strip(), broken)


@pytest.mark.parametrize(
    ("value", "broken"),
    [
        ("verification.started", []),
        ("verification.completed", []),
        ("verification.failed", ["choice"]),
        ("completed", ["choice"]),
    ],
)
def test_a_feedback_type_is_never_coerced(value, broken):
    assert judge(FEEDBACKS, "type", value) == (value, broken)


def test_event_types_are_restricted_only_by_a_list():
    assert judge(PRISTO, "type", "refund") == ("refund", [])
    assert judge(PRISTO, "type", " purchase", event_types=("purchase",)) == ("purchase", [])
    assert judge(PRISTO, "type", "refund", event_types=("purchase",)) == ("refund", ["allowed"])
    assert judge(PRISTO, "type", "Purchase", event_types=("purchase",)) == ("Purchase", ["allowed"])


def test_other_ids_become_uuids_by_name_in_a_namespace():
    space = uuid.UUID(int=7)
    rules: dict[str, Any] = {"contact_id": ContactId(namespace=space)}
    assert judge(PRISTO, "contact.id", " ann-1 ", **rules) == (str(uuid.uuid5(space, "ann-1")), [])
    assert judge(PRISTO, "contact.id", 42, **rules) == (str(uuid.uuid5(space, "42")), [])
    assert judge(PRISTO, "contact.id", 42.0, **rules) == (str(uuid.uuid5(space, "42")), [])
    assert judge(PRISTO, "contact.id", ID.upper(), **rules) == (ID, [])


@pytest.mark.parametrize(
    ("value", "dtype", "broken"),
    [
        ([1], pl.List(pl.Int64), ["nested"]),
        (timedelta(1), None, ["type"]),
        (1e999, None, ["finite"]),
    ],
)
def test_a_value_without_text_breaks_one_rule_in_every_kind_of_field(value, dtype, broken):
    for name in ("contact.id", "contact.phone", "contact.email", "type", "customFields.x"):
        assert judge(PRISTO, name, value, dtype) == (None, broken)


def test_phone_levels_and_regions_come_from_the_rules():
    assert judge(PRISTO, "contact.phone", "+30123456789") == ("+30123456789", [])
    assert judge(PRISTO, "contact.phone", "+30123456789", phone="possible")[1] == ["possible"]
    assert judge(PRISTO, "contact.phone", "+12005550123", phone="possible")[1] == []
    assert judge(PRISTO, "contact.phone", "+12005550123", phone="valid")[1] == ["valid"]
    assert judge(PRISTO, "contact.phone", "+4407700900123", phone="possible")[1] == ["rewritten"]
    number = "+442079460018"
    assert judge(PRISTO, "contact.phone", "020 7946 0018", phone_region="GB") == (number, [])
    assert judge(PRISTO, "contact.phone", 2079460018, phone_region="GB") == (number, [])
    assert judge(EVENTS, "target.value", "020 7946 0018", phone_region="GB") == (number, [])
    with pytest.raises(ConfigError, match="XX"):
        judge(PRISTO, "contact.phone", number, phone_region="XX")


@pytest.mark.parametrize("dtype", [pl.Float32, pl.Float64])
@pytest.mark.parametrize(
    ("destination", "name"), [(PRISTO, "contact.phone"), (EVENTS, "target.value")]
)
@pytest.mark.parametrize("number", [2079460018.0, 972540000188.0, 540000188.5, 9.7e11])
def test_a_column_of_floats_holds_no_phone_whatever_its_value(dtype, destination, name, number):
    for region in (None, "GB", "IL"):
        assert judge(destination, name, number, dtype, phone_region=region)[1] == ["float"]
    assert judge(destination, name, None, dtype) == (None, [])


def test_times_follow_the_zone_and_the_present_moment():
    assert judge(PRISTO, "occurredAt", "2025-06-01T00:00:00Z") == (NOW, [])
    assert judge(PRISTO, "occurredAt", "2025-06-01T00:00:01Z")[1] == ["future"]
    assert judge(PRISTO, "occurredAt", "2025-06-01 03:00", zone="Asia/Jerusalem") == (NOW, [])
    assert judge(PRISTO, "occurredAt", "2025-06-01 03:00") == (None, ["timezone"])


@pytest.mark.parametrize(
    ("value", "canonical", "broken"),
    [
        ("+1 202 555 0123", "+12025550123", []),
        ("2025550123", "2025550123", ["e164"]),
        (" ann@example.com ", "ann@example.com", []),
        ("ann@example", "ann@example", ["email"]),
    ],
)
def test_a_target_is_judged_as_what_it_looks_like(value, canonical, broken):
    assert judge(EVENTS, "target.value", value) == (canonical, broken)


def crossed(destination: Destination, row: dict[str, str | None], **rules: Any) -> list[str]:
    frame = pl.DataFrame([row], schema=dict.fromkeys(row, pl.String))
    found = cross_rules(destination.checks, Rules(**rules))
    values = {name: frame.select(expr).item() for name, expr in found}
    assert all(isinstance(each, bool) for each in values.values()), "a rule was null"
    return [name for name, is_broken in values.items() if is_broken]


@pytest.mark.parametrize(
    ("kind", "value", "strict", "lenient"),
    [
        ("phone_number", "+12025550123", [], []),
        ("phone_number", "ann@example.com", ["target.value|agrees"], ["target.value|agrees"]),
        ("email_address", "ann@example.com", ["target.type|phone_only"], []),
        ("email_address", "+12025550123", ["target.type|phone_only"], ["target.value|agrees"]),
        ("email_address", None, ["target.type|phone_only"], []),
        ("phone_number", None, [], []),
        ("something", "ann@example.com", [], []),
        (None, "ann@example.com", [], []),
        (None, None, [], []),
    ],
)
def test_a_target_is_what_its_type_says_and_emails_need_permission(kind, value, strict, lenient):
    row = {"target.type": kind, "target.value": value}
    for destination in (EVENTS, FEEDBACKS):
        assert crossed(destination, row) == strict
        assert crossed(destination, row, allow_email_targets=True) == lenient


@pytest.mark.parametrize(
    ("phone", "email", "broken"),
    [
        (None, None, ["contact|reachable"]),
        ("+12025550123", None, []),
        (None, "ann@example.com", []),
        ("+12025550123", "ann@example.com", []),
    ],
)
def test_a_contact_needs_a_phone_or_an_email(phone, email, broken):
    assert crossed(PRISTO, {"contact.phone": phone, "contact.email": email}) == broken


def test_required_is_broken_by_a_null_that_no_other_rule_explains():
    frame = pl.DataFrame({"label": ["x", None, None, None], "bad": [False, False, True, None]})
    name, expr = required_rule("label", pl.col("label"), [pl.col("bad")])
    assert name == "label|required"
    assert frame.select(expr).to_series().to_list() == [False, True, False, True]
    assert frame.select(required_rule("label", pl.col("label"))[1]).to_series().to_list() == [
        False,
        True,
        True,
        True,
    ]


DTYPES = [
    pl.String(),
    pl.Int64(),
    pl.Float64(),
    pl.Boolean(),
    pl.Date(),
    pl.Datetime("us"),
    pl.Datetime("us", "UTC"),
    pl.Time(),
    pl.Duration(),
    pl.Binary(),
    pl.List(pl.Int64()),
    pl.Null(),
]


def test_the_table_of_rules_is_what_the_checks_can_find():
    """Every rule that a check has is documented for its field, and every documented one exists."""
    for destination in builtin_destinations().values():
        found = {"row|malformed"}
        fields = destination.fields
        if destination.time_field is None:
            fields = (*fields, Field("time", Kind.TIME))
        for field in fields:
            for dtype in DTYPES:
                for zone in (None, "UTC"):
                    rules = Rules(phone="valid", phone_region="IL", event_types=("a",))
                    checked = check(field, pl.col("x"), dtype, rules=rules, timezone=zone, now=NOW)
                    found |= {f"{field.name}|{rule}" for rule, _ in checked.broken}
            found.add(f"{field.name}|unmapped")
            if field.required:
                found.add(required_rule(field.name, pl.col("x"))[0])
        found |= {name for name, _ in cross_rules(destination.checks, Rules())}
        assert {each.name for each in rules_of(destination)} == found


def test_every_rule_has_its_words():
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.meaning.endswith(".") and rule.remedy.endswith(".") for rule in RULES)
    assert rule_named("contact.id|uuid").name == "uuid"
    with pytest.raises(KeyError):
        rule_named("contact.id|no such rule")


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
def test_a_whole_column_is_judged_row_by_row_in_either_engine(engine):
    values = [
        "+12025550123",
        None,
        "x",
        "",
        "+44 (0)20",
        "+4407700900123",
        " +1 202 555 0123 ",
    ] * 999
    checked = check(
        field_of(PRISTO, "contact.phone"),
        pl.col("raw"),
        pl.String(),
        rules=Rules(phone="possible"),
        timezone=None,
        now=NOW,
    )
    frame = pl.LazyFrame({"raw": values}).with_columns(checked.packed.alias("c"))
    parts = dict(checked.within("c").broken)
    answer = frame.select(e164=parts["e164"], rewritten=parts["rewritten"]).collect(engine=engine)
    assert answer["e164"].to_list() == [False, False, True, False, True, False, False] * 999
    assert (
        answer["rewritten"].to_list()
        == [
            False,
            False,
            False,
            False,
            False,
            True,
            False,
        ]
        * 999
    )
