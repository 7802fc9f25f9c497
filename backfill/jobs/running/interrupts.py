"""An interrupt is an interrupt, whatever it broke on its way."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["interrupts_first"]

_CALLED_BACK = "polars.datatypes"  # what Polars' native code calls while it builds a schema
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SOON = 0.01  # seconds until an interrupt that came there comes again


@contextmanager
def interrupts_first() -> Iterator[None]:
    """Raise KeyboardInterrupt for whatever goes wrong in the block after Ctrl-C, or another signal
    that somebody hears, and at its end where nothing did.

    An interrupt can end a native library in the middle of its work, which then complains of
    damaged files or panics. Where Polars calls its own Python types it takes no exception and
    panics on standard error, so an interrupt that comes there is put off until it is through.
    Only the main thread hears of signals, so elsewhere nothing changes.
    """
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    before = {number: handler for number, handler in handlers.items() if callable(handler)}
    if threading.current_thread() is not threading.main_thread() or not before:
        yield
        return
    heard = threading.Event()

    def hear(number: int, frame: FrameType | None) -> None:
        if _is_called_back(frame):
            threading.Timer(_SOON, os.kill, (os.getpid(), number)).start()
            return
        heard.set()
        before[signal.Signals(number)](number, frame)

    for number in before:
        signal.signal(number, hear)
    try:
        yield
        if heard.is_set():  # it came where Python drops what is raised, as in a finalizer
            raise KeyboardInterrupt
    except Exception as error:
        if heard.is_set():
            raise KeyboardInterrupt from error
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a panic in a native library is no Exception
        if heard.is_set():
            raise KeyboardInterrupt from error
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_called_back(frame: FrameType | None) -> bool:
    """Whether Polars' native code is what runs this frame, or one that called it."""
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith(_CALLED_BACK):
            return True
        frame = frame.f_back
    return False
