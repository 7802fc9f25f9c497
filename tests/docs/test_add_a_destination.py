"""The worked example of a fourth destination plans and delivers, with what the page shows."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

import backfill
from backfill.checks.rules import rules_of
from backfill.core.secret import Secret
from backfill.destinations import GROUP, destination
from tests.destinations.packages import add_package
from tests.docs.pages import ROOT, blocks_of

_BLOCKS = {block.mark: block.text for block in blocks_of(ROOT / "docs" / "add-a-destination.md")}
_VISITS = """\
cookie,url,tel,when
a,/prices,,2024-03-01T09:15:00Z
b,,+12025550143,2024-03-01T09:16:00Z
a,/order,,2024-03-01T09:17:00Z
c,,,2024-03-01T09:18:00Z
d,/,not a phone,2024-03-01T09:19:00Z
,/,,2024-03-01T09:20:00Z
"""


@contextmanager
def _acme() -> Iterator[tuple[str, list[tuple[str, str, dict[str, Any]]]]]:
    """A server that takes visits: its address, and what it got (token, path, body)."""
    got: list[tuple[str, str, dict[str, Any]]] = []

    class Acme(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            got.append((self.headers["X-Acme"], self.path, body))
            reply = json.dumps({"taken": len(body["visits"])}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Acme)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def acme(tmp_path, monkeypatch):
    """The destination of the page, in a package that is installed."""
    package = ROOT / "tests" / "plugin_package"
    project = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module = (package / "acme_visits.py").read_text(encoding="utf-8")
    add_package(tmp_path, project["name"], project["entry-points"][GROUP], acme_visits=module)
    monkeypatch.syspath_prepend(tmp_path)
    yield destination("acme-visits")
    sys.modules.pop("acme_visits", None)


def test_a_fourth_destination_is_planned_and_delivered(acme, tmp_path):
    (tmp_path / "visits.csv").write_text(_VISITS, encoding="utf-8")
    config = tmp_path / "visits.toml"
    config.write_text(_BLOCKS["acme"], encoding="utf-8")

    job = backfill.plan(config)

    assert dict(job.manifest.reasons) == {
        "visitor|reachable": 1,
        "phone|e164": 1,
        "visitor|required": 1,
    }
    with _acme() as (address, got):
        status = job.run(base_url=address, credential=Secret("token"), rate="50/s")
    assert status.books.as_dict() == {
        "input": 6, "excluded": 0, "rejected": 3, "duplicate": 0, "pending": 0,
        "delivered": 3, "failed": 0, "unknown": 0,
    }  # fmt: skip
    assert {(token, path) for token, path, _ in got} == {("token", "/visits")}
    visits = [visit for _, _, body in got for visit in body["visits"]]
    assert {"visitor": "b", "at": "2024-03-01T09:16:00Z", "phone": "+12025550143"} in visits
    assert [visit["page"]["url"] for visit in visits if visit["visitor"] == "a"] == [
        "/prices",
        "/order",
    ]


def test_the_suite_of_the_page_is_one(acme):
    found: dict[str, Any] = {}
    exec(_BLOCKS["suite"], found)  # noqa: S102 - the page's own words
    suite = found["TestAcmeVisits"]()
    suite.test_its_data_is_whole()
    suite.test_it_is_found_by_its_name()


def test_a_fourth_destination_has_its_rules_listed(acme):
    names = {broken.name for broken in rules_of(acme)}
    assert {"visitor|max_length", "visitor|reachable", "phone|e164", "at|future"} <= names
