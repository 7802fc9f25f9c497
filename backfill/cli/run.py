"""`backfill run`."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from backfill.cli.failures import leave
from backfill.cli.options import (
    as_json,
    config_or_job_argument,
    delivery_options,
    job_option,
    only_option,
    quiet,
)
from backfill.core.model import StopKind

if TYPE_CHECKING:
    from backfill.deliver import Settings, Snapshot, StopRequest
    from backfill.jobs.job import Job

__all__ = ["run", "showing_progress", "stop_on_signals"]


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
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep a Prometheus text file, replaced every few seconds.",
)
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
    yes: bool,
    quiet: bool,
    **changes: Any,
) -> None:
    """Deliver a job to its destination.

    Plans first if need be. Run again, it goes on where it stood. CONFIG may also be a job's
    directory. The first Ctrl-C finishes what is in flight and records it; a second one leaves
    at once, and what was in flight is then unknown.
    """
    from backfill.cli.announce import announce  # noqa: PLC0415 - `--help` answers without these
    from backfill.cli.text import print_json, print_status  # noqa: PLC0415
    from backfill.jobs.credentials import credential_for  # noqa: PLC0415
    from backfill.jobs.opening import find_or_plan  # noqa: PLC0415
    from backfill.progress.progress import PlanBar  # noqa: PLC0415

    with PlanBar(quiet=quiet, lines=True) as bar:
        found = find_or_plan(config, job, base_url=changes.get("base_url"), progress=bar)
    settings = found.settings(changes)
    found.refuse_other_address(settings)
    credential = credential_for(found.destination)
    if not announce(found, settings, ask=not yes):
        context.exit(StopKind.INTERRUPTED.exit_code)
    with (
        showing_progress(found, settings, quiet=quiet) as (show, halt),
        _keeping_metrics(found, metrics, show) as observe,
    ):
        status = found.run(observe=observe, halt=halt, credential=credential, **changes)
    leave(context, status.exit_code)
    if as_json:
        print_json(status.as_dict())
    else:
        print_status(status)
    if status.stop is not None and as_json:
        click.echo(f"stopped: {status.stop.message}", err=True)
    context.exit(status.exit_code)


@contextmanager
def _keeping_metrics(
    job: Job, path: Path | None, show: Callable[[Snapshot], None]
) -> Iterator[Callable[[Snapshot], None]]:
    """Write what is shown to a metrics file as well, where one is asked for."""
    if path is None:
        yield show
        return
    from backfill.jobdir.overwrite_guard import refuse_own_files  # noqa: PLC0415
    from backfill.progress.metrics import MetricsFile  # noqa: PLC0415

    refuse_own_files(path, job.directory, job.manifest, job.config)
    with MetricsFile(path, job.status().books) as metrics:

        def observe(snapshot: Snapshot) -> None:
            show(snapshot)
            metrics(snapshot)

        yield observe


@contextmanager
def showing_progress(
    job: Job, settings: Settings, *, quiet: bool = False
) -> Iterator[tuple[Callable[[Snapshot], None], StopRequest]]:
    """Show a bar or a line now and then while a job is delivered, and stop it on a signal."""
    from backfill.progress.progress import DeliveryBar  # noqa: PLC0415

    with (
        stop_on_signals() as halt,
        DeliveryBar(job, settings=settings, halt=halt, quiet=quiet, lines=True) as observe,
    ):
        yield observe, halt


def _at_once() -> str:
    """What is said of a run that does not wait for its requests."""
    return (
        "quit at once: the records of requests in flight are unknown now, and `backfill status`"
        f" counts them\nresume with: {shlex.join(['backfill', *sys.argv[1:]])}\n"
    )


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turn the first SIGINT, SIGTERM or SIGHUP into an orderly halt; a second one leaves at once.

    A terminal that closes hangs up more than once, its shell for one and the kernel for another,
    so only the others count as a second one. A signal that was ignored when the process began
    stays so: a shell starts what runs in the background like that, and a Ctrl-C there is meant
    for others.
    """
    from backfill.deliver import StopRequest  # noqa: PLC0415
    from backfill.progress.bars import is_interactive  # noqa: PLC0415

    halt = StopRequest()
    kinds = {
        signal.SIGINT: StopKind.INTERRUPTED,
        signal.SIGTERM: StopKind.TERMINATED,
        signal.SIGHUP: StopKind.TERMINATED,
    }
    received: list[int] = []

    def receive(number: int, frame: object) -> None:
        del frame
        if received:
            if number == signal.SIGHUP:
                return
            # The ledger holds what is in flight, so nothing needs to be put in order first.
            with suppress(OSError):
                os.write(2, _at_once().encode())
            os._exit(128 + number)
        received.append(number)
        with suppress(OSError):  # a terminal that hung up takes no words
            # A bar on a terminal is cleared first; it comes back below.
            os.write(2, b"\r\x1b[J" if is_interactive() else b"\n")
            os.write(2, b"stopping: waiting for requests in flight; Ctrl-C again quits at once\n")
        halt.request(kinds[signal.Signals(number)])

    heard = [number for number in kinds if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, receive) for number in heard}
    try:
        yield halt
    finally:
        # After one, another may come until the process is gone, and must find us then, too.
        if not received:
            for number, handler in before.items():
                signal.signal(number, handler)
