"""A file that is not UTF-8 is looked at all the same; which encoding it is in is asked."""

from __future__ import annotations

import gzip
import tomllib
from pathlib import Path

import pytest

from backfill.api import plan
from backfill.config import Files, load_config
from backfill.config.placeholders import open_questions
from backfill.destinations import builtin_destinations
from backfill.discover import draft_config, samples, save_config
from backfill.discover.samples import read_sample
from backfill.prepare.pipeline import prepare
from tests.discover.test_samples import lines
from tests.prepare.prepared import NOW

HEADER = "phone,event,at,name"
GERMAN, HEBREW = "Grün Käufer", "\u05e9\u05dc\u05d5\u05dd"


def rows(count, name=GERMAN):
    return "".join(
        f"+1202555{number:04},signup,2024-03-01T10:00:00Z,{name}\n" for number in range(count)
    )


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def drafted(data: bytes, name="e.csv", contacts=None):
    Path(name).write_bytes(data)
    target = Path("e.toml")
    target.unlink(missing_ok=True)
    draft = draft_config(name, destination_name="watch-events", target=target, contacts=contacts)
    save_config(draft, target)
    return draft, tomllib.loads(draft.text)


def places(draft):
    return [each.place for each in draft.questions]


@pytest.mark.parametrize(
    ("encoding", "name", "shown"),
    [("windows-1252", GERMAN, "fc, e4"), ("windows-1255", HEBREW, "f9, ec, e5, ed")],
)
@pytest.mark.usefixtures("here")
def test_other_bytes_are_a_question_that_says_what_is_known(encoding, name, shown):
    draft, content = drafted(f"{HEADER}\n{rows(30, name)}".encode(encoding))
    assert draft.events.sample.frame.height == 30
    assert content["events"]["encoding"] == "?"
    assert content["fields"]["target.value"] == "phone"
    assert places(draft) == ["[events] encoding", "[fields] confidence"]
    assert f"30 of 31 sampled lines are not UTF-8 (bytes {shown})" in draft.text
    for likely in ("windows-1252", "windows-1251", "windows-1255"):
        assert likely in draft.text
        assert likely in draft.questions[0].asked


@pytest.mark.usefixtures("here")
def test_a_header_beyond_ascii_is_read_and_said_to_be_a_reading():
    draft, content = drafted(f"{HEADER},Größe\n{rows(20, 'Ada')}".encode("windows-1252"))
    assert content["events"]["encoding"] == "?"
    assert '"Größe"' in draft.text
    assert 'in the names of columns stands below as "windows-1252" reads it' in draft.text


@pytest.mark.usefixtures("here")
def test_bytes_that_windows_1252_does_not_know_are_looked_at_too():
    draft, content = drafted(f"{HEADER}\n".encode() + rows(9, "\x81\xfc").encode("latin-1"))
    assert content["events"]["encoding"] == "?"
    assert draft.events.sample.frame.height == 9
    assert "\x81" not in draft.text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.usefixtures("here")
def test_a_byte_order_mark_decides(encoding, packed):
    data = f"\ufeff{HEADER}\n{rows(30)}".encode(encoding)
    name = "e.csv.gz" if packed else "e.csv"
    draft, content = drafted(gzip.compress(data) if packed else data, name)
    assert content["events"]["encoding"] == "utf-16"
    assert content["fields"]["target.value"] == "phone"
    assert places(draft) == ["[fields] confidence"]
    assert str(draft.events.sample) == "all 30 rows"


@pytest.mark.usefixtures("here")
def test_a_large_file_in_utf_16_gives_its_beginning(monkeypatch):
    for name, value in (("_LARGE", 4_000), ("_HEAD", 1_000), ("_MIDDLE", 500)):
        monkeypatch.setattr(samples, name, value)
    draft, content = drafted(f"{HEADER}\n{rows(300)}".encode("utf-16"))
    assert content["events"]["encoding"] == "utf-16"
    assert draft.events.sample.rows is None
    assert 0 < draft.events.sample.frame.height < 50
    assert set(draft.events.sample.frame["name"]) == {GERMAN}


@pytest.mark.usefixtures("here")
def test_utf_8_says_nothing_of_an_encoding():
    draft, content = drafted(f"\ufeff{HEADER}\n{rows(30)}".encode())
    assert draft.events.sample.encoding is None
    assert "encoding" not in content["events"]


@pytest.mark.parametrize(
    "others",
    [f"{HEADER}\n{rows(300, 'Ada')}", f"{HEADER}\n{rows(40, HEBREW)}"],
    ids=["a few", "fewer than in UTF-8"],
)
@pytest.mark.usefixtures("here")
def test_a_few_broken_lines_are_a_remark_and_no_question(others):
    draft, content = drafted(others.encode() + rows(2).encode("windows-1252"))
    assert "encoding" not in content["events"]
    assert "sampled lines are not UTF-8" in draft.text
    assert '# encoding = "windows-1252"' in draft.text
    assert places(draft) == ["[fields] confidence"]


@pytest.mark.usefixtures("here")
def test_each_side_has_an_encoding_of_its_own():
    people = [f"00000000-0000-4000-8000-{number:012}" for number in range(20)]
    Path("c.csv").write_bytes(
        ("user_id,phone,city\n" + "".join(f"{each},+12025550143,Köln\n" for each in people)).encode(
            "windows-1252"
        )
    )
    events = "user_id,event\n" + "".join(f"{each},signup\n" for each in people)
    draft, content = drafted(events.encode("utf-16"), contacts="c.csv")
    assert content["events"]["encoding"] == "utf-16"
    assert content["contacts"]["encoding"] == "?"
    assert "[contacts] encoding" in places(draft)


@pytest.mark.usefixtures("here")
def test_lines_of_json_in_another_encoding_are_a_question_too():
    text = "".join(f'{{"phone": "+1202555{n:04}", "name": "{GERMAN}"}}\n' for n in range(20))
    draft, content = drafted(text.encode("windows-1252"), "e.ndjson")
    assert content["events"]["encoding"] == "?"
    assert set(draft.events.sample.frame["name"]) == {GERMAN}


def test_the_answered_question_gives_the_text_as_it_was_meant(here):
    drafted(f"{HEADER}\n{rows(30)}".encode("windows-1252"))
    target = here / "e.toml"
    text = target.read_text("utf-8").replace('= "?"', '= "windows-1252"', 1)
    target.write_text(text.replace('= "?"', '= "neutral"'), "utf-8")
    config = load_config(target)
    assert config.events.encoding == "windows-1252"
    (here / "job").mkdir()
    manifest = prepare(config, builtin_destinations()["watch-events"], here / "job", now=NOW)
    assert (manifest.ready, manifest.rejected) == (30, 0)


def test_a_question_mark_is_no_encoding():
    for side in ("events", "contacts"):
        (question,) = open_questions({side: {"files": "e.csv", "encoding": "?"}})
        assert question.place == f"[{side}] encoding"
        assert "windows-1252" in question.asked


# --- columns that not every file has -------------------------------------------------------


@pytest.mark.usefixtures("here")
def test_a_column_that_only_one_of_several_files_has_is_not_mapped_and_named():
    Path("e1.csv").write_text("phone,event,at\n+12025550143,signup,2024-03-01T10:00:00Z\n")
    Path("e2.csv").write_text("phone,action,at\n+12025550143,signup,2024-03-01T10:00:00Z\n")
    target = Path("e.toml")
    draft = draft_config("e*.csv", destination_name="watch-events", target=target)
    content = tomllib.loads(draft.text)
    assert content["fields"]["target.value"] == "phone"
    assert content["fields"]["label"] == "?"
    assert '# Not mapped, since some of the files lack it: "event", "action"' in draft.text


def test_a_line_of_json_may_lack_what_another_file_has(tmp_path):
    (tmp_path / "a.ndjson").write_text('{"n": "1", "t": "x"}\n')
    (tmp_path / "b.ndjson").write_text('{"n": "2"}\n')
    (tmp_path / "c.csv").write_text("n,t\n" + lines(2))
    sample = read_sample(Files(files=("*.ndjson", "c.csv")), tmp_path, "events")
    assert sample.partial == ()
    assert sample.common.columns == ["n", "t"]


def test_one_name_for_two_files_is_not_forced_upon_the_one_that_is_utf_8(here):
    """Letters of a UTF-8 file that is read as another encoding would be sent broken."""
    Path("e.csv").write_bytes(f"{HEADER}\n{rows(30)}".encode("windows-1252"))
    Path("c.csv").write_text(f"phone,name\n+12025550000,{GERMAN}\n", encoding="utf-8")
    draft = draft_config(
        "e.csv",
        destination_name="pristo-events",
        target=here / "e.toml",
        contacts="c.csv",
        encoding="windows-1252",
    )
    content = tomllib.loads(draft.text)
    assert content["events"]["encoding"] == "windows-1252"
    assert content["contacts"]["encoding"] == "utf-8"
    assert 'all of it is UTF-8, and not "windows-1252"' in draft.text


@pytest.mark.parametrize(
    ("data", "said"), [(GERMAN.encode(), True), (GERMAN.encode("cp1252"), False), (b"Gr", False)]
)
def test_a_plan_says_that_utf_8_is_read_as_something_else(here, data, said):
    Path("e.csv").write_bytes(f"{HEADER}\n{rows(1, 'NAME')}".encode().replace(b"NAME", data))
    job = plan(
        destination="watch-events",
        events={"files": here / "e.csv", "encoding": "windows-1252"},
        time="at",
        fields={"target.value": "phone", "label": "event", "confidence": {"value": "low"}},
    )
    notes = [each for each in job.manifest.facts.warnings if "is UTF-8" in each]
    assert bool(notes) is said
    assert not said or "'GrÃ¼n' for 'Grün'" in notes[0]


def test_rows_that_were_given_out_are_read_as_utf_8_and_the_plan_says_nothing_else(here):
    front = "_file,_row,_state,_reason,_http_status,_request_id"
    names, row = f"{front},{HEADER}", f"e.csv,1,rejected,,,,{rows(1, GERMAN).rstrip()}"
    Path("rejected.csv").write_text(f"{names}\n{row}\n", "utf-8")
    job = plan(
        destination="watch-events",
        events={"files": here / "rejected.csv", "encoding": "windows-1252"},
        time="at",
        fields={"target.value": "phone", "label": "event", "confidence": {"value": "low"}},
    )
    assert job.manifest.ready == 1
    assert not [each for each in job.manifest.facts.warnings if "is UTF-8" in each]
