"""Books, plans and stops as lines for a terminal of 80 columns, in colour or without."""

from __future__ import annotations

import json
import textwrap
import time
from typing import Any

import click

from backfill.manifest import Manifest
from backfill.model import State
from backfill.status import Phase, Status

__all__ = ["duration", "print_json", "print_plan", "print_status", "printable"]

_COLOURS = {
    State.REJECTED: "yellow",
    State.DUPLICATE: "cyan",
    State.PENDING: "blue",
    State.DELIVERED: "green",
    State.FAILED: "red",
    State.UNKNOWN: "magenta",
}
_MEANING = {
    State.REJECTED: "broke a rule before anything was sent",
    State.DUPLICATE: "the same record stands elsewhere",
    State.PENDING: "to be sent",
    State.DELIVERED: "the destination has them",
    State.FAILED: "the destination refused them for good",
    State.UNKNOWN: "sent, and nobody can say whether they arrived",
}


def print_json(content: dict[str, Any]) -> None:
    click.echo(json.dumps(content, ensure_ascii=False))


def print_status(status: Status, *, err: bool = False) -> None:
    """The books, the reasons, the rate, and what to do next."""
    books = status.books
    title = f"{status.job}: {status.phase}"
    click.secho(f"\n{title}", bold=True, err=err)
    width = len(f"{books.input:,}")
    click.echo(f"  {'input':<10} {books.input:>{width},}", err=err)
    for state in State:
        count = books.of(state)
        line = f"  {state:<10} {count:>{width},}  "
        note = click.style(_MEANING[state], dim=True) if count else ""
        click.echo(click.style(line, fg=_COLOURS[state] if count else None) + note, err=err)
    if books.balanced:
        click.echo("  The books balance.", err=err)
    else:
        click.secho("  THE BOOKS DO NOT BALANCE. Please report this.", fg="red", err=err)
    _print_reasons(status.reasons, "Rejected because of", err=err)
    _print_reasons(status.dropped, "Left out of their records", err=err)
    if status.requests.sent:
        requests = status.requests
        rate = f"; {status.rate:,.1f}/s" if status.rate else ""
        click.echo(
            f"  Requests: {requests.sent:,} sent, {requests.throttled:,} throttled,"
            f" {requests.retried:,} sent again{rate}",
            err=err,
        )
    if status.seconds_left is not None and status.phase is not Phase.COMPLETE:
        click.echo(f"  Time left at that rate: {duration(status.seconds_left)}", err=err)
    if status.quiet_until is not None:
        left = duration(status.quiet_until - time.time())
        click.echo(f"  The destination asked for quiet: {left} to go.", err=err)
    if status.stop is not None:
        click.secho(f"\nStopped: {printable(status.stop.message)}", fg="yellow", err=err)
    if status.next is not None:
        click.echo(f"\nNext: {click.style(status.next, bold=True)}", err=err)
        if books.unknown and not books.pending:
            click.echo(
                f"  then: backfill resolve {status.job} --resend, --delivered or --failed", err=err
            )


def print_plan(manifest: Manifest, title: str, base_url: str, rate: float | None) -> None:
    """What a plan found, before anyone dares to press the button."""
    facts = manifest.facts
    click.secho(f"\nPlan for {title} at {base_url}", bold=True)
    for entry in (*manifest.events, *manifest.contacts):
        click.echo(f"  {entry.name}: {entry.rows:,} rows")
    if facts.first_time:
        click.echo(f"  From {facts.first_time} to {facts.last_time}")
    click.echo(
        f"  {facts.keys:,} keys; the busiest has {facts.longest_key:,} records,"
        f" the longest lane {facts.longest_lane:,}"
    )
    time_needed = (
        f"{duration(facts.requests / rate)} at {rate:g}/s"
        if rate
        else "the rate is found while sending"
    )
    click.echo(f"  {facts.requests:,} requests; {time_needed}")
    for field, table in facts.tables.items():
        shown = ", ".join(f"{key} → {value}" for key, value in table.items())
        click.echo(_wrapped(f"{field}: {printable(shown)}"))
    if facts.examples:
        click.secho("\nRows that broke a rule, for example", bold=True)
        for rule, examples in facts.examples.items():
            for example in examples:
                value = "" if example.value is None else f": {printable(example.value)[:60]}"
                click.echo(f"  {rule:<32} {example.file} row {example.row:,}{value}")
    if facts.samples:
        click.secho("\nA body that will be sent", bold=True)
        click.echo(_wrapped(printable(facts.samples[0])))
    if facts.unused_columns:
        click.echo(_wrapped(f"Columns that nothing uses: {', '.join(facts.unused_columns)}"))
    for warning in facts.warnings:
        click.secho(_wrapped(f"Note: {warning}"), fg="yellow")


def printable(text: str) -> str:
    """Text from a file or a server without what could command a terminal."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def duration(seconds: float) -> str:
    """A duration in the two units that matter: `3 h 20 min`, `45 s`."""
    whole = max(0, round(seconds))
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    shown = [f"{count} {unit}" for count, unit in parts if count][:2]
    return " ".join(shown) or "0 s"


def _print_reasons(reasons: Any, title: str, *, err: bool) -> None:
    counted = {name: count for name, count in reasons.items() if count}
    if not counted:
        return
    click.echo(f"  {title}:", err=err)
    for name, count in sorted(counted.items(), key=lambda item: (-item[1], item[0])):
        click.echo(f"    {name:<36} {count:>9,}", err=err)


def _wrapped(text: str) -> str:
    return textwrap.fill(
        text, width=78, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False
    )
