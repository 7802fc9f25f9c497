"""The process of the command line: what holds from its first line to its end, and in it alone."""

from __future__ import annotations

import io
import os
import signal
import sys
from contextlib import suppress

__all__ = ["main"]


def main() -> None:
    """Run the command line and leave with its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a name is no reason to fail in an ASCII locale
    try:
        from backfill.cli import command_line  # noqa: PLC0415 - an interrupt may come meanwhile

        code = command_line()
        # What is told holds: an interrupt that comes while the process ends changes nothing.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt:
        # Python would end by the signal, and not with our code, where the interrupt came while
        # it was making a class from text, as dataclasses do.
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(130)
    sys.exit(code)


if __name__ == "__main__":
    main()
