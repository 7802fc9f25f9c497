"""What stands in cells and in a server's words reaches no terminal, page or memory as a command."""

from __future__ import annotations

import gzip
import itertools
import json
import subprocess
import sys
from pathlib import Path

import polars as pl

from backfill.api import open_job
from tests.acceptance.program import backfill
from tests.acceptance.wire import wire

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\r"
SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>"
HOSTILE = ESCAPES + SCRIPT


def hostile_job(place: Path) -> Path:
    identity = "00000000-0000-4000-8000-00000000000{}"
    pl.DataFrame(
        {
            "id": [identity.format(1), identity.format(2), HOSTILE, identity.format(3)],
            "email": ["a@example.com", "b@example.com", "c@example.com", HOSTILE],
            "at": ["2025-01-01T00:00:00Z", "2025-01-02T00:00:00Z", HOSTILE, HOSTILE],
            "kind": [HOSTILE, "signup", "signup", "signup"],
            f"col{SCRIPT}": [HOSTILE, "=1+1", "x", "y"],
        }
    ).write_csv(place / "events.csv")
    config = place / "hostile.toml"
    config.write_text(
        """
destination = "pristo-events"
population = "00000000-0000-4000-8000-000000000000"
[events]
files = "events.csv"
time = "at"
[fields]
"contact.id" = "id"
"contact.email" = "email"
type = "kind"
[delivery]
max_errors = "100%"
""",
        encoding="utf-8",
    )
    return config


def assert_harmless(text: str) -> None:
    """No control character but line ends, and nothing that turns the direction of writing."""
    bad = {each for each in text if not each.isprintable() and each not in "\n\r"}
    assert not bad, (bad, text)


def test_no_cell_and_no_servers_word_commands_a_terminal_or_a_page(tmp_path):
    config = hostile_job(tmp_path)
    planned = backfill("plan", config, cwd=tmp_path, expect=[0, 3])
    body = json.dumps({"error": {"code": HOSTILE, "message": HOSTILE}}).encode()
    with wire() as server:
        run = ["run", str(config), "--base-url", server.url]
        server.answers = itertools.repeat((422, b"", body))
        ran = backfill(*run, cwd=tmp_path, expect=[3, 4])
        backfill("retry", config, cwd=tmp_path, expect=[0])
        server.answers = itertools.repeat((401, b"", body))
        refused = backfill(*run, cwd=tmp_path, expect=[6])
        head = b"Location: /\x1b[2J<script>\r\n"
        server.answers = itertools.repeat((302, head, b""))
        redirected = backfill(*run, cwd=tmp_path, expect=[6])
    status = backfill("status", config, cwd=tmp_path, expect=[0])
    for ended in (planned, ran, refused, redirected, status):
        assert_harmless(ended.out)
        assert_harmless(ended.err)
    (page,) = open_job(config).report(tmp_path / "report.html")
    html = page.read_text(encoding="utf-8")
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert "\x1b" not in html


_BOUNDED = """
import re, sys
from pathlib import Path
from backfill.config import Files
from backfill.core.errors import SourceError
from backfill.sources.scan import open_source
try:
    print(open_source(Files(files=sys.argv[1]), Path.cwd(), what="events").rows)
except SourceError as error:
    print("refused:", error)
# Of this process alone: what getrusage tells begins with the size of the one that forked it.
print(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def _bomb(path: Path, start: bytes, piece: bytes, size: int) -> Path:
    with gzip.open(path, "wb", compresslevel=9) as file:
        file.write(start)
        for _ in range(size // len(piece)):
            file.write(piece)
    return path


def _survey(path: Path) -> tuple[str, int]:
    ended = subprocess.run(
        [sys.executable, "-c", _BOUNDED, path.name],
        cwd=path.parent,
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    said, peak = ended.stdout.rsplit("\n", 2)[:2]
    return said, int(peak) // 1024


def test_a_file_that_unpacks_to_a_thousand_times_its_size_needs_no_more_memory(tmp_path):
    rows = _bomb(tmp_path / "rows.csv.gz", b"a,b\n", b"1,2\n" * 65_536, 128 << 20)
    assert rows.stat().st_size < 1 << 18
    said, peak = _survey(rows)
    assert said == str((128 << 20) // 4)
    assert peak < 160, "MiB: 64 before it looks at anything"


def test_a_line_without_an_end_is_malformed_and_never_held_whole(tmp_path):
    line = _bomb(tmp_path / "line.csv.gz", b"a,b\n", b"x" * 1_048_576, 300 << 20)
    said, peak = _survey(line)
    assert said == "1", "one row, which no reader can read"
    assert peak < 250, "MiB: 64 before it looks at anything"
