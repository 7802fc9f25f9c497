"""How the job stands, and what to do about it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from backfill.core.model import State
from backfill.jobdir.overwrite_guard import free_name
from backfill.jobs.status import Phase, Status
from backfill.report.gather import Figures
from backfill.report.html_summary import balance, books_bar, books_table
from backfill.report.markup import Html, printable, tag, without_secrets
from backfill.report.parts import scrolled, section
from backfill.report.wording import clock, counted

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
    books = status.books
    parts: list[Html | None] = []
    if status.stop is not None:
        parts.append(
            tag("p", "The last run stopped: ", tag("bdi", printable(status.stop.message, 500)))
        )
    if status.quiet_until is not None:
        parts.append(
            tag("p", f"The destination asked for quiet until {clock(status.quiet_until)}.")
        )
    if status.phase is Phase.RUNNING:
        steps = [
            _step("A process is at work on this job. To look on:", ("", status.next or "")),
        ]
        if books.failed or books.unknown:
            steps.append(_step("What failed or is unknown can be settled when it has ended."))
    else:
        steps = list(_steps(status, shlex.quote(status.job)))
    if steps:
        parts.append(tag("ol", steps, class_="steps"))
    else:
        parts.append(tag("p", "Nothing is left to do: whatever could be sent is delivered."))
    return section("next", "What to do next", *parts)


def _steps(status: Status, job: str) -> Iterator[Html]:
    books = status.books
    if books.pending:
        yield _step(
            f"{counted(books.pending, 'is', 'are')} to be sent.", ("To go on:", status.next or "")
        )
    if books.unknown:
        yield _step(
            f"{counted(books.unknown)} sent, and nobody can say whether they arrived.",
            ("See which, and ask the destination:", _records(job, State.UNKNOWN)),
            ("They arrived:", f"backfill resolve {job} --delivered"),
            ("They did not; send them again:", f"backfill resolve {job} --resend"),
            ("They did not, and shall not be sent:", f"backfill resolve {job} --failed"),
        )
    if books.failed:
        yield _step(
            f"{counted(books.failed)} refused.",
            ("Mend them and feed the file back in:", _records(job, State.FAILED)),
            ("Or send them again as they are:", f"backfill retry {job}"),
        )
    if books.rejected:
        yield _step(
            f"{counted(books.rejected)} never sent because a rule was broken.",
            ("Mend them and feed the file back in:", _records(job, State.REJECTED)),
        )


def _records(job: str, state: State) -> str:
    return f"backfill records {job} --state {state} -o {free_name(f'{state}.csv')}"


def _step(message: str, *ways: tuple[str, str]) -> Html:
    """What stands there, and what can be typed.

    Each command stands alone: copied together, one choice would be followed by its opposite.
    """
    return tag(
        "li",
        tag("p", message),
        [
            [tag("p", name, class_="way") if name else None, tag("pre", _code(command))]
            for name, command in ways
        ],
    )


def _code(command: str) -> Html:
    return tag("code", without_secrets(command))
