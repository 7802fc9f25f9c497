"""Whatever happens, as words for a person and an exit code for a script."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
import traceback
from typing import Any

import click

from backfill.cli.logs import is_verbose
from backfill.errors import BackfillError

__all__ = ["Guarded", "leave", "wants_colour"]

log = logging.getLogger("backfill.cli")

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
            _tell(error, verbose=is_verbose(context))
            _let_go_of_stdout()
            context.exit(getattr(error, "exit_code", BackfillError.exit_code))
        return result


def leave(context: click.Context, code: int) -> None:
    """The exit code of what is about to be told, should nobody listen to the end."""
    context.meta[_CODE] = code


def _nobody_listens(error: BaseException, context: click.Context) -> bool:
    """Whether the reader of a pipe left, as `head` does, or the terminal hung up at the end."""
    if isinstance(error, BrokenPipeError):
        return True
    return isinstance(error, OSError) and error.errno == errno.EIO and _CODE in context.meta


def wants_colour() -> bool | None:
    """What the environment says about colour, None where it leaves that to the terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return False if os.environ.get("TERM") == "dumb" else None


def _tell(error: BaseException, *, verbose: bool) -> None:
    """One line and what helps; the whole of it for those who asked."""
    if isinstance(error, BackfillError):
        words = str(error)
    elif isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        words = f"{where}{error.strerror or error}"
    else:
        what = "".join(traceback.format_exception_only(error)).strip()
        words = f"a fault of backfill itself: {what}\n  Please report it"
        words += "." if verbose else ", with what --verbose adds to this."
    if log.hasHandlers():  # without one Python would write it to standard error as well
        log.error("%s", words, exc_info=None if isinstance(error, BackfillError) else error)
    title = click.style("error:", fg="red", bold=True)
    with contextlib.suppress(OSError):
        click.echo(f"{title} {words}", err=True)


def _let_go_of_stdout() -> None:
    """Python would complain while closing about what nobody can take any more."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
