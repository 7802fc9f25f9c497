"""What `retry` and `resolve` share: a choice of records, and what became of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from backfill.cli.options import TypedPath

if TYPE_CHECKING:
    from backfill.jobs.choice import Settled
    from backfill.jobs.job import Job

__all__ = ["choice_options", "print_settled", "refuse_several"]

_Command = TypeVar("_Command", bound=Callable[..., Any])

_CHOICES = (
    click.option(
        "--from",
        "source",
        metavar="FILE",
        type=TypedPath(),
        help="Only the rows of a file that `records` wrote.",
    ),
    click.option("--status", metavar="CODE", type=int, help="Only those with this HTTP status."),
    click.option("--reason", metavar="TEXT", help="Only those whose reason holds this text."),
)


def choice_options(command: _Command) -> _Command:
    """Add the options that choose some of the records."""
    for option in reversed(_CHOICES):
        command = option(command)
    return command


def refuse_several(choice: dict[str, Any]) -> None:
    """Raise UsageError where a choice was made in more than one way."""
    if sum(each is not None for each in choice.values()) > 1:
        raise click.UsageError("specify exactly one of --from, --status, --reason, or none for all")


def print_settled(job: Job, settled: Settled, before: str, now: str, *, as_json: bool) -> None:
    """How many records changed from one state to another, and how the job stands now."""
    from backfill.cli.text import print_json, print_status  # noqa: PLC0415 - not for `--help`

    records = "record is" if settled == 1 else "records are"
    click.echo(f"{settled:,} {before} {records} {now}.", err=as_json)
    if settled.ignored:
        what = f"rows of the file are no {before} records"
        if settled.ignored == 1:
            what = f"row of the file is no {before} record"
        words = f"{settled.ignored:,} {what} of this job; nothing changed there."
        click.echo(words, err=as_json)
    status = job.status()
    if as_json:
        content = {"settled": int(settled), "ignored": settled.ignored}
        print_json({**status.as_dict(), "exit_code": 0, **content})
    else:
        print_status(status)
