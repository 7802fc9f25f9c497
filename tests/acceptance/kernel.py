"""A real notebook kernel, driven as a notebook drives it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from tests.acceptance.program import CREDENTIALS

__all__ = ["Cell", "Kernel", "running_kernel"]

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Cell:
    """What a cell came to: its text, its results by type, and the error as it is shown."""

    text: str = ""
    results: list[dict[str, Any]] = field(default_factory=list)
    displays: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None

    @property
    def html(self) -> str:
        return "".join(result.get("text/html", "") for result in self.results)

    @property
    def plain(self) -> str:
        return "".join(result.get("text/plain", "") for result in self.results)


class Kernel:
    """Runs cells one after another."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self._manager = manager
        self._client = client

    def begin(self, code: str) -> str:
        """Start a cell. Returns what `end` needs."""
        return str(self._client.execute(code))

    def end(self, request: str, timeout: float = 60) -> Cell:
        """Wait for the end of a cell."""
        cell, deadline = Cell(), time.monotonic() + timeout
        while time.monotonic() < deadline:
            message = self._client.get_iopub_msg(timeout=timeout)
            if message["parent_header"].get("msg_id") != request:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                cell.text += content["text"]
            elif kind == "execute_result":
                cell.results.append(content["data"])
            elif kind == "display_data":
                cell.displays.append(content["data"])
            elif kind == "error":
                cell.error = _COLOUR.sub("", "\n".join(content["traceback"]))
            elif kind == "status" and content["execution_state"] == "idle":
                return cell
        raise TimeoutError(f"the cell did not end in {timeout} s")

    def run(self, code: str, timeout: float = 60) -> Cell:
        return self.end(self.begin(code), timeout)

    def interrupt(self) -> None:
        """What the stop button does: SIGINT to the kernel."""
        self._manager.interrupt_kernel()


@contextmanager
def running_kernel(place: Path, **environment: str) -> Iterator[Kernel]:
    """A kernel whose working directory is `place`."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(
        cwd=str(place),
        env={**os.environ, **CREDENTIALS, "POLARS_MAX_THREADS": "2", **environment},
    )
    client = manager.blocking_client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=60)
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
