"""The books as a picture and a table, and a job's HTML face in a notebook.

Light on purpose: a notebook shows a job often. The picture is drawn by hand, its colours stand
out from light and dark pages alike, and the table beside it says the same in words, also where
a notebook viewer lets no picture through.
"""

from __future__ import annotations

from backfill.core.model import Books, State
from backfill.core.terminal import duration
from backfill.destinations import destination
from backfill.jobdir.manifest import Manifest
from backfill.jobs.status import Phase, Status
from backfill.report.markup import Html, join, tag, without_secrets
from backfill.report.wording import COLOURS, amount, moment, requests, share

__all__ = ["balance", "books_bar", "books_html", "books_table", "job_html", "status_html", "swatch"]

_WIDTH, _HEIGHT = 1000.0, 36.0
_SLIVER = 6.0  # width that even a single record gets
_SPACE = 3.0

# Only what a notebook's own table style would get wrong; colours of text are the page's own.
_STYLE = Html(
    "<style>"
    ".backfill-face{max-width:44rem;margin:.3rem 0}"
    ".backfill-face p{margin:.35rem 0}"
    ".backfill-face svg.books{display:block;width:100%;height:1.6rem;margin:.5rem 0}"
    ".backfill-face svg.swatch{width:.75em;height:.75em;margin-right:.5em}"
    ".backfill-face table{border-collapse:collapse;margin:.3rem 0}"
    ".backfill-face th,.backfill-face td{background:none;border:0;color:inherit;padding:.1rem .9rem"
    " .1rem 0;text-align:left;font-weight:normal}"
    ".backfill-face td.number{text-align:right;font-variant-numeric:tabular-nums}"
    ".backfill-face .none{opacity:.65}"
    "</style>"
)


def job_html(status: Status, manifest: Manifest) -> str:
    """A job's face in a notebook: where it goes, its books, and what to type next."""
    facts = manifest.facts
    lines = []
    if facts.first_time and facts.last_time:
        lines.append(f"Records from {moment(facts.first_time)} to {moment(facts.last_time)}.")
    if facts.requests and not status.requests.sent:
        verb = "is" if facts.requests == 1 else "are"
        lines.append(f"{requests(facts.requests)} {verb} needed.")
    return _face(status, lines)


def status_html(status: Status) -> str:
    """How a job stands, as a notebook shows what a run came to."""
    return _face(status, [])


def _face(status: Status, lines: list[str]) -> str:
    if status.place is not None:
        lines.insert(0, f"The records went to {status.place}.")
    if status.requests.sent:
        sent = status.requests
        rate = f"; {amount(status.rate)} a second" if status.rate else ""
        lines.append(f"{requests(sent.sent)}, {amount(sent.throttled)} throttled{rate}.")
    if status.seconds_left is not None and status.phase is not Phase.COMPLETE:
        lines.append(f"About {duration(status.seconds_left)} to go.")
    return tag(
        "div",
        _STYLE,
        tag(
            "p",
            tag("strong", destination(status.destination).title),
            f" · {status.phase} · ",
            tag("code", without_secrets(status.job)),
        ),
        books_html(status.books),
        tag("p", " ".join(lines)) if lines else None,
        tag("p", f"Stopped: {status.stop.message}") if status.stop else None,
        tag("p", "Next: ", tag("code", without_secrets(status.next))) if status.next else None,
        class_="backfill-face",
    )


def books_html(books: Books) -> Html:
    """The books as a bar, a table, and whether they balance."""
    return join((books_bar(books), books_table(books), balance(books)))


def balance(books: Books) -> Html:
    """One sentence that says whether every record is accounted for, loudly if not."""
    if books.balanced:
        return tag("p", "The books balance: every record of the input is in exactly one state.")
    found = sum(books.count(state) for state in State)
    return tag(
        "p",
        tag("strong", "THE BOOKS DO NOT BALANCE."),
        f" {amount(books.input)} records came in and {amount(found)} are accounted for."
        " Please report this, and send nothing more until it is understood.",
        role="alert",
        class_="alarm",
    )


def books_bar(books: Books) -> Html:
    """One bar, a segment for each state that has records; none is too narrow to be seen."""
    there = [state for state in COLOURS if books.count(state) > 0]
    message = ", ".join(f"{state} {amount(books.count(state))}" for state in there) or "no records"
    total = sum(books.count(state) for state in there)
    room = _WIDTH - _SPACE * max(0, len(there) - 1)
    # What the slivers get beyond their share is taken from the others in proportion.
    small = [state for state in there if room * books.count(state) < _SLIVER * total]
    rest = sum(books.count(state) for state in there if state not in small)
    left = room - _SLIVER * len(small)
    segments, x = [], 0.0
    for state in there:
        width = _SLIVER if state in small else left * books.count(state) / rest
        segments.append(
            tag(
                "rect",
                x=f"{x:.2f}",
                y="0",
                width=f"{width:.2f}",
                height=f"{_HEIGHT:g}",
                fill=COLOURS[state],
            )
        )
        x += width + _SPACE
    return tag(
        "svg",
        segments,
        role="img",
        aria_label=f"The books of {amount(books.input)} records: {message}.",
        viewBox=f"0 0 {_WIDTH:g} {_HEIGHT:g}",
        preserveAspectRatio="none",
        class_="books",
    )


def books_table(books: Books) -> Html:
    """The states with their numbers, shares and meanings."""
    rows = [
        tag(
            "tr",
            tag("th", swatch(COLOURS[state]), state.value, scope="row"),
            tag("td", amount(books.count(state)), class_="number"),
            tag("td", share(books.count(state), books.input), class_="number"),
            tag("td", state.meaning, class_="meaning"),
            class_=None if books.count(state) else "none",
        )
        for state in COLOURS
    ]
    total = tag(
        "tr",
        tag("th", "input", scope="row"),
        tag("td", amount(books.input), class_="number"),
        tag("td", class_="number"),
        tag("td", "rows of the events source", class_="meaning"),
    )
    head = tag(
        "tr",
        tag("th", "State", scope="col"),
        tag("th", "Records", scope="col", class_="number"),
        tag("th", "Share", scope="col", class_="number"),
        tag("th", "Meaning", scope="col", class_="meaning"),
    )
    return tag("table", tag("thead", head), tag("tbody", rows), tag("tfoot", total))


def swatch(colour: str) -> Html:
    """A small square of a state's colour, which the state's name stands beside."""
    return tag(
        "svg",
        tag("rect", width="10", height="10", rx="2", fill=colour),
        viewBox="0 0 10 10",
        class_="swatch",
        aria_hidden="true",
    )
