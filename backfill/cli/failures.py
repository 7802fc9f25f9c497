"""Whatever happens, as words for a person and an exit code for a script."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import sys
import traceback
from typing import Any

import click

from backfill.cli.logs import is_verbose
from backfill.cli.options import asks_for_json
from backfill.core.errors import BackfillError

__all__ = [
    "Guarded",
    "error_object",
    "leave",
    "line_asks_for_json",
    "print_error",
    "wants_colour",
]

log = logging.getLogger(__name__)

_CODE = "backfill.exit_code"


class Guarded(click.Group):
    """A group whose commands end in an exit code, and in no traceback that nobody asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a job needs them."""
        del ctx
        return list(self.commands)

    def invoke(self, context: click.Context) -> Any:
        try:
            result = super().invoke(context)
            sys.stdout.flush()
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except (SystemExit, KeyboardInterrupt):
            raise
        # A panic in a native library is no Exception, and ends here like every other fault.
        except BaseException as error:  # noqa: BLE001 - told, with --verbose in full
            if _nobody_listens(error, context):  # what the command came to holds
                _let_go_of_stdout()
                context.exit(context.meta.get(_CODE, 0))
            if _is_only_text(error, context):
                warning = click.style("warning:", fg="yellow", bold=True)
                click.echo(f"{warning} standard output: {_words(error, verbose=False)}", err=True)
                _let_go_of_stdout()
                context.exit(context.meta[_CODE])
            code = getattr(error, "exit_code", BackfillError.exit_code)
            verbose = is_verbose(context)
            message = _words(error, verbose=verbose)
            _tell(error, message, verbose=verbose)
            if asks_for_json(context) and _CODE not in context.meta:
                print_error(message, code, error)
            _let_go_of_stdout()
            context.exit(code)
        return result


def leave(context: click.Context, code: int) -> None:
    """The exit code of what is about to be told, should nobody listen to the end."""
    context.meta[_CODE] = code


def _nobody_listens(error: BaseException, context: click.Context) -> bool:
    """Whether the reader of a pipe left, as `head` does, or the terminal hung up at the end."""
    if isinstance(error, BrokenPipeError):
        return True
    return isinstance(error, OSError) and error.errno == errno.EIO and _CODE in context.meta


def _is_only_text(error: BaseException, context: click.Context) -> bool:
    """Whether all is done but for words to people that could not be written, as to a full disk."""
    unwritten = isinstance(error, OSError) and error.filename is None
    return unwritten and _CODE in context.meta and not asks_for_json(context)


def wants_colour() -> bool | None:
    """What the environment says about colour, None where it leaves that to the terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return False if os.environ.get("TERM") == "dumb" else None


def _words(error: BaseException, *, verbose: bool) -> str:
    """One line and what helps."""
    if isinstance(error, BackfillError):
        return str(error)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    what = "".join(traceback.format_exception_only(error)).strip()
    message = f"internal error: {what}\n  Please report it"
    return message + ("." if verbose else ", with what --verbose adds to this.")


def _tell(error: BaseException, message: str, *, verbose: bool) -> None:
    """The words on standard error, once; the log file and --verbose have the traceback, too."""
    unexpected = None if isinstance(error, BackfillError) else error
    if log.hasHandlers():  # without one Python would write it to standard error as well
        log.error("%s", message, exc_info=unexpected)
    title = click.style("error:", fg="red", bold=True)
    with contextlib.suppress(OSError):
        click.echo(f"{title} {message}", err=True)
        if verbose and unexpected is not None:
            click.echo("".join(traceback.format_exception(unexpected)), err=True, nl=False)


def line_asks_for_json() -> bool:
    """Whether the command line asks for an object, also where it could not be read."""
    return "--json" in sys.argv[1:]


def error_object(message: str, code: int, error: BaseException | None = None) -> str:
    """What a script reads in the place of the object that it asked for."""
    parts = {"message": message, "where": None, "hint": None}
    if isinstance(error, BackfillError):
        parts = {"message": error.message, "where": error.where, "hint": error.hint}
    return json.dumps({"error": parts, "exit_code": code}, ensure_ascii=False)


def print_error(message: str, code: int, error: BaseException | None = None) -> None:
    """Tell a script, if it can be told."""
    with contextlib.suppress(OSError):
        click.echo(error_object(message, code, error))


def _let_go_of_stdout() -> None:
    """Python would complain while closing about what nobody can take any more."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
