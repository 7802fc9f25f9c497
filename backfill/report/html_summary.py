"""A job in a notebook: the books as a picture and a table, and what to type next.

Light on purpose: a notebook shows a job often. The colours stand out from light and dark pages
alike, and the table says the same as the picture, also where a viewer lets none through.
"""

from __future__ import annotations

from backfill.core.terminal import duration
from backfill.destinations import destination
from backfill.jobdir.manifest import Manifest
from backfill.jobs.status import Phase, Status
from backfill.report.drawing import books_chart
from backfill.report.templating import render
from backfill.report.wording import amount, moment, requests

__all__ = ["job_html", "status_html"]


def job_html(status: Status, manifest: Manifest) -> str:
    """A job: where it goes, its books, and what to type next."""
    facts = manifest.facts
    lines = []
    if facts.first_time and facts.last_time:
        lines.append(f"Records from {moment(facts.first_time)} to {moment(facts.last_time)}.")
    if facts.requests and not status.requests.sent:
        verb = "is" if facts.requests == 1 else "are"
        lines.append(f"{requests(facts.requests)} {verb} needed.")
    return _summary(status, lines)


def status_html(status: Status) -> str:
    """How a job stands, as a notebook shows what a run came to."""
    return _summary(status, [])


def _summary(status: Status, lines: list[str]) -> str:
    if status.place is not None:
        lines.insert(0, f"The records went to {status.place}.")
    if status.requests.sent:
        sent = status.requests
        rate = f"; {amount(status.rate)} a second" if status.rate else ""
        lines.append(f"{requests(sent.sent)}, {amount(sent.throttled)} throttled{rate}.")
    if status.seconds_left is not None and status.phase is not Phase.COMPLETE:
        lines.append(f"About {duration(status.seconds_left)} to go.")
    return render(
        "summary.html",
        title=destination(status.destination).title,
        status=status,
        lines=lines,
        chart=books_chart(status.books),
    )
