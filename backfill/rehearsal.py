"""A rehearsal: plan, deliver to a sandbox of its own, and tell what the server saw.

Everything happens on this machine, in a directory of its own, so that it can be neither mistaken
for the real run nor counted as one.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from backfill.config import Config
from backfill.core.errors import BackfillError
from backfill.core.model import Progress
from backfill.core.secret import Secret
from backfill.core.terminal import duration
from backfill.deliver import Settings, Snapshot, StopRequest
from backfill.destinations import destination
from backfill.jobs.job import Job
from backfill.jobs.opening import plan_job
from backfill.jobs.status import Status
from backfill.sandbox import endpoints_for, running_sandbox

__all__ = ["Rehearsal", "Watch", "Watching", "rehearse"]

_RATE = "100000/s"  # nobody limits a rehearsal but the machine

Watching = AbstractContextManager[tuple[Callable[[Snapshot], None] | None, StopRequest]]
Watch = Callable[[Job, Settings], Watching]
"""What observes the delivery, and what can stop it, as long as it goes on."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What came of a rehearsal.

    `seen` is what the server counted: `requests`, `accepted` records, replies by status, faults
    by kind, and `overlaps` and `disorder`, which are 0 as long as each key's records came one
    request after another and in order. `requests` and `seconds` are what the real run needs for
    all that is ready; the latter is None where the rate is yet to be found. `kept` is the job's
    directory where it was not thrown away.
    """

    status: Status
    seen: Mapping[str, Any]
    requests: int
    seconds: float | None
    kept: Path | None

    @property
    def exit_code(self) -> int:
        """That of the run."""
        return self.status.exit_code

    @property
    def disturbed(self) -> bool:
        """Whether the server saw records of one key come out of turn, which must not be."""
        return bool(self.seen["overlaps"] or self.seen["disorder"])

    def seen_in_words(self) -> list[str]:
        """What the server saw, a line for each thing that there was."""
        seen = self.seen
        lines = [f"{seen['requests']:,} requests, {seen['accepted']:,} records accepted"]
        for what, counts in (("replies", "statuses"), ("faults on request", "faults")):
            if seen[counts]:
                each = ", ".join(f"{count:,} of {of}" for of, count in sorted(seen[counts].items()))
                lines.append(f"{what}: {each}")
        for of, what in (
            ("overlaps", "requests came beside another one of the same key"),
            ("disorder", "records came after a later one of the same contact"),
        ):
            if seen[of]:
                lines.append(f"{seen[of]:,} {what}")
        return lines

    def real_run_in_words(self) -> str:
        """What the real run needs for all that is ready."""
        took = (
            f"{duration(self.seconds)} at the configured rate"
            if self.seconds is not None
            else "the rate is found while sending"
        )
        return f"The real run needs {self.requests:,} requests: {took}."

    def _repr_html_(self) -> str:
        from backfill.report.html_summary import rehearsal_html  # noqa: PLC0415 - in a notebook

        words = (*self.seen_in_words(), self.real_run_in_words())
        return rehearsal_html(self.status, words)

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints: the status, what was seen, and what the real run needs."""
        return {
            **self.status.as_dict(),
            "seen": dict(self.seen),
            "real_run": {"requests": self.requests, "seconds": self.seconds},
            "kept": None if self.kept is None else str(self.kept),
        }


def rehearse(
    config: Config,
    *,
    name: Path,
    limit: int | None = None,
    faults: Iterable[str] = (),
    keep: bool = False,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> Rehearsal:
    """Plan `config` anew and deliver it to a sandbox on a free port of this machine.

    `name` is the directory that the real job has or would have; the rehearsal's lies beside it.
    `limit` is the number of records to send, `faults` are "KIND=SHARE" as the sandbox takes them.
    Raises what planning and delivering raise; the directory is gone then, too.
    """
    config = config.model_copy(update={"cluster": None})  # it stays on this machine
    directory = _own_directory(name)
    done = False
    try:
        with running_sandbox(
            faults=tuple(faults),
            keep=False,
            retry_after="milliseconds",
            endpoints=endpoints_for(
                [destination(config.destination)],
                custom_value_max=config.rules.custom_value_max,
                email_targets=config.rules.allow_email_targets,
                known_contacts=config.rules.reachable == "known",
            ),
        ) as server:
            job = plan_job(config, directory, progress=progress)
            changes: dict[str, Any] = {"base_url": server.url, "rate": _RATE, "limit": limit}
            unwatched: Watching = nullcontext((None, StopRequest()))
            with watch(job, job.settings(changes)) if watch else unwatched as (observe, halt):
                status = job.run(
                    observe=observe, halt=halt, credential=Secret("rehearsal"), **changes
                )
            seen = server.stats["destinations"][config.destination]
        real = job.settings({})
        requests = job.manifest.facts.requests
        done = True
    finally:
        if not (keep and done):
            shutil.rmtree(directory, ignore_errors=True)
    return Rehearsal(
        # What to type next would name a directory that is gone.
        status=status if keep else replace(status, next=None),
        seen=seen,
        requests=requests,
        seconds=requests / real.rate if real.rate else None,
        kept=directory if keep else None,
    )


def _own_directory(name: Path) -> Path:
    """A new directory beside the job's, where its disk is, or where temporary files lie."""
    make = partial(tempfile.mkdtemp, prefix=f"{name.stem}.rehearsal-", suffix=".job")
    try:
        return Path(make(dir=name.absolute().parent))
    except OSError:
        try:
            return Path(make())
        except OSError as error:
            raise BackfillError(
                f"no directory for the rehearsal can be made: {error.strerror or error}",
                where=str(error.filename or tempfile.gettempdir()),
                hint="Make room, or name another place with TMPDIR.",
            ) from error
