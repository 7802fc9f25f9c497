"""What the program itself says: its commands' help, exit codes, rules, and the sandbox's faults."""

from __future__ import annotations

import re

import click

from backfill.checks.rules import RULES, rules_of
from backfill.cli import _group
from backfill.destinations import destination
from backfill.sandbox import KINDS

__all__ = ["commands", "exit_codes", "faults", "help_of", "rules_of_destination", "rules_table"]

_WIDTH = 88


def help_of(name: str | None = None) -> str:
    """The help of a command, or of the program, as a terminal shows it."""
    settings = {**_group.context_settings, "terminal_width": _WIDTH}
    top = click.Context(_group, info_name="backfill", **settings)
    if name is None:
        return _group.get_help(top)
    command = _group.commands[name]
    return command.get_help(click.Context(command, info_name=name, parent=top))


def commands() -> str:
    """Every command with its help, in the order of a job's life."""
    parts = [
        f"## {f'backfill {name}'}\n\n```text\n{help_of(name)}\n```" for name in _group.commands
    ]
    return "\n\n".join(parts)


def exit_codes() -> str:
    """The exit codes of the program's own help, as a table."""
    found = re.findall(r"^ +([0-9]+(?:, [0-9]+)*)  (.+)$", help_of(), re.MULTILINE)
    return "\n".join(
        ["| code | meaning |", "|---|---|", *(f"| {code} | {words} |" for code, words in found)]
    )


def faults() -> str:
    """What the sandbox can be told to do wrong."""
    lines = [f"| `{kind}` | {meaning} |" for kind, meaning in KINDS.items()]
    return "\n".join(["| kind | what happens |", "|---|---|", *lines])


def rules_table() -> str:
    """What each rule means, and what helps."""
    lines = [f"| `{rule.name}` | {rule.meaning} | {rule.remedy} |" for rule in RULES]
    return "\n".join(["| rule | meaning | what helps |", "|---|---|---|", *lines])


def rules_of_destination(name: str) -> str:
    """Every `field|rule` for which a record may be rejected, with the schema's element."""
    lines = []
    for broken in rules_of(destination(name)):
        # A bar would end the cell, also inside code.
        named = broken.name.replace("|", r"\|")
        lines.append(f"| `{named}` | {broken.rule.meaning} | {broken.source} |")
    return "\n".join(["| `field\\|rule` | meaning | source |", "|---|---|---|", *lines])
