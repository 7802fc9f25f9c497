"""Files behind addresses are fetched byte for byte, without a destination's credential."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from backfill.config.sources import Files
from backfill.core.errors import SourceError
from backfill.sources import object_stores
from backfill.sources.fingerprints import check_unchanged, difference_of
from backfill.sources.locations import locate
from backfill.sources.scan import open_source
from tests.file_server import Server, running_file_server

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


@pytest.fixture
def server() -> Iterator[Server]:
    with running_file_server() as running:
        yield running


def test_csv_and_parquet_are_read_from_a_server(server, tmp_path, monkeypatch):
    monkeypatch.setenv("PRELUDE_API_TOKEN", "token-that-stays-here")
    monkeypatch.setenv("PRISTO_API_KEY", "key-that-stays-here")
    pl.DataFrame({"a": ["3"]}).write_parquet(tmp_path / "x.parquet")
    server.files = {
        "/e.csv": b"a\n1\n",
        "/e.csv.gz?v=2": gzip.compress(b"a\n2\n"),
        "/x.parquet": (tmp_path / "x.parquet").read_bytes(),
    }
    files = Files(files=tuple(server.address + path for path in server.files))
    source = open_source(files, tmp_path, what="events")
    assert source.scan().select("__file", "__row", "a").collect().rows() == [
        (0, 1, "1"),
        (1, 1, "2"),
        (2, 1, "3"),
    ]
    assert [entry.name for entry in source.entries] == [
        f"{server.address}/e.csv",
        f"{server.address}/e.csv.gz",
        f"{server.address}/x.parquet",
    ]
    assert not any("stays-here" in str(headers) for headers in server.seen)
    assert not any("authorization" in headers for headers in server.seen)


def test_addresses_that_differ_in_what_is_not_shown_have_names_of_their_own(server, tmp_path):
    server.files = {f"/e.csv?month={month}": b"a\n%d\n" % month for month in (1, 2, 3)}
    files = Files(files=tuple(server.address + path for path in server.files))
    names = [entry.name for entry in open_source(files, tmp_path, what="events").entries]
    shown = f"{server.address}/e.csv"
    assert names == [shown, f"{shown}#2", f"{shown}#3"]


def test_passwords_and_proxies_of_the_environment_are_left_alone(server, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password stays-here\n", encoding="utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server.files["/e.csv"] = b"a\n1\n"
    source = open_source(Files(files=f"{server.address}/e.csv"), tmp_path, what="events")
    assert source.rows == 1
    assert [("authorization" in headers) for headers in server.seen] == [False]


def opened(server: Server, directory: Path, name: str = "/e.csv", text: bytes = b"a\n1\n"):
    """The entries of a file that the server has."""
    server.files[name] = text
    return open_source(Files(files=server.address + name), directory, what="events").entries


def test_a_change_behind_an_address_is_seen(server, tmp_path):
    entries = opened(server, tmp_path)
    assert check_unchanged(entries, tmp_path) is None
    server.files["/e.csv"] = b"a\n2\n"
    assert check_unchanged(entries, tmp_path) == entries[0]
    server.files["/e.csv"] = b"a\n1\n2\n"
    assert check_unchanged(entries, tmp_path) == entries[0]
    del server.files["/e.csv"]
    assert check_unchanged(entries, tmp_path) == entries[0]


def test_a_server_that_says_that_a_file_is_the_same_need_not_send_it(server, tmp_path):
    entries = opened(server, tmp_path)
    server.sent = 0
    assert check_unchanged(entries, tmp_path) is None
    assert (server.asked[-1], server.sent) == ("HEAD /e.csv", 0)


@pytest.mark.parametrize(
    "says",
    [
        {"ETag": ""},  # the time of its last change says it, as for a file of this machine
        {"ETag": 'W/"1"'},
        {"Last-Modified": ""},
    ],
)
def test_either_of_what_a_server_may_say_is_enough(server, tmp_path, says):
    server.says = says
    entries = opened(server, tmp_path)
    server.sent = 0
    assert check_unchanged(entries, tmp_path) is None
    assert server.sent == 0


@pytest.mark.parametrize(
    "says",
    [
        {"ETag": "", "Last-Modified": ""},
        {"ETag": 'W/"1"', "Last-Modified": ""},
    ],
)
def test_where_a_server_says_too_little_the_bytes_decide(server, tmp_path, says):
    server.says = says
    entries = opened(server, tmp_path)
    assert check_unchanged(entries, tmp_path) is None
    server.files["/e.csv"] = b"a\n2\n"
    assert check_unchanged(entries, tmp_path) == entries[0]


def test_another_etag_of_the_same_bytes_is_no_change(server, tmp_path):
    entries = opened(server, tmp_path)
    server.says = {"ETag": '"of another machine"', "Last-Modified": ""}
    assert check_unchanged(entries, tmp_path) is None


def test_a_signed_address_that_only_gives_is_asked_by_getting(server, tmp_path):
    server.heads = False
    entries = opened(server, tmp_path)
    assert check_unchanged(entries, tmp_path) is None
    server.files["/e.csv"] = b"a\n2\n"
    assert check_unchanged(entries, tmp_path) == entries[0]


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_a_server_that_does_not_say_is_warned_of_and_no_change(server, tmp_path, status, caplog):
    entries = opened(server, tmp_path)
    server.status = status
    assert check_unchanged(entries, tmp_path) is None
    (message,) = caplog.messages
    assert f"{server.address}/e.csv could not be checked" in message
    assert str(status) in message


def test_a_server_that_is_gone_is_warned_of_and_no_change(server, tmp_path, caplog):
    entries = opened(server, tmp_path)
    away = entries[0].model_copy(update={"path": "http://127.0.0.1:9/e.csv"})
    assert check_unchanged([away], tmp_path) is None
    assert "could not be checked" in caplog.text


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "zstd"])
def test_what_comes_packed_is_unpacked(server, tmp_path, encoding):
    pack = zstd.compress if encoding == "zstd" else gzip.compress
    server.says = {"Content-Encoding": encoding}
    server.files["/e.csv"] = pack(b"a\n1\n")
    source = open_source(Files(files=f"{server.address}/e.csv"), tmp_path, what="events")
    assert source.scan().collect()["a"].to_list() == ["1"]
    assert check_unchanged(source.entries, tmp_path) is None


def test_packed_files_and_plain_ones_are_read_whatever_the_server_calls_them(server, tmp_path):
    server.says = {"Content-Encoding": "gzip"}
    server.files = {"/e.csv": b"a\n1\n", "/e.csv.gz": gzip.compress(b"a\n2\n")}
    files = Files(files=tuple(server.address + path for path in server.files))
    source = open_source(files, tmp_path, what="events")
    assert source.scan().collect()["a"].to_list() == ["1", "2"]


@pytest.mark.parametrize(
    ("name", "encoding", "body"),
    [
        ("/e.csv", "br", b"\x0b\x02\x80a\n1\n\x03"),
        ("/e.csv.zst", "gzip", gzip.compress(zstd.compress(b"a\n1\n"), mtime=0)),
        ("/e.parquet", "gzip", gzip.compress(b"PAR1", mtime=0)),
    ],
)
def test_a_packing_that_is_not_undone_is_named(server, tmp_path, name, encoding, body):
    server.says = {"Content-Encoding": encoding}
    server.files[name] = body
    with pytest.raises(SourceError, match=f"packed by {encoding}.*Content-Encoding"):
        open_source(Files(files=server.address + name), tmp_path, what="events")


def test_what_a_server_does_not_have_is_named(server, tmp_path):
    with pytest.raises(SourceError, match="404") as raised:
        open_source(Files(files=f"{server.address}/none.csv"), tmp_path, what="events")
    assert raised.value.where == f"{server.address}/none.csv"


def test_a_server_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SourceError, match="cannot be fetched"):
        open_source(Files(files="http://127.0.0.1:9/e.csv"), tmp_path, what="events")


def test_copies_lie_where_they_are_told_to(server, tmp_path, monkeypatch):
    elsewhere, here = tmp_path / "system", tmp_path / "job"
    elsewhere.mkdir()
    here.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    server.files["/e.csv"] = b"a\n1\n"
    source = open_source(
        Files(files=f"{server.address}/e.csv"), tmp_path, what="events", copies=here
    )
    assert source.scan().collect().height == 1
    assert list(elsewhere.iterdir()) == []
    assert len(list(here.iterdir())) == 1


def test_copies_are_private_and_go_with_the_source(server, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    server.files["/e.csv"] = b"a\n1\n"
    source = open_source(Files(files=f"{server.address}/e.csv"), tmp_path, what="events")
    (copies,) = tmp_path.iterdir()
    assert copies.stat().st_mode & 0o077 == 0
    assert source.scan().collect().height == 1
    del source
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def bucket(server: Server, monkeypatch) -> Server:
    """The same server, as an object store that the environment names."""
    for name, value in {
        "AWS_ENDPOINT_URL": server.address,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "someone",
        "AWS_SECRET_ACCESS_KEY": "invented",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    return server


def test_objects_are_read_byte_for_byte(bucket, tmp_path):
    pl.DataFrame({"a": ["3"]}).write_parquet(tmp_path / "x.parquet")
    bucket.files = {
        "/bucket/in/e.csv": b"a\r\n1\r\n\xff\r\n",
        "/bucket/in/e.csv.gz": gzip.compress(b"a\n2\n"),
        "/bucket/x.parquet": (tmp_path / "x.parquet").read_bytes(),
    }
    files = Files(
        files=("s3://bucket/in/e.csv", "s3://bucket/in/e.csv.gz", "s3://bucket/x.parquet")
    )
    source = open_source(files, tmp_path, what="events")
    assert source.scan().select("__file", "__raw", "a").collect().rows() == [
        (0, None, "1"),
        (0, "\\xff", None),
        (1, None, "2"),
        (2, None, "3"),
    ]
    assert check_unchanged(source.entries, tmp_path) is None


def test_a_large_object_comes_in_pieces_of_one_version(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr("backfill.sources.remote._PIECE", 5)
    bucket.files["/bucket/e.csv"] = b"a\n111111\n222222\n"
    source = open_source(Files(files="s3://bucket/e.csv"), tmp_path, what="events")
    assert source.scan().collect()["a"].to_list() == ["111111", "222222"]
    pieces = [each for each in bucket.seen if "range" in each]
    assert [each["range"] for each in pieces] == [
        "bytes=0-4", "bytes=5-9", "bytes=10-14", "bytes=15-15",
    ]  # fmt: skip
    assert {each["if-match"] for each in pieces} == {source.entries[0].etag}


def test_an_object_that_is_the_same_is_not_sent_again(bucket, tmp_path):
    bucket.files["/bucket/e.csv"] = b"a\n1\n"
    entries = open_source(Files(files="s3://bucket/e.csv"), tmp_path, what="events").entries
    bucket.sent = 0
    assert check_unchanged(entries, tmp_path) is None
    assert bucket.sent == 0
    bucket.files["/bucket/e.csv"] = b"a\n2\n"
    assert check_unchanged(entries, tmp_path) == entries[0]
    del bucket.files["/bucket/e.csv"]
    assert check_unchanged(entries, tmp_path) == entries[0]


@pytest.fixture
def at_once(monkeypatch) -> None:
    """What fails is tried again without a wait."""
    for name in ("init_backoff", "max_backoff"):
        monkeypatch.setitem(object_stores._WAITS, name, timedelta(milliseconds=1))


@pytest.mark.usefixtures("at_once")
def test_an_object_store_that_fails_for_a_moment_is_asked_again(bucket, tmp_path):
    bucket.files["/bucket/e.csv"] = b"a\n1\n"
    bucket.failing = 5
    source = open_source(Files(files="s3://bucket/e.csv"), tmp_path, what="events")
    assert source.scan().collect()["a"].to_list() == ["1"]
    bucket.failing = 5
    assert len(locate(Files(files="s3://bucket/*.csv"), tmp_path)) == 1


@pytest.mark.usefixtures("at_once")
def test_an_object_store_that_lets_nobody_in_is_told_with_the_credentials(bucket, tmp_path):
    bucket.files["/bucket/e.csv"] = b"a\n1\n"
    bucket.status = 403
    with pytest.raises(SourceError, match="cannot be fetched") as caught:
        open_source(Files(files="s3://bucket/e.csv"), tmp_path, what="events")
    assert "AWS_ACCESS_KEY_ID" in str(caught.value.hint)


@pytest.mark.usefixtures("at_once")
def test_an_object_store_that_does_not_answer_is_warned_of_and_no_change(
    bucket, tmp_path, caplog, monkeypatch
):
    files = Files(files="s3://bucket/*.csv")
    bucket.files["/bucket/e.csv"] = b"a\n1\n"
    entries = open_source(files, tmp_path, what="events").entries
    assert difference_of(files, entries, tmp_path) is None
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert difference_of(files, entries, tmp_path) is None
    assert "could not be checked" in caplog.text


def test_an_empty_object_is_an_empty_file(bucket, tmp_path):
    bucket.files["/bucket/e.csv"] = b""
    with pytest.raises(SourceError, match="the file is empty"):
        open_source(Files(files="s3://bucket/e.csv"), tmp_path, what="events")


@pytest.mark.parametrize(
    ("address", "names"),
    [
        ("s3://bucket/in/*.csv", ["in/a.csv", "in/b.csv"]),
        ("s3://bucket/in/", ["in/a.csv", "in/b.csv", "in/deep/c.csv"]),
        ("s3://bucket/**/?.csv", ["in/a.csv", "in/b.csv", "in/deep/c.csv"]),
        ("s3://bucket/in/*/c.csv", ["in/deep/c.csv"]),
    ],
)
def test_a_glob_in_an_object_store_gives_its_objects_in_order(bucket, tmp_path, address, names):
    for name in ("in/b.csv", "in/a.csv", "in/deep/c.csv"):
        bucket.files[f"/bucket/{name}"] = b"a\n1\n"
    found = locate(Files(files=address), tmp_path)
    assert [each.path for each in found] == [f"s3://bucket/{name}" for name in names]


def test_what_an_object_store_does_not_have_is_named(bucket, tmp_path):
    with pytest.raises(SourceError, match="cannot be fetched") as raised:
        open_source(Files(files="s3://bucket/none.csv"), tmp_path, what="events")
    assert raised.value.where == "s3://bucket/none.csv"
    with pytest.raises(SourceError, match="no object matches"):
        locate(Files(files="s3://bucket/*.csv"), tmp_path)
