"""What happened when: while sending, and in the time of the records themselves."""

from __future__ import annotations

from collections.abc import Mapping

from backfill.core.model import State, Tick
from backfill.core.terminal import duration
from backfill.deliver.run.run_metrics import SLICE
from backfill.report.axes import PHONE
from backfill.report.gather import Figures
from backfill.report.markup import Html, tag
from backfill.report.parts import alternative, figure, section
from backfill.report.pictures import Picture
from backfill.report.tables import course_table, replies_table, table, times_table
from backfill.report.timeline_bins import Course, course_of, percentile
from backfill.report.wording import amount, clock, counted, lasting, milliseconds, records, requests

__all__ = ["event_times", "over_time", "replies"]

_EDGES = " A run's first and last slices may be filled in part."
_CUT = " A dotted line stands where a pause between requests was cut out."


def over_time(figures: Figures, pictures: Mapping[str, Picture]) -> Html:
    """Outcomes and requests over the time of sending."""
    course = figures.course
    if not course.bins:
        return section("time", "Over time", tag("p", "Nothing was sent yet."))
    first, last = course.bins[0].start, course.bins[-1].stop
    pauses = len(course.stretches) - 1
    at_work = lasting(figures.at_work)
    if course.brief and figures.seconds is None:
        at_work = f"at most {at_work}"
    message = f"From {clock(first)} to {clock(last)}; {at_work} of it at work" + (
        f", with {amount(pauses)} longer pause{'s' if pauses > 1 else ''} between."
        if pauses
        else "."
    )
    table = alternative(
        course_table(course_of(figures.ticks, 100)), "Outcomes, requests and replies over time"
    )
    if course.brief:
        return section(
            "time",
            "Over time",
            tag("p", message),
            tag("p", f"{_totals(course)} That is too short for a picture of its course."),
            table,
        )
    most = max(each.rate for each in course.bins)
    if most >= (figures.status.rate or 0):  # a burst may be shorter than a slice
        message += f" The busiest slice had {amount(most)} requests a second."
    cut = (_EDGES if course.width == SLICE else "") + (_CUT if pauses else "")
    caption = [
        tag("span", f"Mean over {duration(width)}, in UTC.{cut}", class_=kind)
        for kind, width in (
            ("desk", course.width),
            ("phone", course_of(figures.ticks, PHONE.bars).width),
        )
    ]
    return section(
        "time",
        "Over time",
        tag("p", message),
        tag("h3", "Records a second, by outcome"),
        figure(pictures.get("outcomes"), message, caption)
        or tag("p", "No record was delivered, failed or became unknown in this time."),
        tag("h3", "Requests a second, and those told to slow down"),
        figure(pictures.get("requests"), message, [*caption, _allowed(figures)]),
        table,
    )


def _totals(course: Course) -> str:
    """All that was done in a course, where its slices say nothing of its speed."""
    total = Tick.total(course.bins[0].start, [each.total for each in course.bins])
    slowed = f", {amount(total.throttled)} of them told to slow down" if total.throttled else ""
    became = ", ".join(
        f"{records(count)} {state}"
        for state in (State.DELIVERED, State.UNKNOWN, State.FAILED)
        if (count := getattr(total, state))
    )
    return f"{requests(total.sent)}{slowed}; {became or 'no record was settled'}."


def _allowed(figures: Figures) -> str:
    if figures.limit is None:
        return ""
    limit = amount(figures.limit)
    if figures.exceeded:
        return f" The configuration says {limit} a second, and a run was told another rate."
    return f" The dashed line is the rate that was configured: {limit}."


def replies(figures: Figures, pictures: Mapping[str, Picture]) -> Html:
    """Percentiles of the time that replies took, overall and over time."""
    latency = figures.course.latency
    rows = [
        (f"p{round(each * 100)}", f"{round(each * 100)}% of the replies came within", value)
        for each in (0.5, 0.9, 0.99)
        if (value := percentile(latency, each)) is not None
    ]
    if not rows:
        return section("latency", "How long replies took", tag("p", "There was no reply yet."))
    message = ", ".join(f"{name} {milliseconds(value)}" for name, _, value in rows)
    total = latency.total()
    message = f"{amount(total)} {'reply' if total == 1 else 'replies'}: {message}."
    over = figure(pictures.get("latency"), message, "On a logarithmic scale.")
    return section(
        "latency",
        "How long replies took",
        table(
            "Percentiles",
            ("", "Meaning", "Time"),
            [(name, meaning, f"about {milliseconds(value)}") for name, meaning, value in rows],
            numbers={2},
            kind="compact",
        ),
        tag("h3", "Percentiles over time") if over is not None else None,
        over,
        tag("h3", "Replies by how long they took"),
        figure(pictures.get("replies"), message, "Each bar reaches to 1.4 times where it begins."),
        alternative(replies_table(latency), "Replies by how long they took"),
    )


def event_times(figures: Figures, pictures: Mapping[str, Picture]) -> Html:
    """Where in their own time the ready records lie, by state."""
    times = figures.times
    parts: list[Html | None] = []
    if times.counts and times.first and times.last:
        message = (
            f"From {times.first:%Y-%m-%d %H:%M} to {times.last:%Y-%m-%d %H:%M},"
            f" counted by {times.unit}, in UTC."
        )
        parts += [
            tag(
                "p",
                "The records that passed the rules, by their own time and by where they stand now.",
            ),
            figure(pictures.get("times"), message, message),
            alternative(times_table(times), f"Records by {times.unit}"),
        ]
    if times.without:
        count = sum(times.without.values())
        parts.append(tag("p", f"{counted(count, 'has', 'have')} no time."))
    return section(
        "when",
        "When the records happened",
        *(parts or [tag("p", "No record is ready to be sent.")]),
    )
