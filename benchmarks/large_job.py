"""Whether a job's size is felt where it should not be.

    python -m benchmarks.large_job --records 20_000_000

Plans a Watch job of so many records, then runs the commands that people type while it goes on,
each in a process of its own: the first request, the status, the records as a file, the report,
a retry. What was delivered before is written into the ledger as a run leaves it: full batches, of
which one in ten lost a record. Prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from backfill.core.model import Batch, Outcome, Settlement, State
from backfill.jobdir.manifest import Manifest
from backfill.ledger import Ledger
from benchmarks.endpoint import endpoint

_BATCH = 100  # records of a request
_FAILED = 10  # of so many lanes one loses a record of each batch

_CONFIG = """\
destination = "watch-events"
[events]
files = "events.parquet"
time = "at"
[fields]
"target.type" = { value = "phone_number" }
"target.value" = "phone"
"label" = "label"
"confidence" = { value = "high" }
"""

_EVENTS = """
import sys
import polars as pl
row = pl.col("n")
pl.LazyFrame({"n": pl.int_range(int(sys.argv[1]), eager=True)}).select(
    phone=pl.format("+1{}555{}", 201 + row.hash(1) % 700, (row.hash(2) % 10_000).cast(pl.String)
        .str.zfill(4)),
    label=pl.lit("onboarding.started"),
    at=(1_650_000_000_000 + row * 1_000).cast(pl.Datetime("ms", "UTC")),
).sink_parquet("events.parquet")
"""


@dataclass(frozen=True)
class Taken:
    """What one command took: seconds by the clock and of the processor, bytes at its peak."""

    seconds: float
    cpu: float
    peak: int


def measured(directory: Path, *command: str) -> Taken:
    """Run a command in `directory`. Its exit code may be any that is no fault of its own."""
    began = time.perf_counter()
    environment = {**os.environ, "PRELUDE_API_TOKEN": "token"}
    with subprocess.Popen(
        [sys.executable, *command],
        cwd=directory,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 3, 8):
        raise SystemExit(f"{command}: exit {process.returncode}\n{said}")
    seconds = time.perf_counter() - began
    return Taken(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def settle_some(job: Path) -> int:
    """Write down that every second lane was sent but its end; returns how many requests it took."""
    manifest = Manifest.read(job)
    # What the first request went to is left alone.
    lanes = [each for each in manifest.lanes() if each.number % 2 and each.bucket]
    requests = 0
    with Ledger.open(job / "ledger.sqlite") as ledger:
        for turn in range(max((each.stop - each.start) // _BATCH for each in lanes)):
            batches = [
                Batch(each.bucket, each.number, ((start, start + _BATCH),))
                for each in lanes
                if (start := each.start + turn * _BATCH) + _BATCH <= each.stop
            ]
            ledger.commit([], batches)
            ledger.commit([Settlement(each, _outcomes(each)) for each in batches], [])
            requests += len(batches)
    return requests


def _outcomes(batch: Batch) -> tuple[Outcome, ...]:
    """All of them delivered, or the first one failed."""
    [(start, stop)] = batch.ranges
    if batch.lane % _FAILED != 1:
        return (Outcome(batch.ranges, State.DELIVERED, "", 200),)
    return (
        Outcome(((start, start + 1),), State.FAILED, "invalid phone number", 400),
        Outcome(((start + 1, stop),), State.DELIVERED, "", 200),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--records", type=int, default=2_000_000)
    parser.add_argument("--directory", type=Path, help="where the job lies meanwhile")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.directory) as room, endpoint(1) as (url, _):
        directory = Path(room)
        job = directory / "watch.job"
        (directory / "watch.toml").write_text(_CONFIG)

        def backfill(*arguments: str) -> Taken:
            return measured(directory, "-m", "backfill", *arguments)

        measured(directory, "-c", _EVENTS, str(given.records))
        print(f"{given.records:,} Watch records.\n")
        print("| command | seconds | CPU seconds | peak memory | wanted |")
        print("|---|---:|---:|---:|---:|")
        plan = backfill("plan", "watch.toml")
        _print("plan", plan)
        status = ("status", "watch.toml")
        _print("status, planned", backfill(*status), within=1)
        run = backfill("run", "watch.toml", "--base-url", url, "--limit", "1")
        _print("run to its first request", run, within=2)
        began = time.perf_counter()
        requests = settle_some(job)
        filling = time.perf_counter() - began
        size = sum(path.stat().st_size for path in job.glob("ledger.sqlite*"))
        _print("status, half delivered", backfill(*status), within=1)
        records = backfill("records", "watch.toml", "-o", "records.parquet")
        _print("records", records, within=given.records / 200_000)
        _print("records --state failed", backfill("records", "watch.toml", "--state", "failed"))
        _print("report", backfill("report", "watch.toml"))
        _print("retry", backfill("retry", "watch.toml"))
        _print("status, after the retry", backfill(*status), within=1)
        print(
            f"\nThe plan took {plan.cpu / given.records * 1e6:.1f} µs of CPU for each record,"
            f" `records` wrote {given.records / records.seconds:,.0f} rows/s."
            f" The ledger took {size / 1e6:.1f} MB for {requests:,} requests, which were written"
            f" into it in {filling:.1f} s."
        )


def _print(name: str, taken: Taken, within: float | None = None) -> None:
    figures = f"{taken.seconds:.2f} | {taken.cpu:.2f} | {taken.peak / 1e9:.2f} GB"
    wanted = "" if within is None else f"at most {within:g} s"
    short = ": **falls short**" if within is not None and taken.seconds > within else ""
    print(f"| {name} | {figures} | {wanted}{short} |", flush=True)


if __name__ == "__main__":
    main()
