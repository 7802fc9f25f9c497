"""`python -m backfill.cli.deliverer run …`: the command line, for a process that a worker started.

It ends in order when its standard input does, which the worker holds: so it never goes on by itself
where the worker was killed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from backfill.cli import command_line

__all__ = ["main"]


def main() -> None:
    """Run the command line and leave with its exit code."""
    # Ignored where the worker was started in the background of a shell; here it is an order.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_end_with_input, name="backfill-parent", daemon=True).start()
    try:
        code = command_line()
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def _end_with_input() -> None:
    """Hang up when the input ends: unlike other signals this one may follow upon another."""
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGHUP)


if __name__ == "__main__":
    main()
