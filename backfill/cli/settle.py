"""`backfill retry` and `backfill resolve`: what a person decides after a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from backfill.cli.options import as_json, job_argument

if TYPE_CHECKING:
    from backfill.jobs.choice import Settled
    from backfill.jobs.job import Job

__all__ = ["resolve", "retry"]

_Command = TypeVar("_Command", bound=Callable[..., Any])

_CHOICES = (
    click.option(
        "--from", "source", metavar="FILE", help="Only the rows of a file that `records` wrote."
    ),
    click.option("--status", metavar="CODE", type=int, help="Only those with this HTTP status."),
    click.option("--reason", metavar="TEXT", help="Only those whose reason holds this text."),
)


def _choice_options(command: _Command) -> _Command:
    for option in reversed(_CHOICES):
        command = option(command)
    return command


@click.command(
    epilog="\b\nExample:\n  backfill retry pristo.job --status 422",
    short_help="Make failed records pending again.",
)
@job_argument
@_choice_options
@as_json
def retry(job: str, as_json: bool, **choice: Any) -> None:
    """Make `failed` records `pending` again, to be sent by the next run: all, or a choice."""
    from backfill.jobs.opening import open_job  # noqa: PLC0415 - not for `--help`

    _refuse_several(choice)
    found = open_job(job)
    _tell(found, found.retry(**choice), "failed", "pending again", as_json=as_json)


@click.command(
    epilog="\b\nExample:\n  backfill resolve pristo.job --resend",
    short_help="Settle unknown records.",
)
@job_argument
@click.option("--resend", is_flag=True, help="Send them again; some may arrive twice.")
@click.option("--delivered", is_flag=True, help="They did arrive.")
@click.option("--failed", is_flag=True, help="They did not, and shall not be sent.")
@_choice_options
@as_json
def resolve(
    job: str, resend: bool, delivered: bool, failed: bool, as_json: bool, **choice: Any
) -> None:
    """Say what becomes of `unknown` records: those of which nobody can say whether they arrived.

    All of them, or a choice. `backfill records JOB --state unknown` lists them, with the request
    ids under which the destination's support can look them up.
    """
    from backfill.jobs.opening import open_job  # noqa: PLC0415 - not for `--help`

    if resend + delivered + failed != 1:
        raise click.UsageError("specify exactly one of --resend, --delivered, --failed")
    _refuse_several(choice)
    to: Literal["resend", "delivered", "failed"]
    to, state = ("resend", "pending") if resend else ("failed", "failed")
    if delivered:
        to = state = "delivered"
    found = open_job(job)
    settled = found.resolve(to, **choice)
    _tell(found, settled, "unknown", f"{state} now", as_json=as_json)


def _refuse_several(choice: dict[str, Any]) -> None:
    if sum(each is not None for each in choice.values()) > 1:
        raise click.UsageError("specify exactly one of --from, --status, --reason, or none for all")


def _tell(job: Job, settled: Settled, before: str, now: str, *, as_json: bool) -> None:
    from backfill.cli.text import print_json, print_status  # noqa: PLC0415 - not for `--help`

    records = "record is" if settled == 1 else "records are"
    click.echo(f"{settled:,} {before} {records} {now}.", err=as_json)
    if settled.ignored:
        rows = "row of the file is" if settled.ignored == 1 else "rows of the file are"
        click.echo(f"{settled.ignored:,} {rows} not {before}; nothing changed there.", err=as_json)
    status = job.status()
    if as_json:
        content = {"settled": int(settled), "ignored": settled.ignored}
        print_json({**status.as_dict(), "exit_code": 0, **content})
    else:
        print_status(status)
