"""Object stores: `s3://`, `gs://` and `az://` addresses."""

from __future__ import annotations

import os
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obstore.store import BackoffConfig, ObjectStore

__all__ = ["CREDENTIALS", "open_store"]

CREDENTIALS = (
    "Check the address, the network, and the credentials in the environment: AWS_ACCESS_KEY_ID and"
    " AWS_SECRET_ACCESS_KEY, GOOGLE_… or AZURE_…."
)
"""What helps where a store does not do what it is asked."""


_TRIES = 6  # again, after an answer of 500 or more or none at all
_WAITS: BackoffConfig = {  # before these: some 10 s together
    "init_backoff": timedelta(seconds=1),
    "max_backoff": timedelta(seconds=5),
}


def open_store(folder: str, *, time: str, patient: bool = True) -> ObjectStore:
    """The store behind a folder's address; the environment says who asks, as with other tools.

    `time` is for one request and its answer. With `patient` the store is asked again for some 10 s
    where it fails, and otherwise once, at once. Whoever opens it again has the same client: a new
    one reads all certificates of the machine, and needs a new connection.
    """
    return _opened(folder, time, patient, frozenset(os.environ.items()))


@lru_cache(maxsize=16)
def _opened(
    folder: str, time: str, patient: bool, _environment: frozenset[tuple[str, str]]
) -> ObjectStore:
    from obstore.store import from_url  # noqa: PLC0415 - most sources are local

    return from_url(
        folder,
        client_options={
            "timeout": time,
            "connect_timeout": "10s",
            "allow_http": _allows_http(),
        },
        retry_config={"max_retries": _TRIES, "backoff": _WAITS} if patient else {"max_retries": 1},
    )


def _allows_http() -> bool:
    """Whether a store of one's own is spoken to without TLS, as its address in the environment
    says; options given here hide those of the environment.
    """
    asked = os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true")
    addresses = (os.environ.get(name, "") for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"))
    return asked or any(each.lower().startswith("http://") for each in addresses)
