"""Progress for people: a bar in a terminal or a notebook, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
import warnings
from types import TracebackType
from typing import Any, Self

from backfill.deliver import Snapshot
from backfill.job import Job

__all__ = ["DeliveryBar", "PlanBar"]

_EVERY = 15.0  # seconds between two lines where there is no bar


class _Face:
    """One bar at a time, shown where someone is looking."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bar: Any = None
        self._lively = _in_notebook() or sys.stderr.isatty()
        self._said_at = time.monotonic()  # what is done at once says nothing

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._finish()

    def _begin(self, label: str, total: int | None, start: int, unit: str) -> None:
        self._finish()
        if self._lively and not self._quiet:
            self._bar = _tqdm()(
                desc=label,
                total=total,
                initial=start,
                unit=unit,
                unit_scale=True,
                dynamic_ncols=True,
                smoothing=0.1,
                leave=False,
            )

    def _finish(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _say(self, line: str) -> None:
        """A plain line for logs, at most every few seconds."""
        now = time.monotonic()
        if not self._quiet and not self._lively and now - self._said_at >= _EVERY:
            self._said_at = now
            sys.stderr.write(line + "\n")
            sys.stderr.flush()


class PlanBar(_Face):
    """The phases of a plan. The object itself is the `Progress` callable."""

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__(quiet=quiet)
        self._phase = ""

    def __enter__(self) -> Self:
        return self

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        if phase != self._phase:
            self._phase = phase
            self._begin(phase, total, 0, " rows")
        if self._bar is not None:
            self._bar.total = total
            self._bar.update(done - self._bar.n)
        self._say(f"{phase}: {done:,}" + (f" of {total:,}" if total else "") + " rows")


class DeliveryBar(_Face):
    """The course of a delivery, beginning where the job stands."""

    def __init__(self, job: Job, *, quiet: bool = False) -> None:
        super().__init__(quiet=quiet)
        self._ready = job.manifest.ready
        self._label = job.directory.stem

    def __enter__(self) -> Self:
        return self

    def __call__(self, now: Snapshot) -> None:
        """Show a moment; this is the observer of a run."""
        settled = self._ready - now.pending
        if self._bar is None:
            self._begin(self._label, self._ready, settled, " records")
        words = [f"{now.rate:,.0f}/s" + (f" of {now.limit:,.0f}" if now.limit else "")]
        wait = now.quiet_until - time.time()
        if wait > 0:
            words.append(f"quiet for {wait:.0f} s")
        words += [
            f"{count:,} {name}"
            for name, count in (
                ("throttled", now.throttled),
                ("failed", now.failed),
                ("unknown", now.unknown),
            )
            if count
        ]
        line = ", ".join(words)
        if self._bar is not None:
            self._bar.set_postfix_str(line, refresh=False)
            self._bar.update(settled - self._bar.n)
        self._say(f"{self._label}: {settled:,} of {self._ready:,} records, {line}")


def _in_notebook() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


def _tqdm() -> Any:
    """The bar that suits the place; without widgets a notebook gets the plain one."""
    if _in_notebook():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from tqdm.auto import tqdm  # noqa: PLC0415 - looks around while it is imported

            return tqdm
    from tqdm import tqdm as plain  # noqa: PLC0415 - only where there is a bar

    return plain
