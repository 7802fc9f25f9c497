"""A test leaves the process hearing what it heard before: later tests share it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["unchanged_signal_handlers"]


# Those that have a name; a look at the thirty others takes as long, before and after each test. The
# time limit of a test rests on SIGALRM, and is lifted as soon as the test fails.
_NUMBERS = [
    int(each)
    for each in signal.valid_signals()
    if isinstance(each, signal.Signals) and each != signal.SIGALRM
]


def _handlers() -> dict[int, object]:
    return {number: signal.getsignal(number) for number in _NUMBERS}


@contextmanager
def unchanged_signal_handlers() -> Iterator[None]:
    """Fail where a handler is another one at the end, and put back the one that was there."""
    before = _handlers()
    yield
    after = _handlers()
    changed = [number for number, handler in before.items() if after[number] != handler]
    for number in changed:
        handler = before[number]
        if handler is None:  # not installed from Python, so it cannot be put back from here
            continue
        signal.signal(number, handler)  # type: ignore[arg-type]
    assert not changed, "left with another handler: " + ", ".join(
        f"{signal.Signals(number).name} ({before[number]} became {after[number]})"
        for number in changed
    )
