"""What the names of zones in times, such as `EST`, say of the zone that these are in."""

from __future__ import annotations

from typing import NamedTuple
from zoneinfo import available_timezones

from backfill.config.toml_strings import quoted
from backfill.discover.times.dates import Written

__all__ = ["Zone", "zone_said"]

_UTC = frozenset({"UTC", "GMT", "UT", "Z"})
# Other countries use some of these names for other offsets, so each is offered and none is taken.
_OFFSETS = {
    "EST": "Etc/GMT+5",
    "EDT": "Etc/GMT+4",
    "CST": "Etc/GMT+6",
    "CDT": "Etc/GMT+5",
    "MST": "Etc/GMT+7",
    "MDT": "Etc/GMT+6",
    "PST": "Etc/GMT+8",
    "PDT": "Etc/GMT+7",
    "CET": "Etc/GMT-1",
    "CEST": "Etc/GMT-2",
    "BST": "Etc/GMT-1",
    "IST": "Asia/Kolkata",
    "JST": "Asia/Tokyo",
    "AEST": "Etc/GMT-10",
    "EET": "Etc/GMT-2",
    "EEST": "Etc/GMT-3",
}
_PLACES = {
    frozenset({"EST", "EDT"}): "America/New_York",
    frozenset({"CST", "CDT"}): "America/Chicago",
    frozenset({"MST", "MDT"}): "America/Denver",
    frozenset({"PST", "PDT"}): "America/Los_Angeles",
    frozenset({"CET", "CEST"}): "Europe/Berlin",
    frozenset({"EET", "EEST"}): "Europe/Athens",
    frozenset({"GMT", "BST"}): "Europe/London",
    frozenset({"AEST", "AEDT"}): "Australia/Sydney",
}


class Zone(NamedTuple):
    """The zone of times, None where it is a question, and why."""

    name: str | None
    why: str


def zone_said(written: Written) -> Zone | None:
    """What the forms of a column's times say of their zone; None where some say nothing."""
    names = written.zones
    if not names or None in names:
        return None
    if names <= _UTC:
        return Zone("UTC", "as they say")
    said = sorted(map(str, names))
    if place := _PLACES.get(frozenset(said)):
        both = " and ".join(map(quoted, said))
        return Zone(
            None,
            f"a place that has {both}, such as {quoted(place)}; of the hour that comes twice in"
            " autumn the earlier one is taken",
        )
    if len(said) > 1:
        shown = ", ".join(map(quoted, said))
        return Zone(None, f"one zone for all of {shown}; SQL makes offsets of them, which %z reads")
    if "/" in said[0] and said[0] in available_timezones():
        return Zone(said[0], "as they say")
    likely = f", such as {quoted(_OFFSETS[said[0]])}" if said[0] in _OFFSETS else ""
    return Zone(None, f"what {quoted(said[0])} stands for{likely}")
