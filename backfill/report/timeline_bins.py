"""What happened over time, in few enough bins to be looked at.

A job's runs may lie days apart. Time in which nothing was sent is left out where it would fill
more than a few bins.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, count, pairwise

from backfill.core.model import Tick
from backfill.deliver.run.run_metrics import SLICE

__all__ = ["WIDTHS", "Bin", "Timeline", "percentile", "timeline_of"]

WIDTHS = (10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
_PAUSE = 6  # empty bins in a row that are still shown


@dataclass(frozen=True, slots=True)
class Bin:
    """What happened from `total.at` until `stop`, in seconds since the epoch.

    `first` says that time was left out before it, or that nothing was before.
    """

    total: Tick
    stop: int
    first: bool

    @property
    def seconds(self) -> int:
        return self.stop - self.total.at

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.total.sent / self.seconds


@dataclass(frozen=True)
class Timeline:
    """`bins` are `width` seconds wide, and less where the time that was left out begins or ends."""

    bins: tuple[Bin, ...] = ()
    width: int = SLICE

    @cached_property
    def total(self) -> Tick:
        """All that happened."""
        return Tick.total(0, [each.total for each in self.bins])

    @property
    def brief(self) -> bool:
        """Whether no bin has one on either side of it.

        The others are filled in part, nobody knows how far, so their rates say nothing.
        """
        return all(before.first or after.first for before, after in pairwise(self.bins))


def timeline_of(ticks: Sequence[Tick], most: int = 120) -> Timeline:
    """Sum ticks up into at most `most` bins."""
    if not ticks:
        return Timeline()
    widths = chain(WIDTHS, count(2 * WIDTHS[-1], WIDTHS[-1]))
    width = next(each for each in widths if len(_starts(ticks, each)) <= most)
    inside: defaultdict[int, list[Tick]] = defaultdict(list)
    for tick in ticks:
        inside[tick.at // width * width].append(tick)
    starts = _starts(ticks, width)
    shown, bins = set(starts), []
    for start in starts:
        here, stop = inside[start], start + width
        first = start - width not in shown
        begun = min(tick.at for tick in here) if first else start
        ended = stop if stop in shown else max(tick.at for tick in here) + SLICE
        bins.append(Bin(Tick.total(begun, here), ended, first))
    return Timeline(tuple(bins), width)


def percentile(latency: Mapping[int, int], fraction: float) -> float | None:
    """The duration, in ms, that this fraction of the replies did not exceed; None without any.

    Slots grow by half a doubling, so the figure is good to about a fifth.
    """
    wanted = fraction * sum(latency.values())
    before = 0
    for slot in sorted(latency):
        inside = latency[slot]
        if inside and before + inside >= wanted:
            return float(2 ** ((slot + (wanted - before) / inside) / 2))
        before += inside
    return None


def _starts(ticks: Sequence[Tick], width: int) -> list[int]:
    """The starts of the bins, empty ones between them included where these are few."""
    filled = sorted({tick.at // width * width for tick in ticks})
    starts = filled[:1]
    for before, after in pairwise(filled):
        between = range(before + width, after, width)
        starts += [*(between if len(between) <= _PAUSE else ()), after]
    return starts
