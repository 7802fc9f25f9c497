"""What every test may count on."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator

import pytest

from tests.signal_handlers import unchanged_signal_handlers

# What programs of the user share on a machine, tests share with nobody.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="backfill-state-")
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="backfill-cache-")

# Each program that a test starts would compile the package anew, and most run for less time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Whoever starts the tests in the background of a script, or under `nohup`, has these ignored here
# and in every process that a test starts; tests of Ctrl-C and of lost terminals need them heard.
for number, handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: much of a test's time is spent waiting for another process."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(autouse=True)
def _signal_handlers() -> Iterator[None]:
    """What a test changes of the process is no later test's concern."""
    with unchanged_signal_handlers():
        yield
