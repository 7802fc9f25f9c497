"""Globs, directories and addresses become a list of files, each once and in order."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from backfill.config.sources import Files
from backfill.core.errors import SourceError
from backfill.sources.locations import Location, locate, passed_over
from backfill.sources.unsupported_formats import READ


def touch(directory: Path, *names: str) -> None:
    for name in names:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


def names(found: tuple[Location, ...]) -> list[str]:
    return [each.name for each in found]


def test_a_glob_gives_its_files_in_order_of_their_names(tmp_path):
    touch(tmp_path, "e-2.csv", "e-1.csv", "e-10.csv", "other.csv", "e-3.csv.d/f.csv")
    assert names(locate(Files(files="e-*.csv"), tmp_path)) == ["e-1.csv", "e-10.csv", "e-2.csv"]


def test_a_directory_gives_what_can_be_read_in_it_at_any_depth(tmp_path):
    touch(tmp_path, "in/b.parquet", "in/a/c.csv.gz", "in/readme.md", "in/.x.csv", "in/_tmp/d.csv")
    assert names(locate(Files(files="in"), tmp_path)) == ["in/a/c.csv.gz", "in/b.parquet"]


def test_a_file_that_two_names_reach_is_read_once(tmp_path):
    touch(tmp_path, "a.csv", "b.csv")
    (tmp_path / "link.csv").symlink_to("a.csv")
    files = Files(files=("b.csv", "*.csv", str(tmp_path / "a.csv")))
    assert names(locate(files, tmp_path)) == ["b.csv", "a.csv"]


def test_a_name_is_relative_to_the_configuration_or_as_the_user_wrote_it(tmp_path):
    touch(tmp_path, "config/a.csv", "data/b.csv", "data/c.csv")
    files = Files(files=("a.csv", "../data/b.csv", "../data/c*.csv"))
    found = locate(files, tmp_path / "config")
    assert names(found) == ["a.csv", "../data/b.csv", (tmp_path / "data/c.csv").as_posix()]
    assert found[1].path == str(tmp_path / "data" / "b.csv")


def test_a_name_with_glob_characters_that_exists_is_that_file(tmp_path):
    touch(tmp_path, "export [1].csv", "export 1.csv")
    assert names(locate(Files(files="export [1].csv"), tmp_path)) == ["export [1].csv"]


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("a.csv", {}, ("csv", ",", None)),
        ("a.CSV", {"separator": ";"}, ("csv", ";", None)),
        ("a.tsv", {}, ("csv", "\t", None)),
        ("a.txt", {"format": "tsv"}, ("csv", "\t", None)),
        ("a.tsv", {"format": "csv"}, ("csv", ",", None)),
        ("a.csv.gz", {}, ("csv", ",", "gzip")),
        ("a.tsv.zst", {}, ("csv", "\t", "zstd")),
        ("a.jsonl.zstd", {}, ("ndjson", None, "zstd")),
        ("a.ndjson", {}, ("ndjson", None, None)),
        ("a.parquet", {}, ("parquet", None, None)),
        ("a.dat", {"format": "parquet"}, ("parquet", None, None)),
    ],
)
def test_the_ending_says_how_to_read_unless_the_configuration_does(
    tmp_path, name, options, expected
):
    touch(tmp_path, name)
    (found,) = locate(Files(files=name, **options), tmp_path)
    assert (found.format, found.separator, found.compression) == expected


@pytest.mark.parametrize("name", ["a.dat", "a", "a.gz", "a.parquet.gz", "a.xlsx"])
def test_an_ending_that_says_nothing_is_an_error(tmp_path, name):
    touch(tmp_path, name)
    with pytest.raises(SourceError) as raised:
        locate(Files(files=name), tmp_path)
    assert raised.value.where == name


@pytest.mark.parametrize(
    ("name", "what", "hint"),
    [
        ("book.xlsx", "is an Excel workbook", "save the sheet as CSV"),
        ("BOOK.XLS", "is an Excel workbook", "save the sheet as CSV"),
        ("book.ods", "is a spreadsheet", "save the sheet as CSV"),
        ("a.csv.bz2", "is packed by bzip2", "Unpack it first"),
        ("a.csv.xz", "is packed by xz", "Unpack it first"),
        ("a.zip", "is a ZIP archive", "Unpack it first"),
        ("a.7z", "is a 7-Zip archive", "Unpack it first"),
        ("a.tar.gz", "is a tar archive", "Unpack it first"),
        ("a.feather", "is Arrow", "Write it as CSV, NDJSON or Parquet"),
        ("a.json", "one JSON array or an object on each line", 'set `format = "ndjson"`'),
        ("my a.json", "JSON", "jq -c '.[]' 'my a.json' > 'my a.ndjson'"),
        ("a.json.gz", "JSON", "gzip -dc a.json.gz | jq -c '.[]' > a.ndjson"),
        ("a.parquet.gz", "inside another compression", "Unpack it first"),
        ("a.dat", "the ending '.dat' does not say", "Set `format`"),
        ("a", "no ending", "Set `format`"),
    ],
)
def test_a_file_that_is_not_read_is_named_for_what_it_is_with_what_to_do(
    tmp_path, name, what, hint
):
    touch(tmp_path, name)
    with pytest.raises(SourceError) as raised:
        locate(Files(files=name), tmp_path)
    assert raised.value.where == name
    assert what in raised.value.message
    assert hint in (raised.value.hint or "")


def test_the_endings_that_are_named_are_those_that_are_read(tmp_path):
    endings = re.findall(r"\.\w+", READ)
    for ending in endings:
        if ending not in (".gz", ".zst"):
            touch(tmp_path, f"in/a{ending}")
    touch(tmp_path, "in/b.csv.gz", "in/b.csv.zst")
    assert len(locate(Files(files="in"), tmp_path)) == len(endings)
    touch(tmp_path, "other/book.xlsx")
    with pytest.raises(SourceError, match=re.escape(READ)):
        locate(Files(files="other"), tmp_path)


def test_a_missing_file_is_named_with_the_nearest_name(tmp_path):
    touch(tmp_path, "events-2024.csv", "contacts.csv")
    with pytest.raises(SourceError, match=r"events-2024\.csv") as raised:
        locate(Files(files="event-2024.csv"), tmp_path)
    assert raised.value.where == "event-2024.csv"
    with pytest.raises(SourceError, match="no file matches") as raised:
        locate(Files(files="events-*.parquet"), tmp_path)
    assert raised.value.where == "events-*.parquet"
    with pytest.raises(SourceError, match="no directory"):
        locate(Files(files="nowhere/a.csv"), tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="holds no file"):
        locate(Files(files="empty"), tmp_path)


@pytest.mark.parametrize("named", ["events.csv", "in", str(Path("in", "*.csv"))])
def test_what_is_no_regular_file_is_refused_before_it_is_opened(tmp_path, named):
    """To open a pipe that nobody writes into would wait for ever."""
    (tmp_path / "in").mkdir()
    for place in (tmp_path / "events.csv", tmp_path / "in" / "events.csv"):
        os.mkfifo(place)
    with pytest.raises(SourceError) as raised:
        locate(Files(files=named), tmp_path)
    if "*" in named:  # which takes files alone
        assert raised.value.message == "no file matches"
    else:
        assert "is a pipe or a device" in str(raised.value)
        assert (raised.value.where or "").endswith("events.csv")
        assert "write it to a file" in str(raised.value.hint)


def test_a_link_to_nothing_is_said_to_be_one(tmp_path):
    (tmp_path / "link.csv").symlink_to("gone.csv")
    with pytest.raises(SourceError, match=r"is a link to 'gone\.csv', which is not there"):
        locate(Files(files="link.csv"), tmp_path)


def test_what_cannot_be_a_source_is_not_offered_for_one(tmp_path):
    touch(tmp_path, "march.toml", ".march.csv", "march.job/ledger.sqlite")
    for missing in ("march.csv", "march.*b"):
        with pytest.raises(SourceError) as raised:
            locate(Files(files=missing), tmp_path)
        assert raised.value.hint is None


def test_hive_directories_give_partitions_only_when_asked_for(tmp_path):
    touch(tmp_path, "y=2024/m=a%20b/f.csv", "y=__HIVE_DEFAULT_PARTITION__/g.csv")
    found = locate(Files(files="*/**/*.csv", hive=True), tmp_path)
    assert [dict(each.partitions) for each in found] == [{"y": "2024", "m": "a b"}, {"y": None}]
    assert [each.partitions for each in locate(Files(files="**/*.csv"), tmp_path)] == [(), ()]


def test_a_directory_above_the_configuration_is_no_column(tmp_path):
    home = tmp_path / "country=GB" / "work"
    touch(home, "in/day=1/a.csv")
    for files in ("in", "in/**/*.csv", str(home / "in/day=1/a.csv")):
        (found,) = locate(Files(files=files, hive=True), home)
        assert dict(found.partitions) == {"day": "1"}
    (found,) = locate(Files(files=str(home / "in"), hive=True), tmp_path / "elsewhere")
    assert dict(found.partitions) == {"country": "GB", "day": "1"}


def test_an_address_is_shown_without_what_may_be_secret_in_it(tmp_path):
    address = "https://user:word@example.com/data/e.csv.gz?signature=abc"
    (found,) = locate(Files(files=address), tmp_path)
    assert found.name == "https://example.com/data/e.csv.gz"
    assert (found.path, found.compression, found.remote) == (address, "gzip", True)


def test_a_file_address_is_a_path(tmp_path):
    touch(tmp_path, "a b.csv")
    (found,) = locate(Files(files=f"file://{tmp_path}/a%20b.csv"), tmp_path)
    assert (found.name, found.remote) == ("a b.csv", False)


def test_a_link_to_the_parent_leads_to_nothing_beside_the_directory(tmp_path):
    touch(tmp_path, "data/in.csv", "beside.csv")
    for name, to in (("up", ".."), ("self", "."), ("root", "/")):
        (tmp_path / "data" / name).symlink_to(to)
    assert names(locate(Files(files="data"), tmp_path)) == ["data/in.csv"]


def test_the_suggested_ndjson_is_a_new_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, "a.json", "a.ndjson")
    with pytest.raises(SourceError, match="JSON") as raised:
        locate(Files(files="a.json"), tmp_path)
    assert "a.json > a-2.ndjson" in (raised.value.hint or "")


def test_a_home_that_nobody_knows_is_a_file_that_is_not_there(tmp_path):
    with pytest.raises(SourceError):
        locate(Files(files="~nobody-has-this-name/a.csv"), tmp_path)


def test_files_of_a_directory_that_are_not_read_are_known(tmp_path):
    touch(tmp_path, "in/a.csv", "in/b/c", "in/d.csv.1", "in/_e.csv", "in/f.json", "in/g.toml")
    touch(tmp_path, "in/_SUCCESS", "in/.a.csv.crc", "in/_tmp/h.dat", "in/i.job/ledger.sqlite")
    assert passed_over(Files(files=("in", "in/a.csv")), tmp_path) == [
        "in/_e.csv",
        "in/b/c",
        "in/d.csv.1",
        "in/f.json",
    ]
    assert passed_over(Files(files="in", format="csv"), tmp_path) == ["in/_e.csv"]
    assert passed_over(Files(files=("in/*.csv", "s3://bucket/in/")), tmp_path) == []
