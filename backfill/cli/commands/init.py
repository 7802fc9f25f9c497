"""`backfill init`."""

from __future__ import annotations

from pathlib import Path

import click

from backfill.cli.options import TypedPath

__all__ = ["init"]


@click.command(
    epilog="\b\nExample:\n  backfill init exports/events.parquet --contacts exports/contacts.csv"
    " --destination pristo-events",
    short_help="Look at the files and write a commented configuration.",
)
@click.argument("events", metavar="EVENTS", type=TypedPath())
@click.option(
    "--contacts",
    metavar="FILE",
    type=TypedPath(),
    help="What the events tell nothing of: who it was.",
)
@click.option(
    "--destination",
    "destination_name",
    metavar="D",
    required=True,
    help="pristo-events, watch-events, watch-feedbacks, or one that a package brings.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=TypedPath(path_type=Path),
    help="The configuration.  [default: EVENTS without its ending, plus .toml, in this directory]",
)
@click.option(
    "--separator",
    metavar="S",
    help='What stands between the cells of a CSV: ";", "|", "tab".  [default: as in the header]',
)
@click.option(
    "--encoding",
    metavar="E",
    help='How text files are encoded, such as "windows-1255".  [default: UTF-8 or UTF-16]',
)
def init(
    events: str,
    *,
    contacts: str | None,
    destination_name: str,
    output: Path | None,
    separator: str | None,
    encoding: str | None,
) -> None:
    """Look at the files and write a commented configuration.

    EVENTS is a file, a glob in quotes, a directory or an address. Of a directory the files that
    hold the data are taken; a README, a schema or another export beside them is left aside and
    named. Columns are matched to the destination's fields by their names and by a sample of their
    values; what no program can know is left as a question, "?". Nothing is sent, and no file is
    written over.
    """
    from backfill.cli.init_text import print_draft  # noqa: PLC0415 - not for `--help`
    from backfill.discover import write_draft  # noqa: PLC0415

    draft, target = write_draft(
        events,
        contacts=contacts,
        destination_name=destination_name,
        output=output,
        separator=separator,
        encoding=encoding,
    )
    print_draft(draft, target)
