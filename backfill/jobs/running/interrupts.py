"""An interrupt is an interrupt, whatever it broke on its way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["interrupts_first"]


@contextmanager
def interrupts_first() -> Iterator[None]:
    """Raise KeyboardInterrupt for whatever goes wrong in the block after Ctrl-C.

    An interrupt can end a native library in the middle of its work, which then complains of
    damaged files or panics. Only the main thread hears of signals, so elsewhere nothing changes.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    heard = threading.Event()

    def hear(number: int, frame: FrameType | None) -> None:
        heard.set()
        before(number, frame)

    signal.signal(signal.SIGINT, hear)
    try:
        yield
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
        signal.signal(signal.SIGINT, before)
