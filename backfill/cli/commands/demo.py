"""`backfill demo`."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import click

from backfill.cli.options import TypedPath

__all__ = ["demo"]

_CONFIGS = ("pristo.toml", "watch-events.toml", "watch-feedbacks.toml")
_ONE_BY_ONE = (
    "429:0.05=0.3%",
    "503:0.05=0.1%",
    "500-after=0.05%",
    "cut-after=0.05%",
    "bad-item=0.1%",
)
_BATCHES = ("429:0.05=4%", "503:0.05=2%", "500-after=0.5%", "cut-after=0.5%", "bad-item=3%")
_MARK = ".backfill-demo"


@click.command(
    epilog="\b\nExample:\n  backfill demo",
    short_help="The main job on sample data, against the sandbox.",
)
@click.option(
    "--directory",
    type=TypedPath(path_type=Path),
    default=Path("backfill-demo"),
    help="Where the sample data and the three jobs are put.  [default: backfill-demo]",
)
def demo(directory: Path) -> None:
    """Deliver invented sample data to all three destinations, on this machine alone.

    The sandbox throttles, fails and cuts connections now and then, so that every state of a
    record is to be seen. Nothing leaves the machine, and no credential is needed.
    """
    from backfill.api import plan  # noqa: PLC0415 - `--help` answers without these
    from backfill.cli.signals import stop_on_signals  # noqa: PLC0415
    from backfill.cli.text import print_status, program  # noqa: PLC0415
    from backfill.core.atomic_files import free_name  # noqa: PLC0415
    from backfill.core.errors import BackfillError  # noqa: PLC0415
    from backfill.core.secret import Secret  # noqa: PLC0415
    from backfill.core.terminal import path_argument  # noqa: PLC0415
    from backfill.progress.progress import DeliveryBar, PlanBar  # noqa: PLC0415
    from backfill.sandbox import running_sandbox  # noqa: PLC0415

    _lay_out(directory)
    called, place = program(), path_argument(directory)
    commands = []
    balanced = True
    for name in _CONFIGS:
        # A hundred times fewer requests need more of them spoilt, to show what happens then.
        faults = _ONE_BY_ONE if name == "pristo.toml" else _BATCHES
        with running_sandbox(faults=faults, seed=7, retry_after="milliseconds") as server:
            click.secho(f"\n{name}, to a sandbox that now and then misbehaves", bold=True, err=True)
            with PlanBar(lines=True) as bar:
                job = plan(directory / name, progress=bar)
            with (
                stop_on_signals() as halt,
                DeliveryBar(job, halt=halt, lines=True) as observe,
            ):
                status = job.run(
                    observe=observe,
                    halt=halt,
                    credential=Secret("sandbox"),
                    base_url=server.url,
                    concurrency=16,
                    rate="2000/s",
                    max_errors="50%",
                )
            if status.next is not None:  # three jobs, so each has a file of its own
                named = status.next.replace(" -o ", f" -o {Path(name).stem}-")
                status = replace(status, next=named)
            print_status(status, program=called)
            balanced = balanced and status.books.balanced
            if status.stop is not None:
                sys.exit(status.exit_code)
            commands.append(f"{called} status {place}/{name}")
    if not balanced:
        raise BackfillError("the books of the demo do not balance", hint="Please report this.")
    click.secho("\nThree jobs, and every row of them in exactly one state.", bold=True)
    click.echo(f"The files, the configurations and the jobs lie in {directory}/. Look around:")
    for command in (
        f"{called} records {place}/pristo.job --state rejected -o {free_name('rejected.csv')}",
        *commands,
        f"{called} report {place}/pristo.job",
    ):
        click.echo(f"  {command}")


def _lay_out(directory: Path) -> None:
    """Put the sample data into a new directory, or into that of an earlier demo.

    There its jobs and samples are made anew, and what else somebody put beside them stays.
    """
    from backfill.core.errors import ConfigError  # noqa: PLC0415
    from backfill.jobdir.lock import locked  # noqa: PLC0415
    from backfill.jobdir.ownership import clear  # noqa: PLC0415

    if directory.exists():
        if not (directory / _MARK).exists():
            raise ConfigError(
                "exists already and was not made by a demo",
                where=str(directory),
                hint="Name another one with --directory.",
            )
        for name in _CONFIGS:
            job = (directory / name).with_suffix(".job")
            if job.is_dir():
                with locked(job, "demo"):
                    clear(job)
    package = Path(__file__).parents[2]
    # In an installed wheel the samples lie inside the package, in a checkout beside it.
    samples = next(
        place
        for place in (package / "sample_data", package.parent / "sample_data")
        if place.is_dir()
    )
    shutil.copytree(
        samples,
        directory,
        ignore=shutil.ignore_patterns("*.py", "__pycache__", "*.job"),
        dirs_exist_ok=True,
    )
    (directory / _MARK).touch()
