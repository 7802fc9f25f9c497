"""`python -m tests.forked.server FD MODULE…`: imports modules, and is a program in each fork.

It serves the socket of that number until its standard input ends.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field

__all__ = ["LONGEST", "Request", "main"]

LONGEST = 1 << 17  # bytes of a request, of which the environment is most


@dataclass(frozen=True)
class Request:
    """What a program is started with: `python -m module arguments…`."""

    module: str
    arguments: list[str]
    directory: str
    environment: dict[str, str]
    session: bool  # whether it leads one of its own

    def run(self) -> None:
        """Be that program. Raises SystemExit, as it does at its end."""
        if self.session:
            os.setsid()
        os.chdir(self.directory)
        os.environ.clear()
        os.environ.update(self.environment)
        time.tzset()
        sys.stdin, sys.stdout, sys.stderr = (
            open(number, mode, closefd=False)  # noqa: SIM115 - until the process ends
            for number, mode in enumerate(("r", "w", "w"))
        )
        faulthandler.register(signal.SIGUSR1)  # a test that waits in vain asks what it is doing
        sys.argv = [self.module, *self.arguments]
        module = importlib.import_module(self.module)
        if hasattr(module, "__path__"):  # a package
            module = importlib.import_module(f"{self.module}.__main__")
        module.main()


@dataclass
class _Server:
    """Tells each that asks the number of its process, and later how that ended."""

    listener: socket.socket
    running: dict[int, socket.socket] = field(default_factory=dict)

    def serve(self) -> Request | None:
        """Returns in each fork with what is to be run there, and with None once nobody is left."""
        woken, wake = socket.socketpair()
        for each in (woken, wake):
            each.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        with woken, wake, selectors.DefaultSelector() as looked_at:
            for source in (self.listener, woken, sys.stdin):
                looked_at.register(source, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in looked_at.select()]
                if woken in ready:
                    with suppress(BlockingIOError):
                        woken.recv(4096)
                    self._tell_ends()
                if self.listener in ready and (request := self._fork()) is not None:
                    return request
                if sys.stdin in ready:
                    self._end()
                    return None

    def _fork(self) -> Request | None:
        asked, _ = self.listener.accept()
        content, handles, _, _ = socket.recv_fds(asked, LONGEST, 3)
        request = Request(**json.loads(content))
        if number := os.fork():
            for handle in handles:
                os.close(handle)
            asked.sendall(str(number).encode())
            self.running[number] = asked
            return None
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in (self.listener, asked, *self.running.values()):
            each.close()
        for number, handle in enumerate(handles):
            os.dup2(handle, number)
            os.close(handle)
        return request

    def _tell_ends(self) -> None:
        for number, asked in list(self.running.items()):
            ended, status = os.waitpid(number, os.WNOHANG)
            if ended:
                del self.running[number]
                with asked, suppress(OSError):  # nobody may be left who waits for it
                    asked.sendall(str(os.waitstatus_to_exitcode(status)).encode())

    def _end(self) -> None:
        for number in self.running:
            os.kill(number, signal.SIGKILL)
            os.waitpid(number, 0)


def main() -> None:
    """Serve, or be the program that was asked for."""
    handle, *modules = sys.argv[1:]
    for name in modules:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what is written to in no fork is copied for none
    request = _Server(socket.socket(fileno=int(handle))).serve()
    if request is not None:
        request.run()


if __name__ == "__main__":
    main()
