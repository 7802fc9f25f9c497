"""`python -m tests.chaos --rounds 20 --seed 1 --minutes 10`."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.chaos.power import can_trace, lose_power
from tests.chaos.rounds import Figures, play
from tests.promises import Finding

__all__ = ["main"]


def main() -> int:
    """Play the rounds, print what was found, and how each finding is played again."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="of the first round; the next is +1")
    parser.add_argument("--minutes", type=float, help="begin no round after so many minutes")
    parser.add_argument("--mishaps", type=int, default=4, help="in each round")
    parser.add_argument("--power", action="store_true", help="lose power instead (with strace)")
    parser.add_argument("--keep", type=Path, help="where the jobs of findings are kept")
    options = parser.parse_args()
    if options.power and not can_trace():
        print("strace is not here, or may not watch a process")
        return 2
    figures, findings = Figures(), 0
    began = time.monotonic()
    for seed in range(options.seed, options.seed + options.rounds):
        if options.minutes and time.monotonic() - began > 60 * options.minutes:
            break
        place = Path(tempfile.mkdtemp(prefix=f"chaos-{seed}-"))
        at = time.monotonic()
        try:
            if options.power:
                words = lose_power(place, seed)
                figures.rounds += 1
            else:
                words = play(place, seed, figures, mishaps=options.mishaps)
            print(f"{seed}: {time.monotonic() - at:.1f} s; {words}", flush=True)
        except KeyboardInterrupt:
            break
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            findings += 1
            told = str(error) if isinstance(error, Finding) else traceback.format_exc()
            print(f"{seed}: FOUND {told}", flush=True)
            kind = "--power" if options.power else f"--mishaps {options.mishaps}"
            print(f"  python -m tests.chaos --rounds 1 {kind} --seed {seed}", flush=True)
            if options.keep is not None:
                shutil.copytree(place, options.keep / str(seed), dirs_exist_ok=True)
        finally:
            shutil.rmtree(place, ignore_errors=True)
    _tell(figures, findings, time.monotonic() - began)
    return 1 if findings else 0


def _tell(figures: Figures, findings: int, seconds: float) -> None:
    print(f"\n{figures.rounds} rounds without a finding, {findings} with one, in {seconds:.0f} s")
    if not figures.processes:
        return
    print(f"{figures.processes} processes, {figures.looks} looks at books, all balanced")
    for name in ("mishaps", "faults", "records"):
        counted = getattr(figures, name)
        listed = ", ".join(f"{number:,} {kind}" for kind, number in counted.most_common())
        print(f"{counted.total():,} {name}: {listed}")
    for mishap, why in sorted(figures.skipped.items()):
        print(f"skipped {mishap}: {why}")


if __name__ == "__main__":
    sys.exit(main())
