"""Some lives of several deliverers, and what a seed of theirs promises."""

from __future__ import annotations

import pytest

from tests.ledger.postgres.server import why_none
from tests.simulation.faults.several import OF_SEVERAL
from tests.simulation.test_simulation import ROOT, simulate

pytestmark = pytest.mark.skipif(why_none() is not None, reason=str(why_none()))


def test_lives_of_several_deliverers_keep_every_promise():
    """What is printed holds a finding's seed: `python -m tests.simulation --seed S --several
    --verbose` tells that life again.
    """
    done = simulate("--several", "--seed", "9000", "--seeds", "4", "--jobs", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 of several deliverers" in done.stdout


def test_a_seed_is_the_same_life_in_another_process():
    """Also over another server, whose sessions have other numbers."""
    told = ["--several", "--seed", "5", "--seeds", "2", "--verbose"]
    first, second = (simulate(*told, PYTHONHASHSEED=str(salt)) for salt in (1, 2))
    assert first.returncode == 0, first.stdout + first.stderr
    assert "ended complete" in first.stdout
    stories = [each.stdout.partition(" lives,")[0] for each in (first, second)]
    assert stories[0] == stories[1]


def test_every_known_fault_still_fits_the_code(tmp_path):
    """The faults themselves are tried by `python -m tests.simulation --teeth`."""
    for tooth in OF_SEVERAL:
        package = tmp_path / tooth.name / "backfill"
        target = package / tooth.file
        target.parent.mkdir(parents=True)
        target.write_text((ROOT / "backfill" / tooth.file).read_text())
        tooth.apply(package)
        compile(target.read_text(), tooth.file, "exec")
