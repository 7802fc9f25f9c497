"""Names of time zones that mean something else than most who write them think."""

from __future__ import annotations

import re

__all__ = ["note_of_zone"]

_WITHOUT_SUMMER = {
    "EST": "America/New_York",
    "MST": "America/Denver",
    "HST": "Pacific/Honolulu",
    "Etc/EST": "America/New_York",
}


def note_of_zone(name: str | None) -> str | None:
    """What to say of a zone that knows no summer time, or whose sign is turned round."""
    if name in _WITHOUT_SUMMER:
        return (
            f'timezone = "{name}" knows no summer time; a clock of that country is'
            f' "{_WITHOUT_SUMMER[name]}"'
        )
    if name is not None and (found := re.fullmatch(r"Etc/GMT([+-])([0-9]{1,2})", name)):
        sign, hours = found.groups()
        if hours == "0":
            return None
        where, other = ("behind", "-") if sign == "+" else ("ahead of", "+")
        return (
            f'timezone = "{name}" is {hours} h {where} UTC, as in UTC{other}{hours}: the sign of'
            " these names is turned round"
        )
    return None
