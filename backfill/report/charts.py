"""The charts of a job: its books, what happened over time, how long replies took, and when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import count

from backfill.core.model import State
from backfill.report.axes import Label, clock_times, spaced, written
from backfill.report.drawing import Chart, bars, books_chart
from backfill.report.gather import EventTimes, Figures
from backfill.report.templating import render
from backfill.report.timeline_bins import Timeline
from backfill.report.wording import COLOURS, milliseconds

__all__ = ["READY", "draw", "picture"]

READY = (State.DELIVERED, State.UNKNOWN, State.FAILED, State.PENDING)
_ANSWERED, _THROTTLED = COLOURS[State.PENDING], COLOURS[State.REJECTED]


def draw(figures: Figures) -> dict[str, Chart]:
    """Every chart that there is something to draw for, by name."""
    return {chart.name: chart for chart in _charts(figures)}


def picture(chart: Chart) -> str:
    """A chart as an SVG document that stands by itself."""
    return render("picture.svg", chart=chart)


def _charts(figures: Figures) -> Iterator[Chart]:
    yield books_chart(figures.status.books)
    timeline = figures.timeline
    if not timeline.brief:
        if timeline.total.settled:
            yield _outcomes(timeline)
        if timeline.total.sent:
            yield _requests(timeline, figures.limit)
    if timeline.total.latency:
        yield _replies(timeline.total.latency)
    if figures.times.counts:
        yield _times(figures.times)


def _outcomes(timeline: Timeline) -> Chart:
    values = [
        {state.value: getattr(each.total, state) / each.seconds for state in READY[:3]}
        for each in timeline.bins
    ]
    across, cuts = clock_times(timeline), _cuts(timeline)
    title = "Records a second, by outcome"
    return bars("outcomes", title, _by_state(), values, across, cuts=cuts)


def _requests(timeline: Timeline, limit: float | None) -> Chart:
    values = []
    for each in timeline.bins:
        slow = min(each.total.throttled, each.total.sent) / each.seconds
        values.append({"requests": each.rate - slow, "throttled": slow})
    colours = {"requests": _ANSWERED, "throttled": _THROTTLED}
    title = "Requests a second, and those told to slow down"
    across, cuts = clock_times(timeline), _cuts(timeline)
    return bars("requests", title, colours, values, across, cuts=cuts, limit=limit)


def _replies(latency: Mapping[int, int]) -> Chart:
    slots = [slot for slot, replies in latency.items() if replies]
    every = range(min(slots), max(slots) + 1)
    across = spaced(
        Label(place / len(every), (milliseconds(2 ** (slot / 2)),))
        for place, slot in enumerate(every)
        if slot % 2 == 0
    )
    columns = [{"replies": latency.get(slot, 0)} for slot in every]
    title = "Replies by how long they took"
    return bars("replies", title, {"replies": _ANSWERED}, columns, across)


def _times(times: EventTimes) -> Chart:
    def label(start: datetime) -> tuple[str, str]:
        return written(start) if times.unit == "hour" else (f"{start:%d %b}", f"{start.year}")

    places = zip(count(), times.counts, strict=False)
    across = spaced(Label(place / len(times.counts), label(start)) for place, start in places)
    title = f"Records by the {times.unit} in which they happened"
    return bars("times", title, _by_state(), list(times.counts.values()), across)


def _by_state() -> dict[str, str]:
    return {state.value: COLOURS[state] for state in READY}


def _cuts(timeline: Timeline) -> list[float]:
    bins = timeline.bins
    return [place / len(bins) for place, each in enumerate(bins) if each.first and place]
