"""Why records were rejected, failed or are unknown, with examples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from backfill.core.model import State
from backfill.report.gather import Case, Figures, Reason
from backfill.report.html_summary import swatch
from backfill.report.markup import Html, join, printable, tag, without_secrets
from backfill.report.parts import section
from backfill.report.tables import table
from backfill.report.wording import COLOURS, amount

__all__ = ["reasons"]

_CELL = 200  # characters of a cell or of a server's words that are shown
_ID = 80  # and of a request's id

_TITLES = {
    State.FAILED: "Failed: the destination's words",
    State.UNKNOWN: "Unknown: why nobody can say",
    State.DELIVERED: "Delivered, with a remark",
}


def reasons(figures: Figures) -> Html:
    """The section: what rules were broken, and what the destination said."""
    parts = [*_rejected(figures), *_left_out(figures)]
    for state, title in _TITLES.items():
        found = [reason for reason in figures.reasons if reason.state is state]
        if state in figures.other_reasons:
            found.append(figures.other_reasons[state])
        if found:
            parts += [tag("h3", swatch(COLOURS[state]), title), _outcomes(state, found)]
    if not parts:
        parts.append(tag("p", "No record was rejected, failed or is unknown."))
    return section("reasons", "Reasons", *parts)


def _rejected(figures: Figures) -> list[Html]:
    examples = figures.manifest.facts.examples
    rows = [
        (
            tag("code", tag("bdi", rule)),
            meter,
            _cases(
                [_place(each.file, each.row), ": ", _quoted(each.value)]
                for each in examples.get(rule, ())
            ),
        )
        for rule, meter in _metered(figures.status.reasons, COLOURS[State.REJECTED])
    ]
    if not rows:
        return []
    return [
        tag("h3", swatch(COLOURS[State.REJECTED]), "Rejected: the rules that were broken"),
        tag("p", "A record that breaks two rules is counted under both and rejected once."),
        table("Rejected", ("Rule", "Records", "For example"), rows, wrap={2}, kind="stacked"),
    ]


def _left_out(figures: Figures) -> list[Html]:
    rows = [
        (tag("code", tag("bdi", rule)), meter)
        for rule, meter in _metered(figures.status.dropped, COLOURS[State.DUPLICATE])
    ]
    if not rows:
        return []
    return [
        tag("h3", "Left out of their records"),
        tag("p", "Optional values that broke a rule; their records go without them."),
        table("Left out", ("Rule", "Values"), rows, wrap={0}, kind="compact"),
    ]


def _outcomes(state: State, found: list[Reason]) -> Html:
    most = max(reason.records for reason in found)
    rows = [
        (
            tag("bdi", printable(reason.message, _CELL)) if reason.message else "no words",
            str(reason.http_status or "-"),
            _meter(reason.records, most, COLOURS[state]),
            _cases([_place(each.file, each.row), _request(each)] for each in reason.cases),
        )
        for reason in found
    ]
    heads = ("Words", "HTTP", "Records", "For example")
    return table(state.value, heads, rows, wrap={0, 3}, kind="stacked")


def _cases(cases: Iterable[list[Html | str | None]]) -> Html:
    items = [tag("li", case) for case in cases]
    return tag("ul", items, class_="cases") if items else Html()


def _request(case: Case) -> Html | None:
    if case.request_id is None:
        return None
    return join((", request ", tag("code", tag("bdi", printable(case.request_id, _ID)))))


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


def _metered(counts: Mapping[str, int], colour: str) -> list[tuple[str, Html]]:
    """Names with their numbers, the largest first."""
    there = sorted((-count, name) for name, count in counts.items() if count)
    return [(name, _meter(-count, -there[0][0], colour)) for count, name in there]
