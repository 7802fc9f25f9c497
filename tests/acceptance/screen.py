"""The real program on a pseudo-terminal, and the screen that a person would see."""

from __future__ import annotations

import os
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyte

from tests.acceptance.program import CREDENTIALS
from tests.forked.program import Program

__all__ = ["Terminal", "on_a_terminal"]


class Terminal:
    """A screen of 80 columns, fed by the program that runs on it."""

    def __init__(self, process: Program, master: int, columns: int) -> None:
        self.process = process
        self.raw = b""
        self._screen = pyte.Screen(columns, 60)
        self._stream = pyte.ByteStream(self._screen)
        self._master = master
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def lines(self) -> list[str]:
        """What stands on the screen now, without trailing space."""
        with self._lock:
            lines = [line.rstrip() for line in self._screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def until(self, seen: Callable[[str], object], timeout: float = 40) -> str:
        """Wait until the screen is as it should be. Returns its text at that moment."""
        deadline = time.monotonic() + timeout
        while not seen(text := self.text):
            assert time.monotonic() < deadline, f"the screen never came to that:\n{text}"
            time.sleep(0.02)
        return text

    def end(self, timeout: float = 40) -> int:
        """Wait for the program's end. Returns its exit code."""
        code = self.process.wait(timeout)
        self._reader.join(10)
        return code

    def _read(self) -> None:
        with suppress(OSError):  # on Linux the end of the other side is an error
            while data := os.read(self._master, 65536):
                with self._lock:
                    self.raw += data
                    self._stream.feed(data)


@contextmanager
def on_a_terminal(
    *arguments: str | Path, cwd: Path, columns: int = 80, **environment: str
) -> Iterator[Terminal]:
    """Start the program on a terminal; what still runs at the end is killed."""
    master, slave = os.openpty()
    termios.tcsetwinsize(slave, (60, columns))
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in ("CI", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
    }
    process = Program(
        *arguments,
        directory=cwd,
        environment={
            **inherited,
            **CREDENTIALS,
            "TERM": "xterm-256color",
            "POLARS_MAX_THREADS": "2",
            **environment,
        },
        streams=[slave] * 3,
        session=True,
    )
    os.close(slave)
    try:
        yield Terminal(process, master, columns)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)
        os.close(master)
