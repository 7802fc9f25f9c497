"""Every measurement in one run, as Markdown.

    python -m benchmarks > docs/benchmarks.md
    python -m benchmarks --events 10_000_000 --contacts 1_000_000 --large 10_000_000

Takes some ten minutes on two idle cores. What it needs beside the package: the extra `bench`,
nginx for the fastest endpoint, and, for the peers of one section, pandas and dlt.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PEERS = ("aiohttp", "dlt", "duckdb", "httpx", "pandas", "polars", "pydantic")

_PREPARING = """\
From files to ready buckets: content hashes, join, every rule, duplicates, lanes, order, bodies.
"The same outputs" is DuckDB doing all of this but the hashes and the finer rules, in SQL;
"bodies alone" is the least that could be called the same, without reasons, duplicates or order.
"""

_CHECKS = """\
Each check by itself, as preparing runs it.
"""

_COLUMNS = """\
Files of one row and many columns: the time is to grow in proportion to the columns.
"""

_LEDGER = """\
The write-ahead ledger, every commit durable before the request leaves. A commit holds what
waits at that moment, so its size grows with the load; disks differ more than processors here.
"""

_DELIVERING = """\
From ready buckets to replies, with the ledger. The bare loop only sends.
"""

_LARGE_JOB = """\
What a job's size must not be felt in: commands beside it, each in a process of its own.
"""

_RATE = """\
How much of a limit that it does not know an automatic rate uses, and the share of refusals.
"""

_CLUSTER = """\
Two worker processes of one thread each against one process of two; the start is not counted.
"""

_TAKE_OVER = """\
How soon the buckets of a deliverer that ended are another one's, with a lease of one second.
"""

_SCALE = """\
What 64 workers and deliverers would make of 1 billion events: measured tasks, then a simulation.
"""

_SIMULATION = """\
Simulated lives of jobs, by which the program is judged: more of them see more.
"""

_ROW_BY_ROW = """\
The usual ways to do the same, on small data.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--contacts", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3, help="whose median counts")
    parser.add_argument("--large", type=int, default=0, help="records of a large job to deliver")
    parser.add_argument("--job", type=int, default=2_000_000, help="records of a job to look at")
    parser.add_argument("--directory", type=Path, help="where the data to prepare lies, or is put")
    given = parser.parse_args()
    rounds = ["--rounds", str(given.rounds)]
    data = [*rounds, "--events", str(given.events), "--contacts", str(given.contacts)]
    if given.directory:
        data += ["--directory", str(given.directory)]
    sending = [*rounds, "--large", str(given.large)]
    print(f"# Benchmarks\n\n{_conditions()}")
    _section("Preparing", _PREPARING, "prepare", data)
    _section("Checks", _CHECKS, "checks")
    _section("Many columns", _COLUMNS, "columns")
    _section("Ledger", _LEDGER, "ledger")
    _section("Delivering", _DELIVERING, "deliver", sending)
    _section("A large job", _LARGE_JOB, "large_job", ["--records", str(given.job)])
    _section("Rate", _RATE, "rate", ["--sockets"])
    _section("Planning on several processes", _CLUSTER, "cluster", data[2:])
    _section("Taking over", _TAKE_OVER, "takeover", rounds)
    _section("Scale", _SCALE, "scale")
    _section("Simulated lives", _SIMULATION, "simulation", rounds)
    _section("Row by row", _ROW_BY_ROW, "row_by_row")


def _conditions() -> str:
    """The machine, how busy it was, and the versions of what took part."""
    versions = [f"Python {platform.python_version()}", f"backfill {version('backfill')}"]
    for name in _PEERS:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            versions.append(f"no {name}")
    busy = os.getloadavg()[1]
    return (
        f"{_processor()}, {os.cpu_count()} cores, {_memory()}, {platform.system()}."
        f" Processes that wanted to run in the five minutes before: {busy:.1f}.\n\n"
        f"{', '.join(versions)}.\n\nRatios carry over to other machines; figures do not.\n"
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory() -> str:
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB"


def _section(title: str, about: str, module: str, arguments: Sequence[str] = ()) -> None:
    """One module's figures; one that cannot run says so and the others go on."""
    print(f"\n## {title}\n\n{about}\n`python -m benchmarks.{module}`\n", flush=True)
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    if subprocess.run(command, check=False).returncode:
        print("\nThis measurement failed.", flush=True)


if __name__ == "__main__":
    main()
