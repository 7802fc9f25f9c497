"""What the program logs, for people (`--verbose`) and for machines (`--log-file`).

Only the command line configures logging; the library never does.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from backfill.cli.options import TypedPath
from backfill.core.errors import ConfigError

__all__ = ["JsonLines", "is_verbose", "show_warnings", "with_logging"]

_FIRST = b'{"time": "'  # how a line of the log begins
_VERBOSE = "backfill.verbose"
_FAILURES = "backfill.cli.failures"  # prints the error that ends a command by itself
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and what the record bears besides."""

    def format(self, record: logging.LogRecord) -> str:
        content: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        content |= {name: value for name, value in vars(record).items() if name not in _OWN}
        if record.exc_info:
            content["traceback"] = self.formatException(record.exc_info)
        return json.dumps(content, ensure_ascii=False, default=str)


class _AroundBars(logging.StreamHandler[Any]):
    """Writes to standard error without tearing a bar that is shown there."""

    def __init__(self, line: str, time: str | None = None) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(logging.Formatter(line, time))
        self.addFilter(lambda record: record.name != _FAILURES)

    def emit(self, record: logging.LogRecord) -> None:
        tqdm = sys.modules.get("tqdm")
        if tqdm is None:
            super().emit(record)
            return
        with tqdm.tqdm.external_write_mode(file=sys.stderr):
            super().emit(record)


def is_verbose(context: click.Context) -> bool:
    """Whether `--verbose` was given to the command that runs."""
    return bool(context.meta.get(_VERBOSE))


def show_warnings(context: click.Context) -> None:
    """Write what is warned of to standard error until the command has ended."""
    _add(context, _AroundBars("warning: %(message)s"), logging.WARNING)


def with_logging(command: click.Command) -> click.Command:
    """Add `--verbose` and `--log-file` to a command."""
    command.params += [
        click.Option(
            ["--verbose", "-v"],
            is_flag=True,
            expose_value=False,
            callback=_once(_be_verbose),
            help="Log to standard error, and show the traceback of a fault.",
        ),
        click.Option(
            ["--log-file"],
            metavar="FILE",
            type=TypedPath(),
            expose_value=False,
            callback=_once(_log_to_file),
            help="Append what is logged to FILE, as lines of JSON.",
        ),
    ]
    return command


def _once(
    act: Callable[[click.Context, Any], None],
) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(context: click.Context, option: click.Parameter, value: Any) -> None:
        del option
        if value and not context.resilient_parsing:
            act(context, value)

    return callback


def _be_verbose(context: click.Context, flag: object) -> None:
    del flag
    context.meta[_VERBOSE] = True
    handler = _AroundBars("%(asctime)s %(name)s: %(message)s", "%H:%M:%S")
    handler.addFilter(lambda record: record.levelno < logging.WARNING)  # those are shown anyway
    _add(context, handler, logging.DEBUG)


def _log_to_file(context: click.Context, name: str) -> None:
    # Not for help.
    from backfill.cli.log_file import LogFile  # noqa: PLC0415
    from backfill.jobdir.overwrite_guard import refuse_other_content  # noqa: PLC0415

    refuse_other_content(Path(name), _FIRST)
    try:
        handler = LogFile(Path(name))
    except OSError as error:
        raise ConfigError(
            f"cannot be written: {error.strerror}", where=f"--log-file {name}"
        ) from None
    handler.setFormatter(JsonLines())
    _add(context, handler, logging.INFO)


def _add(context: click.Context, handler: logging.Handler, level: int) -> None:
    """Have the program's own loggers write to a handler until the command has ended."""
    handler.setLevel(level)
    logger, before = logging.getLogger("backfill"), logging.getLogger("backfill").level
    logger.addHandler(handler)
    if before == logging.NOTSET or before > level:
        logger.setLevel(level)

    def end() -> None:
        logger.removeHandler(handler)
        logger.setLevel(before)
        handler.close()

    context.find_root().call_on_close(end)
