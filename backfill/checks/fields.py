"""The rules of the house as Polars expressions: canonical values, and rules by name.

A rule never decides by silence: its expression is true or false for every row, also where the
value is null. What each rule means is written in `rules`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import polars as pl

from backfill.checks.checked import Broken, Checked, Steps, trimmed
from backfill.checks.emails import check_email
from backfill.checks.languages import check_language
from backfill.checks.phone import numbering_plans
from backfill.checks.phone.check import check_phone
from backfill.checks.phone.parsing import is_possible, is_rewritten
from backfill.checks.text import as_text
from backfill.checks.times import check_time
from backfill.checks.uuids import check_uuid
from backfill.config import Rules
from backfill.destination import AnyOf, Field, Kind, TargetAgrees
from backfill.sources.schemas import MIXED, split_mixed

__all__ = ["check", "cross_rules", "required_rule", "warned"]


def check(
    field: Field,
    raw: pl.Expr,
    dtype: pl.DataType,
    *,
    rules: Rules,
    timezone: str | None,
    now: datetime,
    time_format: Sequence[str] = (),
    region: pl.Expr | None = None,
) -> Checked:
    """Check one field's raw values, whose type is `dtype`. `now` has a zone.

    `region` is the ISO code of each row's country where `phone_region` names a column.

    A value whose type has no text form breaks that one rule (`nested`, `type`, `finite`, …) and
    is null; a text that breaks a rule keeps its value, so that people can see it.
    """
    if field.kind is Kind.TIME and dtype == MIXED:
        raw, dtype = pl.coalesce(*split_mixed(raw)), pl.String()  # JSON is no time in any form
    if field.kind is Kind.TIME:
        steps = check_time(dtype, timezone=timezone, now=now, formats=time_format)
        return Checked.from_steps(raw, steps)
    text = as_text(pl.field("raw"), dtype, timezone=timezone)
    beside = {} if region is None else {"region": region}
    steps = _canonical(field, rules, dtype, pl.field("region") if beside else None)
    stages = ({"text": text.value, **dict(text.broken)}, *steps.stages)
    known = tuple(rule for rule, _ in text.broken)
    return Checked.from_steps(raw, Steps(stages, (*known, *steps.rules), steps.converted), **beside)


def _canonical(field: Field, rules: Rules, dtype: pl.DataType, region: pl.Expr | None) -> Steps:
    text = pl.field("text")
    match field.kind:
        case Kind.UUID:
            return check_uuid(rules.contact_id.namespace if rules.contact_id else None, dtype)
        case Kind.PHONE:
            return _phone(rules, dtype, region)
        case Kind.EMAIL:
            return check_email()
        case Kind.TARGET:
            return _target(_phone(rules, dtype, region))
        case Kind.LANGUAGE:
            return check_language()
        case Kind.CHOICE:
            return _one_of(field.choices, "choice")
        case Kind.EVENT_TYPE:
            return _one_of(rules.event_types, "allowed")
        case Kind.CUSTOM:
            return _limited(text, rules.custom_value_max)
        case _:
            # A required text that is white space alone says nothing.
            said = pl.when(trimmed(text).is_not_null()).then(text) if field.required else text
            return _limited(said, field.max_chars)


def _phone(rules: Rules, dtype: pl.DataType, region: pl.Expr | None) -> Steps:
    if isinstance(rules.phone_region, str):
        numbering_plans.region(rules.phone_region)  # a region that has no phones is refused
        region = pl.lit(rules.phone_region)
    return check_phone(rules.phone, region, quantity=dtype.is_float())


def _one_of(allowed: Sequence[str] | None, rule: str) -> Steps:
    """A code that must be one of a list, letter by letter; None allows every code."""
    code = {"value": trimmed(pl.field("text"))}
    if allowed is None:
        return Steps((code,))
    return Steps((code, {rule: ~pl.field("value").is_in(list(allowed))}), (rule,))


def _limited(text: pl.Expr, max_chars: int | None) -> Steps:
    """Text of at most so many characters (code points); it is never cut."""
    if max_chars is None:
        return Steps(({"value": text},))
    long = pl.field("value").str.len_chars() > max_chars
    return Steps(({"value": text}, {"max_length": long}), ("max_length",))


def _is_email(text: pl.Expr) -> pl.Expr:
    return text.str.contains("@", literal=True)


def _target(phone: Steps) -> Steps:
    """What holds an `@` is judged as an email address, all else as a phone number."""
    email = check_email()
    whole, address = pl.field("whole"), pl.field("address")
    return Steps(
        (
            {"whole": pl.field("text")},
            {"text": pl.when(_is_email(whole)).then(whole)},
            *email.stages,
            {"address": pl.field("value"), "text": pl.when(~_is_email(whole)).then(whole)},
            *phone.stages,
            {"value": pl.coalesce(address, pl.field("value"))},
        ),
        (*phone.rules, *email.rules),
        phone.converted,
    )


def required_rule(name: str, value: pl.Expr, broken: Iterable[pl.Expr] = ()) -> tuple[str, pl.Expr]:
    """`field|required`: the canonical `value` is null, and not because of another rule.

    `broken` are the field's own rules; where one of them says already what is wrong with the
    value, this one stays silent. Nulls in them count as not broken.
    """
    silent = [expr.fill_null(value=False) for expr in broken]
    missing = value.is_null()
    return f"{name}|required", missing & ~pl.any_horizontal(silent) if silent else missing


def cross_rules(checks: Iterable[AnyOf | TargetAgrees], rules: Rules) -> Broken:
    """The rules between fields, by full name, over canonical columns named by the field."""
    found: list[tuple[str, pl.Expr]] = []
    for each in checks:
        if isinstance(each, AnyOf):
            if rules.reachable == "known":
                continue  # P7: only the first report of a contact needs one
            found.append((each.name, pl.all_horizontal(pl.col(*each.fields).is_null())))
        else:
            found.extend(_agreement(each, rules))
    return tuple(found)


def _agreement(check: TargetAgrees, rules: Rules) -> Broken:
    """A type that is missing or no known word is another rule's matter."""
    kind, email = pl.col(check.type_field), _is_email(pl.col(check.value_field))
    says_phone = kind == check.phone_type
    says_email = kind == check.email_type
    wrong = says_phone & email
    broken: list[tuple[str, pl.Expr]] = []
    if rules.allow_email_targets:
        wrong = wrong | (says_email & ~email)
    else:
        broken.append((f"{check.type_field}|phone_only", says_email.fill_null(value=False)))
    broken.append((f"{check.value_field}|agrees", wrong.fill_null(value=False)))
    return tuple(broken)


def warned(field: Field, name: str, rules: Rules) -> pl.Expr | None:
    """Whether the canonical column `name` holds what is sent and looks wrong all the same: it is
    longer than where another public page draws the line, or a phone in the form of E.164 that
    nobody can have.

    None where the field has no such second line.
    """
    if field.warn_chars is not None:
        return (pl.col(name).str.len_chars() > field.warn_chars).fill_null(value=False)
    if field.kind in (Kind.PHONE, Kind.TARGET) and rules.phone == "e164":
        phone = pl.when(pl.col(name).str.starts_with("+")).then(pl.col(name))
        return (is_rewritten(phone) | ~is_possible(phone)).fill_null(value=False)
    return None
