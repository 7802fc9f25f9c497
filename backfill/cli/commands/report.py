"""`backfill report`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from backfill.cli.options import TypedPath, job_argument

if TYPE_CHECKING:
    from backfill.report import Format

__all__ = ["report"]


@click.command(
    epilog="\b\nExample:\n  backfill report pristo.job -o report.html",
    short_help="One self-contained page with pictures.",
)
@job_argument
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=TypedPath(),
    help="Where to.  [default: report.html in the job's directory]",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["html", "png", "svg"]),
    help="A page, or each picture as a file; png needs the extra `report`.  [default: as FILE]",
)
def report(job: str, output: str | None, kind: Format | None) -> None:
    """Write what happened as one page that needs no network, or its pictures.

    It may be written at any moment, also while the job is running. JOB is its directory or its
    configuration file.
    """
    from backfill.jobs.opening import open_job  # noqa: PLC0415 - not for `--help`
    from backfill.report import write_report  # noqa: PLC0415

    for path in write_report(open_job(job), output, kind):
        click.echo(path)
