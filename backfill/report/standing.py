"""How the job stands, and what to do about it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from backfill.report.face import balance, books_bar, books_table
from backfill.report.gather import Figures
from backfill.report.markup import Html, printable, tag, without_secrets
from backfill.report.parts import scrolled, section
from backfill.report.wording import clock, counted
from backfill.status import Phase

__all__ = ["books_section", "next_section"]


def books_section(figures: Figures) -> Html:
    """The books as a bar and a table."""
    books = figures.status.books
    return section(
        "books",
        "The books",
        tag("figure", books_bar(books)),
        scrolled(books_table(books), "The books"),
        balance(books),
    )


def next_section(figures: Figures) -> Html:
    """What to type now, for each state that waits for a person."""
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
            _step(f"{counted(books.pending, 'is', 'are')} to be sent. To go on:", status.next)
        )
    if books.unknown:
        steps.append(
            _step(
                f"{counted(books.unknown)} sent, and nobody can say whether they arrived. See"
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
                f"{counted(books.failed)} refused. Mend them and feed the file back in, or send"
                " them again as they are:",
                f"backfill records {job} --state failed -o failed.csv",
                f"backfill retry {job}",
            )
        )
    if books.rejected:
        steps.append(
            _step(
                f"{counted(books.rejected)} never sent because a rule was broken. Mend them and"
                " feed the file back in:",
                f"backfill records {job} --state rejected -o rejected.csv",
            )
        )
    if steps:
        parts.append(tag("ol", steps, class_="steps"))
    else:
        parts.append(tag("p", "Nothing is left to do: whatever could be sent is delivered."))
    return section("next", "What to do next", *parts)


def _step(words: str, *commands: str | None) -> Html:
    lines = [tag("code", without_secrets(each)) for each in commands if each]
    return tag("li", tag("p", words), tag("pre", *_lines(lines)) if lines else None)


def _lines(parts: Iterable[Html]) -> list[Html]:
    found: list[Html] = []
    for part in parts:
        found += [Html("\n"), part] if found else [part]
    return found
