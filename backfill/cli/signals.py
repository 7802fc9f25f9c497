"""A delivery is shown while it runs, and a signal stops it in order."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from backfill.cli.failures import error_object, line_asks_for_json
from backfill.core.model import StopKind

if TYPE_CHECKING:
    from backfill.deliver import Settings, Snapshot, StopRequest
    from backfill.jobs.job import Job

__all__ = ["showing_progress", "stop_on_signals"]


@contextmanager
def showing_progress(
    job: Job, settings: Settings, *, quiet: bool = False
) -> Iterator[tuple[Callable[[Snapshot], None], StopRequest]]:
    """Show a bar or a line now and then while a job is delivered, and stop it on a signal."""
    from backfill.progress.progress import DeliveryBar  # noqa: PLC0415

    with (
        stop_on_signals() as halt,
        DeliveryBar(job, settings=settings, halt=halt, quiet=quiet, lines=True) as observe,
    ):
        yield observe, halt


def _at_once(halt: StopRequest) -> str:
    """What is said of a run that does not wait for its requests."""
    if halt.elsewhere:
        told = "quit at once: the workers may send on; `backfill pace JOB --pause` holds them"
    else:
        told = (
            "quit at once: the records of requests in flight are unknown now, and `backfill status`"
            " counts them"
        )
    return f"{told}\nresume with: {shlex.join(['backfill', *sys.argv[1:]])}\n"


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turn the first SIGINT, SIGTERM or SIGHUP into an orderly halt; a second one leaves at once,
    or where requests are made elsewhere, as soon as those who make them were told.

    A terminal that closes hangs up more than once, its shell for one and the kernel for another,
    so only the others count as a second one. A signal that was ignored when the process began
    stays so: a shell starts what runs in the background like that, and a Ctrl-C there is meant
    for others.
    """
    from backfill.deliver import StopRequest  # noqa: PLC0415
    from backfill.progress.bars import is_interactive  # noqa: PLC0415

    halt = StopRequest()
    kinds = {
        signal.SIGINT: StopKind.INTERRUPTED,
        signal.SIGTERM: StopKind.TERMINATED,
        signal.SIGHUP: StopKind.TERMINATED,
    }
    received: list[int] = []
    runs = True

    def receive(number: int, frame: object) -> None:
        del frame
        if received:
            if number == signal.SIGHUP:
                return
            if halt.elsewhere and not halt.impatient:
                halt.impatient = True
                with suppress(OSError):
                    os.write(2, b"leaving as soon as the workers were told to stop\n")
                return
            # The ledger holds what is in flight, so nothing needs to be put in order first.
            with suppress(OSError):
                os.write(2, _at_once(halt).encode())
                if runs and line_asks_for_json():  # afterwards there may be an object already
                    os.write(1, f"{error_object('quit at once', 128 + number)}\n".encode())
            os._exit(128 + number)
        received.append(number)
        with suppress(OSError):  # a terminal that hung up takes no words
            # A bar on a terminal is cleared first; it comes back below.
            os.write(2, b"\r\x1b[J" if is_interactive() else b"\n")
            again = b"leaves them to the workers" if halt.elsewhere else b"quits at once"
            os.write(2, b"stopping: waiting for requests in flight; Ctrl-C again %b\n" % again)
        halt.request(kinds[signal.Signals(number)])

    heard = [number for number in kinds if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, receive) for number in heard}
    try:
        yield halt
    finally:
        runs = False
        # After one, another may come until the process is gone, and must find us then, too.
        if not received:
            for number, handler in before.items():
                signal.signal(number, handler)
