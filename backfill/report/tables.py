"""The figures of every picture as a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from backfill.core.model import State
from backfill.report.gather import EventTimes
from backfill.report.markup import Html, tag
from backfill.report.timeline_bins import Course, percentile
from backfill.report.wording import amount, clock, milliseconds

__all__ = ["course_table", "replies_table", "table", "times_table"]

_READY = (State.DELIVERED, State.UNKNOWN, State.FAILED, State.PENDING)


def table(
    caption: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: Collection[int] = (),
    wrap: Collection[int] = (),
    kind: Literal["compact", "stacked"] | None = None,
) -> Html:
    """A table whose first column names its rows.

    The columns in `numbers` are set to the right, those in `wrap` may break their lines
    anywhere. A compact table is only as wide as it needs to be; a stacked one becomes a list of
    blocks on a phone, in which every cell repeats its heading.
    """
    stacked = kind == "stacked"
    classes = [
        "number" if each in numbers else "wrap" if each in wrap else None
        for each in range(len(heads))
    ]
    head = [
        tag("th", text, scope="col", class_=name, role="columnheader" if stacked else None)
        for text, name in zip(heads, classes, strict=True)
    ]

    def cell(number: int, content: str) -> Html:
        role = "cell" if number else "rowheader"
        return tag(
            "td" if number else "th",
            content,
            scope=None if number else "row",
            class_=classes[number],
            # A table whose display is changed is no table to a screen reader without roles.
            role=role if stacked else None,
            data_head=heads[number] if stacked else None,
        )

    body = [
        tag(
            "tr",
            [cell(number, content) for number, content in enumerate(row)],
            role="row" if stacked else None,
        )
        for row in rows
    ]
    group = "rowgroup" if stacked else None
    return tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", head, role="row" if stacked else None), role=group),
        tag("tbody", body, role=group),
        class_=kind,
        role="table" if stacked else None,
    )


def course_table(course: Course) -> Html:
    """What happened in each slice of time."""
    rows = []
    for each in course.bins:
        times = [percentile(each.total.latency, share) for share in (0.5, 0.9, 0.99)]
        total = each.total
        counts = (
            total.delivered, total.failed, total.unknown, total.sent, total.throttled, total.retried
        )  # fmt: skip
        rows.append(
            [
                clock(each.start),
                f"{each.seconds:,} s",
                *(amount(count) for count in counts),
                *("-" if value is None else milliseconds(value) for value in times),
            ]
        )
    heads = (
        "From", "For", "Delivered", "Failed", "Unknown", "Requests", "Throttled", "Again",
        "p50", "p90", "p99",
    )  # fmt: skip
    return table("Over time", heads, rows, numbers=range(1, len(heads)))


def replies_table(latency: Mapping[int, int]) -> Html:
    """How many replies took how long."""
    rows = [
        (
            f"{milliseconds(2 ** (slot / 2)) if slot else '0 ms'} to"
            f" {milliseconds(2 ** ((slot + 1) / 2))}",
            amount(replies),
        )
        for slot, replies in sorted(latency.items())
        if replies
    ]
    return table("Replies by how long they took", ("Time", "Replies"), rows, numbers={1})


def times_table(times: EventTimes) -> Html:
    """How many ready records of each unit of time are in each state."""
    form = "%Y-%m-%d %H:%M" if times.unit == "hour" else "%Y-%m-%d"
    rows = [
        [f"{start:{form}}", *(amount(parts.get(state, 0)) for state in _READY)]
        for start, parts in times.counts.items()
    ]
    heads = (f"{times.unit.capitalize()} from", *(state.value.capitalize() for state in _READY))
    return table(f"Records by {times.unit}", heads, rows, numbers=range(1, len(heads)))
