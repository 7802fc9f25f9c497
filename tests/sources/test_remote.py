"""Files behind addresses are fetched byte for byte, without a destination's credential."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import polars as pl
import pytest

from backfill.config.types import Files
from backfill.core.errors import SourceError
from backfill.sources.fingerprints import check_unchanged
from backfill.sources.locations import locate
from backfill.sources.scan import open_source

_WHEN = "Mon, 06 May 2024 07:08:09 GMT"


@dataclass
class Server:
    """What the server has, and the headers of the requests that it saw."""

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    seen: list[dict[str, str]] = field(default_factory=list)

    def listing(self) -> bytes:
        """What S3 answers when asked for the objects of a bucket."""
        objects = "".join(
            f"<Contents><Key>{name.removeprefix('/bucket/')}</Key><Size>{len(body)}</Size>"
            '<LastModified>2024-05-06T07:08:09.000Z</LastModified><ETag>"1"</ETag></Contents>'
            for name, body in self.files.items()
        )
        return f"<ListBucketResult><Name>bucket</Name>{objects}</ListBucketResult>".encode()


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.seen.append({name.lower(): value for name, value in self.headers.items()})
            if "list-type=2" in self.path:
                body: bytes | None = state.listing()
            else:
                body = state.files.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.send_header("ETag", '"1"')
            self.send_header("Last-Modified", _WHEN)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state = Server(f"http://127.0.0.1:{http.server_address[1]}")
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        http.shutdown()
        thread.join()


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


def test_a_change_behind_an_address_is_seen(server, tmp_path):
    server.files["/e.csv"] = b"a\n1\n"
    entries = open_source(Files(files=f"{server.address}/e.csv"), tmp_path, what="events").entries
    assert check_unchanged(entries, tmp_path) is None
    server.files["/e.csv"] = b"a\n2\n"
    assert check_unchanged(entries, tmp_path) == entries[0]
    del server.files["/e.csv"]
    assert check_unchanged(entries, tmp_path) == entries[0]


def test_what_a_server_does_not_have_is_named(server, tmp_path):
    with pytest.raises(SourceError, match="404") as raised:
        open_source(Files(files=f"{server.address}/none.csv"), tmp_path, what="events")
    assert raised.value.where == f"{server.address}/none.csv"


def test_a_server_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SourceError, match="cannot be fetched"):
        open_source(Files(files="http://127.0.0.1:9/e.csv"), tmp_path, what="events")


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
