"""How fast, and in how much memory, ready buckets become requests.

    python -m benchmarks.deliver
    python -m benchmarks.deliver --large 10_000_000

The client has one core to itself and the endpoint another. Its peers are a bare aiohttp loop,
which does nothing but send, and one shared `httpx.AsyncClient`. All have 64 requests in flight;
the ledger is durable. Each measurement is a process of its own, taken in turns, and the median
of the rounds counts. Prints Markdown. Ratios carry over to other machines.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import httpx

from backfill.core.secret import Secret
from backfill.deliver import Settings, StopRequest, deliver
from backfill.deliver.http.response_reader import RawReply
from backfill.deliver.http.transport import Transport
from backfill.destinations import destination
from backfill.jobdir.manifest import Manifest
from backfill.ledger import Ledger
from benchmarks.endpoint import endpoint
from benchmarks.ready_jobs import POPULATION, make_job

IN_FLIGHT = 64
PATH = f"/v1/events/send/{POPULATION}"
BODY = b'{"contact":{"id":"%s"},"type":"purchase"}' % (b"x" * 290)  # 330 bytes
HEADERS = {
    "X-API-Key": "key",
    "Content-Type": "application/json",
    "Accept": "application/json",
    "X-Request-Id": "3d19215e-2991-4a05-a41a-527314e6ff6a",
}


# --- one measurement, in a process of its own ----------------------------------------------


def bare_aiohttp(url: str, requests: int) -> dict[str, Any]:
    async def go() -> None:
        left = requests
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def work() -> None:
                nonlocal left
                while left > 0:
                    left -= 1
                    async with session.post(url + PATH, data=BODY, headers=HEADERS) as reply:
                        await reply.read()

            await asyncio.gather(*[work() for _ in range(IN_FLIGHT)])

    with _taking_time() as taken:
        asyncio.run(go())
    return {**taken, "requests": requests, "records": requests}


def shared_httpx(url: str, requests: int) -> dict[str, Any]:
    async def go() -> None:
        left = requests
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        async with httpx.AsyncClient(limits=limits, timeout=60) as client:

            async def work() -> None:
                nonlocal left
                while left > 0:
                    left -= 1
                    await client.post(url + PATH, content=BODY, headers=HEADERS)

            await asyncio.gather(*[work() for _ in range(IN_FLIGHT)])

    with _taking_time() as taken:
        asyncio.run(go())
    return {**taken, "requests": requests, "records": requests}


def backfill(
    url: str, directory: str, limit: int | None, *, uvloop: bool = False
) -> dict[str, Any]:
    """A run as the job makes it, from opening the manifest to its end.

    What is imported with the first event loop is not counted, as the peers' imports are not.
    """
    anyio.run(anyio.sleep, 0, backend_options={"use_uvloop": uvloop})
    first: list[float] = []

    class Watched(Transport):
        """Notes when the first request goes out, and then gets out of the way."""

        async def exchange(
            self, url: httpx.URL, data: bytes, may_send: Callable[[], bool] | None = None
        ) -> RawReply:
            if not first:
                first.append(time.perf_counter())
                self.exchange = super().exchange  # type: ignore[method-assign]
            return await super().exchange(url, data, may_send)

    began = time.perf_counter()
    manifest = Manifest.read(Path(directory))
    with Ledger.open(Path(directory, "ledger.sqlite"), create=True) as ledger:
        before = ledger.counts()
        with _taking_time() as taken:

            async def go() -> None:
                transport = Watched(timeout=30.0)
                stop = await deliver(
                    manifest=manifest,
                    directory=Path(directory),
                    ledger=ledger,
                    destination=destination(manifest.destination),
                    credential=Secret("as-long-as-a-key-of-either-api-is-xx"),
                    settings=Settings(base_url=url, rate=1e6, limit=limit),
                    halt=StopRequest(),
                    transport=transport,
                )
                await transport.aclose()
                assert stop is None or limit, stop

            anyio.run(go, backend_options={"use_uvloop": uvloop})
        records = sum(ledger.counts().values()) - sum(before.values())
        requests = ledger.requests().sent
    return {
        **taken,
        "requests": requests,
        "records": records,
        "starts_after": first[0] - began,
        "peak_mb": _peak_mb(),
        "ledger_mb": Path(directory, "ledger.sqlite").stat().st_size / 1e6,
    }


def _peak_mb() -> float:
    # Not getrusage: its figure includes what the parent held when it started this process.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@contextlib.contextmanager
def _taking_time() -> Iterator[dict[str, float]]:
    """Yields what is filled when the block ends: seconds by the clock and of the processor."""
    taken: dict[str, float] = {}
    wall, cpu = time.perf_counter(), time.process_time()
    yield taken
    taken["seconds"] = time.perf_counter() - wall
    taken["cpu"] = time.process_time() - cpu


MEASUREMENTS: dict[str, Callable[..., dict[str, Any]]] = {
    "bare": bare_aiohttp,
    "httpx": shared_httpx,
    "backfill": backfill,
    "backfill-uvloop": partial(backfill, uvloop=True),
}


# --- all of them ---------------------------------------------------------------------------


def measure(core: int, name: str, *arguments: object) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.deliver", "--core", str(core)]
    command += ["--one", name, json.dumps(arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=3600)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def speeds(core: int, url: str, room: Path, rounds: int) -> None:
    """Everyone in turns, so that what else the machine does falls on all alike."""
    jobs = {
        "Pristo": make_job(room / "pristo.job", "pristo-events", 40_000),
        "Watch": make_job(room / "watch.job", "watch-events", 1_000_000),
    }
    loops = [("backfill", "")]
    if find_spec("uvloop") is not None:
        loops.append(("backfill-uvloop", ", uvloop"))
    found: dict[str, list[dict[str, Any]]] = {}
    for _ in range(rounds):
        found.setdefault("bare aiohttp loop", []).append(measure(core, "bare", url, 40_000))
        for name, (loop, called) in product(jobs, loops):
            directory = room / f"{name.lower()}.job"
            for old in directory.glob("ledger.sqlite*"):
                old.unlink()
            found.setdefault(f"backfill, {name}{called}", []).append(
                measure(core, loop, url, str(directory), None)
            )
        found.setdefault("one shared httpx.AsyncClient", []).append(
            measure(core, "httpx", url, 3_000)
        )
    print("| client | records/s | requests/s | CPU per request |")
    print("|---|---|---|---|")
    rate, cost = {}, {}
    for name, results in found.items():
        rate[name] = statistics.median(each["records"] / each["seconds"] for each in results)
        cost[name] = statistics.median(each["cpu"] / each["records"] for each in results)
        requests = statistics.median(each["requests"] / each["seconds"] for each in results)
        cpu = statistics.median(each["cpu"] / each["requests"] for each in results)
        print(f"| {name} | {rate[name]:,.0f} | {requests:,.0f} | {cpu * 1e6:,.0f} µs |")
    print()
    print("| ratio | in records/s | in records per CPU second | wanted |")
    print("|---|---|---|---|")
    for one, other, wanted in (
        ("backfill, Pristo", "bare aiohttp loop", "1.3"),
        ("backfill, Pristo, uvloop", "bare aiohttp loop", "1.8"),
        ("backfill, Pristo", "one shared httpx.AsyncClient", "12"),
        ("backfill, Watch", "bare aiohttp loop", "40"),
    ):
        if one not in rate:
            continue
        ratios = f"{rate[one] / rate[other]:.2f} | {cost[other] / cost[one]:.2f}"
        print(f"| {one} to {other} | {ratios} | {wanted} |")


def large(core: int, url: str, room: Path, records: int) -> None:
    """A large job of each kind: when it starts, fresh and resumed, and what memory it takes.

    Watch is delivered to its end, Pristo for 200,000 records of it.
    """
    print("| job | starts after | delivered | in | peak memory | ledger |")
    print("|---|---|---|---|---|---|")
    for name, limits in (
        ("watch-events", [records // 2, None]),
        ("pristo-events", [100_000, 100_000]),
    ):
        directory = room / f"large-{name}.job"
        make_job(directory, name, records)
        for what, limit in zip(("fresh", "resumed"), limits, strict=True):
            each = measure(core, "backfill", url, str(directory), limit)
            print(
                f"| {records:,} {name}, {what} | {each['starts_after']:.2f} s "
                f"| {each['records']:,} | {each['seconds']:.1f} s | {each['peak_mb']:,.0f} MB "
                f"| {each['ledger_mb']:.1f} MB |"
            )
        shutil.rmtree(directory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", type=int, default=0, metavar="RECORDS")
    parser.add_argument("--directory", type=Path, help="where the jobs lie meanwhile")
    parser.add_argument("--one", nargs=2, metavar=("NAME", "ARGUMENTS"), help=argparse.SUPPRESS)
    parser.add_argument("--core", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        os.sched_setaffinity(0, {given.core})
        print(json.dumps(MEASUREMENTS[given.one[0]](*json.loads(given.one[1]))))
        return
    cores = sorted(os.sched_getaffinity(0))
    client, server = cores[0], cores[-1]
    with (
        tempfile.TemporaryDirectory(prefix="backfill-benchmark-", dir=given.directory) as room,
        endpoint(server) as (url, what),
    ):
        print(f"Client on core {client}, {what} on core {server}; {IN_FLIGHT} in flight.\n")
        speeds(client, url, Path(room), given.rounds)
        if given.large:
            print()
            large(client, url, Path(room), given.large)


if __name__ == "__main__":
    main()
