"""A thread that calls a function now and then, and no longer than it is to."""

from __future__ import annotations

import threading

from backfill.progress.repeating import Repeating


def test_it_calls_until_it_is_stopped_and_is_gone_then():
    called, times = threading.Event(), []

    def function() -> None:
        times.append(threading.current_thread().name)
        if len(times) == 3:
            called.set()

    repeating = Repeating(function, 0.001, name="again-and-again")
    repeating.start()
    assert called.wait(20)
    repeating.stop()
    before = len(times)
    assert set(times) == {"again-and-again"}
    assert "again-and-again" not in {each.name for each in threading.enumerate()}
    assert len(times) == before


def test_one_that_never_began_can_be_stopped():
    Repeating(lambda: None, 1, name="never").stop()
