"""What happened over time, in few enough slices to be looked at.

A job's runs may lie days apart. The time between them is cut out of the picture: a stretch is
a time in which the job was at work, and offsets run through the stretches.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from backfill.core.model import Tick
from backfill.deliver.run.run_metrics import SLICE

__all__ = ["Bin", "Course", "Stretch", "course_of", "percentile"]

_WIDTHS = (10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
_PAUSE = 60  # seconds without a request that may be cut out
_PAUSE_SHARE = 0.05  # and the least share of the whole that makes cutting worth while
_MOST_STRETCHES = 12
_GAP = 0.03  # width of a cut, as a share of the time at work


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which the job was at work: seconds since the epoch, and where it is drawn."""

    start: int
    stop: int
    offset: int

    @property
    def seconds(self) -> int:
        return self.stop - self.start

    def place(self, epoch: float) -> float:
        return self.offset + epoch - self.start


@dataclass(frozen=True, slots=True)
class Bin:
    """What happened from `total.at` until `stop`, in seconds since the epoch."""

    total: Tick
    stop: int
    stretch: Stretch

    @property
    def start(self) -> int:
        return self.total.at

    @property
    def seconds(self) -> int:
        return self.stop - self.start

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.total.sent / self.seconds


@dataclass(frozen=True, slots=True)
class Course:
    """`bins` lie in `stretches` and are `width` seconds wide, less at the edges."""

    bins: tuple[Bin, ...] = ()
    stretches: tuple[Stretch, ...] = ()
    width: int = SLICE

    @property
    def seconds(self) -> int:
        """The time at work."""
        return sum(stretch.seconds for stretch in self.stretches)

    @property
    def brief(self) -> bool:
        """Whether no slice was worked through from its beginning to its end.

        The first and the last of a stretch are filled in part, nobody knows how far, so their
        rates say nothing.
        """
        return all(stretch.seconds <= 2 * SLICE for stretch in self.stretches)

    @property
    def latency(self) -> Counter[int]:
        """All replies by duration, in the slots of a tick."""
        total: Counter[int] = Counter()
        for each in self.bins:
            total.update(each.total.latency)
        return total


def course_of(ticks: Sequence[Tick], most: int = 120) -> Course:
    """Sum ticks up into at most `most` bins, which is at least 40."""
    if not ticks:
        return Course()
    ordered = sorted(ticks, key=lambda tick: tick.at)
    stretches = _stretches(ordered)
    wanted = sum(each.seconds for each in stretches) / (most - 2 * len(stretches))
    width = next((each for each in _WIDTHS if each >= wanted), 0)
    if not width:
        width = math.ceil(wanted / _WIDTHS[-1]) * _WIDTHS[-1]
    bins = []
    position = 0
    for stretch in stretches:
        start = stretch.start // width * width
        while start < stretch.stop:
            stop = start + width
            inside = []
            while position < len(ordered) and ordered[position].at < min(stop, stretch.stop):
                inside.append(ordered[position])
                position += 1
            total = Tick.total(max(start, stretch.start), inside)
            bins.append(Bin(total, min(stop, stretch.stop), stretch))
            start = stop
    return Course(tuple(bins), stretches, width)


def percentile(latency: Mapping[int, int], fraction: float) -> float | None:
    """The duration, in ms, that this fraction of the replies did not exceed; None without any.

    Slots grow by half a doubling, so the figure is good to about a fifth.
    """
    total = sum(latency.values())
    if not total:
        return None
    wanted = fraction * total
    before = 0
    for slot in sorted(latency):
        inside = latency[slot]
        if inside and before + inside >= wanted:
            return float(2 ** ((slot + (wanted - before) / inside) / 2))
        before += inside
    raise AssertionError("a fraction is at most 1")


def _stretches(ticks: Sequence[Tick]) -> tuple[Stretch, ...]:
    pauses = [
        (after.at - before.at - SLICE, number)
        for number, (before, after) in enumerate(pairwise(ticks), start=1)
    ]
    least = max(_PAUSE, _PAUSE_SHARE * len(ticks) * SLICE)
    longest = sorted((each for each in pauses if each[0] > least), reverse=True)
    cuts = sorted(number for _, number in longest[: _MOST_STRETCHES - 1])
    edges = [0, *cuts, len(ticks)]
    parts = [(ticks[first].at, ticks[last - 1].at + SLICE) for first, last in pairwise(edges)]
    gap = max(1, round(_GAP * sum(stop - start for start, stop in parts)))
    offset = 0
    stretches = []
    for start, stop in parts:
        stretches.append(Stretch(start, stop, offset))
        offset += stop - start + gap
    return tuple(stretches)
