"""The page: every section in the order in which a colleague would ask."""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files

from backfill.destinations import destination
from backfill.model import State
from backfill.report.bound import bound_section
from backfill.report.course import course_of, percentile
from backfill.report.face import balance, books_bar, books_table, swatch
from backfill.report.gather import Figures, Reason
from backfill.report.markup import Html, join, printable, tag, without_secrets
from backfill.report.pictures import PHONE_BARS, Picture
from backfill.report.tables import course_table, replies_table, table, times_table
from backfill.report.wording import (
    COLOURS,
    amount,
    clock,
    duration,
    milliseconds,
    share,
)
from backfill.status import Phase
from backfill.version import VERSION

__all__ = ["page"]

_CELL = 200  # characters of a cell or of a server's words that are shown
_CUT = " A dotted line stands where a pause between requests was cut out."


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
        _books(figures),
        _next(figures),
        _over_time(figures, pictures),
        _latency(figures, pictures),
        _reasons(figures),
        _event_times(figures, pictures),
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


# --- top and bottom --------------------------------------------------------------------------


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
        rate = status.rate or (requests.sent / course.seconds if course.seconds else None)
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


# --- the books, and what to do ---------------------------------------------------------------


def _books(figures: Figures) -> Html:
    books = figures.status.books
    return _section(
        "books",
        "The books",
        tag("figure", books_bar(books)),
        _scrolled(books_table(books), "The books"),
        balance(books),
    )


def _next(figures: Figures) -> Html:
    status = figures.status
    books, job = status.books, shlex.quote(status.job)
    parts: list[Html | None] = []
    if status.stop is not None:
        parts.append(
            tag("p", "The last run stopped: ", tag("bdi", printable(status.stop.message, 500)))
        )
    if status.quiet_until is not None:
        parts.append(
            tag("p", f"The destination asked for quiet until {clock(status.quiet_until)}.")
        )
    steps: list[Html] = []
    if status.phase is Phase.RUNNING:
        steps.append(_step("A process is at work on this job. To look on:", status.next))
    elif books.pending:
        steps.append(
            _step(f"{_records(books.pending, 'is', 'are')} to be sent. To go on:", status.next)
        )
    if books.unknown:
        steps.append(
            _step(
                f"{_records(books.unknown)} sent, and nobody can say whether they arrived. See"
                " which, ask the destination, then settle them in one of these ways:",
                f"backfill records {job} --state unknown -o unknown.csv",
                f"backfill resolve {job} --resend",
                f"backfill resolve {job} --delivered",
                f"backfill resolve {job} --failed",
            )
        )
    if books.failed:
        steps.append(
            _step(
                f"{_records(books.failed)} refused. Mend them and feed the file back in, or send"
                " them again as they are:",
                f"backfill records {job} --state failed -o failed.csv",
                f"backfill retry {job}",
            )
        )
    if books.rejected:
        steps.append(
            _step(
                f"{_records(books.rejected)} never sent because a rule was broken. Mend them and"
                " feed the file back in:",
                f"backfill records {job} --state rejected -o rejected.csv",
            )
        )
    if steps:
        parts.append(tag("ol", steps, class_="steps"))
    else:
        parts.append(tag("p", "Nothing is left to do: whatever could be sent is delivered."))
    return _section("next", "What to do next", *parts)


def _step(words: str, *commands: str | None) -> Html:
    lines = [tag("code", without_secrets(each)) for each in commands if each]
    return tag("li", tag("p", words), tag("pre", *_lines(lines)) if lines else None)


def _lines(parts: Iterable[Html]) -> list[Html]:
    found: list[Html] = []
    for part in parts:
        found += [Html("\n"), part] if found else [part]
    return found


def _records(count: int, one: str = "was", many: str = "were") -> str:
    return f"1 record {one}" if count == 1 else f"{amount(count)} records {many}"


# --- over time -------------------------------------------------------------------------------


def _over_time(figures: Figures, pictures: Mapping[str, Picture]) -> Html:
    course = figures.course
    if not course.bins:
        return _section("time", "Over time", tag("p", "Nothing was sent yet."))
    first, last = course.bins[0].start, course.bins[-1].stop
    most = max(course.bins, key=lambda each: each.sent / each.seconds)
    pauses = len(course.stretches) - 1
    words = (
        f"From {clock(first)} to {clock(last)}; {duration(course.seconds)} of it at work"
        + (
            f", with {amount(pauses)} longer pause{'s' if pauses > 1 else ''} between"
            if pauses
            else ""
        )
        + f". The busiest slice had {amount(most.sent / most.seconds)} requests a second."
    )
    cut = _CUT if pauses else ""
    caption = [
        tag("span", f"Mean over {duration(width)}, in UTC.{cut}", class_=kind)
        for kind, width in (
            ("desk", course.width),
            ("phone", course_of(figures.ticks, PHONE_BARS).width),
        )
    ]
    allowed = ""
    if figures.limit is not None:
        allowed = f" The dashed line is the rate that was configured: {amount(figures.limit)}."
    return _section(
        "time",
        "Over time",
        tag("p", words),
        tag("h3", "Records a second, by outcome"),
        _figure(pictures["outcomes"], words, caption) if "outcomes" in pictures else None,
        tag("h3", "Requests a second, and those told to slow down"),
        _figure(pictures["requests"], words, [*caption, allowed])
        if "requests" in pictures
        else None,
        _alternative(
            course_table(course_of(figures.ticks, 100)), "Outcomes, requests and replies over time"
        ),
    )


def _latency(figures: Figures, pictures: Mapping[str, Picture]) -> Html:
    latency = figures.course.latency
    rows = [
        (f"p{round(each * 100)}", f"{round(each * 100)}% of the replies came within", value)
        for each in (0.5, 0.9, 0.99)
        if (value := percentile(latency, each)) is not None
    ]
    if not rows:
        return _section("latency", "How long replies took", tag("p", "There was no reply yet."))
    words = ", ".join(f"{name} {milliseconds(value)}" for name, _, value in rows)
    words = f"{amount(latency.total())} replies: {words}."
    return _section(
        "latency",
        "How long replies took",
        table(
            "Percentiles",
            ("", "Meaning", "Time"),
            [(name, meaning, f"about {milliseconds(value)}") for name, meaning, value in rows],
            numbers={2},
            kind="compact",
        ),
        tag("h3", "Percentiles over time"),
        _figure(pictures["latency"], words, "On a logarithmic scale."),
        tag("h3", "Replies by how long they took"),
        _figure(pictures["replies"], words, "Each bar reaches to 1.4 times where it begins."),
        _alternative(replies_table(latency), "Replies by how long they took"),
    )


def _event_times(figures: Figures, pictures: Mapping[str, Picture]) -> Html:
    times = figures.times
    parts: list[Html | None] = []
    if times.counts and times.first and times.last:
        words = (
            f"From {times.first:%Y-%m-%d %H:%M} to {times.last:%Y-%m-%d %H:%M},"
            f" counted by {times.unit}, in UTC."
        )
        parts += [
            tag(
                "p",
                "The records that passed the rules, by their own time and by where they stand now.",
            ),
            _figure(pictures["times"], words, words) if "times" in pictures else None,
            _alternative(times_table(times), f"Records by {times.unit}"),
        ]
    if times.without:
        count = sum(times.without.values())
        parts.append(tag("p", f"{_records(count, 'has', 'have')} no time."))
    return _section(
        "when",
        "When the records happened",
        *(parts or [tag("p", "No record is ready to be sent.")]),
    )


# --- why -------------------------------------------------------------------------------------


def _reasons(figures: Figures) -> Html:
    status, facts = figures.status, figures.manifest.facts
    parts: list[Html | None] = []
    if any(status.reasons.values()):
        most = max(status.reasons.values())
        rows = [
            (
                tag("code", tag("bdi", rule)),
                _meter(count, most, COLOURS[State.REJECTED]),
                tag(
                    "ul",
                    [
                        tag("li", _place(each.file, each.row), ": ", _quoted(each.value))
                        for each in facts.examples.get(rule, ())
                    ],
                    class_="cases",
                )
                if facts.examples.get(rule)
                else "",
            )
            for rule, count in _sorted(status.reasons)
        ]
        parts += [
            tag("h3", swatch(COLOURS[State.REJECTED]), "Rejected: the rules that were broken"),
            tag("p", "A record that breaks two rules is counted under both and rejected once."),
            table("Rejected", ("Rule", "Records", "For example"), rows, wrap={2}, kind="stacked"),
        ]
    if any(status.dropped.values()):
        most = max(status.dropped.values())
        parts += [
            tag("h3", "Left out of their records"),
            tag("p", "Optional values that broke a rule; their records go without them."),
            table(
                "Left out",
                ("Rule", "Values"),
                [
                    (tag("code", tag("bdi", rule)), _meter(count, most, COLOURS[State.DUPLICATE]))
                    for rule, count in _sorted(status.dropped)
                ],
                kind="compact",
            ),
        ]
    titles = {
        State.FAILED: "Failed: the destination's words",
        State.UNKNOWN: "Unknown: why nobody can say",
        State.DELIVERED: "Delivered, with a remark",
    }
    for state, title in titles.items():
        found = [reason for reason in figures.reasons if reason.state is state]
        if found:
            other = figures.other_reasons.get(state)
            parts += [
                tag("h3", swatch(COLOURS[state]), title),
                _outcomes(state, [*found, other] if other else found),
            ]
    return _section(
        "reasons",
        "Reasons",
        *(parts or [tag("p", "No record was rejected, failed or is unknown.")]),
    )


def _outcomes(state: State, reasons: list[Reason]) -> Html:
    most = max(reason.records for reason in reasons)
    rows = [
        (
            tag("bdi", printable(reason.words, _CELL)) if reason.words else "no words",
            str(reason.http_status or "-"),
            _meter(reason.records, most, COLOURS[state]),
            tag(
                "ul",
                [
                    tag(
                        "li",
                        _place(case.file, case.row),
                        (", request ", tag("code", tag("bdi", printable(case.request_id, 80))))
                        if case.request_id
                        else None,
                    )
                    for case in reason.cases
                ],
                class_="cases",
            )
            if reason.cases
            else "",
        )
        for reason in reasons
    ]
    heads = ("Words", "HTTP", "Records", "For example")
    return table(state.value, heads, rows, wrap={0, 3}, kind="stacked")


def _place(file: str, row: int) -> Html:
    return join((tag("bdi", without_secrets(file)), f" row {amount(row)}"))


def _quoted(value: str | None) -> Html:
    if value is None:
        return tag("span", "no value", class_="none")
    if not value:
        return tag("span", "empty", class_="none")
    return tag("q", tag("bdi", printable(value, _CELL)))


def _meter(count: int, most: int, colour: str) -> Html:
    """A number with a small bar that compares it to the largest of its table."""
    bar = tag(
        "svg",
        tag("rect", width=f"{max(1.0, 100 * count / most):.1f}", height="6", rx="1", fill=colour),
        viewBox="0 0 100 6",
        preserveAspectRatio="none",
        class_="meter",
        aria_hidden="true",
    )
    return tag("div", tag("span", amount(count), class_="number"), bar, class_="metered")


def _sorted(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(
        ((name, count) for name, count in counts.items() if count),
        key=lambda each: (-each[1], each[0]),
    )


# --- what sections are made of ---------------------------------------------------------------


def _section(name: str, title: str, *parts: Html | None) -> Html:
    return tag(
        "section",
        tag("h2", title, id=f"{name}-title"),
        parts,
        id=name,
        aria_labelledby=f"{name}-title",
    )


def _figure(picture: Picture, words: str, caption: str | Sequence[str]) -> Html:
    return tag(
        "figure",
        tag(
            "div",
            tag("div", picture.desk, class_="desk"),
            tag("div", picture.phone, class_="phone"),
            role="img",
            aria_label=f"{picture.title}. {words}",
        ),
        tag("figcaption", caption),
    )


def _alternative(content: Html, title: str) -> Html:
    return tag("details", tag("summary", "The figures as a table"), _scrolled(content, title))


def _scrolled(content: Html, title: str) -> Html:
    return tag("div", content, class_="scroll", role="region", tabindex="0", aria_label=title)
