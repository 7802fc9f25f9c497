"""Which column of the events says when they happened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from backfill.destination import Kind
from backfill.discover.columns import ColumnProfile
from backfill.discover.names.spellings import LATER, TIMES, words_of

__all__ = ["EventTime", "find_time"]

_LIKELY, _SURE = 0.5, 0.8  # shares of values that are times
_SURE_NAMES = frozenset("".join(words_of(each)) for each in TIMES)
_MANY = 20  # rows that hardly happened at one moment


class EventTime(NamedTuple):
    """The column, or None; then `perhaps` are those between which a person has to choose."""

    column: ColumnProfile | None
    perhaps: tuple[ColumnProfile, ...] = ()


def find_time(events: Sequence[ColumnProfile]) -> EventTime:
    """The best named column of times; one that is not surely named only where it is the only one.

    Where no column holds times in a known form, one that is written in a common one. What tells
    when rows were loaded or last changed is taken only where nothing else is a time.
    """
    found = [
        [(points, each) for each in events if (points := score(each)) > 0]
        for score in (_known, _written)
    ]
    happening = [[each for each in scored if not _of_the_row(each[1])] for scored in found]
    for scored, happened in zip(found, happening, strict=True):
        if not scored or (any(happening) and not happened):
            continue
        sure = [(points, each) for points, each in happened if _surely_named(each)]
        best_first = sorted(sure or happened or scored, key=lambda pair: -pair[0])
        if sure or len(best_first) == 1:
            return EventTime(best_first[0][1])
        return EventTime(None, tuple(each for _, each in best_first))
    return EventTime(None)


def _known(column: ColumnProfile) -> float:
    """How well a column of times in a known form fits."""
    share = column.timed if column.share(Kind.TIME) else 0.0
    named = column.named("time", TIMES)
    if share < _LIKELY or (not named and (share < _SURE or column.epoch > 0)):
        return 0.0
    return share + 2 * named


def _written(column: ColumnProfile) -> float:
    """How well a column of times in another form fits."""
    named = column.named("time", TIMES)
    if column.written is None or column.timed < (_LIKELY if named else _SURE):
        return 0.0
    return column.timed + 2 * named + (0.1 if column.written.clocked else 0)


def _of_the_row(column: ColumnProfile) -> bool:
    """Whether a time is a row's, when it was exported or changed, and not of what happened."""
    if column.rank("time") is not None:
        return False
    if column.distinct == 1 and column.filled >= _MANY:
        return True
    return not LATER.isdisjoint(words_of(column.name))


def _surely_named(column: ColumnProfile) -> bool:
    """Whether a name is one of those for times of events, and not only like one."""
    if column.rank("time") is not None:
        return True
    zone = {"utc", "gmt"}
    return "".join(each for each in words_of(column.name) if each not in zone) in _SURE_NAMES
