"""The program's first lines: an interrupt while the rest is loaded ends it like any other."""

from __future__ import annotations

import os

__all__ = ["main"]


def main() -> None:
    """Run the command line and leave with its exit code."""
    try:
        from backfill.cli import main as command_line  # noqa: PLC0415 - it takes its time
    except KeyboardInterrupt:
        os._exit(130)  # `sys.exit` may leave by the signal instead, see `backfill.cli.main`
    command_line()


if __name__ == "__main__":
    main()
