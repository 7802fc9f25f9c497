"""What a plan found, for someone who is about to dare it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

import click

from backfill.cli.text import WIDTH, counted_rules, wrapped
from backfill.core.terminal import cells, duration, moment, pad, printable, shorten
from backfill.deliver import Settings
from backfill.destination import Destination
from backfill.jobdir.manifest import Conversion, Example, Manifest
from backfill.jobs.status import place_of

__all__ = ["laid_out", "print_plan"]

_NAMED = 12  # files that are listed
_UNUSED = 20  # columns that are
_VALUE = 44  # cells that an example's value may take


def print_plan(manifest: Manifest, destination: Destination, settings: Settings) -> None:
    """Sources, work, values from the configuration, broken rules, a body, and notes."""
    click.secho(f"\nPlan for {destination.title} at {place_of(settings.base_url)}", bold=True)
    _print_sources(manifest)
    _print_work(manifest, settings)
    _print_selection(manifest)
    _print_tables(manifest.facts.tables)
    _print_conversions(manifest)
    _print_broken(manifest)
    _print_body(manifest, destination)
    _print_notes(manifest, destination)


def _print_sources(manifest: Manifest) -> None:
    entries = (*manifest.events, *manifest.contacts)
    shown = entries[:_NAMED]
    width = min(max(cells(printable(entry.name)) for entry in shown), WIDTH - 20)
    digits = max(len(f"{entry.rows:,}") for entry in shown)
    for entry in shown:
        name = printable(entry.name)
        rows = "row" if entry.rows == 1 else "rows"
        click.echo(f"  {pad(name, width)}  {entry.rows:>{digits},} {rows}")
    if rest := entries[_NAMED:]:
        click.echo(f"  and {len(rest):,} more files: {sum(each.rows for each in rest):,} rows")


def _print_work(manifest: Manifest, settings: Settings) -> None:
    facts = manifest.facts
    if not manifest.ready:
        click.secho("  Nothing is ready to be sent.", fg="yellow")
        return
    time_needed = (
        f"{duration(facts.requests / settings.rate)} at {settings.rate:g}/s"
        if settings.rate
        else "the rate is found while sending"
    )
    click.echo(f"  {_count(manifest.ready, 'record')} ready", nl=False)
    click.echo(f" for {_count(facts.requests, 'request')}; {time_needed}")
    if facts.first_time and facts.last_time:
        click.echo(f"  from {moment(facts.first_time)} to {moment(facts.last_time)}")
    click.echo(
        f"  {_count(facts.keys, 'key')}; the busiest has {_count(facts.longest_key, 'record')},"
        f" the longest lane {facts.longest_lane:,}"
    )


def _print_tables(tables: Mapping[str, Mapping[str, str]]) -> None:
    if not tables:
        return
    _title("Values from the configuration")
    for field, table in tables.items():
        pairs = [f"{printable(key)} → {printable(value)}" for key, value in table.items()]
        short = f"  {printable(field)}: {', '.join(pairs)}"
        if cells(short) <= WIDTH:
            click.echo(short)
        else:
            _echo([f"  {printable(field)}:", *wrapped(pairs, indent="    ", separator=", ")])


def _print_conversions(manifest: Manifest) -> None:
    facts, several = manifest.facts, len(manifest.events) > 1
    if facts.conversions:
        _title("National phone numbers that become E.164")
    for name, found in facts.conversions.items():
        click.echo(f"  {printable(name)}  {found.count:,}")
        _echo(_from_and_to(found.examples, several=several), dim=True)
    if facts.readings:
        _title("Times and ids, as they are read")
    for name, examples in facts.readings.items():
        click.echo(f"  {printable(name)}")
        _echo(_from_and_to(examples, several=several), dim=True)


def _from_and_to(examples: Iterable[Conversion], *, several: bool) -> list[str]:
    parts = [
        f"{shorten(printable(each.before), _VALUE)} → {printable(each.after)}"
        f" ({_place(each.file, each.row, several=several)})"
        for each in examples
    ]
    return wrapped(parts, indent="    ", separator=", ")


def _print_selection(manifest: Manifest) -> None:
    """Which rows are wanted, and how many were left out for which reason."""
    if not manifest.facts.selection and not manifest.excluded:
        return
    _title("Chosen rows")
    for name, text in manifest.facts.selection.items():
        shown = moment(text) if name in ("since", "until") else printable(text)
        _echo(wrapped(f"{name} {shown}".split(), indent="  "))
    for name, count in manifest.exclusions.items():
        click.echo(f"  {_count(count, 'row')} excluded by {printable(name)}")


def _print_broken(manifest: Manifest) -> None:
    if not manifest.reasons and not manifest.dropped:
        return
    several = len(manifest.events) > 1
    facts = manifest.facts
    causes = ", ".join(f"{count:,} {cause}" for cause, count in facts.malformed.items())
    _print_rules(
        "Rejected because of",
        manifest.reasons,
        facts.examples,
        several=several,
        briefs={"row|malformed": causes} if causes else None,
    )
    # An optional value that is left out costs the record nothing else.
    _print_rules("Left out of their records", manifest.dropped, {}, several=several)
    first = next(iter({**manifest.reasons, **manifest.dropped}))
    click.secho(f"  Why, and what helps: backfill explain {shlex.quote(first)}", dim=True)


def _print_rules(
    title: str,
    counts: Mapping[str, int],
    examples: Mapping[str, tuple[Example, ...]],
    *,
    several: bool,
    briefs: Mapping[str, str] | None = None,
) -> None:
    counted = sorted(
        ((name, count) for name, count in counts.items() if count),
        key=lambda item: (-item[1], item[0]),
    )
    if not counted:
        return
    _title(title)
    lines = counted_rules(counted, indent="  ", colour="yellow", briefs=briefs)
    for (name, _), shown in zip(counted, lines, strict=True):
        _echo(shown)
        _echo(_examples(examples.get(name, ()), several=several), dim=True)


def _examples(examples: Iterable[Example], *, several: bool) -> list[str]:
    """Values with the place of the first row that holds each, or places alone."""
    places: dict[str | None, list[str]] = {}
    for example in examples:
        value = None if example.value is None else shorten(printable(example.value), _VALUE)
        places.setdefault(value, []).append(_place(example.file, example.row, several=several))
    parts = []
    for value, rows in places.items():
        parts += rows if value is None else [f"{value} ({rows[0]})"]
    return wrapped(parts, indent="    ", separator=", ")


def _place(file: str, row: int, *, several: bool) -> str:
    return f"{printable(file)} row {row:,}" if several else f"row {row:,}"


def _print_body(manifest: Manifest, destination: Destination) -> None:
    if not manifest.facts.samples:
        return
    size = destination.batch_size
    _title("A body that will be sent" if size == 1 else f"One of up to {size} items of a body")
    body = json.loads(manifest.facts.samples[0])
    _echo(f"  {printable(line)}" for line in laid_out(body, WIDTH - 2))


def _print_notes(manifest: Manifest, destination: Destination) -> None:
    facts = manifest.facts
    if facts.unused_columns:
        _title("Columns that nothing uses")
        names = [printable(name) for name in facts.unused_columns[:_UNUSED]]
        if (more := len(facts.unused_columns) - _UNUSED) > 0:
            names.append(f"and {more:,} more, which --json names")
        _echo(wrapped(names, indent="  ", separator=", "))
    notes = dict.fromkeys((*facts.warnings, *destination.notes))  # an older job kept none of these
    if notes:
        click.echo()
    for note in notes:
        for line in wrapped(f"Note: {printable(note)}".split(), indent=""):
            click.secho(line, fg="yellow")


def laid_out(value: Any, width: int) -> list[str]:
    """JSON in lines of at most so many cells where it can be broken between its members."""
    flat = json.dumps(value, ensure_ascii=False)
    if cells(flat) <= width or not isinstance(value, dict) or not value:
        return [flat]
    lines = ["{"]
    for number, (key, inner) in enumerate(value.items(), start=1):
        name = f"{json.dumps(key, ensure_ascii=False)}: "
        comma = "," if number < len(value) else ""
        # What is indented by two has a name before it, unless it is broken up itself.
        first = json.dumps(inner, ensure_ascii=False)
        fits = cells(name) + cells(first) + cells(comma) <= width - 2
        member = [first] if fits else laid_out(inner, min(width - 2, cells(first) - 1))
        lines += [f"  {line}" for line in (f"{name}{member[0]}", *member[1:])]
        lines[-1] += comma
    return [*lines, "}"]


def _title(text: str) -> None:
    click.secho(f"\n{text}", bold=True)


def _echo(lines: Iterable[str], *, dim: bool = False) -> None:
    for line in lines:
        click.echo(click.style(line, dim=True) if dim else line)


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}" if number == 1 else f"{number:,} {name}s"
