"""Does what is said beside a run that goes on: another rate, another concurrency, a pause."""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio
import anyio.to_thread

from backfill.core.errors import BackfillError, OwnershipError
from backfill.deliver.pacing.pacer import Pacer
from backfill.deliver.run.settings import Settings
from backfill.jobdir.pace_file import PaceSetting

__all__ = ["follow_pace"]

log = logging.getLogger("backfill.deliver")

_EVERY = 0.3  # seconds between two looks


async def follow_pace(
    pace: Callable[[], PaceSetting],
    settings: Settings,
    pacer: Pacer,
    *,
    widen: Callable[[int], None],
    lost: Callable[[OwnershipError], None],
) -> None:
    """Ask `pace` in a thread a few times a second, and change the pacer when it says otherwise.

    Compared with what had been said when the settings were made: much may be said before the
    first look. What the run itself was told stays until something else is said of that very
    thing. `widen` is told how many requests may be out at once. Runs until it is cancelled, or the
    question finds that a bucket was lost: `lost` is told then, as nobody may ever write for that
    bucket again and hear of it there.
    """
    rate, concurrency = settings.rate, settings.concurrency
    known = settings.pace
    pacer.pause(paused=known.paused)
    unheard = ""
    while True:
        try:
            said = await anyio.to_thread.run_sync(pace)
            unheard = ""
        except OwnershipError as error:
            lost(error)
            return
        except BackfillError as error:
            if str(error) != unheard:  # which may last for hours
                unheard = str(error)
                log.warning("%s", error)
            said = known
        if said == known:
            await anyio.sleep(_EVERY)
            continue
        before, known = known, said
        if rate_changes := (said.rate, said.rate_said) != (before.rate, before.rate_said):
            rate = said.rate_or(settings.rate)
        if concurrency_changes := (
            (said.concurrency, said.concurrency_said)
            != (before.concurrency, before.concurrency_said)
        ):
            concurrency = said.concurrency or settings.concurrency
        if rate_changes or concurrency_changes:
            pacer.change(rate, concurrency)
            widen(concurrency)
        pacer.pause(paused=said.paused)
        log.info("pace: %s", said)
