"""`requirements.lock` pins what pyproject.toml asks for, by hash; the licences page lists it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
COMMAND = (
    "uv pip compile pyproject.toml --extra test --universal --generate-hashes"
    " --no-emit-index-url -o requirements.lock"
)
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PINS = {
    canonicalize_name(name): Version(version)
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", LOCK, re.MULTILINE)
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def wanted() -> list[str]:
    """The program's requirements and those of its tests, other extras of ours resolved."""
    texts = list(PROJECT["dependencies"])
    waiting = ["test"]
    while waiting:
        for text in EXTRAS[waiting.pop()]:
            requirement = Requirement(text)
            if requirement.name == PROJECT["name"]:
                waiting += requirement.extras
            else:
                texts.append(text)
    return texts


@pytest.mark.parametrize("text", wanted())
def test_what_the_project_asks_for_is_pinned(text):
    requirement = Requirement(text)
    name = canonicalize_name(requirement.name)
    assert name in PINS, f"run: {COMMAND}"
    assert requirement.specifier.contains(PINS[name], prereleases=True), f"run: {COMMAND}"


def test_every_pin_has_hashes_and_nothing_names_a_place():
    entries = re.split(r"\n(?=[A-Za-z0-9])", "\n" + LOCK)[1:]
    assert len(entries) > 50
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in LOCK
    assert COMMAND in LOCK


def test_the_licences_page_lists_what_the_program_needs():
    page = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| ([a-z0-9-]+) \| (.+) \|$", page, re.MULTILINE))
    for text in PROJECT["dependencies"]:
        assert canonicalize_name(Requirement(text).name) in listed, "run: python -m docs.licences"
    # Nothing that would bind those who use the program to publish their own work.
    binding = {name for name, licence in listed.items() if re.search(r"\bA?GPL", licence)}
    assert binding == set(), binding
