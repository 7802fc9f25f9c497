"""Which column of the events names a row of the contacts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from backfill.destination import Kind
from backfill.discover.columns import ColumnProfile
from backfill.discover.names.spellings import JOIN_KEYS
from backfill.prepare.facts.id_spellings import Respelling, respelling, sql_of

__all__ = ["Join", "find_join"]

_MORE = 1.01  # times as many ids as without it are worth another spelling
_BESIDE = 2  # between numbers that count rows, of which some may be missing
_MANY = 0.5  # the share of the events' ids that should stand among the contacts


@dataclass(frozen=True)
class Join:
    """Two columns that hold the same ids. Counts are of distinct values in the samples.

    `respelled` says how the files write them differently, where SQL makes them the same.
    """

    events: ColumnProfile
    contacts: ColumnProfile
    found: int  # of the events' values, those that the contacts have too
    respelled: Respelling | None = None

    @property
    def repeated(self) -> int:
        """Rows of the contacts whose id another row has too."""
        return self.contacts.filled - len(self.contacts.values)


def find_join(
    events: Sequence[ColumnProfile], contacts: Sequence[ColumnProfile], *, whole: bool = False
) -> Join | None:
    """The pair of columns that most likely join the two sides, by names and common values.

    The contacts' column has to tell contacts apart: codes such as a country, which every file
    has, join nothing. Common values alone are enough where there are many; names alone only if
    both are known spellings, since the samples of two large files may have nothing in common;
    where the samples are `whole`, two columns without a common value join nothing.
    """
    best: tuple[float, Join] | None = None
    for event in events:
        for contact in contacts:
            join = _join(event, contact)
            if join is None or (whole and not join.found):
                continue
            score = _score(join)
            if score > 0 and (best is None or score > best[0]):
                best = (score, join)
    plain = best[1] if best else None
    if plain is None or plain.found < _MANY * len(plain.events.values):
        return _respelled(events, contacts, plain.found if plain else 0) or plain
    # The pair is settled; more of it may meet in another spelling.
    return _respelled([plain.events], [plain.contacts], int(_MORE * plain.found)) or plain


def _respelled(
    events: Sequence[ColumnProfile], contacts: Sequence[ColumnProfile], least: int
) -> Join | None:
    """The pair of columns named as ids of which most meet once one side is read in another way."""
    best: Join | None = None
    most = least
    for event in events:
        for contact in contacts:
            if not _alike(event, contact) or (join := _join(event, contact)) is None:
                continue
            meets = _ids(event).is_in(_ids(contact).implode())
            alone, others = _ids(event).filter(~meets), _ids(event).filter(meets)
            found = respelling(alone, _ids(contact).unique(), meeting=others)
            if found is None or join.found + found.found < _MANY * len(event.values):
                continue
            meeting = join.found + found.found
            if meeting > most:
                most = meeting
                read = _reading(event, found.events), _reading(contact, found.contacts)
                best = Join(*read, _in_common(*read), found)
    return best


def _alike(event: ColumnProfile, contact: ColumnProfile) -> bool:
    """Whether the names of two columns say that both hold ids of contacts."""
    named = event.named("contact.id", JOIN_KEYS) and contact.named("contact.id", JOIN_KEYS)
    return bool(named) or event.name.lower() == contact.name.lower() != "id"


def _reading(column: ColumnProfile, sql: str | None) -> ColumnProfile:
    """The column as SQL reads it."""
    if sql is None:
        return column
    values = pl.DataFrame({column.name: column.values})
    read = values.select(pl.sql_expr(sql.format(sql_of(column.name, pl.String())))).to_series()
    own = sql.format(column.sql or sql_of(column.name, column.dtype))
    return replace(column, sql=own, values=read.unique(maintain_order=True))


def _join(event: ColumnProfile, contact: ColumnProfile) -> Join | None:
    if not event.filled or not contact.filled or len(contact.values) * 2 < contact.filled:
        return None
    if event.timed > 0.5 and event.number < 0.5:
        return None
    return Join(event, contact, _in_common(event, contact))


def _in_common(event: ColumnProfile, contact: ColumnProfile) -> int:
    """Of the events' values, those that the contacts have too."""
    return int(_ids(event).is_in(_ids(contact).implode()).sum())


def _ids(profile: ColumnProfile) -> pl.Series:
    """The values as they meet when the sides are joined: UUIDs in either case."""
    return profile.values.str.to_lowercase() if profile.share(Kind.UUID) > 0.5 else profile.values


def _score(join: Join) -> float:
    event, contact = join.events, join.contacts
    named = event.named("contact.id", JOIN_KEYS), contact.named("contact.id", JOIN_KEYS)
    # Small whole numbers always stand among contacts that are numbered from 1 on.
    if _counts(contact) and _whole(event) and (not named[0] or _names_itself(event)):
        return 0.0
    overlap = join.found / len(event.values)
    same = event.name.lower() == contact.name.lower() and event.name.lower() != "id"
    if overlap < 0.5 and not (all(named) or (same and join.found)):
        return 0.0
    # In events, an id that never comes back more likely names the event itself.
    once = 0.0 if event.repeats else 0.5
    return overlap + sum(named) / 2 + (0.3 if same else 0) - once


def _counts(column: ColumnProfile) -> bool:
    """Whether a column numbers its own rows: whole numbers, each once and most side by side."""
    if column.repeats or not _whole(column):
        return False
    numbers = column.values.cast(pl.Int64).sort()
    return int((numbers.diff() <= _BESIDE).sum()) > len(numbers) / 2


def _whole(column: ColumnProfile) -> bool:
    """Whether all values are whole numbers."""
    return column.values.cast(pl.Int64, strict=False).null_count() == 0


def _names_itself(event: ColumnProfile) -> bool:
    """Whether an event's column is its own number, which never comes back."""
    return event.name.lower() == "id" and not event.repeats
