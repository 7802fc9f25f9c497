"""Round numbers and clock times to write beside a chart."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from backfill.report.timeline_bins import WIDTHS, Timeline

__all__ = ["Label", "clock_times", "quantities", "spaced", "written"]


@dataclass(frozen=True, slots=True)
class Label:
    """Lines of text at a share of the axis; a `spare` one is left out on a phone."""

    at: float
    lines: tuple[str, ...]
    spare: bool = False


def quantities(most: float) -> list[Label]:
    """Labels from the ground, at 1, up to `most`, at 0: `0`, `500`, `20k`."""
    power = 10.0 ** math.floor(math.log10(most / 4))
    step = next(digit * power for digit in (1, 2, 5, 10) if digit * power * 6.5 >= most)
    return [
        Label(1 - each * step / most, (_short(each * step),))
        for each in range(int(most / step) + 1)
    ]


def clock_times(timeline: Timeline) -> list[Label]:
    """Clock times where time was left out before, and at round moments."""
    bins = timeline.bins
    apart = timeline.width * len(bins) / 8
    step = next((each for each in WIDTHS if each >= apart), 7 * WIDTHS[-1])
    return spaced(
        Label(place / len(bins), written(datetime.fromtimestamp(each.total.at, UTC)))
        for place, each in enumerate(bins)
        if each.first or each.total.at % step == 0
    )


def written(moment: datetime) -> tuple[str, str]:
    """A moment in two lines, as `14:05` and `20 Nov`."""
    return f"{moment:%H:%M:%S}" if moment.second else f"{moment:%H:%M}", f"{moment:%d %b}"


def spaced(labels: Iterable[Label]) -> list[Label]:
    """Those labels that have room beside each other on a desk, and which of them on a phone.

    A label stands to the right of its place, so none is put near the end. A second line is
    written where it is a new one.
    """
    found: list[Label] = []
    desk, phone, below = 0.0, 0.0, ""
    for label in labels:
        if not desk <= label.at <= 0.94:
            continue
        spare = not phone <= label.at <= 0.8
        desk, phone = label.at + 0.11, phone if spare else label.at + 0.33
        lines = label.lines if not spare or label.lines[-1] != below else label.lines[:1]
        below = label.lines[-1]
        found.append(replace(label, lines=lines, spare=spare))
    return found


def _short(count: float) -> str:
    """A round number: `0.2`, `500`, `20k`, `1.5M`."""
    for power, unit in ((9, "G"), (6, "M"), (3, "k")):
        if count >= 10**power:
            return f"{count / 10**power:g}{unit}"
    return f"{count:g}"
