"""Phone numbers: E.164, and nothing that only could be read as such.

Source: Watch `Target.value` ("An E.164 formatted phone number"), Pristo `Contact.phone`. The
document's own sample, +30123456789, is no possible number, so plausibility is asked for by
the configuration and not by default.
"""

from __future__ import annotations

from typing import Literal

import polars as pl

from backfill.prepare.checked import Checked, trimmed

__all__ = ["Level", "check_phone"]

Level = Literal["e164", "possible", "valid"]

# At most 15 digits, the country calling code included (ITU-T E.164, 6). `\d` would let the
# digits of every script pass.
E164 = "^[+][1-9][0-9]{1,14}$"

# What people write between digits: it means nothing, so the digits without it are the same
# number. "(0)" is not among it: that zero is dialled inside the country only, and whether it
# belongs to the number is not for us to say.
_GROUPED = "^[+][0-9](?:[ \u00a0.\u2010\u2011\u2012\u2013\u2014-]?[(]?[0-9]+[)]?)+$"
_SEPARATORS = "[ \u00a0.()\u2010\u2011\u2012\u2013\u2014-]+"


def check_phone(text: pl.Expr, level: Level, region: str | None) -> Checked:
    """The number as `+` and digits. Rule: `e164`."""
    del level, region
    inner = trimmed(text)
    number = _ungrouped(inner)
    formed = number.str.contains(E164)
    return Checked(number, (("e164", (~formed).fill_null(value=False)),))


def _ungrouped(inner: pl.Expr) -> pl.Expr:
    plain = inner.str.contains(E164)
    other = pl.when(~plain).then(inner)
    grouped = pl.when(other.str.contains(_GROUPED) & ~other.str.contains("(0)", literal=True)).then(
        other
    )
    return pl.coalesce(grouped.str.replace_all(_SEPARATORS, ""), inner)
