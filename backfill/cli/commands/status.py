"""`backfill status`."""

from __future__ import annotations

import click

from backfill.cli.options import as_json, job_argument

__all__ = ["status"]


@click.command(
    epilog="\b\nExample:\n  backfill status pristo.job",
    short_help="The books, the rate, what to do next.",
)
@job_argument
@as_json
def status(job: str, as_json: bool) -> None:
    """Show how a job stands. JOB is its directory or its configuration file."""
    from backfill.cli.text import print_json, print_status  # noqa: PLC0415 - not for `--help`
    from backfill.jobs.opening import open_job  # noqa: PLC0415

    found = open_job(job).status()
    if as_json:
        print_json(found.as_dict())
    else:
        print_status(found)
