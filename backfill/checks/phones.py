"""Phone numbers: E.164, and nothing that only could be read as such.

Source: Watch `Target.value` ("An E.164 formatted phone number"), Pristo `Contact.phone`. The
document's own sample, +30123456789, is no possible number, so plausibility is asked for by
the configuration and not by default.
"""

from __future__ import annotations

from typing import Literal

import polars as pl

from backfill.checks.checked import Stage, Steps, trimmed
from backfill.checks.phone_national import from_national
from backfill.checks.phone_parsing import is_possible, is_rewritten, is_valid

__all__ = ["E164", "Level", "check_phone"]

Level = Literal["e164", "possible", "valid"]

# At most 15 digits, the country calling code included (ITU-T E.164, 6). `\d` would let the
# digits of every script pass.
E164 = "^[+][1-9][0-9]{1,14}$"

# What people write between digits means nothing, so the digits without it are the same number.
# But a zero in brackets of its own, as in "+44 (0)20…", is dialled inside the country only, and
# a number of which libphonenumber would leave digits out, as in "+44 (020)…", has such a zero too.
_GROUPED = "^[+][0-9](?:[ \u00a0.\u2010\u2011\u2012\u2013\u2014-]?[(]?[0-9]+[)]?)+$"
_SEPARATORS = "[ \u00a0.()\u2010\u2011\u2012\u2013\u2014-]+"


def check_phone(level: Level, region: str | None) -> Steps:
    """The number as `+` and digits. Rules: `e164`, and by level `rewritten`, `possible`, `valid`.

    White space around the number is left out, and so are separators in it where what remains is
    what libphonenumber reads. With a region, what is dialled there becomes E.164; a number that
    begins with `+` is never changed. At the levels `possible` and `valid`, a number that
    libphonenumber would read as another one is refused as `rewritten`, then one that it calls
    impossible, then one that it calls invalid: at most one of the four rules is broken.
    """
    value = pl.field("value")
    stages: list[Stage] = [
        {"inner": trimmed(pl.field("text"))},
        {"plain": pl.field("inner").str.contains(E164)},
        {"bare": _ungrouped(pl.when(~pl.field("plain")).then(pl.field("inner")))},
        {"same": pl.when(~is_rewritten(pl.field("bare"))).then(pl.field("bare"))},
        {"value": pl.coalesce(pl.field("same"), pl.field("inner"))},
    ]
    if region is not None:
        dialled = pl.when(~value.str.starts_with("+")).then(value)
        stages.append({"value": pl.coalesce(from_national(dialled, region), value)})
    stages.append({"e164": ~value.str.contains(E164)})
    if level == "e164":
        return Steps(tuple(stages), ("e164",))
    candidate, broken = pl.field("candidate"), pl.field("e164")
    rewritten, impossible = pl.field("rewritten"), pl.field("possible")
    stages += [
        {"candidate": pl.when(~broken).then(value)},
        {"rewritten": is_rewritten(candidate)},
        {"possible": ~rewritten & ~is_possible(candidate)},
    ]
    if level == "possible":
        return Steps(tuple(stages), ("e164", "rewritten", "possible"))
    stages.append({"valid": ~rewritten & ~impossible & ~is_valid(candidate)})
    return Steps(tuple(stages), ("e164", "rewritten", "possible", "valid"))


def _ungrouped(text: pl.Expr) -> pl.Expr:
    """The number without separators, where it has nothing but them between its digits."""
    grouped = text.str.contains(_GROUPED) & ~text.str.contains("(0)", literal=True)
    return pl.when(grouped).then(text.str.replace_all(_SEPARATORS, ""))
