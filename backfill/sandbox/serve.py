"""The sandbox as a command: it runs until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Any

from backfill.sandbox.server import Sandbox

__all__ = ["serve"]


def serve(announce: Callable[[str], None], **options: Any) -> Sandbox:
    """Serve until SIGINT or SIGTERM; the options are those of `Sandbox`.

    `announce` is called with the address alone once connections are taken, which lets a
    script read it. Returns the sandbox, closed, with what it saw.
    """
    sandbox = Sandbox(**{"keep": False, **options})
    asyncio.run(_serve(sandbox, announce))
    return sandbox


async def _serve(sandbox: Sandbox, announce: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with sandbox:
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(each, stop.set)
        announce(sandbox.url)
        await stop.wait()
