"""Power is lost at any moment: what was sent is not pending afterwards, and the job is whole."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.acceptance.program import start_anew
from tests.acceptance.sources import watch_job
from tests.chaos.power import can_trace, lose_power, parse
from tests.promises import Finding

pytestmark = pytest.mark.skipif(not can_trace(), reason="needs strace, and leave to use it")


def test_nothing_that_was_sent_is_pending_after_a_loss_of_power(tmp_path):
    lose_power(tmp_path, seed=2, moments=30)


def test_a_disk_that_heeds_no_syncs_is_found_out(tmp_path):
    """So the test above can fail."""
    with pytest.raises(Finding, match="pending after power was lost"):
        lose_power(tmp_path, seed=2, moments=60, heed_syncs=False)


def test_a_planned_job_is_on_the_disk_before_its_manifest_names_it(tmp_path):
    config = watch_job(tmp_path, 500)
    trace = tmp_path / "trace"
    prefix = ("strace", "-f", "--seccomp-bpf", "-q", "-y", "-e", "trace=fsync,rename,link,linkat")
    process = start_anew("plan", config, cwd=tmp_path, prefix=(*prefix, "-o", str(trace)))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    lines = trace.read_text().splitlines()
    named = next(number for number, line in enumerate(lines) if "watch.job/manifest.json" in line)
    synced = {
        Path(found[1]).name
        for line in lines[:named]
        if (found := re.search(r"fsync\(\d+<([^>]+)>", line))
    }
    ready = {path.name for path in (tmp_path / "watch.job" / "ready").iterdir()}
    assert ready
    files = {"excluded.parquet", "rejected.parquet", "duplicates.parquet", "manifest.draft"}
    assert ready | files <= synced
    assert "ready" in synced, "the names in a directory are synced with the directory"
    assert any("fsync" in line and "watch.job>" in line for line in lines[named:])


def test_a_trace_is_read_call_by_call():
    path = "".join(f"\\x{byte:02x}" for byte in b"/jobs/a.job/ledger.sqlite-wal")
    other = "".join(f"\\x{byte:02x}" for byte in b"/jobs/a.job/ledger.sqlite-shm")
    steps = parse(
        [
            f"20.5 fdatasync(6<{path}>) = 0 <0.250000>",
            f'10.0 pwrite64(6<{path}>, "\\x01\\x02", 2, 4096) = 2 <0.000020>',
            f"11.0 ftruncate(6<{path}>, 512) = 0 <0.000020>",
            f"11.0 ftruncate(7<{other}>, 512) = 0 <0.000020>",
            f'30.0 unlink("{path}") = 0 <0.000020>',
            "31.0 +++ exited with 0 +++",
        ]
    )
    assert [(step.kind, step.offset) for step in steps] == [
        ("write", 4096),
        ("cut", 512),
        ("sync", 0),
        ("remove", 0),
    ]
    assert steps[0].data == b"\x01\x02"
    assert (steps[2].began, steps[2].ended) == (20.5, 20.75)
