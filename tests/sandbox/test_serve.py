"""The sandbox as a process: its address first, then requests until a signal ends it."""

from __future__ import annotations

import signal
import subprocess
import sys

import httpx
import pytest

from tests.sandbox.requests import HEADERS, PRISTO_PATH, pristo

PROGRAM = """
import sys
from backfill.sandbox import serve
sandbox = serve(lambda url: print(url, flush=True), log=sys.argv[1])
print(sandbox.stats["destinations"]["pristo-events"]["accepted"])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_announces_its_address_and_ends_well_on_a_signal(tmp_path, number):
    log = tmp_path / "log.ndjson"
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(log)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:")
            reply = httpx.post(url + PRISTO_PATH, json=pristo(), headers=HEADERS, trust_env=False)
            assert reply.status_code == 201
            process.send_signal(number)
            assert process.stdout.readline().strip() == "1"
            assert process.wait(20) == 0
        finally:
            process.kill()
    assert len(log.read_text().splitlines()) == 1


def test_the_command_plays_a_population_that_has_its_contacts():
    """A contact that goes by its id alone is taken; where nobody says so: test_server.py."""
    command = [sys.executable, "-m", "backfill", "sandbox", "--known-contacts"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            bare = pristo(contact__phone=None, contact__email=None)
            reply = httpx.post(url + PRISTO_PATH, json=bare, headers=HEADERS, trust_env=False)
            assert reply.status_code == 201
        finally:
            process.terminate()
            process.wait(20)
