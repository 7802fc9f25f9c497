"""From files to a draft, and from the draft to a plan."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from pathlib import Path

import polars as pl
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


def test_brackets_of_a_files_own_name_stay_in_the_configurations(here):
    Path("visits [2023] 50%.csv").touch()
    assert default_output("visits [2023] 50%.csv") == Path("visits [2023] 50%.toml")


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


@pytest.mark.parametrize(
    ("rows", "first"),
    [
        (["day,hour", "2024-03-01,9", "2024-03-01,10"], "2024-03-01T09:00:00Z"),
        (["date,time", "2024-03-01,09:15", "2024-03-01,10:15"], "2024-03-01T09:15:00Z"),
        (["Datum,Uhrzeit", "31.03.2024,9:15:07", "31.03.2024,10:15:07"], "2024-03-31T09:15:07Z"),
    ],
)
def test_a_date_and_an_hour_in_two_columns_are_one_time(here, rows, first):
    head, *values = rows
    lines = [f"phone,event,{head}", *(f"+12025550143,login,{each}" for each in values)]
    (here / "e.csv").write_text("\n".join(lines))
    draft = drafted("watch-events", "e.csv")
    assert "time = { sql = " in re.sub(" +", " ", draft.text)
    answer(Path("out.toml"), timezone="UTC", login="high")
    manifest = plan_job(load_config("out.toml"), Path("out.job")).manifest
    assert (manifest.ready, manifest.duplicate, manifest.facts.first_time) == (2, 0, first)


@pytest.mark.parametrize("as_text", [False, True])
def test_values_inside_of_objects_are_found_and_planned(here, as_text):
    user = {"id": "6f9619ff-8b86-4d01-b42d-00cf4fc964ff", "email": "noa@example.com"}
    rows = [
        {"event": "signup", "data": {"user": user, "happened_at": f"2024-03-0{day}T10:00:00Z"}}
        for day in (1, 2)
    ]
    if as_text:
        texts = [{**row, "data": json.dumps(row["data"])} for row in rows]
        pl.DataFrame(texts).write_csv("e.csv")
    else:
        Path("e.ndjson").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    draft = drafted("pristo-events", "e.csv" if as_text else "e.ndjson")
    assert [each.place for each in draft.questions] == ["population"]
    answer(Path("out.toml"), population=POPULATION)
    manifest = plan_job(load_config("out.toml"), Path("out.job")).manifest
    assert manifest.ready == 2
    assert json.loads(manifest.facts.samples[0]) == {
        "contact": user,
        "type": "signup",
        "occurredAt": "2024-03-01T10:00:00Z",
    }


def test_files_whose_names_say_nothing_are_known_by_what_they_hold(here):
    folder = here / "logs"
    folder.mkdir()
    row = {"user_id": "6f9619ff-8b86-4d01-b42d-00cf4fc964ff", "email": "noa@example.com"}
    for day in (1, 2):
        line = json.dumps({**row, "event": "buy", "at": f"2024-03-0{day}T10:00:00Z"})
        (folder / f"1709251{day}.e6ea4710-0285").write_text(f"{line}\n")
    draft = drafted("pristo-events", "logs")
    assert tomllib.loads(draft.text)["events"]["format"] == "ndjson"
    answer(Path("out.toml"), population=POPULATION)
    assert plan_job(load_config("out.toml"), Path("out.job")).manifest.ready == 2


def test_words_for_missing_values_are_named_and_say_nothing_of_their_columns(here):
    lines = ["user_id,event,at,note", *(f"{n},buy,2024-03-01T10:00:0{n},\\N" for n in range(9))]
    (here / "e.csv").write_text("\n".join(lines))
    text = drafted("pristo-events", "e.csv").text
    assert tomllib.loads(text)["events"]["null_values"] == [r"\N"]
    assert '"customFields.note" = "note"' in text
    assert "empty in the sample" in text


def test_ids_that_are_several_and_a_missing_header_are_remarked(here):
    lines = ["contact_id,event,at", "70001;70002,buy,2024-03-01T10:00:00Z", "70001,buy,2024-03-02"]
    (here / "e.csv").write_text("\n".join(lines))
    assert 'Some of "contact_id" are several ids, such as "70001;70002"' in " ".join(
        drafted("pristo-events", "e.csv", target=Path("a.toml")).text.replace("\n# ", " ").split()
    )
    (here / "f.csv").write_text("\n".join(lines[1:]).replace("2024-03-01T10", "2024-03-01 10"))
    text = drafted("pristo-events", "f.csv", target=Path("b.toml")).text
    assert "The first line looks like a row and not like names ('2024-03-01 10:00:00Z'" in text


def test_ids_that_meet_but_for_their_case_are_joined_in_one_case(here):
    people = [f"{'O' if n % 5 == 0 else 'o'}{n}@example.com" for n in range(40)]
    mails = [f"o{n}@example.com" for n in range(40)]
    days = [f"2024-03-01T10:{n:02}:00Z" for n in range(40)]
    pl.DataFrame({"Email": mails, "event": ["buy"] * 40, "at": days}).write_csv("e.csv")
    phones = [f"+120255501{n:02}" for n in range(40)]
    pl.DataFrame({"Email": people, "Phone": phones}).write_csv("c.csv")
    draft = drafted("watch-events", "e.csv", "c.csv")
    content = tomllib.loads(draft.text)
    assert content["contacts"]["key"] == {"sql": 'LOWER("Email")'}
    assert content["events"]["contact_key"] == "Email"


def test_a_time_that_cannot_be_read_is_asked_for_where_it_is_only_for_the_order(here):
    rows = [f"+12025550143,login,am {n}. Tag" for n in range(9)]
    (here / "e.csv").write_text("\n".join(["phone,event,when", *rows]))
    places = [each.place for each in drafted("watch-events", "e.csv").questions]
    assert "[events] time" in places


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_calling_code_in_a_column_of_its_own_is_proposed_and_asked_for(here, ending):
    rows = 20
    frame = pl.DataFrame(
        {
            "user_id": [f"0b21a9d4-5f0e-4b0c-8a3e-{each:012x}" for each in range(rows)],
            "event": ["purchase"] * rows,
            "at": [f"2024-01-{each + 1:02}T10:00:00Z" for each in range(rows)],
            "country_code": [44, 1] * (rows // 2),
            "phone": [7911123456, 2125550123] * (rows // 2),
        }
    )
    if ending == "csv":
        frame.write_csv("called.csv")
    else:
        frame.write_parquet("called.parquet")
    draft = drafted("pristo-events", f"called.{ending}")
    assert [each.place for each in draft.questions] == ["population"]
    target = here / "out.toml"
    answer(target, population=POPULATION)
    assert plan_job(load_config(target), here / "out.job").status().books.pending == rows

    alone = re.sub(r'(?m)^("contact.phone" = ).*$', r'\1"phone"', target.read_text())
    (here / "alone.toml").write_text(alone)
    planned = plan_job(load_config(here / "alone.toml"), here / "alone.job")
    (note,) = (each for each in planned.manifest.facts.warnings if "calling code" in each)
    assert "'country_code' holds some" in note
    assert '"contact.phone" = { sql = ' in note
