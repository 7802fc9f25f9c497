"""Moments, one at a time, by regular expressions and the standard library's calendar."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation

from tests.reference.values import Broken, Cell, in_zone, stripped

__all__ = ["moment_of", "written_moment"]

_KNOWN = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?P<f>\.[0-9]+)?)?"
    r"(?P<zone> ?(?:[Zz]|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?))?)?"
)
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FORMATS = {
    "%d": r"(?P<d>[0-9]{1,2})",
    "%m": r"(?P<m>[0-9]{1,2})",
    "%Y": r"(?P<Y>[0-9]{4})",
    "%y": r"(?P<y>[0-9]{2})",
    "%H": r"(?P<H>[0-9]{1,2})",
    "%I": r"(?P<I>[0-9]{1,2})",
    "%p": r"(?P<p>AM|PM|am|pm)",
    "%M": r"(?P<M>[0-9]{1,2})",
    "%S": r"(?P<S>[0-9]{1,2})",
    "%z": r"(?P<z>[+-][0-9]{2}:?[0-9]{2})",
    "%b": r"(?P<b>[A-Za-z]{3})",
}
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()


def moment_of(value: Cell, zone: str | None, formats: list[str]) -> datetime | None:
    """The moment in UTC to the microsecond, None where it is missing."""
    if value is None or isinstance(value, datetime):
        if value is None or value.tzinfo:
            return value
        return in_zone(value, zone)
    if isinstance(value, date):
        return in_zone(datetime(value.year, value.month, value.day), zone)
    if isinstance(value, bool):
        raise Broken("format")
    if isinstance(value, (int, float, Decimal)):
        return _epoch(str(value) if isinstance(value, int) else format(Decimal(repr(value)), "f"))
    if not isinstance(value, str):
        raise Broken("format")
    text = stripped(value)
    return written_moment(text, zone, formats) if text else None


def written_moment(text: str, zone: str | None, formats: list[str]) -> datetime:
    """A text as a moment, in a form of the user's own or a known one."""
    for form in formats:
        found = _in_form(text, form)
        if found is not None:
            return _in_utc(found) if found.tzinfo else in_zone(found, zone)
    if _NUMBER.fullmatch(text):
        return _epoch(text)
    parts = _KNOWN.fullmatch(text)
    if parts is None:
        raise Broken("format")
    try:
        year, month, day = map(int, parts["day"].split("-"))
        fraction = int(((parts["f"] or ".")[1:] + "000000")[:6])
        clock = (int(parts[each] or 0) for each in ("hour", "minute", "second"))
        if year == 0:
            _in_year_nought(month, day, zone, parts["zone"])
        moment = datetime(year, month, day, *clock, fraction)  # type: ignore[call-arg,arg-type]
    except ValueError:
        raise Broken("format") from None
    written = (parts["zone"] or "").strip()
    if not written:
        return in_zone(moment, zone)
    return _in_utc(moment.replace(tzinfo=_offset(written)))


def _in_year_nought(month: int, day: int, zone: str | None, written: str | None) -> None:
    datetime(4, month, day)
    raise Broken("range" if zone or written else "timezone")


def _offset(written: str) -> timezone:
    if written in ("Z", "z", "UTC", "GMT"):
        return UTC
    digits = written[1:].replace(":", "")
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    if hours > 23 or minutes > 59:
        raise Broken("format")
    distance = timedelta(hours=hours, minutes=minutes)
    return timezone(-distance if written[0] == "-" else distance)


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise Broken("range") from None


def _epoch(number: str) -> datetime:
    """Seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by size."""
    try:
        amount = Decimal(number)
    except InvalidOperation:
        raise Broken("format") from None
    if not amount.is_finite() or amount < 100_000_000:
        raise Broken("format")
    for unit, limit in ((1, 10**11), (10**3, 10**14), (10**6, 10**17), (10**9, 2**63)):
        if amount < limit:
            microseconds = int(amount * 10**6 / unit)
            try:
                return _EPOCH + timedelta(microseconds=microseconds)
            except OverflowError:
                raise Broken("range") from None
    raise Broken("format")


def _in_form(text: str, form: str) -> datetime | None:
    pattern = re.escape(form).replace("\\%", "%")
    pattern = re.sub("%[a-zA-Z]", lambda found: _FORMATS[found[0]], pattern)
    found = re.fullmatch(pattern, text)
    if found is None:
        return None
    parts = found.groupdict()
    if "y" in parts:
        parts["Y"] = ("19" if int(parts["y"]) >= 70 else "20") + parts["y"]
    if "b" in parts:
        if parts["b"].lower() not in _MONTHS:
            return None
        parts["m"] = str(_MONTHS.index(parts["b"].lower()) + 1)
    if "I" in parts:
        if not 1 <= int(parts["I"]) <= 12:
            return None
        later = 12 if parts["p"].lower() == "pm" else 0
        parts["H"] = str(int(parts["I"]) % 12 + later)
    try:
        moment = datetime(*(int(parts.get(each) or 0) for each in "YmdHMS"))  # type: ignore[arg-type]
    except ValueError:
        return None
    return moment.replace(tzinfo=_offset(parts["z"])) if "z" in parts else moment
