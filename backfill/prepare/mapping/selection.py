"""Which records are wanted: `where`, `since` and `until`. The others are excluded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from backfill.checks.checked import Checked
from backfill.checks.times import check_time
from backfill.config import Config, Events
from backfill.core.errors import ConfigError
from backfill.prepare.mapping.inputs import Side

__all__ = ["CONTACT", "SINCE", "UNTIL", "WHERE", "Selection", "selection_of"]

WHERE, SINCE, UNTIL, CONTACT = "row|where", "row|since", "row|until", "contact|where"
"""Why a row is excluded, as it stands in `_reason`."""


@dataclass(frozen=True)
class Selection:
    """Which rows are wanted: those for which `where` is true, from `since` on, before `until`.

    `where` is a Boolean expression over the events' own columns, `contact` one over the contacts'.
    """

    where: pl.Expr | None = None
    since: datetime | None = None
    until: datetime | None = None
    contact: pl.Expr | None = None

    @property
    def by_time(self) -> bool:
        return self.since is not None or self.until is not None

    def columns(self, side: Side) -> set[str]:
        """The columns of a side that its condition reads."""
        condition = self.where if side == "events" else self.contact
        return set() if condition is None else set(condition.meta.root_names())

    def by_row(self) -> Iterator[tuple[str, pl.Expr]]:
        """What excludes a row before its fields are looked at: a reason, and where it holds."""
        if self.where is not None:
            yield WHERE, ~self.where.fill_null(value=False)

    def by_contact(self) -> Iterator[tuple[str, pl.Expr]]:
        """What excludes the events of a contact."""
        if self.contact is not None:
            yield CONTACT, ~self.contact.fill_null(value=False)

    def by_moment(self, moment: pl.Expr) -> Iterator[tuple[str, pl.Expr]]:
        """What excludes a row by its time; a time that cannot be read excludes nothing."""
        if self.since is not None:
            yield SINCE, moment < pl.lit(self.since)
        if self.until is not None:
            yield UNTIL, moment >= pl.lit(self.until)

    def shown(self, config: Config) -> Mapping[str, str]:
        """The selection as a plan tells it, its moments in UTC."""
        moments = {"since": self.since, "until": self.until}
        where = {"where": config.events.where} if config.events.where is not None else {}
        if config.contacts is not None and config.contacts.where is not None:
            where["contacts where"] = config.contacts.where
        return where | {
            name: moment.isoformat().replace("+00:00", "Z")
            for name, moment in moments.items()
            if moment is not None
        }


def selection_of(
    config: Config,
    rows: tuple[pl.Expr, pl.DataType] | None,
    contacts: tuple[pl.Expr, pl.DataType] | None,
) -> Selection:
    """Read the selection of a configuration, whose conditions give `rows` and `contacts`.

    A moment without a zone is one of `timezone`, and of UTC where there is none. Raises
    ConfigError.
    """
    events = config.events
    since, until = _moment(events, "since"), _moment(events, "until")
    if since is not None and until is not None and since >= until:
        raise ConfigError(
            "`until` is not later than `since`, so no row is wanted",
            where="[events] until",
        )
    for section, condition in (("events", rows), ("contacts", contacts)):
        if condition is not None and condition[1] != pl.Boolean:
            raise ConfigError(
                f"{getattr(config, section).where!r} gives {condition[1]}, and not true or false"
                " for each row",
                where=f"[{section}] where",
                hint="A condition compares, such as \"event <> 'test'\".",
            )
    return Selection(
        rows[0] if rows else None, since, until, contact=contacts[0] if contacts else None
    )


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
