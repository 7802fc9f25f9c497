"""The site builds without a warning, and a page of it asks nothing of other machines."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.docs.pages import ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    place = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(place)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return place


def test_every_page_is_built(site):
    for page in (ROOT / "docs").rglob("*.md"):
        built = site / page.relative_to(ROOT / "docs").with_suffix(".html")
        assert built.exists(), page


def test_nothing_is_fetched_from_elsewhere(site):
    fetched = re.compile(
        r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^>]*"
        r"|<link\b(?![^>]*rel=[\"']?canonical)[^>]*\bhref=[\"']?(?:https?:)?//[^>]*"
    )
    for page in site.rglob("*.html"):
        assert fetched.findall(page.read_text(encoding="utf-8")) == [], page
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert re.findall(r"url\([\"']?(?:https?:)?//[^)]*", text) == [], sheet


def test_the_drawing_is_in_the_page_and_takes_its_colours_from_it(site):
    text = (site / "architecture.html").read_text(encoding="utf-8")
    drawing = re.search(r"<svg viewBox.*?</svg>", text, re.DOTALL)
    assert drawing is not None
    assert "--md-default-fg-color" in drawing[0]
    assert "<title" in drawing[0]


def test_the_programs_that_make_pages_are_not_part_of_the_site(site):
    assert list(site.rglob("*.py")) == []
