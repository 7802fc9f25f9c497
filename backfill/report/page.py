"""The page: every section in the order in which a colleague would ask."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files

from backfill.core.terminal import duration
from backfill.core.version import VERSION
from backfill.destinations import destination
from backfill.jobs.status import Phase
from backfill.report.bound import bound_section
from backfill.report.gather import Figures
from backfill.report.markup import Html, tag, without_secrets
from backfill.report.pictures import Picture
from backfill.report.reasons import reasons
from backfill.report.standing import books_section, next_section
from backfill.report.timeline import event_times, over_time, replies
from backfill.report.timeline_bins import percentile
from backfill.report.wording import amount, clock, milliseconds, share

__all__ = ["page"]


def page(figures: Figures, pictures: Mapping[str, Picture]) -> str:
    """The whole report as one HTML document that asks nothing of any network."""
    style = files("backfill.report").joinpath("page.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    title = destination(figures.manifest.destination).title
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", f"Backfill to {title}: {figures.status.phase}"),
        Html(f"<style>{style}</style>"),
    )
    sections = [
        books_section(figures),
        next_section(figures),
        over_time(figures, pictures),
        replies(figures, pictures),
        reasons(figures),
        event_times(figures, pictures),
        bound_section(figures.manifest),
    ]
    body = tag(
        "body",
        tag("a", "To the books", href="#books", class_="skip"),
        _header(figures),
        tag("main", sections),
        _footer(figures),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _header(figures: Figures) -> Html:
    status, manifest = figures.status, figures.manifest
    names = [without_secrets(entry.name) for entry in manifest.events]
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more files" if len(names) > 3 else "")
    return tag(
        "header",
        tag("p", "Backfill report", class_="kind"),
        tag("h1", destination(manifest.destination).title, class_="title"),
        tag(
            "p",
            tag("span", status.phase.value, class_=f"phase {status.phase}"),
            " ",
            tag("bdi", shown),
        ),
        tag("p", "Sent to ", tag("bdi", status.place)) if status.place else None,
        _key_figures(figures),
        class_="top",
    )


def _key_figures(figures: Figures) -> Html:
    status, facts = figures.status, figures.manifest.facts
    books, requests, course = status.books, status.requests, figures.course
    found: list[tuple[str, str, str]] = [
        (
            "Delivered",
            amount(books.delivered),
            f"{share(books.delivered, books.input)} of the input",
        )
    ]
    if books.pending:
        left = "to be sent"
        if status.seconds_left is not None:
            left = f"about {duration(status.seconds_left)} to go"
        found.append(("Pending", amount(books.pending), left))
    if requests.sent:
        repeated = f"{amount(requests.retried)} of them again"
        found.append(("Requests", amount(requests.sent), repeated))
        # A first run that is still at work has not written its duration down yet.
        rate = status.rate or (None if course.brief else requests.sent / course.seconds)
        if rate:
            found.append(("Rate", f"{amount(rate)}/s", "requests while at work"))
        slowed = share(requests.throttled, requests.sent)
        found.append(("Throttled", slowed, f"{amount(requests.throttled)} requests"))
        middle, high = (percentile(course.latency, each) for each in (0.5, 0.99))
        if middle is not None and high is not None:
            found.append(
                ("Typical reply", milliseconds(middle), f"99% within {milliseconds(high)}")
            )
    elif facts.requests:
        found.append(("Requests", amount(facts.requests), "are needed"))
        found.append(("Keys", amount(facts.keys), "sent in order of time"))
    cards = [
        tag("div", tag("dt", name), tag("dd", value, tag("small", note)))
        for name, value, note in found
    ]
    return tag("dl", cards, class_="cards")


def _footer(figures: Figures) -> Html:
    running = figures.status.phase is Phase.RUNNING
    return tag(
        "footer",
        tag("p", "Job ", tag("code", tag("bdi", without_secrets(figures.status.job)))),
        tag(
            "p",
            f"Made {clock(figures.made_at)} by backfill {VERSION}"
            + (", while the job was running." if running else "."),
        ),
        tag("p", "This page shows values of the source; treat it as you treat the source."),
    )
