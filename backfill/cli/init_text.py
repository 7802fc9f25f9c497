"""What `backfill init` found, as lines for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

from backfill.core.terminal import path_argument, printable, shorten
from backfill.discover import Draft
from backfill.discover.columns import ColumnProfile
from backfill.discover.source_sections import Sampled
from backfill.prepare.facts.passed_over_files import remark_on_files_passed_over

__all__ = ["print_draft"]

_SHOWN = 6  # columns that are named


def print_draft(draft: Draft, target: Path) -> None:
    """What was found in a few lines, what is open, and the next command."""
    proposal = draft.proposal
    click.secho(f"\n{target}: a configuration for {proposal.destination.title}", bold=True)
    for side in (draft.events, draft.contacts):
        if side is not None:
            click.echo(f"  looked at {printable(str(side.sample))} of {printable(side.named)}")
            for text in _remarks(side):
                lines = textwrap.fill(printable(text), 74)
                click.secho(textwrap.indent(lines, "    "), fg="yellow")
    found = [
        (each.field.name, _source(each.column, table=bool(each.table)))
        for each in proposal.matches
        if each.column is not None
    ]
    if proposal.join is not None:
        join = proposal.join
        by_name = "" if join.found else " (by their names: no sampled id is in both)"
        columns = f"events.{join.events.name} = contacts.{join.contacts.name}{by_name}"
        found.insert(0, ("joined by", columns))
    if proposal.time is not None:
        found.append(("time", f"events.{proposal.time.name}"))
    width = max((len(name) for name, _ in found), default=0)
    for name, column in found:
        click.echo(f"  {name:<{width}}  {printable(column)}")
    names = [f"{each.side}.{each.name}" for each in proposal.unused]
    if names:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        text = f"not used: {printable(', '.join(names[:_SHOWN]))}{more}"
        click.echo(textwrap.fill(text, 78, initial_indent="  ", subsequent_indent="    "))
    if draft.questions:
        click.secho('\nOpen questions, each a "?" in the file:', fg="yellow")
        for question in draft.questions:
            text = printable(str(question))
            click.echo(textwrap.fill(text, 78, initial_indent="  ", subsequent_indent="    "))
    after = "Answer them, then: " if draft.questions else "Next: "
    click.echo(f"\n{after}{click.style(f'backfill plan {path_argument(target)}', bold=True)}")


def _remarks(side: Sampled) -> Iterator[str]:
    """What else there is to say of a side's files."""
    sample = side.sample
    if side.remark_on_aside:
        yield side.remark_on_aside
    if over := remark_on_files_passed_over(sample.passed_over):
        yield over
    if sample.titles is not None:
        yield sample.titles
    encoding = sample.encoding
    if encoding is not None and encoding.instead is not None:
        yield f"it is UTF-8, and not {encoding.instead}: it stays so"
    if sample.unreadable is not None:
        file, row, text = sample.unreadable
        yield shorten(printable(f"cannot be read: {file} row {row:,}: {text}"), 74)
    if sample.wider is not None:
        yield sample.wider


def _source(column: ColumnProfile, *, table: bool) -> str:
    name = f"{column.side}.{column.name}"
    return f"a table of {name}" if table else name
