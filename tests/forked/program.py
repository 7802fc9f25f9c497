"""A program in a process of its own, forked; and what others find under its name."""

from __future__ import annotations

import atexit
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path

__all__ = ["Program", "command_in", "interpreter_in"]

_PRELOADED = {
    "backfill": (
        "backfill.__main__",
        "backfill.api",
        "backfill.cli.announce",
        "backfill.deliver.delivery",
        "backfill.discover",
        "backfill.ledger.postgres",
        "backfill.rehearsal",
        "backfill.report",
        "backfill.sandbox",
    ),
    "dask": (
        "dask.__main__",
        "distributed.cli.dask_scheduler",
        "distributed.cli.dask_worker",
        "backfill.__main__",
        "backfill.api",
        "backfill.jobs.running.on_workers",
        "backfill.prepare.engines.dask_engine",
        "backfill.prepare.pipeline",
    ),
}
_ENOUGH = 120.0  # seconds until a busy machine has imported them
_COUNT = itertools.count()


class Program:
    """A program at work, as subprocess.Popen has it; what it prints is there at its end.

    It is forked from a process that has imported what its module needs, or what another one needs,
    `forked_from`. `streams` are what it reads from and prints to, if not nothing and files. One
    that leads a `session` hears no signals of this one's terminal.
    """

    def __init__(
        self,
        *arguments: object,
        directory: Path,
        environment: Mapping[str, str],
        module: str = "backfill",
        forked_from: str | None = None,
        streams: Sequence[int] = (),
        session: bool = False,
    ) -> None:
        self.args = [module, *map(str, arguments)]
        self.returncode: int | None = None
        address, number = _address(forked_from or module), next(_COUNT)
        self._printed = [address.with_name(f"{number}.{name}") for name in ("out", "err")]
        request = {
            "module": module,
            "arguments": self.args[1:],
            "directory": str(directory),
            "environment": dict(environment),
            "session": session,
        }
        with ExitStack() as stack:
            if not streams:
                nothing = stack.enter_context(Path(os.devnull).open("rb"))
                files = [stack.enter_context(each.open("wb")) for each in self._printed]
                streams = [each.fileno() for each in (nothing, *files)]
            self._server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._server.connect(str(address))
            socket.send_fds(self._server, [json.dumps(request).encode()], list(streams))
        self._server.settimeout(_ENOUGH)
        self.pid = int(self._server.recv(32))

    def poll(self) -> int | None:
        """Its exit code, or None as long as it runs."""
        return self._look(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and return its exit code. Raises subprocess.TimeoutExpired."""
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return code

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end, and return what it printed. Raises subprocess.TimeoutExpired."""
        try:
            self.wait(timeout)
        except subprocess.TimeoutExpired as error:
            self.send_signal(signal.SIGUSR1)  # it says what it is doing
            self._look(1.0)
            error.add_note("\n".join(self._texts()))
            raise
        out, err = self._texts()
        return out, err

    def send_signal(self, number: int) -> None:
        """Does nothing to one that has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _texts(self) -> list[str]:
        return [each.read_text(encoding="utf-8") for each in self._printed]

    def _look(self, seconds: float | None) -> int | None:
        if self.returncode is None:
            self._server.settimeout(seconds)
            try:
                self.returncode = int(self._server.recv(32))
            except (BlockingIOError, TimeoutError):
                return None
            self._server.close()
        return self.returncode


@cache
def _address(module: str) -> Path:
    """Where a process listens that forks programs of a module; it ends with this one."""
    place = tempfile.TemporaryDirectory(prefix="backfill-forked-", ignore_cleanup_errors=True)
    address = Path(place.name, "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(address))
        listener.listen()
        handle = listener.fileno()
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.forked.server", str(handle), *_PRELOADED[module]],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            pass_fds=[handle],
            start_new_session=True,
        )

    @atexit.register
    def end() -> None:
        assert server.stdin is not None
        server.stdin.close()
        server.wait()
        place.cleanup()

    return address


_COMMAND = """\
#!{python} -IS
import json, os, signal, socket, sys
heard = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
signal.pthread_sigmask(signal.SIG_BLOCK, heard)  # until there is somebody to be told
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
    server.connect({address!r})
    request = {{
        "module": {module!r},
        "arguments": sys.argv[{first}:],
        "directory": os.getcwd(),
        "environment": dict(os.environ),
        "session": False,
    }}
    socket.send_fds(server, [json.dumps(request).encode()], [0, 1, 2])
    number = int(server.recv(32))
    for each in heard:
        signal.signal(each, lambda sent, _: os.kill(number, sent))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, heard)
    code = int(server.recv(32))
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


def command_in(directory: Path, module: str = "backfill") -> Path:
    """Write a command there that has a module's program forked where a shell calls it."""
    return _written(directory / module, module, forked_from=module, first=1)


def interpreter_in(directory: Path, module: str, forked_from: str = "backfill") -> Path:
    """Write a stand-in for Python there, for those that call it with `-m module` and arguments."""
    return _written(directory / "python", module, forked_from=forked_from, first=3)


def _written(command: Path, module: str, *, forked_from: str, first: int) -> Path:
    address = str(_address(forked_from))
    text = _COMMAND.format(python=sys.executable, address=address, module=module, first=first)
    command.write_text(text, encoding="utf-8")
    command.chmod(0o700)
    return command
