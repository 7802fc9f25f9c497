"""The program where whatever anybody logs is to be seen, and where sending may break."""

from __future__ import annotations

import faulthandler
import logging
import os
from collections.abc import Callable
from typing import Any

from backfill import __main__ as program
from backfill.deliver.run import send

__all__ = ["BREAKING", "main"]

BREAKING: dict[str, Callable[[Any], object]] = {
    "abort": lambda _: os.abort(),
    "raise": lambda sender: int(sender._headers),
}
"""What is done with a sender that has just sent, by what BREAK says in the environment."""


def main() -> None:
    """Run the command line and leave with its exit code."""
    faulthandler.enable()
    logging.basicConfig(level=logging.DEBUG)
    if how := os.environ.get("BREAK"):
        _break(BREAKING[how])
    program.main()


def _break(how: Callable[[Any], object]) -> None:
    whole = send.Sender.send

    async def broken(self: send.Sender, *what: Any, **more: Any) -> object:
        answer = await whole(self, *what, **more)
        how(self)
        return answer

    send.Sender.send = broken  # type: ignore[method-assign,assignment] # what is tested
