"""Ctrl-C in a plan is an interrupt at every moment, and leaves nothing half done."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from backfill.config import load_config
from backfill.core.errors import SourceError
from backfill.jobs.opening import plan_job
from backfill.jobs.running.interrupts import interrupts_first
from tests.acceptance.program import backfill, start
from tests.acceptance.sources import pristo_job


@pytest.mark.parametrize(
    "error",
    [SourceError("is damaged"), pl.exceptions.PanicException("python"), KeyboardInterrupt()],
)
def test_whatever_an_interrupt_breaks_is_an_interrupt(error: BaseException) -> None:
    before = signal.getsignal(signal.SIGINT)

    @interrupts_first()
    def plan() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise error from None

    with pytest.raises(KeyboardInterrupt):
        plan()
    assert signal.getsignal(signal.SIGINT) == before


def test_one_that_comes_while_polars_calls_its_own_types_waits_until_they_are_through() -> None:
    """Its native code panics where one of them raises, and says so on standard error."""
    through: list[str] = []
    module: dict[str, Any] = {
        "__name__": "polars.datatypes.classes",
        "signal": signal,
        "through": through,
    }
    called = "def called():\n signal.raise_signal(signal.SIGINT)\n through.append('it')"
    exec(called, module)  # noqa: S102 - a function of that module

    @interrupts_first()
    def plan() -> None:
        module["called"]()
        threading.Event().wait(30)

    with pytest.raises(KeyboardInterrupt):
        plan()
    assert through == ["it"]


def test_without_one_every_error_is_itself() -> None:
    with pytest.raises(SourceError, match="is damaged"), interrupts_first():
        raise SourceError("is damaged")


@pytest.mark.parametrize("phase", [1, 2, 3, 4])
def test_a_plan_that_is_interrupted_leaves_no_draft(tmp_path: Path, phase: int) -> None:
    """At each thing that a plan tells of, as the main thread hears of signals between two."""
    told: list[str] = []

    def progress(name: str, done: int, total: int | None) -> None:
        del done, total
        told.append(name)
        if len(told) == phase:
            signal.raise_signal(signal.SIGINT)

    config = load_config(pristo_job(tmp_path, 50))
    with pytest.raises(KeyboardInterrupt):
        plan_job(config, tmp_path / "a.job", progress=progress)
    assert not (tmp_path / "a.job").exists()
    assert plan_job(config, tmp_path / "a.job").status().books.pending == 50


@pytest.mark.parametrize(
    ("after", "number", "code"),
    [
        (0.0, signal.SIGINT, 130),
        (0.02, signal.SIGINT, 130),
        (0.05, signal.SIGTERM, 143),
        (0.1, signal.SIGHUP, 143),
        (0.2, signal.SIGINT, 130),
    ],
)
def test_a_process_that_is_interrupted_clears_up_and_says_how_to_go_on(
    tmp_path: Path, after: float, number: int, code: int
) -> None:
    """Counted in seconds from the moment at which its draft appears."""
    config = pristo_job(tmp_path, 3_000)
    process, deadline = start("plan", config, cwd=tmp_path), time.monotonic() + 60
    while not (tmp_path / "pristo.job" / ".preparing").exists():
        assert time.monotonic() < deadline
        time.sleep(0.001)
    time.sleep(after)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    if process.returncode == 0:  # it was quicker than the interrupt
        assert "The books balance" in out
    else:
        assert (process.returncode, out) == (code, "")
        assert err.splitlines()[-1] == f"interrupted; resume with: backfill plan {config}"
        assert "panicked" not in err
        assert "damaged" not in err
    assert not (tmp_path / "pristo.job" / ".preparing").exists()
    backfill("plan", config, cwd=tmp_path, expect=[0])


def test_an_interrupt_that_is_swallowed_is_heard_at_the_end() -> None:
    """As where it comes in a finalizer, of which Python drops whatever is raised."""
    with pytest.raises(KeyboardInterrupt), interrupts_first():  # noqa: PT012 - the end is meant
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        time.sleep(0)
