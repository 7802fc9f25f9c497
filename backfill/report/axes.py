"""Sizes, axes and legends of the charts."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

import altair as alt

from backfill.report.timeline_bins import Course, Stretch

__all__ = [
    "DESK",
    "GRID",
    "INK",
    "PHONE",
    "Shape",
    "around",
    "colour",
    "durations",
    "over_time",
    "quantities",
    "sized",
]

INK = "#434c57"
GRID = "#dde1e6"

_STEPS = (10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400, 172_800, 604_800)


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a drawing is, in CSS pixels, and how many bars and labels have room in it."""

    width: int
    height: int
    bars: int
    labels: int


DESK = Shape(width=860, height=190, bars=300, labels=8)
PHONE = Shape(width=300, height=170, bars=60, labels=3)


def over_time(chart: alt.Chart, course: Course, shape: Shape) -> alt.LayerChart:
    """A chart over the stretches, with a mark where time was cut out."""
    labels = _labels(course.stretches, shape.labels)
    last = course.stretches[-1]
    chart.encoding.x = alt.X(
        "x:Q",
        scale=alt.Scale(domain=[0, last.offset + last.seconds], nice=False, zero=False),
        axis=alt.Axis(
            title=None,
            grid=False,
            values=list(labels),
            labelExpr=f"({json.dumps({str(place): text for place, text in labels.items()})})"
            "[datum.value]",
            labelAlign="left",
            labelBound=False,
            labelOverlap=False,
        ),
    )
    layers: list[alt.Chart] = [chart]
    pauses = [
        {"x": (before.offset + before.seconds + after.offset) / 2}
        for before, after in pairwise(course.stretches)
    ]
    if pauses:
        layers.append(
            alt.Chart(alt.InlineData(values=pauses))
            .mark_rule(aria=False, strokeDash=[2, 4], color=INK)
            .encode(x="x:Q")
        )
    return sized(shape, *layers)


def sized(shape: Shape, *layers: alt.Chart) -> alt.LayerChart:
    """Layers in one frame, with room for the axes."""
    return alt.LayerChart(layer=list(layers), width=shape.width - 60, height=shape.height)


def colour(colours: dict[str, str], shape: Shape) -> alt.Color:
    """A colour for each part of a chart by its name, and a legend above."""
    legend = alt.Legend(
        title=None,
        orient="top",
        direction="horizontal",
        columns=2 if shape is PHONE else 4,
        symbolType="square",
        symbolStrokeWidth=0,
        aria=False,
    )
    scale = alt.Scale(domain=list(colours), range=list(colours.values()))
    return alt.Color("part:N", scale=scale, legend=legend)


def quantities() -> alt.Axis:
    """An axis of records, replies or rates: `0`, `500`, `20k`."""
    message = "format(datum.value, '~s')"
    return alt.Axis(title=None, tickCount=4, labelExpr=message, domain=False, ticks=False)


def durations(found: Sequence[float], most: int) -> alt.Axis:
    """An axis of milliseconds with round numbers, at most so many where they reach far."""
    low, high = math.floor(math.log10(min(found))), math.ceil(math.log10(max(found)))
    values = [digit * 10.0**power for power in range(low, high + 1) for digit in (1, 2, 5)]
    inside = [each for each in values if min(found) <= each <= max(found)] or values
    if len(inside) > most:
        inside = [each for each in inside if math.log10(each).is_integer()] or inside[:most]
    message = "datum.value < 1000 ? datum.value + ' ms' : datum.value / 1000 + ' s'"
    return alt.Axis(title=None, values=inside, labelExpr=message, domain=False, ticks=False)


def around(found: Sequence[float]) -> list[float]:
    """The least and the largest value with some room, on a logarithmic scale."""
    return [min(found) / 1.5, max(found) * 1.5]


def _labels(stretches: Sequence[Stretch], most: int) -> dict[int, list[str]]:
    """Places on the axis with a clock time, and the day where it is a new one."""
    total = stretches[-1].offset + stretches[-1].seconds
    room = total / most
    step = next((each for each in _STEPS if each >= room), _STEPS[-1] * (1 + int(total) // 10**7))
    found: dict[int, list[str]] = {}
    free, day = 0.0, ""
    for stretch in stretches:
        moments = [stretch.start]
        moments += range((stretch.start // step + 1) * step, stretch.stop, step)
        for moment in moments:
            place = stretch.place(moment)
            # A label stands to the right of its place, so the last one needs room as well.
            if place < free or place > total - 0.5 * room:
                continue
            free = place + 0.9 * room
            at = datetime.fromtimestamp(moment, UTC)
            clock = f"{at:%H:%M:%S}" if moment % 60 else f"{at:%H:%M}"
            new_day = "" if f"{at:%d %b}" == day else f"{at:%d %b}"
            day = f"{at:%d %b}"
            found[place] = [clock, new_day] if new_day else [clock]
    return found
