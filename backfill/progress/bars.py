"""Bars that suit the place: two lines in a terminal, a widget in a notebook, or none at all."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

from backfill.core.terminal import printable, shorten

__all__ = ["Bar", "Moment", "draw", "in_notebook", "is_interactive"]

_LABEL = 24  # cells of a terminal that a bar's label may take


@dataclass(frozen=True, slots=True)
class Moment:
    """What a bar shows: `amount` stands beside it in words, `details` are of lesser weight."""

    label: str
    done: int
    total: int | None
    amount: str
    details: str = ""


class Bar(Protocol):
    """Something that shows one moment after another."""

    def show(self, moment: Moment) -> None: ...

    def close(self) -> None: ...


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return any(each.__name__ == "ZMQInteractiveShell" for each in type(shell).__mro__)


def is_interactive() -> bool:
    """Whether a bar that moves has a place: a notebook, or a terminal that can move a cursor."""
    if in_notebook():
        return True
    return (
        sys.stderr is not None
        and sys.stderr.isatty()
        and os.environ.get("TERM") != "dumb"
        and not os.environ.get("CI")
    )


def draw(moment: Moment) -> Bar:
    """Begin a bar in the place that there is."""
    if not in_notebook():
        return _Terminal(moment)
    return _Notebook(moment, widgets=find_spec("ipywidgets") is not None)


class _Terminal:
    """A line with the bar and, where there are details, one below it."""

    def __init__(self, moment: Moment) -> None:
        from tqdm import tqdm  # noqa: PLC0415 - only where there is a bar

        # Its own thread would look after bars that nobody refreshes; these are refreshed.
        kind = type("TerminalBar", (tqdm,), {"monitor_interval": 0})
        settings = {"dynamic_ncols": True, "leave": False, "file": sys.stderr}
        self._bar: Any = kind(
            total=moment.total,
            initial=moment.done,
            position=0,
            bar_format=_format(moment, short=True),
            **settings,
        )
        self._below: Any = None
        if moment.details:
            self._below = kind(total=0, position=1, bar_format=" ", **settings)
        self.show(moment)

    def show(self, moment: Moment) -> None:
        _set(self._bar, moment, _format(moment, short=True))
        if self._below is not None:
            self._below.bar_format = _literal(f"  {moment.details}") or " "
            self._below.refresh()

    def close(self) -> None:
        if self._below is not None:
            self._below.close()
        self._bar.close()


class _Notebook:
    """One line; the same in plain text where the kernel has no widgets."""

    def __init__(self, moment: Moment, *, widgets: bool) -> None:
        # `tqdm.auto` would choose as well, but warns where there are no widgets.
        tqdm = import_module("tqdm.notebook" if widgets else "tqdm").tqdm
        kind = type("NotebookBar", (tqdm,), {"monitor_interval": 0})
        settings: dict[str, Any] = {"dynamic_ncols": True} if widgets else {"ncols": 100}
        self._bar: Any = kind(
            total=moment.total,
            initial=moment.done,
            leave=False,
            bar_format=_format(moment),
            file=sys.stderr,
            **settings,
        )
        self.show(moment)

    def show(self, moment: Moment) -> None:
        _set(self._bar, moment, _format(moment))

    def close(self) -> None:
        self._bar.close()


def _set(bar: Any, moment: Moment, form: str) -> None:
    bar.bar_format = form
    bar.total = moment.total
    bar.n = moment.done
    bar.refresh()


def _format(moment: Moment, *, short: bool = False) -> str:
    message = moment.amount
    if moment.details and not short:
        message = f"{message}; {moment.details}"
    label = _literal(shorten(printable(moment.label), _LABEL))
    if moment.total is None:
        return f"{label}: {_literal(message)}"
    return f"{label} {{percentage:3.0f}}%|{{bar}}| {_literal(message)}"


def _literal(text: str) -> str:
    """Text that means itself in a format."""
    return text.replace("{", "{{").replace("}", "}}")
