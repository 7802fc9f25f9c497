"""`backfill pace`."""

from __future__ import annotations

import click

from backfill.cli.options import as_json, concurrency_option, job_argument, rate_option

__all__ = ["pace"]


@click.command(
    epilog="\b\nExample:\n  backfill pace pristo.job --rate 20/s\n"
    "  backfill pace pristo.job --pause",
    short_help="Change a run that goes on: rate, concurrency, a pause.",
)
@job_argument
@rate_option
@concurrency_option
@click.option("--pause", is_flag=True, help="Send nothing until told to go on.")
@click.option("--go-on", is_flag=True, help="Go on after a pause.")
@as_json
def pace(
    *,
    job: str,
    rate: str | None,
    concurrency: int | None,
    pause: bool,
    go_on: bool,
    as_json: bool,
) -> None:
    """Change how fast a job is sent: the run that goes on, within a second, and those after it.

    What is in flight is finished. A run that is told its own --rate or --concurrency begins with
    that. Without an option it says what holds, in the run that goes on or else for the next one.
    """
    from backfill.cli.text import print_json, rate_in_words  # noqa: PLC0415 - not for `--help`
    from backfill.jobdir.store_addresses import named  # noqa: PLC0415
    from backfill.jobs.opening import open_job  # noqa: PLC0415
    from backfill.jobs.status import Phase  # noqa: PLC0415

    if pause and go_on:
        raise click.UsageError("specify at most one of --pause, --go-on")
    found = open_job(job)
    said = found.pace(rate=rate, concurrency=concurrency, pause=pause, go_on=go_on)
    settings = found.settings_in_force()
    if as_json:
        content = {"rate": said.rate, "concurrency": said.concurrency, "paused": said.paused}
        holds = {"rate": settings.rate, "concurrency": settings.concurrency}
        print_json({"job": named(found.directory), **content, "in_force": holds})
        return
    shown = rate_in_words(settings.rate) if settings.rate else "the rate is found"
    click.echo(
        f"{named(found.directory)}: {shown}, at most {settings.concurrency} in flight"
        + (", paused" if said.paused else "")
    )
    if go_on and (status := found.status()).phase is not Phase.RUNNING and status.next:
        click.echo(f"No run goes on. Next: {status.next}")
