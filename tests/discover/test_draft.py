"""From files to a draft, and from the draft to a plan."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path

import pytest

from backfill.config import load_config
from backfill.core.errors import ConfigError
from backfill.discover import default_output, draft_config, save_config
from backfill.jobs.opening import plan_job

SAMPLES = Path(__file__).parents[2] / "sample_data"
POPULATION = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def here(tmp_path, monkeypatch):
    for name in ("events.parquet", "contacts.csv", "verifications.csv"):
        shutil.copy(SAMPLES / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def drafted(destination, events, contacts=None, target=Path("out.toml")):
    draft = draft_config(events, contacts=contacts, destination_name=destination, target=target)
    save_config(draft, target)
    return draft


def answer(target, **answers):
    text = target.read_text(encoding="utf-8")
    for key, value in answers.items():
        text, count = re.subn(rf'(?m)^(\W?{key}\W?\s*= )"[?]"', rf'\g<1>"{value}"', text)
        assert count == 1, key
    target.write_text(text, encoding="utf-8")


def test_the_sample_data_go_to_pristo_once_the_questions_are_answered(here):
    draft = drafted("pristo-events", "events.parquet", "contacts.csv")
    assert [each.place for each in draft.questions] == ["population", "[events] timezone"]
    target = here / "out.toml"
    with pytest.raises(ConfigError, match="2 questions are still open"):
        load_config(target)
    answer(target, population=POPULATION, timezone="Asia/Jerusalem")
    books = plan_job(load_config(target), here / "out.job").status().books
    assert books.balanced
    assert books.input == 20_000
    assert books.pending > 0.85 * books.input


def test_the_sample_data_go_to_watch_once_every_label_has_its_confidence(here):
    draft = drafted("watch-events", "events.parquet", "contacts.csv")
    assert [each.place for each in draft.questions] == ["[events] timezone", "[fields] confidence"]
    target = here / "out.toml"
    answer(target, timezone="Asia/Jerusalem")
    with pytest.raises(ConfigError, match=r"\[fields\] confidence: what to send for 'login'"):
        load_config(target)
    labels = re.findall(r'(?m)^"(\w+)" +=.*"[?]"', target.read_text(encoding="utf-8"))
    answer(target, **dict.fromkeys(labels, "neutral"))
    books = plan_job(load_config(target), here / "out.job").status().books
    assert books.pending > 0.9 * books.input


def test_the_verifications_leave_no_question_and_plan_unchanged(here):
    draft = drafted("watch-feedbacks", "verifications.csv")
    assert draft.questions == ()
    books = plan_job(load_config("out.toml"), here / "out.job").status().books
    assert books.pending > 0.9 * books.input


def test_names_are_relative_to_the_configuration(here, monkeypatch):
    (here / "sub").mkdir()
    drafted("watch-feedbacks", "verifications.csv", target=Path("sub/out.toml"))
    assert load_config("sub/out.toml").events.files == ("../verifications.csv",)
    drafted("watch-feedbacks", str(here / "verifications.csv"), target=Path("a.toml"))
    assert load_config("a.toml").events.files == ("verifications.csv",)
    monkeypatch.chdir(here / "sub")
    drafted("watch-feedbacks", "../verif*.csv", target=Path("b.toml"))
    assert load_config("b.toml").events.files == ("../verif*.csv",)


def test_a_file_that_is_there_is_not_written_over(here):
    Path("out.toml").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match="exists already"):
        drafted("watch-feedbacks", "verifications.csv")
    assert Path("out.toml").read_text(encoding="utf-8") == "mine"


def test_a_directory_that_is_not_there_is_named(here):
    with pytest.raises(ConfigError, match="cannot be written"):
        drafted("watch-feedbacks", "verifications.csv", target=Path("missing/out.toml"))


@pytest.mark.parametrize(
    ("events", "output"),
    [
        ("exports/events.parquet", "events.toml"),
        ("exports/events-*.parquet", "events.toml"),
        ("exports/2024.events.csv.gz", "2024.events.toml"),
        ("exports/", "exports.toml"),
        ("*.csv", "events.toml"),
        ("a/**/*.parquet", "events.toml"),
        (".", "events.toml"),
        ("https://example.com/data/visits.csv?version=1", "visits.toml"),
        ("s3://bucket/visits/", "visits.toml"),
        ("data[12].csv", "data.toml"),
    ],
)
def test_the_configuration_is_called_as_the_events_are(events, output):
    assert default_output(events) == Path(output)


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_another_separator_is_found_and_written(here, separator):
    lines = (here / "verifications.csv").read_text(encoding="latin-1").splitlines()[:200]
    plain = [line for line in lines if '"' not in line and line.isascii()]
    other = "\n".join(plain).replace(",", separator) + "\n"
    (here / "other.csv").write_text(other, encoding="utf-8")
    (here / "plain.csv").write_text("\n".join(plain) + "\n", encoding="utf-8")
    drafted("watch-feedbacks", "plain.csv", target=here / "plain.toml")
    drafted("watch-feedbacks", "other.csv", target=here / "other.toml")
    plain_text = (here / "plain.toml").read_text(encoding="utf-8")
    found = tomllib.loads((here / "other.toml").read_text(encoding="utf-8"))
    assert found["events"].pop("separator") == separator
    expected = tomllib.loads(plain_text.replace("plain.csv", "other.csv"))
    assert found == expected
    assert "separator" not in plain_text
