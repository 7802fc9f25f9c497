"""A chart as shapes and labels, which one template draws for a desk, a phone and a file.

A plot is `_WIDTH` by `_HEIGHT` units, stretched to the room that there is; labels stand at shares
of its width and keep their size. Charts hold numbers, times and the names of states, and never a
word from a source or a server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backfill.core.model import Books
from backfill.report.axes import Label, quantities
from backfill.report.wording import COLOURS, amount

__all__ = ["Chart", "Shape", "bars", "books_chart"]

_WIDTH, _HEIGHT = 800, 180
_BOOKS_HEIGHT = 36
_SLIVER = 6.0  # units of width that about even a single record gets
_SPACE = 2.5


@dataclass(frozen=True, slots=True)
class Shape:
    """All bars of one colour: `path` is SVG path data in units of the plot."""

    colour: str
    path: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One picture. `parts` are colours by what they stand for.

    Shares are of the plot's width for `across` and `cuts` (where time was left out), and of its
    height from above for `up` and `limit`.
    """

    name: str
    title: str
    parts: Mapping[str, str]
    shapes: Sequence[Shape]
    across: Sequence[Label] = ()
    up: Sequence[Label] = ()
    cuts: Sequence[float] = ()
    limit: float | None = None
    height: int = _HEIGHT


def bars(
    name: str,
    title: str,
    colours: Mapping[str, str],
    columns: Sequence[Mapping[str, float]],
    across: Sequence[Label],
    *,
    cuts: Sequence[float] = (),
    limit: float | None = None,
) -> Chart:
    """Stacked bars of one width, each with a value a part. A part without any is left out."""
    parts = {
        part: colour
        for part, colour in colours.items()
        if any(values.get(part) for values in columns)
    }
    paths = dict.fromkeys(parts, "")
    top = max([limit or 0, *(sum(values.values()) for values in columns)])
    width = _WIDTH / len(columns)
    for place, values in enumerate(columns):
        total = 0.0
        for part in parts:
            total += values.get(part, 0)
            if values.get(part):
                high = _HEIGHT * (1 - total / top)
                paths[part] += _bar(place * width, (place + 1) * width, high, _HEIGHT)
    # Each bar reaches down to the ground, behind those below it: no seam can be seen between.
    shapes = [Shape(parts[part], paths[part]) for part in reversed(parts)]
    level = None if limit is None else 1 - limit / top
    return Chart(name, title, parts, shapes, across, quantities(top), cuts, level)


def books_chart(books: Books) -> Chart:
    """One bar, a segment for each state that has records; none is too narrow to be seen."""
    counts = {state: books.count(state) for state in COLOURS if books.count(state) > 0}
    wide = {state: max(_SLIVER, _WIDTH * n / sum(counts.values())) for state, n in counts.items()}
    scale = (_WIDTH - _SPACE * (len(counts) - 1)) / sum(wide.values()) if wide else 0
    shapes, x = [], 0.0
    for state, units in wide.items():
        shapes.append(Shape(COLOURS[state], _bar(x, x + scale * units, 0, _BOOKS_HEIGHT)))
        x += scale * units + _SPACE
    parts = {f"{state} {amount(count)}": COLOURS[state] for state, count in counts.items()}
    title = f"The books of {amount(books.input)} records"
    return Chart("books", title, parts, shapes, height=_BOOKS_HEIGHT)


def _bar(left: float, right: float, top: float, ground: float) -> str:
    return f"M{left:.2f} {ground:g}V{top:.2f}H{right:.2f}V{ground:g}z"
