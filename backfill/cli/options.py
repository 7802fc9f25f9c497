"""Options and arguments that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from backfill.core.typed_paths import typed_path

__all__ = [
    "TypedPath",
    "as_json",
    "asks_for_json",
    "concurrency_option",
    "config_argument",
    "config_or_job_argument",
    "delivery_options",
    "faults_option",
    "job_argument",
    "job_option",
    "on_option",
    "only_option",
    "quiet",
    "rate_option",
]

_JSON = "backfill.json"
_Command = TypeVar("_Command", bound=Callable[..., Any])


class TypedPath(click.Path):
    """A path of which a leading `~` means the same to all that is done with it."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str | bytes | os.PathLike[str]:
        text = os.fspath(value)
        path = typed_path(text)  # all others stay as they were typed, addresses among them
        return super().convert(text if path == Path(text) else str(path), param, ctx)


class _Place(TypedPath):
    """A path, completed with what the command can mean, and else with any path."""

    def __init__(self, *endings: str) -> None:
        super().__init__(readable=False)  # what cannot be read is told by what would read it
        self._endings = endings

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        folder, start = os.path.split(incomplete)
        try:
            names = sorted(os.listdir(folder or "."))  # noqa: PTH208 - as it was typed, `./` too
        except OSError:
            names = []
        found = [
            CompletionItem(os.path.join(folder, name))  # noqa: PTH118 - as it was typed
            for name in names
            if name.startswith(start) and name.endswith(self._endings)
        ]
        return found or super().shell_complete(ctx, param, incomplete)


config_argument = click.argument("config", metavar="CONFIG", type=_Place(".toml"))
job_argument = click.argument("job", metavar="JOB", type=_Place(".job", ".toml"))
config_or_job_argument = click.argument("config", metavar="CONFIG", type=_Place(".toml", ".job"))
job_option = click.option(
    "--job",
    metavar="DIR",
    type=_Place(".job"),
    help="The job's directory.  [default: CONFIG without its ending, plus .job]",
)


def asks_for_json(context: click.Context) -> bool:
    """Whether `--json` was given to the command that runs."""
    return bool(context.meta.get(_JSON))


def _note_json(context: click.Context, option: click.Parameter, value: bool) -> bool:
    del option
    context.meta[_JSON] = value
    return value


as_json = click.option(
    "--json",
    "as_json",
    is_flag=True,
    is_eager=True,  # what another option is refused for is told as an object, too
    callback=_note_json,
    help="Print one JSON object; all else goes to stderr.",
)
quiet = click.option("--quiet", "-q", is_flag=True, help="No progress; only what came of it.")

on_option = click.option(
    "--on",
    metavar="PLACE",
    help="Where the work is done: local:N for N processes of this machine, or tcp://HOST:PORT of a"
    " Dask scheduler.",
)

faults_option = click.option(
    "--fault",
    "faults",
    metavar="KIND=SHARE",
    multiple=True,
    help="What goes wrong, and how often; may be given again.  [backfill sandbox --fault help]",
)

rate_option = click.option("--rate", metavar="R", help='Requests: "50/s", "3000/min" or "auto".')
concurrency_option = click.option(
    "--concurrency", metavar="N", type=int, help="Requests in flight at most; up to 1,024."
)

_DELIVERY = (
    rate_option,
    concurrency_option,
    click.option("--limit", metavar="N", type=int, help="Send at most N records in this run."),
    click.option("--max-duration", metavar="T", help='Stop after this time: "30m", "2h".'),
    click.option("--max-errors", metavar="X", help='Failed records allowed: "100" or "1%".'),
    click.option("--base-url", metavar="URL", help="Where the destination is."),
    click.option(
        "--guarantee",
        type=click.Choice(["at-most-once", "at-least-once"]),
        help="What becomes of a request that may or may not have arrived.",
    ),
    click.option("--timeout", metavar="T", help='How long a reply may take: "30s".'),
    click.option("--max-wait", metavar="T", help="Stop where the destination asks for longer."),
    click.option("--patience", metavar="T", help="How long to try a destination that is down."),
)


def _fields_and_values(
    context: click.Context, option: click.Parameter, given: tuple[str, ...]
) -> dict[str, list[str]] | None:
    """`--only` as fields with the values that were given for each."""
    del context
    found: dict[str, list[str]] = {}
    for each in given:
        name, separator, value = each.partition("=")
        if not (name and separator and value):
            raise click.BadParameter(f"{each!r} is not FIELD=VALUE", param=option)
        found.setdefault(name.strip(), []).append(value)
    return found or None


only_option = click.option(
    "--only",
    metavar="FIELD=VALUE",
    multiple=True,
    callback=_fields_and_values,
    help="Send only records whose body has this value, as a canary. Given again, another value of"
    " the field will do as well, and another field must fit, too.",
)


def delivery_options(command: _Command) -> _Command:
    """Add the options that override the configuration's [delivery] for one run."""
    for option in reversed(_DELIVERY):
        command = option(command)
    return command
