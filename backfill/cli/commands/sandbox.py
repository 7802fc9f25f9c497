"""`backfill sandbox`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from backfill.cli.options import TypedPath
from backfill.core.errors import ConfigError

if TYPE_CHECKING:
    from backfill.sandbox import Endpoint

__all__ = ["sandbox"]

log = logging.getLogger("backfill.cli")


def _endpoints(*, known_contacts: bool) -> Sequence[Endpoint]:
    """One for each destination; what cannot be played is warned of and left out."""
    from backfill.destinations import installed_destinations  # noqa: PLC0415 - not for `--help`
    from backfill.sandbox import endpoints_for  # noqa: PLC0415

    found: list[Endpoint] = []
    for each in installed_destinations().values():
        try:
            found += endpoints_for([each], known_contacts=known_contacts)
        except ConfigError as error:
            log.warning("%s", error)
    return found


@click.command(
    epilog="\b\nExample:\n  backfill sandbox --port 8080 --rate-limit 50/s --fault 429=1%"
    " --fault cut-after=0.1%",
    short_help="The endpoints on this machine, to rehearse against.",
)
@click.option("--port", type=int, default=0, help="Where to listen.  [default: a free port]")
@click.option("--rate-limit", metavar="R", help='Answer 429 above this: "50/s", "3000/min".')
@click.option(
    "--fault",
    "faults",
    metavar="KIND=SHARE",
    multiple=True,
    help="What goes wrong, and how often; more of them may follow. --fault help lists them.",
)
@click.argument("more_faults", metavar="[KIND=SHARE]...", nargs=-1)
@click.option(
    "--known-contacts",
    is_flag=True,
    help='Play a population that has every contact already, as `reachable = "known"` says.',
)
@click.option("--seed", type=int, default=0, help="Which requests meet a fault.  [default: 0]")
@click.option(
    "--log", metavar="FILE", type=TypedPath(), help="One line of JSON for each record accepted."
)
def sandbox(
    *,
    port: int,
    rate_limit: str | None,
    faults: tuple[str, ...],
    more_faults: tuple[str, ...],
    known_contacts: bool,
    seed: int,
    log: str | None,
) -> None:
    """Serve the endpoints on 127.0.0.1, strict about what they take: the three of
    our own, and what other packages' destinations declare.

    The address is the first line on standard output; GET /_sandbox/stats tells what was seen.
    Any credential that is not empty will do. Ctrl-C ends it.
    """
    from backfill.jobdir.overwrite_guard import refuse_other_content  # noqa: PLC0415
    from backfill.sandbox import KINDS, serve  # noqa: PLC0415 - not for `--help`

    if "help" in faults:
        for kind, meaning in KINDS.items():
            click.echo(f"  {kind:<14} {meaning}")
        return
    if more_faults and not faults:
        raise click.UsageError(f"{more_faults[0]!r} needs --fault before it")
    if log is not None:
        refuse_other_content(Path(log), b'{"at":')
    every = (*faults, *more_faults)
    serve(
        click.echo,
        port=port,
        rate_limit=rate_limit,
        faults=every,
        seed=seed,
        log=log,
        endpoints=_endpoints(known_contacts=known_contacts),
    )
