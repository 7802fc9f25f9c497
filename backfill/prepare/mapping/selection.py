"""Which rows of the events are wanted: `where`, `since` and `until`. The others are excluded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from backfill.checks.checked import Checked
from backfill.checks.times import check_time
from backfill.config import Events
from backfill.core.errors import ConfigError

__all__ = ["SINCE", "UNTIL", "WHERE", "Selection", "selection_of"]

WHERE, SINCE, UNTIL = "row|where", "row|since", "row|until"
"""Why a row is excluded, as it stands in `_reason`."""


@dataclass(frozen=True)
class Selection:
    """Which rows are wanted: those for which `where` is true, from `since` on, before `until`.

    `where` is a Boolean expression over the events' own columns.
    """

    where: pl.Expr | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def by_time(self) -> bool:
        return self.since is not None or self.until is not None

    def columns(self) -> set[str]:
        return set() if self.where is None else set(self.where.meta.root_names())

    def by_row(self) -> Iterator[tuple[str, pl.Expr]]:
        """What excludes a row before its fields are looked at: a reason, and where it holds."""
        if self.where is not None:
            yield WHERE, ~self.where.fill_null(value=False)

    def by_moment(self, moment: pl.Expr) -> Iterator[tuple[str, pl.Expr]]:
        """What excludes a row by its time; a time that cannot be read excludes nothing."""
        if self.since is not None:
            yield SINCE, moment < pl.lit(self.since)
        if self.until is not None:
            yield UNTIL, moment >= pl.lit(self.until)

    def shown(self, events: Events) -> Mapping[str, str]:
        """The selection as a plan tells it, its moments in UTC."""
        moments = {"since": self.since, "until": self.until}
        where = {"where": events.where} if events.where is not None else {}
        return where | {
            name: moment.isoformat().replace("+00:00", "Z")
            for name, moment in moments.items()
            if moment is not None
        }


def selection_of(events: Events, condition: tuple[pl.Expr, pl.DataType] | None) -> Selection:
    """Read the selection of a configuration, whose `where` gives `condition`. Raises ConfigError.

    A moment without a zone is one of `timezone`, and of UTC where there is none.
    """
    since, until = _moment(events, "since"), _moment(events, "until")
    if since is not None and until is not None and since >= until:
        raise ConfigError(
            "`until` is not later than `since`, so no row is wanted",
            where="[events] until",
        )
    where, dtype = condition or (None, pl.Boolean())
    if dtype != pl.Boolean:
        raise ConfigError(
            f"{events.where!r} gives {dtype}, and not true or false for each row",
            where="[events] where",
            hint="A condition compares, such as \"event <> 'test'\".",
        )
    return Selection(where, since, until)


def _moment(events: Events, name: str) -> datetime | None:
    text: str | None = getattr(events, name)
    if text is None:
        return None
    zone = events.timezone or "UTC"
    steps = check_time(
        pl.String(), timezone=zone, now=datetime.max.replace(tzinfo=UTC), formats=events.time_format
    )
    checked = Checked.from_steps(pl.col("value"), steps)
    frame = pl.DataFrame({"value": [text]})
    moment = frame.select(checked.value).item()
    if not isinstance(moment, datetime):
        broken = [rule for rule, breaks in checked.broken if frame.select(breaks).item()]
        raise ConfigError(
            f"{text!r} does not exist in {zone}, where clocks were put forward"
            if "nonexistent" in broken
            else f"{text!r} is not a date or a time",
            where=f"[events] {name}",
            hint='Write "2023-01-31" or "2023-01-31T09:15:00".',
        )
    return moment
