"""Files behind http addresses are fetched as they are, without any credential."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import polars as pl
import pytest

from backfill.config.types import Files
from backfill.errors import SourceError
from backfill.prepare.sources import check_unchanged, open_source


@dataclass
class Server:
    """What the server has, and the headers of the requests that it saw."""

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    seen: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.seen.append({name.lower(): value for name, value in self.headers.items()})
            body = state.files.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
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
