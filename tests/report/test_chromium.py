"""The page in a real browser: it keeps its policy, fits a phone, and follows the dark.

Skipped where no Chromium is installed; everything that needs none is tested beside.
"""

from __future__ import annotations

import functools
import html
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from backfill.report import write_report
from tests.report.test_page import busy_job

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
    pytest.mark.xdist_group("chromium"),
]

# A page around the report: it looks inside and writes down what it finds.
PROBE = """<!doctype html><title>probe</title>
<iframe id="inside" src="/report.html" style="width:WIDTHpx;height:9000px;border:0"></iframe>
<pre id="found"></pre>
<script>
inside.onload = () => {
  const page = inside.contentDocument, view = inside.contentWindow;
  const colour = (element, name) => view.getComputedStyle(element)[name];
  const shown = element => element.getClientRects().length > 0;
  const texts = [...page.querySelectorAll(".chart text")].filter(shown);
  const plot = page.querySelector(".plot > .chart").getBoundingClientRect();
  found.textContent = JSON.stringify({
    overflow: page.documentElement.scrollWidth - view.innerWidth,
    background: colour(page.body, "backgroundColor"),
    ink: colour(page.body, "color"),
    picture: colour(page.querySelector("figure .plot text"), "fill"),
    bar: colour(page.querySelector(".books path"), "fill"),
    plot: plot.width,
    text: texts.map(each => each.getBoundingClientRect().height),
    outside: Math.max(...texts.map(each => each.getBoundingClientRect().right)) - view.innerWidth,
    labels: [...page.querySelectorAll(".plot > .chart")[0].querySelectorAll("g text")]
      .filter(shown).map(each => each.textContent),
    wide: [...page.querySelectorAll(".cards dd")]
      .filter(each => each.scrollWidth > each.clientWidth).length,
    scripts: page.scripts.length,
    images: page.images.length,
    headings: page.querySelectorAll("h1, h2").length,
    stacked: colour(page.querySelector("table.stacked td"), "display"),
  });
};
</script>"""


class Handler(BaseHTTPRequestHandler):
    """Serves the report and the page around it, and remembers what was asked for."""

    def __init__(self, report: bytes, asked: list[str], *args: Any) -> None:
        self.report, self.asked = report, asked
        super().__init__(*args)

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path == "/report.html":
            content = self.report
        elif self.path.startswith("/probe/"):
            content = PROBE.replace("WIDTH", self.path.rpartition("/")[2]).encode()
        else:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[str]]]:
    """The address of a server that has the report, and what it was asked for."""
    (path,) = write_report(busy_job(tmp_path_factory.mktemp("site") / "a.job"))
    asked: list[str] = []
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, path.read_bytes(), asked)
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()


def look(site: str, width: int, profile: Path, *flags: str) -> dict[str, Any]:
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            CHROMIUM,
            *FLAGS,
            *flags,
            f"--user-data-dir={profile}",
            "--virtual-time-budget=10000",
            "--dump-dom",
            f"{site}/probe/{width}",
        ],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    match = re.search(r'<pre id="found">(.+?)</pre>', done.stdout, re.DOTALL)
    assert match is not None, done.stdout[-500:]
    found: dict[str, Any] = json.loads(html.unescape(match[1]))
    return found


def test_a_phone_in_the_light_and_a_desk_in_the_dark_both_read_well(
    site: tuple[str, list[str]], tmp_path: Path
) -> None:
    address, asked = site
    phone = look(address, 360, tmp_path / "a")
    desk = look(address, 1100, tmp_path / "b", "--blink-settings=preferredColorScheme=0")
    for found in (phone, desk):
        assert found["overflow"] <= 0
        assert (found["scripts"], found["images"]) == (0, 0)
        assert found["headings"] == 8
        assert found["bar"] == "rgb(31, 157, 97)"
        # However wide the drawing is, its text is as large as it was meant to be, and inside.
        assert all(10 <= each <= 20 for each in found["text"])
        assert found["outside"] <= 0
        assert found["wide"] == 0
    # The style is applied although the policy allows none but this one.
    assert (phone["background"], phone["ink"]) == ("rgb(246, 247, 249)", "rgb(27, 33, 41)")
    assert (desk["background"], desk["ink"]) == ("rgb(14, 18, 23)", "rgb(231, 234, 239)")
    assert (phone["picture"], desk["picture"]) == ("rgb(81, 91, 103)", "rgb(163, 174, 187)")
    assert phone["plot"] < 300
    assert desk["plot"] > 800
    assert 0 < len(phone["labels"]) < len(desk["labels"])
    assert (phone["stacked"], desk["stacked"]) == ("block", "table-cell")
    assert {each for each in asked if "probe" not in each} <= {"/report.html", "/favicon.ico"}
