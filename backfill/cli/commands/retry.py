"""`backfill retry`."""

from __future__ import annotations

from typing import Any

import click

from backfill.cli.choice import choice_options, print_settled, refuse_several
from backfill.cli.options import as_json, job_argument

__all__ = ["retry"]


@click.command(
    epilog="\b\nExample:\n  backfill retry pristo.job --status 422",
    short_help="Make failed records pending again.",
)
@job_argument
@choice_options
@as_json
def retry(job: str, as_json: bool, **choice: Any) -> None:
    """Make `failed` records `pending` again, to be sent by the next run: all, or a choice."""
    from backfill.jobs.opening import open_job  # noqa: PLC0415 - not for `--help`

    refuse_several(choice)
    found = open_job(job)
    print_settled(found, found.retry(**choice), "failed", "pending again", as_json=as_json)
