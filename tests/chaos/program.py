"""The program in processes of its own, and what a machine can do to a process."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from tests.acceptance.program import Ended, command_of, environment
from tests.promises import Finding

__all__ = [
    "Ended",
    "Process",
    "faketime",
    "mounted",
    "offline",
    "start",
    "unmount",
]

_PATIENCE = 90.0  # seconds after which a process counts as hanging


class Process:
    """A running program. Its output goes to files, so that it never waits for a reader."""

    def __init__(self, command: Sequence[str], cwd: Path, env: dict[str, str]) -> None:
        self._out: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `end`
        self._err: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `end`
        self._popen = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=self._out, stderr=self._err
        )
        self.pid = self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def send(self, number: signal.Signals) -> bool:
        """Send a signal. False where the process had ended before."""
        if not self.running:
            return False
        self._popen.send_signal(number)
        return True

    def end(self) -> Ended:
        """Wait for the end. Raises Finding for a process that hangs or ends in a traceback."""
        try:
            code = self._popen.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
            raise Finding(f"still running after {_PATIENCE:.0f} s: {self._read()}") from None
        ended = Ended(code, *self._read())
        self._out.close()
        self._err.close()
        if "Traceback" in ended.err or "internal error" in ended.err:
            raise Finding(f"ended in a traceback:\n{ended.err}")
        return ended

    def _read(self) -> tuple[str, str]:
        texts = []
        for file in (self._out, self._err):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
        return texts[0], texts[1]


def start(
    *arguments: str | Path, cwd: Path, prefix: Sequence[str] = (), env: dict[str, str] | None = None
) -> Process:
    """Start the program, behind a `prefix` such as `strace`."""
    return Process(
        command_of(*arguments, prefix=prefix),
        cwd,
        {**environment(), "PYTHONPATH": str(Path(__file__).parents[2]), **(env or {})},
    )


# --- what this machine allows ----------------------------------------------------------------


def mounted(directory: Path, megabytes: int) -> bool:
    """Mount a small disk at a directory; False where this user may not."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(directory)]
    # Where it says so and has not, it would be the machine's own disk that is filled.
    return bool(shutil.which("mount")) and _quietly(command) and directory.is_mount()


def unmount(directory: Path) -> None:
    _quietly(["umount", "-l", str(directory)])


def offline() -> tuple[str, ...]:
    """What to put before a command to take its network away; nothing where that is impossible."""
    prefix = ("unshare", "-n")
    return prefix if shutil.which("unshare") and _quietly([*prefix, "true"]) else ()


def faketime(place: Path) -> dict[str, str] | None:
    """The environment of a process whose clock can be set; None without libfaketime.

    The offset in seconds is what the file `clock` in `place` says.
    """
    library = next(Path("/usr/lib").glob("**/libfaketimeMT.so.1"), None)
    if library is None:
        return None
    (place / "clock").write_text("+0")
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(place / "clock"),
        "FAKETIME_CACHE_DURATION": "1",  # seconds between two looks at the file
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def _quietly(command: Sequence[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
