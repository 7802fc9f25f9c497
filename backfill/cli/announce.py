"""What `run` says before the first request, and the one question that it asks."""

from __future__ import annotations

import sys
from urllib.parse import urlsplit

import click

from backfill.cli.text import wrapped
from backfill.core.model import Books
from backfill.core.terminal import printable
from backfill.core.urls import is_here
from backfill.deliver import Settings
from backfill.jobs.job import Job

__all__ = ["announce"]


def announce(job: Job, settings: Settings, *, ask: bool) -> bool:
    """Say what is about to be sent where. Returns whether to go on.

    On a terminal a person is asked once, where the destination is another machine or another
    one than before.
    """
    books = job.status().books
    amount = min(books.pending, settings.limit) if settings.limit else books.pending
    if not amount:
        click.echo("Nothing is pending; nothing will be sent.", err=True)
        return True
    host = urlsplit(settings.base_url).netloc
    pace = f"{settings.rate:g} requests/s" if settings.rate else "as fast as it allows"
    sending = f"Sending {_count(amount)}"
    if settings.only:
        chosen = " and ".join(f"{k} = {' or '.join(v)}" for k, v in settings.only.items())
        sending = f"Sending what has {printable(chosen)} of {_count(amount)}"
    sentence = f"{sending} to {job.destination.title} at {host}, {pace}, {settings.guarantee}."
    # One line for a log, and no word broken in two for a person.
    lines = wrapped(sentence.split(), indent="") if sys.stderr.isatty() else [sentence]
    for line in lines:
        click.echo(line, err=True)
    before = _elsewhere(job, settings)
    if before is not None:
        _warn(before, host, books)
    somewhere = not is_here(settings.base_url) or before is not None
    if not (ask and somewhere and sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    if click.confirm("Continue?", err=True):
        return True
    click.echo("Nothing was sent.", err=True)
    return False


def _elsewhere(job: Job, settings: Settings) -> str | None:
    """The host of the last run where it was another one."""
    last = job.last_base_url
    if last is None or last == settings.base_url:
        return None
    return urlsplit(last).netloc


def _warn(before: str, host: str, books: Books) -> None:
    """What one host took, the other one never sees: a rehearsal is to be a job of its own."""
    settled = books.delivered + books.failed + books.unknown
    if not settled:
        return
    text = (
        f"Warning: the last run of this job sent to {printable(before)}. The {_count(settled)} that"
        f" are settled already will not be sent to {host}. For a rehearsal, plan a job of its own"
        " with --job."
    )
    for line in wrapped(text.split(), indent=""):
        click.secho(line, fg="yellow", err=True)


def _count(records: int) -> str:
    return "1 record" if records == 1 else f"{records:,} records"
