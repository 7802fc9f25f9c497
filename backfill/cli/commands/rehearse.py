"""`backfill rehearse`."""

from __future__ import annotations

import shlex
from functools import partial
from typing import TYPE_CHECKING

import click

from backfill.cli.options import as_json, config_argument, faults_option, quiet
from backfill.core.terminal import path_argument

if TYPE_CHECKING:
    from backfill.rehearsal import Rehearsal

__all__ = ["rehearse"]


@click.command(
    epilog="\b\nExample:\n  backfill rehearse pristo.toml --limit 1000 --fault 429=1%",
    short_help="The whole way, against a sandbox of its own.",
)
@config_argument
@click.option("--limit", metavar="N", type=click.IntRange(1), help="Send at most N records.")
@faults_option
@click.option("--keep", is_flag=True, help="Keep the rehearsal's directory, to look around in it.")
@as_json
@quiet
@click.pass_context
def rehearse(
    context: click.Context,
    *,
    config: str,
    limit: int | None,
    faults: tuple[str, ...],
    keep: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Plan and deliver on this machine alone, and tell what the server saw.

    Plans CONFIG anew into a directory of its own, delivers it to a sandbox on a free port, and
    throws both away. Nothing leaves the machine, no credential is needed, and no job of yours
    is touched. It goes as fast as the machine allows; the time of the real run is told.
    """
    from backfill.cli.signals import showing_progress  # noqa: PLC0415
    from backfill.cli.text import print_json, print_status  # noqa: PLC0415 - not for `--help`
    from backfill.config import load_config  # noqa: PLC0415
    from backfill.jobdir.job_paths import job_directory  # noqa: PLC0415
    from backfill.progress.progress import PlanBar  # noqa: PLC0415
    from backfill.rehearsal import rehearse as rehearsed  # noqa: PLC0415

    loaded = load_config(config)
    with PlanBar(quiet=quiet, lines=True) as bar:
        found = rehearsed(
            loaded,
            name=job_directory(config),
            limit=limit,
            faults=faults,
            keep=keep,
            progress=bar,
            watch=partial(showing_progress, quiet=quiet),
        )
    if as_json:
        print_json(found.as_dict())
    else:
        print_status(found.status)
        _print_rehearsal(found, config)
    context.exit(found.exit_code)


def _print_rehearsal(found: Rehearsal, config: str) -> None:
    click.secho("\nWhat the server saw", bold=True)
    for line in found.seen_in_words():
        click.secho(f"  {line}", fg="red" if found.disturbed else None)
    click.echo(f"\n{found.real_run_in_words()}")
    if found.kept is not None:
        click.echo(f"The rehearsal lies in {shlex.quote(str(found.kept))}.")
    click.echo(f"This was a rehearsal; the real run: backfill run {path_argument(config)}")
