"""`backfill resolve`."""

from __future__ import annotations

from typing import Any, Literal

import click

from backfill.cli.choice import choice_options, print_settled, refuse_several
from backfill.cli.options import as_json, job_argument

__all__ = ["resolve"]


@click.command(
    epilog="\b\nExample:\n  backfill resolve pristo.job --resend",
    short_help="Settle unknown records.",
)
@job_argument
@click.option("--resend", is_flag=True, help="Send them again; some may arrive twice.")
@click.option("--delivered", is_flag=True, help="They did arrive.")
@click.option("--failed", is_flag=True, help="They did not, and shall not be sent.")
@choice_options
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
    refuse_several(choice)
    to: Literal["resend", "delivered", "failed"]
    to, state = ("resend", "pending") if resend else ("failed", "failed")
    if delivered:
        to = state = "delivered"
    found = open_job(job)
    settled = found.resolve(to, **choice)
    print_settled(found, settled, "unknown", f"{state} now", as_json=as_json)
