"""A job in a notebook: the books as a picture and a table, and what to type next.

Light on purpose: a notebook shows a job often. The colours stand out from light and dark pages
alike, and the table says the same as the picture, also where a viewer lets none through.
"""

from __future__ import annotations

from collections.abc import Sequence

from backfill.checks.rules import rule_brief
from backfill.destinations import destination
from backfill.jobdir.manifest import Facts, Manifest
from backfill.jobs.status import Status
from backfill.report.drawing import books_chart
from backfill.report.templating import render

__all__ = ["job_html", "rehearsal_html", "status_html"]


def job_html(status: Status, manifest: Manifest) -> str:
    """A job: where it goes, its books, and what to type next."""
    return _summary(status, manifest.facts)


def status_html(status: Status) -> str:
    """How a job stands, as a notebook shows what a run came to."""
    return _summary(status, None)


def rehearsal_html(status: Status, words: Sequence[str]) -> str:
    """What a rehearsal came to, and in words what its server saw and the real run needs."""
    return _summary(status, None, words)


def _summary(status: Status, facts: Facts | None, words: Sequence[str] = ()) -> str:
    return render(
        "summary.html",
        title=destination(status.destination).title,
        status=status,
        facts=facts,
        words=words,
        chart=books_chart(status.books),
        rules=_rules(status),
    )


def _rules(status: Status) -> list[tuple[str, list[tuple[str, int, str]]]]:
    """Rules with their counts and what each means, most frequent first, as `status` says it."""
    kinds = (
        ("Excluded by", status.exclusions),
        ("Rejected because of", status.reasons),
        ("Left out of their records", status.dropped),
    )
    return [
        (
            title,
            [
                (name, count, rule_brief(name))
                for name, count in sorted(counts.items(), key=lambda each: (-each[1], each[0]))
                if count
            ],
        )
        for title, counts in kinds
        if any(counts.values())
    ]
