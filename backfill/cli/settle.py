"""`backfill retry` and `backfill resolve`: what a person decides after a run."""

from __future__ import annotations

from typing import Literal

import click

from backfill.cli.options import job_argument

__all__ = ["resolve", "retry"]


@click.command(
    epilog="\b\nExample:\n  backfill retry pristo.job",
    short_help="Make failed records pending again.",
)
@job_argument
def retry(job: str) -> None:
    """Make `failed` records `pending` again, to be sent by the next run."""
    from backfill.cli.text import print_status  # noqa: PLC0415 - not for `--help`
    from backfill.jobs.opening import open_job  # noqa: PLC0415

    found = open_job(job)
    click.echo(f"{found.retry():,} failed records are pending again.")
    print_status(found.status())


@click.command(
    epilog="\b\nExample:\n  backfill resolve pristo.job --resend",
    short_help="Settle unknown records.",
)
@job_argument
@click.option("--resend", is_flag=True, help="Send them again; some may arrive twice.")
@click.option("--delivered", is_flag=True, help="They did arrive.")
@click.option("--failed", is_flag=True, help="They did not, and shall not be sent.")
def resolve(job: str, resend: bool, delivered: bool, failed: bool) -> None:
    """Say what becomes of `unknown` records: those of which nobody can say whether they arrived.

    `backfill records JOB --state unknown` lists them, with the request ids under which the
    destination's support can look them up.
    """
    from backfill.cli.text import print_status  # noqa: PLC0415 - not for `--help`
    from backfill.jobs.opening import open_job  # noqa: PLC0415

    if resend + delivered + failed != 1:
        raise click.UsageError("specify exactly one of --resend, --delivered, --failed")
    found = open_job(job)
    to: Literal["resend", "delivered", "failed"]
    to, state = ("resend", "pending") if resend else ("failed", "failed")
    if delivered:
        to = state = "delivered"
    click.echo(f"{found.resolve(to):,} unknown records are {state} now.")
    print_status(found.status())
