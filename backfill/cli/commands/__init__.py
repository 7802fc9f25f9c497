"""One module for each command."""

from __future__ import annotations

import click

from backfill.cli.commands.abandon import abandon
from backfill.cli.commands.demo import demo
from backfill.cli.commands.explain import explain
from backfill.cli.commands.init import init
from backfill.cli.commands.pace import pace
from backfill.cli.commands.plan import plan
from backfill.cli.commands.records import records
from backfill.cli.commands.rehearse import rehearse
from backfill.cli.commands.report import report
from backfill.cli.commands.resolve import resolve
from backfill.cli.commands.retry import retry
from backfill.cli.commands.run import run
from backfill.cli.commands.sandbox import sandbox
from backfill.cli.commands.show import show
from backfill.cli.commands.status import status

__all__ = ["COMMANDS"]

COMMANDS: tuple[click.Command, ...] = (  # in the order in which a job needs them
    init,
    plan,
    rehearse,
    run,
    pace,
    status,
    show,
    explain,
    records,
    retry,
    resolve,
    abandon,
    report,
    sandbox,
    demo,
)
