"""`backfill records`."""

from __future__ import annotations

import sys

import click

from backfill.cli.options import TypedPath, job_argument, quiet
from backfill.core.model import State

__all__ = ["records"]


@click.command(
    epilog="\b\nExample:\n  backfill records pristo.job --state failed -o failed.csv",
    short_help="One row per record: where it stands, and why.",
)
@job_argument
@click.option("--state", type=click.Choice([state.value for state in State]), help="Only these.")
@click.option(
    "-o", "--output", metavar="FILE", type=TypedPath(), help="A .csv, .parquet or .ndjson file."
)
@click.option("--force", is_flag=True, help="Write over FILE where it exists.")
@quiet
def records(job: str, state: str | None, output: str | None, force: bool, quiet: bool) -> None:
    """Write one row per record, in the source's order.

    Each has `_file`, `_row`, `_state`, `_reason`, `_http_status`, `_request_id` and the
    source's own columns; without -o as CSV to standard output. Rows of `rejected` and
    `failed`, once fixed, can be imported again as they are.
    """
    from backfill.jobs.opening import open_job  # noqa: PLC0415 - not for `--help`
    from backfill.progress.progress import PlanBar  # noqa: PLC0415

    found = open_job(job)
    target = sys.stdout.buffer if output is None else output
    with PlanBar(quiet=quiet, lines=True) as bar:
        found.write_records(target, state, force=force, progress=bar)
