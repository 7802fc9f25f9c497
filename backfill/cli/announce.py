"""What `run` says before the first request, and the one question that it asks."""

from __future__ import annotations

import sys
from urllib.parse import urlsplit

import click

from backfill.cli.text import rate_in_words, wrapped
from backfill.core.terminal import printable
from backfill.core.urls import is_here
from backfill.deliver import Settings
from backfill.jobdir.store_addresses import typed_job
from backfill.jobs.job import Job
from backfill.jobs.status import Phase

__all__ = ["announce"]


def announce(job: Job, settings: Settings, *, ask: bool) -> bool:
    """Say what is about to be sent where. Returns whether to go on.

    On a terminal a person is asked once, where the destination is another machine.
    """
    status = job.status()
    books = status.books
    amount = min(books.pending, settings.limit) if settings.limit else books.pending
    if not amount:
        click.echo("Nothing is pending; nothing will be sent.", err=True)
        return True
    host = urlsplit(settings.base_url).netloc
    here = " (this machine: a rehearsal)" if is_here(settings.base_url) else ""
    if status.phase is Phase.RUNNING:
        pace = "at the pace of the run that goes on"
    else:
        pace = rate_in_words(settings.rate) if settings.rate else "as fast as it allows"
    sending = f"Sending {_count(amount)}"
    if settings.only:
        chosen = " and ".join(f"{k} = {' or '.join(v)}" for k, v in settings.only.items())
        most = f"at most {amount:,} of " if settings.limit else ""
        sending = f"Sending {most}what has {printable(chosen)} of {_count(books.pending)}"
    sentence = (
        f"{sending} to {job.destination.title} at {host}{here}, {pace}, {settings.guarantee}."
    )
    if settings.pace.paused:
        go_on = f"backfill pace {typed_job(job.directory)} --go-on"
        sentence += f" The job is paused: nothing leaves until you say {go_on}"
    # One line for a log, and no word broken in two for a person.
    lines = wrapped(sentence.split(), indent="") if sys.stderr.isatty() else [sentence]
    for line in lines:
        click.echo(line, err=True)
    somewhere = not is_here(settings.base_url)
    if not (ask and somewhere and sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    if click.confirm("Continue?", err=True):
        return True
    click.echo("Nothing was sent.", err=True)
    return False


def _count(records: int) -> str:
    return "1 record" if records == 1 else f"{records:,} records"
