"""A chart as shapes and labels, which one template draws for a desk, a phone and a file.

A plot is `WIDTH` by `HEIGHT` units, stretched to the room that there is; labels stand at shares
of its width and keep their size. Charts hold numbers, times and the names of states, and never a
word from a source or a server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backfill.core.model import Books
from backfill.report.axes import Label, quantities
from backfill.report.wording import COLOURS, amount

__all__ = ["HEIGHT", "WIDTH", "Chart", "Shape", "bars", "books_chart"]

WIDTH, HEIGHT = 800, 180
_BOOKS_HEIGHT = 36
_SLIVER = 5.0  # units of width that even a single record gets
_SPACE = 2.5


@dataclass(frozen=True, slots=True)
class Shape:
    """All bars or lines of one colour: `path` is SVG path data in units of the plot."""

    colour: str
    path: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One picture. `parts` are colours by what they stand for.

    Shares are of the plot's width for `across` and `cuts` (where time was left out), and of its
    height from above for `up` and `limit`. `centred` labels stand around their place, others to
    the right of it.
    """

    name: str
    title: str
    parts: Mapping[str, str]
    shapes: Sequence[Shape]
    across: Sequence[Label] = ()
    up: Sequence[Label] = ()
    cuts: Sequence[float] = ()
    limit: float | None = None
    lines: bool = False
    centred: bool = False
    height: int = HEIGHT


def bars(
    name: str,
    title: str,
    columns: Sequence[tuple[float, float, Mapping[str, float]]],
    colours: Mapping[str, str],
    across: Sequence[Label],
    *,
    cuts: Sequence[float] = (),
    limit: float | None = None,
    centred: bool = False,
) -> Chart:
    """Stacked bars: each column from one share of the width to another, with a value a part."""
    parts = {
        part: colour
        for part, colour in colours.items()
        if any(values.get(part) for _, _, values in columns)
    }
    paths: dict[str, list[str]] = {part: [] for part in parts}
    top = max([limit or 0, *(sum(values.values()) for *_, values in columns)])
    for start, stop, values in columns:
        total = 0.0
        for part in parts:
            total += values.get(part, 0)
            if values.get(part):
                paths[part].append(_bar(start * WIDTH, stop * WIDTH, HEIGHT * (1 - total / top)))
    # Each bar reaches down to the ground, behind those below it: no seam can be seen between.
    shapes = [Shape(parts[part], "".join(paths[part])) for part in reversed(parts)]
    level = None if limit is None else 1 - limit / top
    return Chart(name, title, parts, shapes, across, quantities(top), cuts, level, centred=centred)


def books_chart(books: Books) -> Chart:
    """One bar, a segment for each state that has records; none is too narrow to be seen."""
    there = [state for state in COLOURS if books.count(state) > 0]
    total = sum(books.count(state) for state in there)
    room = WIDTH - _SPACE * max(0, len(there) - 1)
    # What the slivers get beyond their share is taken from the others in proportion.
    small = [state for state in there if room * books.count(state) < _SLIVER * total]
    rest = sum(books.count(state) for state in there if state not in small)
    left = room - _SLIVER * len(small)
    shapes, x = [], 0.0
    for state in there:
        width = _SLIVER if state in small else left * books.count(state) / rest
        shapes.append(Shape(COLOURS[state], _bar(x, x + width, 0, _BOOKS_HEIGHT)))
        x += width + _SPACE
    parts = {f"{state} {amount(books.count(state))}": COLOURS[state] for state in there}
    title = f"The books of {amount(books.input)} records"
    return Chart("books", title, parts, shapes, height=_BOOKS_HEIGHT)


def _bar(left: float, right: float, top: float, ground: float = HEIGHT) -> str:
    return f"M{left:.2f} {ground:g}V{top:.2f}H{right:.2f}V{ground:g}z"
