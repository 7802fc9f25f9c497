"""What planning on several processes of one machine costs, against one process.

    python -m benchmarks.cluster --events 3_000_000 --contacts 300_000

The data are those of `benchmarks.prepare`. Two workers of one thread each stand against one
process of two: wall and CPU seconds of all processes while a plan is made, the second one, so that
starting them and what they import is told apart; and the most memory that one of them held.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.prepare import CONFIG, NOW, generate

_WAYS = {"one process": None, "local:2": "local:2"}

_WANTED = (("wall", "wall", 1.15), ("CPU seconds", "cpu", 1.3), ("memory of one", "peak", 1.0))


def measure(directory: Path, on: str | None) -> None:
    """Prepare once and print what it took, as JSON."""
    import psutil  # type: ignore[import-untyped]  # noqa: PLC0415

    from backfill.config import config_from_mapping  # noqa: PLC0415
    from backfill.destinations import destination  # noqa: PLC0415
    from backfill.prepare.engines.opening import engine_on  # noqa: PLC0415
    from backfill.prepare.pipeline import prepare  # noqa: PLC0415

    config = config_from_mapping(
        {
            **CONFIG,
            "events": {"files": "events.parquet", "contact_key": "user_id", "time": "at"},
            "contacts": {"files": "contacts.parquet", "key": "id"},
        },
        directory=directory,
    )

    def used() -> dict[int, float]:
        own = psutil.Process()
        return {
            each.pid: sum(each.cpu_times()[:2]) for each in (own, *own.children(recursive=True))
        }

    phases: dict[str, float] = {}
    began = time.perf_counter()
    with engine_on(on) as engine:
        start = time.perf_counter() - began
        # The first one has the workers import what they need; the second one counts.
        for into in (directory / "job" / "first", directory / "job" / "second"):
            into.mkdir(parents=True)
            up, before = time.perf_counter(), used()

            def note(phase: str, done: int, total: int | None, up: float = up) -> None:
                del done, total
                phases[phase] = round(time.perf_counter() - up, 2)

            manifest = prepare(
                config, destination(config.destination), into, now=NOW, progress=note, engine=engine
            )
            wall, after = time.perf_counter() - up, used()
        peaks = [_peak(pid) for pid in after]
    cpu = sum(after[pid] - before.get(pid, 0.0) for pid in after)
    found = {"start": start, "wall": wall, "cpu": cpu, "peak": max(peaks), "phases": phases}
    print(json.dumps({**found, "ready": manifest.ready}))


def _peak(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=3_000_000)
    parser.add_argument("--contacts", type=int, default=300_000)
    parser.add_argument("--directory", type=Path, help="where the data lie, or are put for later")
    parser.add_argument("--measure", choices=list(_WAYS), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(given.directory, _WAYS[given.measure])
        return
    with tempfile.TemporaryDirectory() as temporary:
        directory = (given.directory or Path(temporary)).absolute()
        directory.mkdir(parents=True, exist_ok=True)
        if not (directory / "events.parquet").exists():
            generate(directory, given.events, given.contacts)
        found = {name: _measured(name, directory) for name in _WAYS}
    print("| way | start | wall | CPU seconds | most memory of a process | ready |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, each in found.items():
        times = " | ".join(f"{each[kind]:.1f} s" for kind in ("start", "wall", "cpu"))
        print(f"| {name} | {times} | {each['peak'] / 1e9:.2f} GB | {each['ready']:,} |")
    one, other = found.values()
    print("\n| two workers to one process | ratio | wanted |")
    print("|---|---:|---:|")
    for what, kind, most in _WANTED:
        ratio = other[kind] / one[kind]
        short = "" if ratio <= most else ": **falls short**"
        print(f"| {what} | {ratio:.2f} | at most {most}{short} |")


def _measured(name: str, directory: Path) -> dict[str, float]:
    shutil.rmtree(directory / "job", ignore_errors=True)
    command = [sys.executable, "-m", "benchmarks.cluster", "--measure", name]
    done = subprocess.run(
        [*command, "--directory", str(directory)], check=True, stdout=subprocess.PIPE, text=True
    )
    shutil.rmtree(directory / "job", ignore_errors=True)
    print(f"{name}: {done.stdout.strip()}", file=sys.stderr)
    result: dict[str, float] = json.loads(done.stdout)
    return result


if __name__ == "__main__":
    main()
