"""Some lives of chance, and what a seed promises."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.ledger.postgres.server import why_none
from tests.simulation.faults import TEETH
from tests.simulation.faults.several import OF_SEVERAL

ROOT = Path(__file__).parents[2]
SEVERAL = int(why_none() is None)  # lives of several deliverers for each 20th seed


def simulate(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_lives_of_chance_keep_every_promise():
    """What is printed holds a finding's seed: `python -m tests.simulation --seed S --verbose`
    tells that life again.
    """
    done = simulate("--seed", "9000", "--seeds", "12", "--jobs", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"12 lives, {SEVERAL} of several deliverers" in done.stdout


def test_a_seed_is_the_same_life_in_another_process():
    """What is told of a life ends with the hash of all that happened. The servers of those of
    several deliverers differ, too, and the numbers of their sessions.
    """
    told = ["--seed", "19", "--seeds", "2", "--verbose"]
    first, second = (simulate(*told, PYTHONHASHSEED=str(salt)) for salt in (1, 2))
    assert first.returncode == 0, first.stdout + first.stderr
    assert "ended complete" in first.stdout
    assert f"2 lives, {SEVERAL} of several deliverers" in first.stdout
    stories = [each.stdout.partition(" lives,")[0] for each in (first, second)]
    assert stories[0] == stories[1]


def test_wrong_use_is_told_from_a_finding():
    done = simulate("--without", "weather")
    assert done.returncode == 2
    assert "outage" in done.stderr


def test_every_known_fault_still_fits_the_code(tmp_path):
    """The faults themselves are tried by `python -m tests.simulation --teeth`."""
    for tooth in (*TEETH, *OF_SEVERAL):
        package = tmp_path / tooth.name / "backfill"
        target = package / tooth.file
        target.parent.mkdir(parents=True)
        target.write_text((ROOT / "backfill" / tooth.file).read_text())
        tooth.apply(package)
        compile(target.read_text(), tooth.file, "exec")
    assert len(TEETH) >= 25
