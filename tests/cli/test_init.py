"""`backfill init` from the command line."""

from __future__ import annotations

import gzip
import re
import sys

import polars as pl
import pytest

from backfill.cli import command_line

EVENTS = "user_id,event,at,phone,plan\n" + "".join(
    f"00000000-0000-4000-8000-{number % 5:012},{('signup', 'login')[number % 2]},"
    f"2024-01-{number + 1:02}T10:00:00Z,+12025550{100 + number},p1\n"
    for number in range(20)
)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "visits.csv").write_text(EVENTS, encoding="utf-8")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["backfill", *arguments])
        code = command_line()
        return (code, *capsys.readouterr())

    return run


def test_it_writes_a_configuration_and_says_what_is_open_and_what_comes_next(run, tmp_path):
    code, out, err = run("init", "visits.csv", "--destination", "pristo-events")
    assert (code, err) == (0, "")
    assert "looked at all 20 rows of visits.csv" in out
    assert "contact.id     events.user_id" in out
    assert "not used: events.plan" in out
    assert "population: the UUID" in out
    assert out.endswith("Answer them, then: backfill plan visits.toml\n")
    assert max(len(line) for line in out.splitlines()) <= 80
    assert 'destination = "pristo-events"' in (tmp_path / "visits.toml").read_text("utf-8")


def test_plan_refuses_open_questions_and_names_them(run):
    run("init", "visits.csv", "--destination", "watch-events")
    code, _, err = run("plan", "visits.toml")
    assert code == 2
    assert "a question is still open" in err
    assert "[fields] confidence: what to send for 'login', 'signup'" in err


def test_it_writes_nothing_over(run, tmp_path):
    assert run("init", "visits.csv", "--destination", "watch-events", "-o", "w.toml")[0] == 0
    before = (tmp_path / "w.toml").read_bytes()
    code, _, err = run("init", "visits.csv", "--destination", "watch-events", "-o", "w.toml")
    assert code == 2
    assert "exists already" in err
    assert "-o" in err
    assert (tmp_path / "w.toml").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("visits.csv", "--destination", "pristo"), "Did you mean 'pristo-events'?"),
        (("visit.csv", "--destination", "watch-events"), "Did you mean 'visits.csv'?"),
        (("visits.csv",), "--destination"),
        (
            ("visits.csv", "--contacts", "none.csv", "--destination", "watch-events"),
            "there is no such file",
        ),
    ],
)
def test_mistakes_are_explained_and_leave_no_file(run, tmp_path, arguments, words):
    code, _, err = run("init", *arguments)
    assert code == 2
    assert words in err
    assert not list(tmp_path.glob("*.toml"))


def test_hostile_names_do_not_command_the_terminal(run, tmp_path):
    frame = pl.read_csv(tmp_path / "visits.csv").rename({"plan": "pl\x1b[2Jan\n"})
    frame.write_parquet(tmp_path / "visits.parquet")
    code, out, _ = run("init", "visits.parquet", "--destination", "pristo-events")
    assert code == 0
    assert "not used: events.pl\N{REPLACEMENT CHARACTER}[2Jan" in out
    assert "\x1b[2J" not in out
    assert "\x1b" not in (tmp_path / "visits.toml").read_text("utf-8")


@pytest.mark.parametrize("name", ["visits.json", "visits.json.gz"])
def test_a_json_file_with_an_object_on_each_line_is_read_so(run, tmp_path, name):
    text = b"".join(
        b'\n{"phone": "+120255501%02d", "event": "login", "at": "2024-03-01T09:15:00Z"}' % n
        for n in range(30)
    )
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    code, _, err = run("init", name, "--destination", "watch-events", "-o", "w.toml")
    assert code == 0, err
    assert 'format = "ndjson"' in re.sub(" +", " ", (tmp_path / "w.toml").read_text("utf-8"))


def test_a_json_array_is_not_taken_for_lines(run, tmp_path):
    (tmp_path / "visits.json").write_text('[\n{"phone": "+12025550101"}\n]')
    code, _, err = run("init", "visits.json", "--destination", "watch-events")
    assert code == 2
    assert "jq -c '.[]' visits.json > visits.ndjson" in err


def test_help_has_an_example(run):
    code, out, _ = run("init", "--help")
    assert code == 0
    assert "backfill init exports/events.parquet" in out


def test_a_separator_and_an_encoding_can_be_named(run, tmp_path):
    rows = ["מזהה|טלפון|event|at", *(f"{n}|+9725550001{n}|a|2024-01-{n}" for n in range(10, 30))]
    (tmp_path / "w.csv").write_bytes("\n".join(rows).encode("windows-1255"))
    options = ("--separator", "|", "--encoding", "windows-1255")
    code, out, err = run("init", "w.csv", "--destination", "watch-events", *options)
    assert (code, err) == (0, "")
    text = (tmp_path / "w.toml").read_text("utf-8")
    assert 'separator = "|"' in text
    assert 'encoding  = "windows-1255"' in text
    assert '"events.טלפון"' in text or '"טלפון"' in text
    assert "encoding" not in out


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (("--separator", "ab"), "--separator: is one ASCII character"),
        (("--encoding", "windows"), "--encoding: 'windows' is no encoding"),
    ],
)
def test_a_separator_or_an_encoding_that_is_none_is_explained(run, tmp_path, option, words):
    code, _, err = run("init", "visits.csv", "--destination", "watch-events", *option)
    assert code == 2
    assert words in err
    assert not list(tmp_path.glob("*.toml"))


def test_rows_that_cannot_be_read_are_said(run, tmp_path):
    (tmp_path / "visits.csv").write_text(EVENTS + "1,2,3,4,5,6,7\n" * 7, encoding="utf-8")
    code, out, _ = run("init", "visits.csv", "--destination", "pristo-events")
    assert code == 0
    assert "looked at all 27 rows (7 cannot be read) of visits.csv" in out
    assert "cannot be read: visits.csv row 21: 1,2,3,4,5,6,7" in out
    assert "7 sampled rows cannot be read" in (tmp_path / "visits.toml").read_text("utf-8")


def test_separators_that_only_the_rows_end_with_are_named(run, tmp_path):
    rows = [f"u{each},Signed Up,2024-03-01T10:00:00Z," for each in range(9)]
    (tmp_path / "erp.csv").write_text("\n".join(["user_id,event,at", *rows]), "utf-8")
    code, out, _ = run("init", "erp.csv", "--destination", "watch-events")
    assert code == 0
    assert "Most rows end with a separator, and the first line does not" in " ".join(out.split())


def test_a_title_above_the_header_is_no_row_and_is_named(run, tmp_path):
    text = f"Export of contacts, 2024-03-01\n\n{EVENTS}"
    (tmp_path / "report.csv").write_text(text, "utf-8")
    code, out, _ = run("init", "report.csv", "--destination", "pristo-events")
    assert code == 0
    assert "looked at all 20 rows of report.csv" in out
    told = "report.csv: the first line stands above the header and is no row (Export of contacts,"
    assert told in " ".join(out.split())
    assert "contact.id     events.user_id" in out
    text = (tmp_path / "report.toml").read_text("utf-8")
    assert "report.csv: the first line stands above" in text


def test_a_title_that_cannot_be_told_from_a_header_is_named(run, tmp_path):
    rows = [f"u{each},Signed Up,2024-03-01T10:00:00Z" for each in range(9)]
    text = "\n".join(["Monthly, report", "user_id,event,at", *rows])
    (tmp_path / "report.csv").write_text(text, "utf-8")
    code, out, _ = run("init", "report.csv", "--destination", "watch-events")
    assert code == 0
    assert "delete what stands above" in " ".join(out.split())
    assert "# Most rows have more cells" in (tmp_path / "report.toml").read_text("utf-8")


def test_titles_above_a_header_with_another_separator_hide_neither(run, tmp_path):
    text = f"Kontakte, Stand 01.03.2024\n\n{EVENTS.replace(',', ';')}"
    (tmp_path / "report.csv").write_text(text, "utf-8")
    code, out, _ = run("init", "report.csv", "--destination", "pristo-events")
    assert code == 0
    assert "contact.id     events.user_id" in out
    assert 'separator = ";"' in (tmp_path / "report.toml").read_text("utf-8")
