"""What a text would be in strftime notation if it were a time: its form.

`13/01/2024 10:00 UTC` becomes `%1/%2/%Y %H:%M UTC`: each number gets its part by what stands
around it. `%1` and `%2` are a day and a month, or whatever else two such numbers may be, as one
text alone does not tell. A text with numbers or words that are no part of a time has no form.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import polars as pl

__all__ = ["form_of", "joined", "looks_dated", "zone_name"]

_LONGEST = 90  # characters
_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_SHORT_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_DAYS = "monday|tuesday|wednesday|thursday|friday|saturday|sunday"
_SHORT_DAYS = "mon|tue|wed|thu|fri|sat|sun"
_COMPACT = (
    "(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
    "(?:(?:[01][0-9]|2[0-3])[0-5][0-9](?:[0-5][0-9](?:[0-9]{3})?)?)?"
)
_WEEKDAY = f"(?:(?i:{_SHORT_DAYS})[a-z]*[.,]? )?"
_DATED = (
    rf"^\W?{_WEEKDAY}(?:[0-9]{{1,4}}[./-][0-9]{{1,2}}[./-][0-9]{{1,4}}(?:[^0-9]|$)"
    rf"|[0-9]{{1,2}}[. /-]{{0,2}}(?i:{_SHORT_MONTHS})|(?i:{_SHORT_MONTHS})[a-z]* +[0-9]{{1,2}}\b)"
    rf"|^{_COMPACT}(?:[^0-9].*)?$"
)

_NAMES = (
    (f"(?i)(^|[^a-z%])(?:{_DAYS})([^a-z]|$)", "${1}%A${2}"),
    (f"(?i)(^|[^a-z%])(?:{_SHORT_DAYS})([^a-z]|$)", "${1}%a${2}"),
    (f"(?i)(^|[^a-z%])(?:{_MONTHS}|{_SHORT_MONTHS})([^a-z]|$)", "${1}%B${2}"),
)
_BEFORE, _BEHIND = "(^|[^0-9])", "([^0-9]|$)"
_YEAR, _TWO, _ONE = "[0-9]{4}", "[0-9]{2}", "[0-9]{1,2}"
_IN_DIGITS = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S", 17: "%Y%m%d%H%M%S%3f"}

# The first that fits says which numbers are the date.
_DATES = (
    *((f"{_BEFORE}{_YEAR}[{mark}]{_ONE}[{mark}]{_ONE}{_BEHIND}", f"${{1}}%Y{mark}%m{mark}%d${{2}}")
      for mark in "./-"),
    *((f"{_BEFORE}{_ONE}[{mark}]{_ONE}[{mark}]{_YEAR}{_BEHIND}", f"${{1}}%1{mark}%2{mark}%Y${{2}}")
      for mark in "./-"),
    (f"{_BEFORE}{_ONE}([. /-]{{0,2}})%B([, /-]{{0,2}}){_YEAR}{_BEHIND}", "${1}%d${2}%B${3}%Y${4}"),
    (f"{_BEFORE}{_ONE}([ -])%B([ -]){_TWO}{_BEHIND}", "${1}%d${2}%B${3}%y${4}"),
    (f"%B ( ){_ONE}(,? ){_YEAR}{_BEHIND}", "%B %e${2}%Y${3}"),
    (f"%B {_ONE}(,? ){_YEAR}{_BEHIND}", "%B %d${1}%Y${2}"),
    (f"%B ( )[0-9]( .*[0-9] |.* ){_YEAR}$", "%B %e${2}%Y"),  # as C and Unix write it
    (f"%B {_ONE}( .* ){_YEAR}$", "%B %d${1}%Y"),
    (f"{_BEFORE}{_ONE}/{_ONE}/{_TWO}{_BEHIND}", "${1}%1/%2/%y${2}"),
    (f"{_BEFORE}{_TWO}[.]{_TWO}[.]{_TWO}{_BEHIND}", "${1}%1.%2.%y${2}"),
    *((f"{_BEFORE}(?:19|20)[0-9]{{{digits - 2}}}{_BEHIND}", f"${{1}}{form}${{2}}")
      for digits, form in _IN_DIGITS.items()),
)  # fmt: skip

# Each is looked for once, in this order, in what the date has left.
_CLOCKS = (
    (rf"([0-9A-Za-z] ?)[+-]{_TWO}:?{_TWO}([^0-9:]|$)", "${1}%z${2}"),
    (rf"(:{_TWO}(?:[.][0-9]+)?)[+-]{_TWO}$", "${1}%#z"),
    (rf"{_BEFORE}{_ONE}:{_TWO}:{_TWO}{_BEHIND}", "${1}%H:%M:%S${2}"),
    (rf"{_BEFORE}{_ONE}[.]{_TWO}[.]{_TWO}{_BEHIND}", "${1}%H.%M.%S${2}"),
    (rf"{_BEFORE}{_ONE}:{_TWO}{_BEHIND}", "${1}%H:%M${2}"),
    (rf"{_BEFORE}{_ONE}h{_TWO}{_BEHIND}", "${1}%Hh%M${2}"),
    (r"(%d[ T_-]?)[0-9]{6}([^0-9]|$)", "${1}%H%M%S${2}"),
    (r"(%d[ T_-]?)[0-9]{4}([^0-9]|$)", "${1}%H%M${2}"),
    (r"%S[.][0-9]+", "%S%.f"),
    (r"%S([,:])[0-9]{3}([^0-9]|$)", "%S${1}%3f${2}"),
    (r"%S([,:])[0-9]{6}([^0-9]|$)", "%S${1}%6f${2}"),
    (r"(%H)([:.]%M(?:[:.]%S)?(?:%[.]f)?\s?)(?i:[ap]m)([^A-Za-z]|$)", "%I${2}%p${3}"),
    (r"(%M|%S|%[.]f)Z$", "${1}%#z"),
)
_CODE = "%[.#]?[0-9]?[A-Za-z0-9]"
_ZONE = r"\b(?:[A-Z][A-Za-z]+/[A-Za-z_/+-]+[A-Za-z0-9]|[A-Z]{2,5}|Z)\b"
_WORDS = rf"^(?:\W|_|\([A-Z][A-Za-z ]*\)|T|h|at|um|Uhr|à|{_ZONE})*$"

# Of two parts the second reads all that the first one does.
_WIDER = (("%d", "%e"), ("%z", "%#z"), ("%S", "%S%.f"), ("%a", "%A"))


def looks_dated(text: pl.Expr) -> pl.Expr:
    """Whether it is worth while to ask for the form of a text."""
    return text.str.contains(_DATED)


def form_of(text: pl.Expr) -> pl.Expr:
    """The forms of texts without white space around them, null where one has none."""
    return text.map_batches(_forms, return_dtype=pl.String, is_elementwise=True)


def _forms(texts: pl.Series) -> pl.Series:
    """One step after another: each reads what those before it left, and more than once."""
    text, form, rest = pl.col("text"), pl.col("form"), pl.col("rest")
    whole = (text.str.len_chars() <= _LONGEST) & ~text.str.contains("%", literal=True)
    named: pl.Expr = pl.when(whole).then(text)
    for pattern, instead in _NAMES:
        named = named.str.replace(pattern, instead)
    dated = pl.coalesce(
        pl.when(form.str.contains(pattern)).then(form.str.replace(pattern, instead))
        for pattern, instead in _DATES
    )
    for pattern, instead in _CLOCKS:
        dated = dated.str.replace(pattern, instead)
    dated = dated.str.replace("%a, %d %B", "%a, %d %b", literal=True)  # as in mail: RFC 5322
    dated = dated.str.replace("%d/%B/%Y:", "%d/%b/%Y:", literal=True)  # as in logs of web servers
    known = ~rest.str.contains("[0-9]") & rest.str.contains(_WORDS)
    return (
        texts.to_frame("text")
        .with_columns(form=named)
        .with_columns(form=dated)
        .with_columns(rest=form.str.replace_all(_CODE, ""))
        .select(pl.when(known).then(form))
        .to_series()
    )


def joined(forms: Iterable[str]) -> list[str]:
    """The fewest forms that read all that these do, each where the first that it reads stood."""
    alike: dict[str, list[str]] = {}
    for form in forms:
        narrow = form
        for part, wider in _WIDER:
            narrow = narrow.replace(wider, part)
        alike.setdefault(narrow, []).append(form)
    return [_widened(narrow, several) for narrow, several in alike.items()]


def _widened(narrow: str, several: Sequence[str]) -> str:
    """The form that reads all of several that are one but for such parts."""
    for part, wider in _WIDER:
        if any(wider in each for each in several):
            narrow = narrow.replace(part, wider)
    return narrow


def zone_name(form: str) -> str | None:
    """The name of a zone that stands in a form as plain text."""
    found = re.search(_ZONE, re.sub(_CODE, "", form))
    return found[0] if found else None
