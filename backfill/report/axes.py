"""Round numbers and clock times to write beside a chart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from backfill.report.wording import short

if TYPE_CHECKING:
    from backfill.report.timeline_bins import Stretch

__all__ = ["Label", "durations", "logarithmic", "quantities", "spaced", "times", "written"]

_STEPS = (10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400, 172_800, 604_800)


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
        Label(1 - each * step / most, (short(each * step),)) for each in range(int(most / step) + 1)
    ]


def logarithmic(value: float, low: float, high: float) -> float:
    """Where `value` stands between two others on a logarithmic axis."""
    return math.log(value / low) / math.log(high / low)


def durations(low: float, high: float, most: int) -> list[Label]:
    """Round milliseconds on a logarithmic axis, powers of ten alone where there are many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 2, 5), (1,)):
        values = [digit * 10.0**power for power in powers for digit in digits]
        found = [each for each in values if low <= each <= high]
        if len(found) <= most:
            break
    return [
        Label(
            logarithmic(each, low, high),
            (f"{each:g} ms" if each < 1000 else f"{each / 1000:,.10g} s",),
        )
        for each in found
    ]


def times(stretches: Sequence[Stretch]) -> list[Label]:
    """Clock times at the start of each stretch and at round moments in it."""
    total = stretches[-1].offset + stretches[-1].seconds
    step = next((each for each in _STEPS if each >= total / 8), total // 8)
    return spaced(
        Label(
            stretch.place(epoch) / total,
            written(datetime.fromtimestamp(epoch, UTC), "second" if epoch % 60 else "hour"),
        )
        for stretch in stretches
        for epoch in (
            stretch.start,
            *range((stretch.start // step + 1) * step, stretch.stop, step),
        )
    )


def written(moment: datetime, unit: str) -> tuple[str, str]:
    """A moment in two lines, as exactly as the unit asks for."""
    if unit in ("second", "hour"):
        return f"{moment:%H:%M:%S}" if unit == "second" else f"{moment:%H:%M}", f"{moment:%d %b}"
    return f"{moment:%d %b}", f"{moment.year}"


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
