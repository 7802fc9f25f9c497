"""The charts of a job: what happened over time, how long replies took, when records happened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from backfill.core.model import State
from backfill.report.axes import Label, durations, logarithmic, spaced, times, written
from backfill.report.drawing import HEIGHT, WIDTH, Chart, Shape, bars
from backfill.report.gather import EventTimes, Figures
from backfill.report.templating import render
from backfill.report.timeline_bins import Bin, Course, Stretch, percentile
from backfill.report.wording import COLOURS

__all__ = ["READY", "draw", "picture"]

READY = (State.DELIVERED, State.UNKNOWN, State.FAILED, State.PENDING)
_ANSWERED, _THROTTLED = COLOURS[State.PENDING], COLOURS[State.REJECTED]
_PERCENTILES = {"p50": (0.5, "#1f9d61"), "p90": (0.9, "#bd7a12"), "p99": (0.99, "#d9483b")}


def draw(figures: Figures) -> dict[str, Chart]:
    """Every chart that there is something to draw for, by name."""
    return {chart.name: chart for chart in _charts(figures)}


def picture(chart: Chart) -> str:
    """A chart as an SVG document that stands by itself."""
    return render("picture.svg", chart=chart)


def _charts(figures: Figures) -> Iterator[Chart]:
    course = figures.course
    if not course.brief:
        if any(each.total.settled for each in course.bins):
            yield _outcomes(course)
        if any(each.total.sent for each in course.bins):
            yield _requests(course, None if figures.exceeded else figures.limit)
        if course.latency:
            yield _latency(course)
    if course.latency:
        yield _replies(course.latency)
    if figures.times.counts:
        yield _times(figures.times)


def _outcomes(course: Course) -> Chart:
    states = READY[:3]
    values = [
        {state.value: getattr(each.total, state) / each.seconds for state in states}
        for each in course.bins
    ]
    colours = {state.value: COLOURS[state] for state in states}
    return _over_time("outcomes", "Records a second, by outcome", course, values, colours)


def _requests(course: Course, limit: float | None) -> Chart:
    values = []
    for each in course.bins:
        slow = min(each.total.throttled, each.total.sent) / each.seconds
        values.append({"requests": each.rate - slow, "throttled": slow})
    colours = {"requests": _ANSWERED, "throttled": _THROTTLED}
    title = "Requests a second, and those told to slow down"
    return _over_time("requests", title, course, values, colours, limit=limit)


def _over_time(
    name: str,
    title: str,
    course: Course,
    values: Sequence[Mapping[str, float]],
    colours: Mapping[str, str],
    *,
    limit: float | None = None,
) -> Chart:
    columns = [
        (_share(course, each, each.start), _share(course, each, each.stop), parts)
        for each, parts in zip(course.bins, values, strict=True)
    ]
    across = times(course.stretches)
    return bars(name, title, columns, colours, across, cuts=_cuts(course), limit=limit)


def _latency(course: Course) -> Chart:
    # The points of each line, in one piece for every stretch.
    lines: dict[str, defaultdict[Stretch, list[tuple[float, float]]]]
    lines = {name: defaultdict(list) for name in _PERCENTILES}
    for each in course.bins:
        x = WIDTH * _share(course, each, (each.start + each.stop) / 2)
        for name, (fraction, _) in _PERCENTILES.items():
            value = percentile(each.total.latency, fraction)
            if value is not None:
                lines[name][each.stretch].append((x, value))
    found = [y for line in lines.values() for points in line.values() for _, y in points]
    low, high = min(found) / 1.5, max(found) * 1.5

    def path(points: list[tuple[float, float]]) -> str:
        places = [f"{x:.2f} {HEIGHT * (1 - logarithmic(y, low, high)):.2f}" for x, y in points]
        # A round end makes a dot of a point without a neighbour.
        return f"M{'L'.join(places if len(places) > 1 else places * 2)}"

    colours = {name: colour for name, (_, colour) in _PERCENTILES.items()}
    shapes = [
        Shape(colours[name], "".join(path(points) for points in line.values()))
        for name, line in lines.items()
    ]
    return Chart(
        "latency",
        "How long replies took, over time",
        colours,
        shapes,
        across=times(course.stretches),
        up=[replace(each, at=1 - each.at) for each in durations(low, high, 5)],
        cuts=_cuts(course),
        lines=True,
    )


def _replies(latency: Mapping[int, int]) -> Chart:
    slots = sorted(slot for slot, replies in latency.items() if replies)
    first, last = slots[0], slots[-1] + 1
    columns = [
        (
            (slot - first) / (last - first),
            (slot + 1 - first) / (last - first),
            {"replies": latency[slot]},
        )
        for slot in slots
    ]
    across = spaced(durations(2 ** (first / 2), 2 ** (last / 2), 8))
    title = "Replies by how long they took"
    return bars("replies", title, columns, {"replies": _ANSWERED}, across, centred=True)


def _times(found: EventTimes) -> Chart:
    first = min(found.counts)
    whole = max(found.ends.values()) - first
    columns = [
        (
            (start - first) / whole,
            (found.ends[start] - first) / whole,
            {state.value: count for state, count in parts.items()},
        )
        for start, parts in found.counts.items()
    ]
    across = spaced(
        [Label((start - first) / whole, written(start, found.unit)) for start in found.counts]
    )
    colours = {state.value: COLOURS[state] for state in READY}
    title = f"Records by the {found.unit} in which they happened"
    return bars("times", title, columns, colours, across)


def _share(course: Course, each: Bin, epoch: float) -> float:
    return (each.stretch.offset + epoch - each.stretch.start) / _whole(course)


def _cuts(course: Course) -> list[float]:
    return [
        (before.offset + before.seconds + after.offset) / 2 / _whole(course)
        for before, after in pairwise(course.stretches)
    ]


def _whole(course: Course) -> int:
    return course.stretches[-1].offset + course.stretches[-1].seconds
