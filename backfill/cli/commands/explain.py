"""`backfill explain`."""

from __future__ import annotations

import click

__all__ = ["explain"]


@click.command(
    epilog="\b\nExample:\n  backfill explain 'contact.id|uuid'\n  backfill explain unknown",
    short_help="What a rule or a state means, and what helps.",
)
@click.argument("name", metavar="RULE")
def explain(name: str) -> None:
    """Say what a rule or a state means, why it exists, and what helps.

    RULE is a rule as `plan` counts it (`contact.id|uuid`), its name alone, or one of the states.
    """
    from backfill.checks.explanations import explain as explained  # noqa: PLC0415 - not for help
    from backfill.cli.text import wrapped  # noqa: PLC0415

    found = explained(name)
    click.secho(found.name, bold=True)
    for title, text in (("", found.meaning), ("Why: ", found.why), ("What helps: ", found.helps)):
        for line in wrapped(f"{title}{text}".split(), indent="  "):
            click.echo(line)
    if found.applies:
        for line in wrapped(["Fields:", *found.applies], indent="  "):
            click.secho(line, dim=True)
