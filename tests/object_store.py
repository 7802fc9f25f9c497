"""A server that speaks as S3 does, and what the environment says of it."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from moto.server import ThreadedMotoServer

__all__ = ["SURROUNDINGS", "new_bucket", "running_object_store"]

SURROUNDINGS = {
    "AWS_ACCESS_KEY_ID": "invented",
    "AWS_SECRET_ACCESS_KEY": "invented",
    "AWS_REGION": "us-east-1",
    "AWS_ALLOW_HTTP": "true",
}
"""What a client of it needs besides AWS_ENDPOINT_URL, its address."""


@contextmanager
def running_object_store() -> Iterator[str]:
    """Yields its address; it has no bucket yet."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def new_bucket(server: str) -> str:
    """Make a bucket, and return its address."""
    name = f"bucket-{uuid.uuid4().hex}"
    # The server loads what it knows of S3 at its first request, which takes a busy machine seconds.
    httpx.put(f"{server}/{name}", timeout=60, trust_env=False).raise_for_status()
    return f"s3://{name}"
