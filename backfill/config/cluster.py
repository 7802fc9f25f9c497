"""Where the state of a job that several machines work on lies: the section [cluster]."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from backfill.config.section import Section
from backfill.config.values import parse_duration

__all__ = ["OBJECT_STORES", "Cluster"]

OBJECT_STORES = ("s3", "gs", "az")
"""The schemes of the object stores that a job can lie in."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_LEDGERS = ("postgresql", "postgres")
_EXAMPLE = '"postgresql://host/database"'
_SECRETS = ("password", "sslpassword", "oauth_client_secret")  # of what libpq takes
_ELSEWHERE = "take it out, and set PGPASSWORD or PGPASSWORD_FILE, or write it to ~/.pgpass"


def _storage(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty; name a directory that all machines share")
    found = _SCHEME.fullmatch(text)
    if found is None:
        return text
    scheme, rest = found[1].lower(), found[2]
    stores = ", ".join(f"{each}://" for each in OBJECT_STORES)
    if scheme not in OBJECT_STORES:
        raise ValueError(
            f"{scheme}:// is no storage; name a directory that all machines share, or an address"
            f" that begins with one of {stores}"
        )
    if "@" in rest:
        raise ValueError("holds an `@`; credentials of an object store stand in the environment")
    if not rest.strip("/"):
        raise ValueError(f'names no bucket; it looks like "{scheme}://bucket/prefix"')
    return text.rstrip("/")


def _ledger(text: str) -> str:
    """Told without libpq, which is not there without the extra. The text may hold a password, so
    it is in no message."""
    found = _SCHEME.fullmatch(text.strip())
    if found is None or found[1].lower() not in _LEDGERS:
        raise ValueError(f"is the address of a PostgreSQL database, such as {_EXAMPLE}")
    parts = urlsplit(text.strip())
    given = {name for name, value in parse_qsl(parts.query, keep_blank_values=True)}
    # Whatever a password is made of, a colon and an `@` stand around it.
    if ":" in found[2].rpartition("@")[0] or not given.isdisjoint(_SECRETS):
        raise ValueError(f"holds a password; {_ELSEWHERE}")
    if not unquote(parts.path).strip("/") and "dbname" not in given:
        raise ValueError(f"names no database; it looks like {_EXAMPLE}")
    return text.strip()


class Cluster(Section):
    """Where several machines find one job. May change between the runs of a job."""

    storage: Annotated[str, AfterValidator(_storage)]
    """A directory that all machines share, or `s3://bucket/prefix`, `gs://…`, `az://…`; the job's
    directory lies in it. A relative path is relative to the configuration."""
    ledger: Annotated[str, AfterValidator(_ledger)]
    """A PostgreSQL database, `"postgresql://host/database"`, with what libpq takes behind a `?`,
    such as `sslmode=verify-full`. A password never stands here: it comes from `PGPASSWORD`,
    `PGPASSWORD_FILE` or `~/.pgpass`."""
    lease: Annotated[float, BeforeValidator(parse_duration), Field(ge=1, le=3600)] = 10.0
    """How long a machine that is not heard of keeps what it was delivering, from 1 second to an
    hour. Then another one takes over."""
