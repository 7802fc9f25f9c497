"""Books and stops as lines for a terminal of 80 columns, in colour or without."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from backfill.checks.rules import rule_brief
from backfill.core.atomic_files import free_name
from backfill.core.model import Fault, State, Stop, StopKind
from backfill.core.terminal import cells, duration, pad, path_argument, printable, shorten
from backfill.jobs.status import Phase, Status

__all__ = [
    "WIDTH",
    "counted_rules",
    "print_json",
    "print_status",
    "program",
    "rate_in_words",
    "wrapped",
]

WIDTH = 80

_COLOURS = {
    State.EXCLUDED: "bright_black",
    State.REJECTED: "yellow",
    State.DUPLICATE: "cyan",
    State.PENDING: "blue",
    State.DELIVERED: "green",
    State.FAILED: "red",
    State.UNKNOWN: "magenta",
}
_REASONS = 12  # that are listed; --json has them all


def rate_in_words(per_second: float) -> str:
    """`50 requests/s`, `1 request/s`."""
    return f"{per_second:g} {'request' if per_second == 1 else 'requests'}/s"


def print_json(content: dict[str, Any]) -> None:
    """One object on standard output."""
    click.echo(json.dumps(content, ensure_ascii=False))


def program() -> str:
    """How to call this program in the shell that it was started from."""
    if shutil.which("backfill"):
        return "backfill"
    started = Path(sys.argv[0])
    if started.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m backfill"
    return shlex.quote(str(started))


def print_status(status: Status, *, reasons: bool = True, program: str = "backfill") -> None:
    """The books, the reasons, the rate, and what to do next, to be typed as `program`."""
    books = status.books
    click.secho(f"\n{printable(status.job)}: {status.phase}", bold=True)
    width = len(f"{books.input:,}")
    click.echo(f"  {'input':<10} {books.input:>{width},}")
    for state in State:
        count = books.count(state)
        line = f"  {state:<10} {count:>{width},}"
        if count:
            meaning = click.style(state.meaning, dim=True)
            line = f"{click.style(line, fg=_COLOURS[state])}  {meaning}"
        click.echo(line)
    if books.balanced:
        click.echo("  The books balance.")
    else:
        click.secho("  THE BOOKS DO NOT BALANCE. Please report this.", fg="red", bold=True)
    if reasons:
        _print_reasons(status.exclusions, "Excluded by:")
        _print_reasons(status.reasons, "Rejected because of:")
        _print_reasons(status.dropped, "Left out of their records:")
    if status.place is not None:
        click.echo(f"  Address: {printable(status.place)}")
    if status.rest is not None:
        click.echo(f"  Its rest is with another job: {program} status {path_argument(status.rest)}")
    _print_course(status)
    if status.stop is not None:
        _print_stop(status.stop, status, program)
    if status.next is not None:
        command = re.sub("(?:^|(?<=&& ))backfill", lambda _: program, status.next)
        click.echo(f"\nNext: {click.style(command, bold=True)}")
        if books.unknown and not books.pending:
            job = path_argument(status.job)
            ways = "--resend, --delivered or --failed"
            if status.phase is Phase.ABANDONED:  # which sends nothing again
                ways = "--delivered or --failed"
            click.echo(f"  then: {program} resolve {job} {ways}")


def _print_course(status: Status) -> None:
    """Requests so far, the time left, and what holds a run back."""
    if status.requests.sent:
        requests = status.requests
        rate = f"; {status.rate:,.1f}/s" if status.rate else ""
        click.echo(
            f"  Requests: {requests.sent:,} sent, {requests.throttled:,} throttled,"
            f" {requests.retried:,} sent again{rate}"
        )
    if status.seconds_left is not None and status.phase is not Phase.COMPLETE:
        click.echo(f"  Time left at that rate: {duration(status.seconds_left)}")
    if status.quiet_until is not None:
        left = duration(status.quiet_until - time.time())
        click.secho(f"  Nothing is sent for now: quiet for another {left}.", fg="yellow")
    if status.paused and status.books.pending:
        click.secho("  Paused: nothing is sent until it is told to go on.", fg="yellow")


def _print_stop(stop: Stop, status: Status, program: str) -> None:
    """Why the last run ended early, and what to look at before going on does it again."""
    click.echo()
    for line in wrapped(f"Stopped: {printable(stop.message)}".split(), indent=""):
        click.secho(line, fg="yellow")
    _print_answers(stop)
    if stop.kind is StopKind.UNAVAILABLE and status.address is None and not stop.come_back_at:
        click.echo(f"  {_nobody_reached(stop)}")
    if stop.kind is StopKind.ERRORS and status.books.failed:
        job = path_argument(status.job)
        file = free_name("failed.csv")
        click.echo(f"\nLook at them first: {program} records {job} --state failed -o {file}")


def _nobody_reached(stop: Stop) -> str:
    """What to look at where no request ever got to a server."""
    said = " ".join([stop.message, *(words for words, _ in stop.answers)])
    if Fault.PROXY in said:
        return "The proxy let nothing through. HTTPS_PROXY names it, NO_PROXY what needs none."
    if Fault.TLS in said:
        return (
            "No server that can be trusted was reached. SSL_CERT_FILE names a company's authority."
        )
    return "No server was reached there. --base-url names another address."


def _print_answers(stop: Stop) -> None:
    """The destination's own words, and how often they came; one that stopped the run is told."""
    if sum(count for _, count in stop.answers) < (2 if stop.kind is StopKind.REFUSED else 1):
        return
    click.echo("  Answers other than success:")
    digits = max(len(f"{count:,}") for _, count in stop.answers)
    for words, count in stop.answers:
        click.echo(
            f"    {count:>{digits},} times: {shorten(printable(words), WIDTH - digits - 12)}"
        )


def wrapped(parts: Iterable[str], *, indent: str, separator: str = " ") -> list[str]:
    """Parts put into lines of the terminal's width; none is broken, and a long one stands alone."""
    lines: list[str] = []
    line = indent
    for part in parts:
        joined = f"{line}{separator}{part}" if line.strip() else f"{line}{part}"
        if line.strip() and cells(joined + separator.rstrip()) > WIDTH:
            lines.append(line + separator.rstrip())
            joined = f"{indent}{part}"
        line = joined
    return [*lines, line] if line.strip() else lines


def _print_reasons(reasons: Mapping[str, int], title: str) -> None:
    counted = sorted(
        ((name, count) for name, count in reasons.items() if count),
        key=lambda item: (-item[1], item[0]),
    )
    if not counted:
        return
    click.echo(f"  {title}")
    shown = counted[:_REASONS]
    for lines in counted_rules(shown, indent="    "):
        for line in lines:
            click.echo(line)
    if len(counted) > len(shown):
        click.echo(f"    and {len(counted) - len(shown)} more; --json lists them all")


def counted_rules(
    counted: Sequence[tuple[str, int]],
    *,
    indent: str,
    colour: str | None = None,
    briefs: Mapping[str, str] | None = None,
) -> Iterator[list[str]]:
    """For each rule its name, its count and, dim, what it means in a few words.

    The words stand beside the count, or in a line below where there is no room. `briefs` are by
    rule words that say more about these very rows.
    """
    width = max(cells(printable(name)) for name, _ in counted)
    digits = max(len(f"{count:,}") for _, count in counted)
    for name, count in counted:
        line = f"{indent}{pad(printable(name), width)}  {count:>{digits},}"
        brief = (briefs or {}).get(name) or rule_brief(name)
        beside = cells(f"{line}  {brief}") <= WIDTH
        line = click.style(line, fg=colour) if colour else line
        if not brief:
            yield [line]
        elif beside:
            yield [f"{line}  {click.style(brief, dim=True)}"]
        else:
            yield [line, click.style(f"{indent}  {brief}", dim=True)]
