"""The process of the command line: what holds from its first line to its end, and in it alone."""

from __future__ import annotations

import io
import os
import signal
import sys
from contextlib import suppress

__all__ = ["main"]


class _Heedless(io.TextIOWrapper):
    """A text stream to which nothing that cannot be written is a fault."""

    def write(self, text: str, /) -> int:
        with suppress(OSError):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def _prepare_streams() -> None:
    """Attach what the caller has closed to nobody, and let what is told to people fail.

    A file that is opened later would take the number of a closed stream; and a log whose disk is
    full is no reason to stop sending.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            handle = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
            os.set_inheritable(handle, True)
            setattr(sys, name, os.fdopen(handle, "w" if number else "r", closefd=False))
    if isinstance(sys.stderr, io.TextIOWrapper):
        words = io.FileIO(sys.stderr.fileno(), "w", closefd=False)
        sys.stderr = _Heedless(
            io.BufferedWriter(words), sys.stderr.encoding, "backslashreplace", line_buffering=True
        )


def _as_an_interrupt() -> list[int]:
    """Have SIGTERM and SIGHUP end what runs as Ctrl-C does, which clears up.

    Returns those that came. Whoever has told the process to ignore one has meant it. A delivery
    hears them in a way of its own.
    """
    came: list[int] = []

    def hear(number: int, frame: object) -> None:
        del frame
        came.append(number)
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, hear)
    return came


def main() -> None:
    """Run the command line and leave with its exit code."""
    came = _as_an_interrupt()
    _prepare_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a name is no reason to fail in an ASCII locale
    try:
        from backfill.cli import command_line  # noqa: PLC0415 - an interrupt may come meanwhile

        code = command_line(came)
        # What is told holds: an interrupt that comes while the process ends changes nothing.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
    except KeyboardInterrupt:
        # Python would end by the signal, and not with our code, where the interrupt came while
        # it was making a class from text, as dataclasses do.
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(128 + (signal.SIGTERM if came else signal.SIGINT))
    sys.exit(code)


if __name__ == "__main__":
    main()
