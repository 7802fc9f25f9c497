"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = ["as_json", "config_argument", "delivery_options", "job_argument", "job_option"]

_Command = TypeVar("_Command", bound=Callable[..., Any])

config_argument = click.argument("config", metavar="CONFIG", type=click.Path())
job_argument = click.argument("job", metavar="JOB", type=click.Path())
job_option = click.option(
    "--job",
    metavar="DIR",
    type=click.Path(),
    help="The job's directory.  [default: CONFIG without its ending, plus .job]",
)
as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object; all else goes to stderr."
)

_DELIVERY = (
    click.option("--rate", metavar="R", help='Requests: "50/s", "3000/min" or "auto".'),
    click.option("--concurrency", metavar="N", type=int, help="Requests in flight at most."),
    click.option("--limit", metavar="N", type=int, help="Send at most N records in this run."),
    click.option("--max-duration", metavar="T", help='Stop after this time: "30m", "2h".'),
    click.option("--max-errors", metavar="X", help='Failed records allowed: "100" or "1%".'),
    click.option("--base-url", metavar="URL", help="Where the destination is."),
)


def delivery_options(command: _Command) -> _Command:
    """Add the options that override the configuration's [delivery] for one run."""
    for option in reversed(_DELIVERY):
        command = option(command)
    return command
