"""`backfill run`."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from backfill.cli.failures import leave
from backfill.cli.options import (
    TypedPath,
    as_json,
    config_or_job_argument,
    delivery_options,
    job_option,
    on_option,
    only_option,
    quiet,
)
from backfill.cli.signals import showing_progress
from backfill.core.model import StopKind

if TYPE_CHECKING:
    from backfill.deliver import Snapshot
    from backfill.jobs.job import Job

__all__ = ["run"]


@click.command(
    epilog="\b\nExample:\n  backfill run pristo.toml --rate 50/s --limit 100",
    short_help="Deliver a job; run again, it goes on where it stood.",
)
@config_or_job_argument
@job_option
@delivery_options
@only_option
@as_json
@click.option(
    "--metrics",
    metavar="FILE",
    type=TypedPath(dir_okay=False, path_type=Path),
    help="Keep a Prometheus text file, replaced every few seconds.",
)
@on_option
@click.option("--yes", "-y", is_flag=True, help="Do not ask before the first request.")
@quiet
@click.pass_context
def run(
    context: click.Context,
    /,
    *,
    config: str,
    job: str | None,
    as_json: bool,
    metrics: Path | None,
    on: str | None,
    yes: bool,
    quiet: bool,
    **changes: Any,
) -> None:
    """Deliver a job to its destination.

    Plans first if need be. Run again, it goes on where it stood. CONFIG may also be a job's
    directory. The first Ctrl-C finishes what is in flight and records it; a second one leaves
    at once, and what was in flight is then unknown.

    With --on one deliverer is started on each worker of a cluster, and this command shows how far
    they are together. The job needs storage and ledger under [cluster], and each worker the
    credential in its own environment.
    """
    from backfill.cli.announce import announce  # noqa: PLC0415 - `--help` answers without these
    from backfill.cli.text import print_json, print_status  # noqa: PLC0415
    from backfill.jobs.opening import find_or_plan, refuse_lone  # noqa: PLC0415
    from backfill.jobs.running.credentials import credential_for  # noqa: PLC0415
    from backfill.progress.progress import PlanBar  # noqa: PLC0415

    if on is not None:
        refuse_lone(config, job)
    with _workers(on) as workers:
        with PlanBar(quiet=quiet, lines=True) as bar:
            found = find_or_plan(
                config, job, base_url=changes.get("base_url"), on=workers, progress=bar
            )
        settings = found.settings(changes)
        found.refuse_other_address(settings)
        credential = credential_for(found.destination) if on is None else None
        if not announce(found, settings, ask=not yes):
            context.exit(StopKind.INTERRUPTED.exit_code)
        with (
            showing_progress(found, settings, quiet=quiet) as (show, halt),
            _keeping_metrics(found, metrics, show) as observe,
        ):
            status = found.run(
                observe=observe, halt=halt, credential=credential, on=workers, **changes
            )
    if on is not None and "backfill run " in (status.next or ""):
        status = replace(status, next=f"{status.next} --on {shlex.quote(on)}")
    leave(context, status.exit_code)
    if as_json:
        print_json(status.as_dict())
    else:
        print_status(status)
    if status.stop is not None and as_json:
        click.echo(f"stopped: {status.stop.message}", err=True)
    context.exit(status.exit_code)


@contextmanager
def _workers(on: str | None) -> Iterator[object]:
    """A connection to the workers that `--on` names, for the plan and the run; None without it."""
    if on is None:
        yield None
        return
    from backfill.prepare.engines.opening import cluster_on  # noqa: PLC0415 - an extra

    with cluster_on(on) as cluster:
        yield cluster.client


@contextmanager
def _keeping_metrics(
    job: Job, path: Path | None, show: Callable[[Snapshot], None]
) -> Iterator[Callable[[Snapshot], None]]:
    """Write what is shown to a metrics file as well, where one is asked for."""
    if path is None:
        yield show
        return
    from backfill.jobdir.overwrite_guard import refuse_own_files  # noqa: PLC0415
    from backfill.progress.metrics_file import MetricsFile  # noqa: PLC0415

    refuse_own_files(path, job.directory, job.manifest, job.config)
    with MetricsFile(path, job.status().books) as metrics:

        def observe(snapshot: Snapshot) -> None:
            show(snapshot)
            metrics(snapshot)

        yield observe
