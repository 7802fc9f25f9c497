"""What a person gets wrong is told in words, and so is what goes wrong without them."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from backfill.cli import _group
from backfill.sandbox import running_sandbox
from tests.acceptance.program import CREDENTIALS, backfill
from tests.acceptance.sources import pristo_job
from tests.forked.program import command_in

MISTAKES = (
    (("plan", "."), 2, "is a directory, not a configuration file"),
    (("plan", "planned.job"), 2, "is a directory, not a configuration file"),
    (("plan", "nope.toml"), 2, "there is no such file"),
    (("plan", "events.parquet"), 2, "is not TOML"),
    (("plan", "pristo.toml", "--job", "contacts.csv"), 2, "the job's directory cannot be made"),
    (("plan", "pristo.toml", "--job", "contacts.csv/x"), 2, "the job's directory cannot be made"),
    (("plan", "pristo.toml", "--log-file", "nowhere/x.log"), 2, "--log-file nowhere/x.log"),
    (("plan", "workbook.toml"), 2, "book.xlsx: is an Excel workbook, which is not read"),
    (("plan", "array.toml"), 2, "array.json: is one JSON array"),
    (("plan", "dotted.toml"), 2, 'stands in quotes: "target.type"'),
    (("plan", "upper.toml"), 2, "[fields] label: 'UPPER(\"order\")' cannot be used"),
    (("plan", "cast.toml"), 2, "[fields] target.value: 'CAST(CAST(phone AS INT) AS VARCHAR)'"),
    (("run", "nowhere.job"), 2, "there is no job here"),
    (("run", "pristo.toml", "--rate", "abc"), 2, '"50/s"'),
    (("run", "pristo.toml", "--rate", "-1/s"), 2, '"50/s"'),
    (("run", "pristo.toml", "--concurrency", "many"), 2, "--concurrency"),
    (("run", "pristo.toml", "--concurrency", "0"), 2, "concurrency"),
    (("run", "pristo.toml", "--max-duration", "soon"), 2, '"30s"'),
    (("run", "pristo.toml", "--max-errors", "1.5"), 2, '"1%"'),
    (("run", "pristo.toml", "--base-url", "http://api.example.com"), 2, "over https only"),
    (("run", "pristo.toml", "--bas-url", "x"), 2, "--base-url"),
    (("status", "nope.job"), 2, "there is no job here"),
    (("status", "contacts.csv"), 2, "there is no job here"),
    (("records", "planned.job", "-o", "nowhere/x.csv"), 2, "nowhere/x.csv"),
    (("records", "planned.job", "-o", "x.xls"), 2, ".parquet"),
    (("records", "planned.job", "-o", "folder.csv"), 1, "folder.csv: cannot be written"),
    (("records", "planned.job", "-o", "full.csv", "--force"), 1, "No space left on device"),
    (("records", "planned.job", "-o", "full.parquet", "--force"), 1, "No space left on device"),
    (("records", "planned.job", "-o", "full.ndjson", "--force"), 1, "No space left on device"),
    (("records", "planned.job", "-o", "contacts.csv"), 2, "is a source of the job"),
    (("records", "planned.job", "-o", "planned.job/rejected.parquet"), 2, "where a job keeps"),
    (("report", "planned.job", "-o", "events.parquet", "--format", "html"), 2, "is a source of"),
    (("report", "planned.job", "-o", "planned.job/manifest.json"), 2, ".html"),
    (("report", "planned.job", "-o", "r.pdf"), 2, "in .html for the page, or in .png or .svg"),
    (("report", "planned.job", "-o", "r"), 2, "'no ending' is no format for a report"),
    (("records", "planned.job", "--state", "lost"), 2, "'delivered'"),
    (("resolve", "planned.job"), 2, "--resend"),
    (("retry", "nope.job"), 2, "there is no job here"),
    (("statu",), 2, "status"),
)


_WATCH = """
destination = "watch-events"
[events]
files = "{files}"
{more}
[fields]
{target} = {phone}
label = {label}
confidence = {{ value = "high" }}
"""
_LINES = '{"phone": "one", "order": {"id": "a"}}\n'


def watch_job(place: Path, name: str, files: str = "lines.ndjson", **parts: str) -> None:
    """A configuration over lines of JSON, with a mistake in one of its parts."""
    whole = {"more": "", "target": '"target.value"', "phone": '"phone"', "label": '"phone"'}
    (place / name).write_text(_WATCH.format(files=files, **whole | parts), encoding="utf-8")


def mistaken_jobs(place: Path) -> None:
    (place / "lines.ndjson").write_text(_LINES, encoding="utf-8")
    (place / "array.json").write_text(f"[{_LINES.strip()}]", encoding="utf-8")
    (place / "book.xlsx").write_bytes(b"PK\x03\x04")
    watch_job(place, "workbook.toml", "book.xlsx", more='format = "csv"')
    watch_job(place, "array.toml", "array.json", more='format = "ndjson"')
    watch_job(place, "dotted.toml", target="target.type")
    watch_job(place, "upper.toml", label="""{ sql = 'UPPER("order")' }""")
    watch_job(
        place,
        "cast.toml",
        phone='{ sql = "CAST(CAST(phone AS INT) AS VARCHAR)" }',
        label="""{ sql = '"order".id' }""",
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("mistakes")
    config = pristo_job(place, 20)
    backfill("plan", config, "--job", place / "planned.job", cwd=place, expect=[0])
    (place / "folder.csv").mkdir()
    mistaken_jobs(place)
    for ending in ("csv", "parquet", "ndjson"):
        (place / f"full.{ending}").symlink_to("/dev/full")
    return place


@pytest.fixture
def inside(place, monkeypatch):
    """In this process, which is quicker by far; the way out of it is the same."""
    monkeypatch.chdir(place)
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return CliRunner()


@pytest.mark.parametrize(("words", "code", "told"), MISTAKES, ids=lambda each: str(each)[:50])
def test_a_mistake_is_told_in_a_line_or_two(inside, words, code, told):
    done = inside.invoke(_group, words)
    assert done.exit_code == code, done.output
    assert done.stderr.count(told) == 1, done.stderr
    assert "warning:" not in done.stderr
    assert "Traceback" not in done.output
    assert len(done.stderr.splitlines()) <= 6


@pytest.mark.parametrize(
    ("words", "code", "where"),
    [
        (("plan", "nope.toml"), 2, "nope.toml"),
        (("run", "nowhere.job"), 2, "nowhere.job"),
        (("status", "nope.job"), 2, "nope.job"),
    ],
)
def test_who_asked_for_json_gets_the_error_as_json(inside, words, code, where):
    done = inside.invoke(_group, [*words, "--json"])
    content = json.loads(done.stdout)
    assert (done.exit_code, content["exit_code"]) == (code, code)
    assert content["error"]["where"] == where
    assert content["error"]["message"] in done.stderr
    assert content["error"]["hint"] in done.stderr


@pytest.mark.parametrize(
    "words", [("run", "pristo.toml", "--limit", "x"), ("status",), ("plan", "pristo.toml", "--no")]
)
def test_a_command_line_that_cannot_be_read_is_json_too_for_who_asked(place, words):
    done = backfill(*words, "--json", cwd=place, expect=[2])
    assert done.json["exit_code"] == 2
    assert done.json["error"]["message"] in done.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads what nobody else can")
def test_what_cannot_be_read_is_told(inside, place):
    locked = place / "locked.toml"
    locked.write_text("")
    locked.chmod(0)
    done = inside.invoke(_group, ["plan", "locked.toml"])
    assert (done.exit_code, "cannot be read" in done.stderr) == (2, True)


def test_a_fault_is_one_line_and_the_whole_of_it_on_demand(inside, monkeypatch, tmp_path):
    def broken(*_: object) -> None:
        raise RuntimeError("two plus two\nis five")

    monkeypatch.setattr("backfill.jobs.opening.Manifest.read", broken)
    done = inside.invoke(_group, ["status", "planned.job"])
    assert done.exit_code == 1
    assert "internal error: RuntimeError: two plus two" in done.stderr
    assert "--verbose" in done.stderr
    assert "Traceback" not in done.stderr
    log = tmp_path / "log.ndjson"
    done = inside.invoke(_group, ["status", "planned.job", "--verbose", "--log-file", str(log)])
    assert done.exit_code == 1
    assert done.stderr.count("Traceback") == 1
    assert done.stderr.count("internal error") == 1
    (line,) = map(json.loads, log.read_text("utf-8").splitlines())
    assert line["level"] == "error"
    assert "two plus two" in line["traceback"]


def test_a_panic_of_a_native_library_is_a_fault_like_any_other(inside, monkeypatch):
    class PanicException(BaseException):
        """As pyo3's, it is no Exception."""

    def broken(*_: object) -> None:
        raise PanicException("index out of bounds")

    monkeypatch.setattr("backfill.jobs.opening.Manifest.read", broken)
    done = inside.invoke(_group, ["status", "planned.job"])
    assert done.exit_code == 1
    assert "PanicException: index out of bounds" in done.stderr


def shell(
    command: str, place: Path, *, anew: bool = False, **environment: str
) -> subprocess.CompletedProcess[str]:
    """A pipeline, as it is typed; its code is that of its first command.

    The program is begun `anew` where its streams are closed, or are text of another encoding, which
    Python looks at as it starts.
    """
    (place / ".commands").mkdir(exist_ok=True)
    forked = str(command_in(place / ".commands"))
    program = shlex.join([sys.executable, "-m", "backfill"] if anew else [forked])
    return subprocess.run(
        [
            "/bin/bash",
            "-c",
            f'backfill() {{ {program} "$@"; }}; {command}; exit ${{PIPESTATUS[0]}}',
        ],
        cwd=place,
        env={**os.environ, **CREDENTIALS, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_reader_that_leaves_is_no_error(tmp_path):
    config = pristo_job(tmp_path, 3_000)  # more than a pipe holds
    backfill("plan", config, cwd=tmp_path, expect=[0])
    done = shell("backfill records pristo.toml | head -n 2", tmp_path)
    assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (0, "", 2)
    done = shell("backfill status pristo.toml | true", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["records", "status"])
def test_standard_output_that_is_full_is_told(place, command):
    done = shell(f"backfill {command} planned.job > /dev/full", place)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full", "2>&1 | true"])
def test_a_stream_that_nobody_has_or_that_is_full_of_words_stops_no_run(tmp_path, closed):
    config = pristo_job(tmp_path, 5)
    with running_sandbox() as server:
        run = f"backfill run {config.name} --base-url {server.url} {closed}"
        done = shell(run, tmp_path, anew="&-" in closed)
        assert (done.returncode, "rror" in done.stderr) == (0, False)
        assert len(server.accepted) == 5


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", "2>/dev/full", "2>&1 | true"])
def test_nor_does_it_stop_a_look(place, closed):
    done = shell(f"backfill status planned.job --json {closed}", place, anew="&-" in closed)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("full", "told"),
    [
        (">/dev/full", "warning: standard output: No space left on device"),
        (">/dev/full 2>/dev/full", None),
        ("--log-file /dev/full", "warning: --log-file /dev/full: No space left on device"),
    ],
)
def test_a_full_disk_behind_its_words_does_not_change_what_a_run_came_to(tmp_path, full, told):
    config = pristo_job(tmp_path, 5)
    with running_sandbox() as server:
        run = f"backfill run {config.name} --limit 2 --yes --quiet --base-url {server.url}"
        done = shell(f"{run} {full}", tmp_path)
        assert len(server.accepted) == 2
    assert done.returncode == 8
    assert "Traceback" not in done.stderr
    assert [line for line in done.stderr.splitlines() if "No space" in line] == (
        [told] if told else []
    )


def test_a_full_disk_behind_an_object_that_was_asked_for_is_an_error_in_one_line(tmp_path):
    config = pristo_job(tmp_path, 5)
    with running_sandbox() as server:
        run = f"backfill run {config.name} --json --quiet --base-url {server.url}"
        done = shell(f"{run} >/dev/full", tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] == ["error: No space left on device"], "no traceback"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_names_that_the_output_cannot_hold_are_no_fault(tmp_path, encoding):
    config = pristo_job(tmp_path, 5)
    config.rename(tmp_path / "受注.toml")
    done = shell(
        "backfill plan 受注.toml > out.txt", tmp_path, anew=True, PYTHONIOENCODING=encoding
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert b".job: planned" in (tmp_path / "out.txt").read_bytes()
