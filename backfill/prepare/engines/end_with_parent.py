"""Ends a process of Dask's when the one that started it is gone: its standard input closes then."""

from __future__ import annotations

import os
import sys
import threading

__all__ = ["dask_setup"]


def dask_setup(_server: object) -> None:
    """Called by Dask as the process starts."""
    threading.Thread(target=_wait, name="backfill-parent", daemon=True).start()


def _wait() -> None:
    try:
        sys.stdin.buffer.read()
    finally:
        os._exit(0)
