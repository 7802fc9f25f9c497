"""The charts, drawn by Altair and turned into SVG on this machine.

Charts hold numbers, times and the names of states, and never a word from a source or a server.
Each is drawn twice for the page: for a desk and for a phone, where scaled-down text could not
be read. Text and lines have two fixed colours, which the page's style exchanges in the dark.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import altair as alt
import vl_convert

from backfill.core.model import Books, State
from backfill.report.axes import (
    DESK,
    GRID,
    INK,
    PHONE,
    Shape,
    around,
    colour,
    durations,
    over_time,
    quantities,
    sized,
)
from backfill.report.gather import EventTimes, Figures
from backfill.report.html_summary import books_bar
from backfill.report.markup import Html
from backfill.report.timeline_bins import Bin, Course, course_of, percentile
from backfill.report.wording import COLOURS, amount

__all__ = ["Picture", "draw", "png", "svg_files"]


_ANSWERED, _THROTTLED = "#3f86d9", "#bd7a12"
_PERCENTILES = {"p50": (0.5, "#1f9d61"), "p90": (0.9, "#bd7a12"), "p99": (0.99, "#d9483b")}
_STATES = (State.DELIVERED, State.UNKNOWN, State.FAILED)
_FONT = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', sans-serif"
_MAIN = re.compile(r"<svg ([^>]*)>")
_SIZE = re.compile(r'width="([0-9.]+)" height="([0-9.]+)"')

_FORMATS = {
    "hour": "%d %b %H:%M",
    "day": "%d %b",
    "week": "%d %b %Y",
    "month": "%b %Y",
    "year": "%Y",
}

Spec = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Picture:
    """One chart: its file's name, its title, and the drawings for a desk and for a phone."""

    name: str
    title: str
    desk: Html
    phone: Html


def draw(figures: Figures) -> dict[str, Picture]:
    """Every chart that there is something to draw for, by name."""
    desk, phone = _charts(figures, DESK), _charts(figures, PHONE)
    return {
        name: Picture(name, title, _inline(chart), _inline(phone[name][1]))
        for name, (title, chart) in desk.items()
    }


def svg_files(figures: Figures) -> dict[str, str]:
    """The same charts and the books as SVG documents that stand by themselves, by name."""
    files = {"books": _books_svg(figures.status.books)}
    for name, (title, chart) in _charts(figures, DESK).items():
        files[name] = _svg(_titled(chart, title), "white")
    return files


def png(svg: str) -> bytes:
    """An SVG document as a PNG of twice its size, for sharp print."""
    return bytes(vl_convert.svg_to_png(svg, scale=2))


# --- which charts there are ------------------------------------------------------------------


def _charts(figures: Figures, shape: Shape) -> dict[str, tuple[str, alt.LayerChart]]:
    charts: dict[str, tuple[str, alt.LayerChart]] = {}
    course = course_of(figures.ticks, shape.bars)
    if not course.brief and any(each.total.settled for each in course.bins):
        charts["outcomes"] = ("Records a second, by outcome", _outcomes(course, shape))
    if not course.brief and any(each.total.sent for each in course.bins):
        limit = None if figures.exceeded else figures.limit
        charts["requests"] = ("Requests a second", _requests(course, shape, limit))
    if not course.brief and course.latency:
        charts["latency"] = ("How long replies took, over time", _latency(course, shape))
    if course.latency:
        charts["replies"] = ("Replies by how long they took", _replies(course, shape))
    if figures.times.counts:
        title = f"Records by the {figures.times.unit} in which they happened"
        charts["times"] = (title, _times(figures.times, shape))
    return charts


def _outcomes(course: Course, shape: Shape) -> alt.LayerChart:
    there = [state for state in _STATES if any(getattr(each.total, state) for each in course.bins)]
    rows = []
    for each in course.bins:
        base = 0.0
        for state in there:
            rate = getattr(each.total, state) / each.seconds
            if rate:
                rows.append(_block(each, state.value, base, base + rate))
            base += rate
    colours = {state.value: COLOURS[state] for state in there}
    return over_time(_blocks(rows, colours, shape), course, shape)


def _requests(course: Course, shape: Shape, limit: float | None) -> alt.LayerChart:
    rows = []
    throttled = any(each.total.throttled for each in course.bins)
    for each in course.bins:
        slow = min(each.total.throttled, each.total.sent) / each.seconds
        rate = each.rate
        if rate > slow:
            rows.append(_block(each, "requests", 0, rate - slow))
        if slow:
            rows.append(_block(each, "throttled", rate - slow, rate))
    colours = {"requests": _ANSWERED} | ({"throttled": _THROTTLED} if throttled else {})
    chart = over_time(_blocks(rows, colours, shape), course, shape)
    if limit is not None:
        line = alt.Chart(alt.InlineData(values=[{"y": limit}]))
        chart.layer.append(line.mark_rule(aria=False, color=INK, strokeDash=[6, 3]).encode(y="y:Q"))
    return chart


def _latency(course: Course, shape: Shape) -> alt.LayerChart:
    rows: list[Spec] = []
    for each in course.bins:
        for name, (fraction, _) in _PERCENTILES.items():
            value = percentile(each.total.latency, fraction)
            if value is not None:
                x = (each.stretch.place(each.start) + each.stretch.place(each.stop)) / 2
                stretch = course.stretches.index(each.stretch)
                rows.append({"x": x, "y": value, "part": name, "stretch": stretch})
    colours = {name: colour for name, (_, colour) in _PERCENTILES.items()}
    lines = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_line(aria=False, strokeWidth=2, point=alt.OverlayMarkDef(size=16, filled=True))
        .encode(
            x=alt.X("x:Q"),
            y=alt.Y(
                "y:Q",
                scale=alt.Scale(type="log", nice=False, domain=around([row["y"] for row in rows])),
                axis=durations(around([row["y"] for row in rows]), 5),
            ),
            color=colour(colours, shape),
            detail="stretch:N",
        )
    )
    return over_time(lines, course, shape)


def _replies(course: Course, shape: Shape) -> alt.LayerChart:
    rows = [
        {"x": 2 ** (slot / 2), "x2": 2 ** ((slot + 1) / 2), "y": 0, "y2": replies}
        for slot, replies in sorted(course.latency.items())
        if replies
    ]
    axis = durations([row[edge] for row in rows for edge in ("x", "x2")], shape.labels)
    axis.grid = False
    bars = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_rect(aria=False, color=_ANSWERED, stroke=None)
        .encode(
            x=alt.X("x:Q", scale=alt.Scale(type="log", nice=False), axis=axis),
            x2="x2:Q",
            y=alt.Y("y:Q", axis=quantities()),
            y2="y2:Q",
        )
    )
    return sized(shape, bars)


def _times(times: EventTimes, shape: Shape) -> alt.LayerChart:
    counts, ends = times.counts, times.ends
    order = (State.DELIVERED, State.UNKNOWN, State.FAILED, State.PENDING)
    there = [state for state in order if any(state in parts for parts in counts.values())]
    rows = []
    for start, parts in counts.items():
        base = 0
        for state in there:
            records = parts.get(state, 0)
            if records:
                edges = {"x": _millis(start), "x2": _millis(ends[start])}
                rows.append({**edges, "y": base, "y2": base + records, "part": state.value})
            base += records
    blocks = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_rect(aria=False, stroke=None)
        .encode(
            x=alt.X(
                "x:T",
                scale=alt.Scale(type="utc", nice=False),
                axis=alt.Axis(
                    title=None, grid=False, tickCount=shape.labels, format=_FORMATS[times.unit]
                ),
            ),
            x2="x2:T",
            y=alt.Y("y:Q", axis=quantities()),
            y2="y2:Q",
            color=colour({state.value: COLOURS[state] for state in there}, shape),
        )
    )
    return sized(shape, blocks)


# --- what they are made of -------------------------------------------------------------------


def _block(each: Bin, part: str, low: float, high: float) -> Spec:
    place = each.stretch.place
    return {"x": place(each.start), "x2": place(each.stop), "y": low, "y2": high, "part": part}


def _blocks(rows: list[Spec], colours: dict[str, str], shape: Shape) -> alt.Chart:
    blocks: alt.Chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_rect(aria=False, stroke=None)
        .encode(
            x=alt.X("x:Q"),
            x2="x2:Q",
            y=alt.Y("y:Q", axis=quantities()),
            y2="y2:Q",
            color=colour(colours, shape),
        )
    )
    return blocks


def _millis(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


# --- as SVG ----------------------------------------------------------------------------------


def _titled(chart: alt.LayerChart, title: str) -> alt.LayerChart:
    named: alt.LayerChart = chart.properties(
        title=alt.Title(title, anchor="start", fontSize=15, color=INK, offset=12)
    )
    return named


def _svg(chart: alt.LayerChart, background: str | None) -> str:
    config: Spec = {
        "aria": False,
        "background": background,
        "font": _FONT,
        "padding": 4 if background is None else 16,
        "view": {"stroke": None},
        "axis": {
            "labelColor": INK,
            "domainColor": INK,
            "tickColor": INK,
            "gridColor": GRID,
            "labelFontSize": 12,
            "labelPadding": 4,
        },
        "legend": {"labelColor": INK, "labelFontSize": 12, "labelLimit": 0, "offset": 8},
    }
    svg: str = vl_convert.vegalite_to_svg(
        chart.to_dict(), config=config, allowed_base_urls=[], show_warnings=False
    )
    # Bars that touch would show seams where their edges fall between two pixels.
    return svg.replace('<g class="mark-rect ', '<g shape-rendering="crispEdges" class="mark-rect ')


def _inline(chart: alt.LayerChart) -> Html:
    """For a page that names the picture itself: as wide as there is room, without roles."""
    svg = _svg(chart, None)
    main = _MAIN.match(svg)
    sizes = _SIZE.search(svg)
    if main is None or sizes is None:
        raise AssertionError("the drawing is no SVG of a known size")
    width, height = sizes.groups()
    inner = re.sub(r' (role|aria-[a-z]+|pointer-events)="[^"]*"', "", svg[main.end() :])
    return Html(f'<svg viewBox="0 0 {width} {height}" aria-hidden="true">{inner}')


def _books_svg(books: Books) -> str:
    """The bar with its numbers, as a document."""
    there = [state for state in COLOURS if books.count(state)]
    lines = []
    for number, state in enumerate(there):
        x, y = 24 + 290 * (number % 3), 122 + 26 * (number // 3)
        lines.append(
            f'<rect x="{x}" y="{y - 11}" width="12" height="12" rx="2" fill="{COLOURS[state]}"/>'
            f'<text x="{x + 20}" y="{y}">{state} {amount(books.count(state))}</text>'
        )
    height = 122 + 26 * ((len(there) + 2) // 3)
    bar = books_bar(books).replace("<svg ", '<svg x="24" y="56" width="852" height="36" ', 1)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="900" height="{height}"'
        f' viewBox="0 0 900 {height}" font-family="{_FONT}" font-size="14" fill="{INK}">'
        f'<rect width="900" height="{height}" fill="white"/>'
        f'<text x="24" y="36" font-size="17" font-weight="bold">The books of'
        f" {amount(books.input)} records</text>{bar}{''.join(lines)}</svg>"
    )
