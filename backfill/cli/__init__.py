"""The command line. It says things; every decision is made by `backfill.jobs.job` and below.

Nothing heavy is imported before a command runs, so that `--help` answers at once.
"""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Sequence

import click

from backfill.cli.commands import COMMANDS
from backfill.cli.failures import Guarded, line_asks_for_json, print_error, wants_colour
from backfill.cli.logs import show_warnings, with_logging
from backfill.core.version import VERSION

__all__ = ["command_line"]

_EPILOG = """\b
Exit codes:
  0  everything that could be sent is delivered, nothing rejected or failed
  1  a fault of the program
  2  the command line or the configuration is wrong
  3  finished; some records were rejected or failed
  4  stopped: more errors than max_errors
  5  finished or stopped; some records are unknown
  6  stopped: the destination refused the credential or the address
  7  stopped: the destination is unavailable, or asks to wait longer than max_wait
  8  stopped at --limit or --max-duration
  10  source, configuration or address is not what the job was planned from or sent to
  11  another process works on this job
  130, 143  interrupted; what was in flight was finished and recorded

\b
Example:
  backfill init exports/events.parquet --destination pristo-events
  backfill plan events.toml
  backfill run events.toml --limit 10
  backfill run events.toml

\b
Shell completion (bash; zsh and fish likewise):
  eval "$(_BACKFILL_COMPLETE=bash_source backfill)"
"""

_HELP = {"help_option_names": ["-h", "--help"]}


@click.group(cls=Guarded, epilog=_EPILOG, context_settings={**_HELP, "max_content_width": 96})
@click.version_option(VERSION, prog_name="backfill")
@click.pass_context
def _group(context: click.Context) -> None:
    """Deliver a company's history to Prelude Watch and Pristo.

    Every row of the input is at any moment in exactly one known state, and the books balance.
    """
    show_warnings(context)


for _command in COMMANDS:
    _command.context_settings.update(_HELP)  # for those who call one without the group
    _group.add_command(with_logging(_command))


def _tell_script(message: str, code: int) -> None:
    """A script that asked for an object gets one, also where its command line was not read."""
    if line_asks_for_json():
        print_error(message, code)


def command_line(terminated: Sequence[int] = ()) -> int:
    """Run what the command line says and return its exit code. The caller ends the process.

    Raises KeyboardInterrupt where an interrupt was not heard by a run of its own, after saying
    how to resume. `terminated` has the other signals by then that came as an interrupt.
    """
    try:
        code = _group.main(prog_name="backfill", standalone_mode=False, color=wants_colour())
    except (click.Abort, KeyboardInterrupt):
        command = shlex.join(["backfill", *sys.argv[1:]])
        click.echo(f"interrupted; resume with: {command}", err=True)
        _tell_script("interrupted", 128 + (signal.SIGTERM if terminated else signal.SIGINT))
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        error.show()
        _tell_script(error.format_message(), error.exit_code)
        return error.exit_code
    return code if isinstance(code, int) else 0
