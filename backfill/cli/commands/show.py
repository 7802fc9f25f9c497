"""`backfill show`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from backfill.cli.options import as_json, job_argument

if TYPE_CHECKING:
    from backfill.jobs.records.story import Story

__all__ = ["show"]


@click.command(
    epilog="\b\nExample:\n  backfill show pristo.job 4107\n"
    "  backfill show pristo.job events.parquet:4107",
    short_help="The whole story of one record.",
)
@job_argument
@click.argument("row", metavar="[FILE:]ROW")
@as_json
def show(job: str, row: str, as_json: bool) -> None:
    """Tell what became of one row of the source.

    The row as it stood, each field from its raw value to what is sent, the body, every request
    that it was in with the server's words, its state, and what can become of it. FILE is needed
    where the job has several.
    """
    from backfill.cli.text import print_json  # noqa: PLC0415 - not for `--help`
    from backfill.jobs.opening import open_job  # noqa: PLC0415

    found = open_job(job).show(row)
    if as_json:
        print_json(found.as_dict())
    else:
        _print_story(found)


def _print_story(story: Story) -> None:
    from backfill.cli.text import wrapped  # noqa: PLC0415
    from backfill.core.terminal import cells, pad, printable  # noqa: PLC0415

    click.secho(f"\n{printable(story.file)}, row {story.number:,}: {story.state}", bold=True)
    click.echo(f"  {story.meaning}")
    if story.reason:
        click.echo(f"  because of: {printable(story.reason)}")
    if story.raw is None:
        _table("The row", {name: value or "" for name, value in story.row.items()})
    else:
        click.secho(f"\nThe row: {story.cause or 'it cannot be read'}", bold=True)
        click.echo(f"  {printable(story.raw)}")
    _table("Fields", {each.name: f"{each}   ({each.origin})" for each in story.fields})
    if story.body is not None:
        click.secho("\nThe body", bold=True)
        click.echo(f"  {printable(story.body)}")
    if (place := story.place) is not None:
        click.secho("\nWhere it lies", bold=True)
        click.echo(
            f"  bucket {place['bucket']}, lane {place['lane']}, {place['number']:,} of"
            f" {place['of']:,}; key {printable(place['key'])}"
        )
        for name, what in (("before", "before it"), ("after", "after it")):
            click.echo(f"  {what}, of the same key: {printable(place[name] or 'none')}")
    click.secho("\nRequests", bold=True)
    if not story.requests:
        click.echo("  none")
    width = max((cells(each.outcome) for each in story.requests), default=0)
    for each in story.requests:
        status = str(each.http_status or "—")
        known = f"  [{printable(each.request_id)}]" if each.request_id else ""
        outcome = pad(each.outcome, width)
        click.echo(f"  {each.at}  {outcome}  {status}  {printable(each.words)}{known}")
    click.secho("\nWhat can become of it", bold=True)
    for line in wrapped(printable(story.helps).split(), indent="  "):
        click.echo(line)


def _table(title: str, rows: dict[str, str]) -> None:
    from backfill.core.terminal import cells, pad, printable  # noqa: PLC0415

    if not rows:
        return
    click.secho(f"\n{title}", bold=True)
    width = min(max(cells(printable(name)) for name in rows), 40)
    for name, value in rows.items():
        click.echo(f"  {pad(printable(name), width)}  {printable(value)}")
