"""The program in a process of its own, forked from one that has imported it already.

Importing takes more than a second of a processor, a fork some milliseconds; all else is as in a
process that was started from a command line.
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import sys
from pathlib import Path

from backfill.cli import command_line
from tests.acceptance.program import environment

__all__ = ["Program"]

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    [
        "backfill.cli.announce",
        "backfill.cli.commands.run",
        "backfill.deliver.delivery",
        "backfill.jobs.opening",
        "backfill.ledger.postgres",
        "pytest",  # the children look it up as the main module of the process that asks for them
        "tests.together.forked",
    ]
)


class Program:
    """A command line at work. Its output goes to files in `place`, as does what it complains of."""

    def __init__(self, *arguments: object, place: Path, cwd: Path, **more: str) -> None:
        self._out, self._err = place / "out", place / "err"
        place.mkdir()
        command = (list(map(str, arguments)), cwd, environment(**more), self._out, self._err)
        self._process = _SERVER.Process(target=_run, args=command, daemon=True)
        self._process.start()

    def send_signal(self, number: signal.Signals) -> None:
        """Does nothing to one that has ended."""
        if self._process.pid is not None and self._process.is_alive():
            os.kill(self._process.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, seconds: float) -> tuple[int, str, str]:
        """Wait for its end: the exit code, the output, and what was complained of."""
        self._process.join(seconds)
        if (code := self._process.exitcode) is None:
            self.send_signal(signal.SIGUSR1)  # and have it say what it is doing
            self._process.join(1)
        out, err = (path.read_text(encoding="utf-8") for path in (self._out, self._err))
        assert code is not None, f"no end after {seconds} s\n{out}\n{err}"
        return code, out, err


def _run(arguments: list[str], cwd: Path, surroundings: dict[str, str], *output: Path) -> None:
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(surroundings)
    for number, path in enumerate((Path(os.devnull), *output)):
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(handle, number)
        os.close(handle)
    faulthandler.register(signal.SIGUSR1)
    sys.argv = ["backfill", *arguments]
    sys.exit(command_line())
