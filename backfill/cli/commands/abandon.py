"""`backfill abandon`."""

from __future__ import annotations

import click

from backfill.cli.options import as_json, job_argument

__all__ = ["abandon"]


@click.command(
    epilog="\b\nExample:\n  backfill abandon pristo.job",
    short_help="Send nothing of a job any more.",
)
@job_argument
@as_json
def abandon(job: str, as_json: bool) -> None:
    """Send nothing of JOB any more.

    What is pending is left so, and the books say it. What is unknown can still be settled with
    `backfill resolve`. There is no way back; what was not delivered can go as a job of its own:
    `backfill plan CONFIG --rest-of JOB`.
    """
    from backfill.cli.text import print_json, print_status  # noqa: PLC0415 - not for `--help`
    from backfill.jobs.opening import open_job  # noqa: PLC0415

    status = open_job(job).abandon()
    if as_json:
        print_json(status.as_dict())
    else:
        print_status(status)
