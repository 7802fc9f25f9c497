"""What a phone number looks like in a cell, before anybody reads digits from it.

A spreadsheet or a frame that took a number for a quantity leaves a decimal point, an exponent or
thousands behind; people write extensions and several numbers into one cell. Leaving out what
stands between the digits would make other numbers of all of these, so each has a rule of its own.
"""

from __future__ import annotations

import polars as pl

from backfill.checks.checked import Stage

__all__ = ["SHAPES", "digits_of", "is_international", "is_national", "shape_stages"]

SHAPES = ("float", "several", "extension")
"""The rules of this module, of which a text breaks one at most."""

# Between groups of digits stand spaces, or a dot or dash with spaces around it.
_SPACE = "[ \u00a0\u2009\u202f]"
_DASH = "[.\u2010-\u2014\u2212-]"
_GAP = f"(?:{_SPACE}{{0,2}}{_DASH}{_SPACE}{{0,2}}|{_SPACE}{{1,3}})"
_GROUPS = f"[0-9]+(?:{_GAP}[0-9]+)*"
# One group at most, an area code as a rule, stands in brackets.
_BRACKETED = f"(?:{_GROUPS}{_GAP}?)?[(]{_SPACE}?{_GROUPS}{_SPACE}?[)](?:{_GAP}?{_GROUPS})?"
_NUMBER = f"(?:{_GROUPS}|{_BRACKETED})"
_INTERNATIONAL = f"^[+]{_SPACE}?{_NUMBER}$"
# After an area code people write a slash; further right it announces another ending.
_NATIONAL = f"^(?:{_NUMBER}|0[0-9]{{1,5}}{_SPACE}?/{_SPACE}?{_GROUPS})$"
_ZERO_ALONE = "[(][ \u00a0\u2009\u202f]?0[ \u00a0\u2009\u202f]?[)]"

_UNPOINTED = "[+(]?[0-9][0-9 \u00a0()\u2010-\u2014\u2212-]*"
_FLOAT = "|".join(
    (
        "[+-]?[0-9]+(?:[.,][0-9]*)?[eE][+-]?[0-9]+",  # 9.7E+11
        "-?(?:0|[1-9][0-9]*)[.,][0-9]*",  # 540000188.0
        "[+]?[0-9]{7,}[.,][0-9]*",  # a plus or a zero put before one; +1.2025550143 is none
        f"{_UNPOINTED}[.,](?:[0-9]{{1,2}}|0+)",  # 540-000-188.50
        "[+]?[0-9][0-9.\u2010-\u2014 ()-]*[.][0-9]",  # no group of a number is one last digit
        "[+]?[0-9]{1,3}(?:,[0-9]{3})+(?:[.][0-9]*)?",  # 972,540,000,188.00
        "[+]?[0-9]{1,3}(?:[. '\u2019\u00a0\u2009\u202f][0-9]{3})+,[0-9]*",  # 972.540.000.188,00
    )
)

# What SQL makes of a sign and a decimal (`'+' || 12.345678`) differs from a number of the form of
# domain registries only in this: theirs has its dot behind a calling code, and is no short one.
_DECIMAL = "[+][0-9]+[.][0-9]+"
_CODE = (
    "[17]|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]"
    "|(?:2[1-689]|3[578]|42|5[09]|6[789]|8[035789]|9[679])[0-9]"
)
_REGISTERED = f"[+](?:{_CODE})[.][0-9]+"
_FEWEST = 8  # digits of such a number

_BETWEEN = "[ \u00a0\u2009\u202f().\u2010-\u2014\u2212-]*"
_LONG = f"[+(]*(?:[0-9]{_BETWEEN}){{7,}}"
_SHORT = f"[+(]*(?:[0-9]{_BETWEEN}){{1,6}}"
_SEVERAL = "|".join(
    (
        "[^+]*[+][^+]*[0-9][^+]*[+].*",
        f"{_LONG}\\s*(?:[,;/|&\\\\\\r\\n\\t]|\\b(?:or|and|oder|und|ou|et|o|y|או|и|или)\\b)+\\s*{_LONG}.*",
        f"{_LONG}\\s*[/|&\\\\\\r\\n\\t].*[0-9].*",  # …188/9: another ending
    )
)
_MARKERS = (
    "ext(?:ension|ensión|ens|n)?",
    "xtn?",
    "[x\u00d7#~\uff03\uff58\uff5e]",
    "int(?:erno|ern|ernal)?",
    "anexo|ramal|poste|доб(?:авочный)?|שלוחה|durchwahl|dw|toestel|nebenstelle",
    "[pw]",  # what telephones write for a pause
)
_EXTENSION = "|".join(
    (
        f"[+(]*[0-9][0-9]*(?:{_BETWEEN}/?[0-9]+)*{_BETWEEN}[,;:]*{_BETWEEN}"
        f"(?:{'|'.join(_MARKERS)})[ .:=\u00a0-]*(?:[0-9] ?)+#?[)]?",
        f"{_LONG}[,;]+\\s*{_SHORT}#?",
        f"{_LONG}#",
        f"[+(]?(?:[0-9]{_BETWEEN}){{4,}}[(]{_SPACE}?[0-9]{{1,7}}{_SPACE}?[)]",
    )
)


def shape_stages(text: pl.Expr) -> tuple[Stage, ...]:
    """Stages for each rule of SHAPES over texts that are not E.164 already; false for null.

    - `float`: a decimal point or comma, an exponent, thousands. One dot after the calling code
      of at least 8 digits (`+1.2025550143`, as domain registries write it) and dots between all
      groups are none.
    - `several`: two numbers, or a number and another ending (`…188/9`).
    - `extension`: `x`, `ext.`, `#`, `;ext=` and their like, a pause, digits in brackets at the end.
    """
    is_float, several = pl.field("float"), pl.field("several")
    registered = _matches(text, f"^{_REGISTERED}$") & (text.str.len_bytes() >= _FEWEST + len("+."))
    decimal = _matches(text, f"^{_DECIMAL}$") & ~registered
    return (
        {"float": _matches(text, f"^(?:{_FLOAT})$") | decimal},
        {"several": ~is_float & _matches(text, f"(?is)^(?:{_SEVERAL})$")},
        {"extension": ~is_float & ~several & _matches(text, f"(?is)^(?:{_EXTENSION})$")},
    )


def _matches(text: pl.Expr, pattern: str) -> pl.Expr:
    return text.str.contains(pattern).fill_null(value=False)


def is_international(text: pl.Expr) -> pl.Expr:
    """Whether it is `+` and digits, with nothing but separators that people write between them.

    A zero in brackets of its own, as in `+44 (0)20…`, is dialled inside the country only.
    """
    return text.str.contains(_INTERNATIONAL) & ~text.str.contains(_ZERO_ALONE)


def is_national(text: pl.Expr) -> pl.Expr:
    """Whether it is digits, with nothing but separators that people write between them."""
    return text.str.contains(_NATIONAL)


def digits_of(text: pl.Expr) -> pl.Expr:
    """The ASCII digits of a text, in order."""
    return text.str.replace_all("[^0-9]", "")
