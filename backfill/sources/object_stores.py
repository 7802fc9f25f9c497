"""Object stores: `s3://`, `gs://` and `az://` addresses."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obstore.store import ObjectStore

__all__ = ["open_store"]


def open_store(folder: str, *, time: str, tries: int) -> ObjectStore:
    """The store behind a folder's address; the environment says who asks, as with other tools.

    `time` is for one request and its answer, and what fails is tried so many times again.
    """
    from obstore.store import from_url  # noqa: PLC0415 - most sources are local

    return from_url(
        folder,
        client_options={
            "timeout": time,
            "connect_timeout": "10s",
            "allow_http": _allows_http(),
        },
        retry_config={"max_retries": tries},
    )


def _allows_http() -> bool:
    """Whether a store of one's own is spoken to without TLS, as its address in the environment
    says; options given here hide those of the environment.
    """
    asked = os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true")
    addresses = (os.environ.get(name, "") for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"))
    return asked or any(each.lower().startswith("http://") for each in addresses)
