"""How well the values of a column fit a field, whatever its name."""

from __future__ import annotations

from backfill.destination import Field, Kind
from backfill.discover.columns import ColumnProfile
from backfill.discover.names.spellings import spellings_of

__all__ = ["fits", "resembles", "tells"]

_LIKELY = 0.5  # the share of values that are what they seem to be


def fits(wanted: Field, column: ColumnProfile) -> float:
    """The share of a column's values that a field would take, as far as a sample can tell."""
    match wanted.kind:
        case Kind.TARGET | Kind.PHONE:
            return column.share(Kind.PHONE) + column.national
        case Kind.CHOICE:
            return column.share_of(wanted.choices)
        case Kind.EVENT_TYPE:
            return float(column.coded)
        case Kind.TEXT if wanted.required:
            return float(column.coded)
        case Kind.TEXT if wanted.max_chars is not None:
            return float(column.longest <= 2 * wanted.max_chars)
        case Kind.TEXT:
            plain = max(
                column.number, *(column.share(k) for k in (Kind.UUID, Kind.EMAIL, Kind.TIME))
            )
            return 1 - plain
        case _:
            return column.share(wanted.kind)


def resembles(wanted: Field, column: ColumnProfile) -> bool:
    """Whether a column comes near enough to a field to be named as a possible answer."""
    if column.named(wanted.name, spellings_of(wanted)):
        return True
    if wanted.kind in (Kind.PHONE, Kind.TARGET):
        return column.share(Kind.PHONE) > 0.1 or column.national > _LIKELY
    return fits(wanted, column) > 0.1


def tells(wanted: Field, column: ColumnProfile) -> float:
    """The share of values that tell what they are even under a name that does not."""
    match wanted.kind:
        case Kind.TARGET | Kind.PHONE:
            return column.share(Kind.PHONE)
        case Kind.EMAIL:
            return column.share(Kind.EMAIL)
        case Kind.CHOICE if not any(each.isalpha() for each in wanted.choices):
            return column.share_of(wanted.choices)  # `high` may be a risk as well as a confidence
    return 0.0
