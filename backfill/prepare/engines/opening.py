"""Where work is done: what `on` names, as an engine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from backfill.core.errors import ConfigError
from backfill.prepare.engines.engine import Engine, Threads

if TYPE_CHECKING:
    from backfill.prepare.engines.dask_engine import DaskEngine

__all__ = ["cluster_on", "engine_on"]

_LOCAL = re.compile(r"local:([0-9]+)")
_ADDRESS = re.compile(r"(tcp|tls)://\S+:[0-9]+")
_MOST = 256  # processes of one machine


@contextmanager
def engine_on(on: object) -> Iterator[Engine]:
    """The engine that `on` names, as long as the block lasts.

    None is this process, `local:N` stands for N worker processes of this machine, `tcp://…` and
    `tls://…` for the Dask scheduler there; a client of Dask's is taken as it is. Raises
    ConfigError, and ClusterError for a cluster that cannot be reached or whose workers differ.
    """
    if on is None:
        yield Threads()
        return
    with cluster_on(on) as engine:
        yield engine


@contextmanager
def cluster_on(on: object) -> Iterator[DaskEngine]:
    """The same for what is not this process: the workers that `on` names."""
    try:
        from backfill.prepare.engines import dask_engine  # noqa: PLC0415 - only where asked for
    except ImportError as error:
        raise ConfigError(
            f"several processes need Dask ({error})",
            where="--on",
            hint="pip install 'backfill[cluster]'",
        ) from None
    if dask_engine.is_client(on):
        yield dask_engine.DaskEngine(on)  # type: ignore[arg-type]  # it was just asked
        return
    text = on if isinstance(on, str) else ""
    if _ADDRESS.fullmatch(text):
        with dask_engine.connected(text) as engine:
            yield engine
        return
    local = _LOCAL.fullmatch(text)
    if local is None or not 1 <= int(local[1]) <= _MOST:
        raise ConfigError(
            f"{on!r} names no place to work on",
            where="--on",
            hint=f'Write "local:4" for 4 processes of this machine, {_MOST} at most, or a Dask'
            ' scheduler\'s address, "tcp://host:8786". In a notebook also a'
            " dask.distributed.Client.",
        )
    from backfill.prepare.engines.local_workers import local_workers  # noqa: PLC0415

    credentials = dask_engine.temporary_credentials()
    with (
        local_workers(int(local[1]), credentials) as address,
        dask_engine.connected(address, credentials) as engine,
    ):
        yield engine
