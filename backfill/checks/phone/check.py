"""Phone numbers: E.164, and nothing that only could be read as such.

Source: Watch `Target.value` ("An E.164 formatted phone number"), Pristo `Contact.phone`. The
document's own sample, +30123456789, is no possible number, so plausibility is asked for by
the configuration and not by default.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import polars as pl

from backfill.checks.checked import Stage, Steps, absent, seldom, trimmed
from backfill.checks.phone.national import from_national, lost_its_prefix
from backfill.checks.phone.parsing import is_possible, is_rewritten, is_valid
from backfill.checks.phone.shapes import SHAPES, digits_of, is_international, shape_stages

__all__ = ["E164", "Level", "check_phone"]

Level = Literal["e164", "possible", "valid"]

# At most 15 digits, the country calling code included (ITU-T E.164, 6). `\d` would let the
# digits of every script pass.
E164 = "^[+][1-9][0-9]{1,14}$"


def check_phone(level: Level, region: pl.Expr | None, *, quantity: bool = False) -> Steps:
    """The number as `+` and digits. Rules: `float`, `several`, `extension`, with a region
    `ambiguous`, then `e164`, and by level `rewritten`, `possible`, `valid`; at most one of them is
    broken.

    White space around the number is left out, and so are separators in it where what remains is
    what libphonenumber reads; digits are never added or left out. With `region`, the ISO codes of
    the countries in which numbers are dialled, a national number becomes E.164 where libphonenumber
    calls the result valid; the field `national` then holds what it was made from. One that may have
    lost a `+` as well as its trunk prefix is `ambiguous`. A number that begins with `+` is never
    changed. At the levels `possible` and `valid`, a number that libphonenumber would read as
    another one is refused as `rewritten`, then one that it calls impossible, then one that it calls
    invalid.

    `quantity` says that the column's type is a floating-point number: all its values are `float`.
    """
    inner, odd = pl.field("inner"), pl.field("odd")
    rules = SHAPES if region is None else (*SHAPES, "ambiguous")
    converted = None if region is None else "national"
    stages: list[Stage] = [{"inner": trimmed(pl.field("text"))}]
    if quantity:
        never: Stage = dict.fromkeys(rules, pl.lit(value=False))
        stages.append({**never, "float": inner.is_not_null(), "value": inner})
        if converted is not None:
            stages.append({converted: absent(inner)})
    else:
        others: dict[str, pl.DataType] = dict.fromkeys(rules, pl.Boolean())
        texts = ("value",) if converted is None else ("value", converted)
        others |= dict.fromkeys(texts, pl.String())
        beside = {} if region is None else {"region": region}
        read = tuple(_otherwise_written(pl.field("region") if beside else None))
        other = pl.field("other").struct
        stages += [
            {"odd": pl.when(~inner.str.contains(E164)).then(inner)},
            {"other": seldom(read, others, odd=odd, **beside)},
            {name: other.field(name) for name in texts},
            {rule: other.field(rule).fill_null(value=False) for rule in rules},
            {"value": pl.coalesce(pl.field("value"), inner)},
        ]
    shaped = pl.any_horizontal([pl.field(rule) for rule in rules])
    value = pl.field("value")
    stages.append({"e164": ~shaped & ~value.str.contains(E164)})
    rules = (*rules, "e164")
    if level == "e164":
        return Steps(tuple(stages), rules, converted)
    rewritten, impossible = pl.field("rewritten"), pl.field("possible")
    candidate = pl.field("candidate")
    stages += [
        {"candidate": pl.when(~shaped & ~pl.field("e164")).then(value)},
        {"rewritten": is_rewritten(candidate)},
        {"possible": ~rewritten & ~is_possible(candidate)},
    ]
    if level == "possible":
        return Steps(tuple(stages), (*rules, "rewritten", "possible"), converted)
    stages.append({"valid": ~rewritten & ~impossible & ~is_valid(candidate)})
    return Steps(tuple(stages), (*rules, "rewritten", "possible", "valid"), converted)


def _otherwise_written(region: pl.Expr | None) -> Iterator[Stage]:
    """Stages over `odd`, texts that are not E.164: what one of them says all the same is `value`,
    and `national` what it was made from where it is another number.
    """
    odd, plain, dialled = pl.field("odd"), pl.field("plain"), pl.field("dialled")
    yield from shape_stages(odd)
    yield {"plain": pl.when(~pl.any_horizontal([pl.field(rule) for rule in SHAPES])).then(odd)}
    yield {"bare": _ungrouped(plain)}
    yield {"value": pl.when(~is_rewritten(pl.field("bare"))).then(pl.field("bare"))}
    if region is not None:
        yield {"dialled": from_national(plain, region)}
        yield {"ambiguous": lost_its_prefix(plain, dialled, region)}
        yield {"dialled": pl.when(~pl.field("ambiguous")).then(dialled)}
        yield {
            "national": pl.when(dialled.is_not_null()).then(odd),
            "value": pl.coalesce(dialled, pl.field("value")),
        }


def _ungrouped(text: pl.Expr) -> pl.Expr:
    """The number without separators, where it has `+` and nothing but them between its digits."""
    return pl.when(is_international(text)).then("+" + digits_of(text))
