"""A short campaign of every target: what others wrote never gives more than words.

The long one is `python -m tests.fuzz --minutes 60`. Seeds are fixed, so that a failure is
seen again by its name.
"""

from __future__ import annotations

import sys
import time

import pytest

from tests.fuzz import __main__
from tests.fuzz.__main__ import Campaign, attack

# (seeds, attacks): about a second each on one core
_SHORT = {
    "configurations": (1_000, 10),
    "sources": (2_000, 60),
    "parquet": (3_000, 20),
    "jobs": (4_000, 20),
    "replies": (5_000, 2),
}


@pytest.mark.parametrize("target", sorted(__main__.TARGETS))
def test_whatever_comes_in_is_answered_in_words(target):
    start, count = _SHORT[target]
    campaign = Campaign()
    attack(campaign, target, range(start, start + count), until=time.monotonic() + 90)
    assert [str(each) for each in campaign.findings] == []
    assert campaign.attacks == count
    assert campaign.died <= count // 20, "damage that ends the process is rare"


_VICTIMS = """
import os, time

class Fine:
    def __init__(self, place): pass
    def attack(self, chance): return "looked at"

class Raises(Fine):
    def attack(self, chance): raise LookupError("nobody caught\\nthis")

class Dies(Fine):
    def attack(self, chance): os.abort()

class Hangs(Fine):
    def attack(self, chance): time.sleep(60)

class Floods(Fine):
    def attack(self, chance): return str(len(bytearray(64 << 30)))
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Fine", None),
        ("Raises", "LookupError"),
        ("Dies", "dies with -6"),
        ("Hangs", "hangs"),
        ("Floods", "MemoryError"),
    ],
)
def test_the_campaign_sees_what_it_looks_for(tmp_path, monkeypatch, name, expected):
    (tmp_path / "victims.py").write_text(_VICTIMS, encoding="utf-8")
    (tmp_path / "sitecustomize.py").write_text(
        f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\n"
        "import tests.fuzz.__main__ as fuzz\n"
        f'fuzz.TARGETS["victim"] = ("victims", {name!r})\n',
        encoding="utf-8",
    )
    # The child is the module run as a program, which has a table of its own.
    child = tmp_path / "child.py"
    child.write_text(
        "import sitecustomize, sys\nfrom tests.fuzz import __main__\nsys.exit(__main__.main())\n",
        encoding="utf-8",
    )
    launcher = tmp_path / "python"
    launcher.write_text(
        f'#!/bin/sh\nshift 4\nPYTHONPATH={tmp_path}:"$PWD" exec {sys.executable} {child} "$@"\n',
        encoding="utf-8",
    )
    launcher.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(launcher))
    monkeypatch.setattr(__main__, "_LONGEST", 3.0)
    campaign = Campaign()
    attack(campaign, "victim", range(7, 9), until=time.monotonic() + 30)
    assert campaign.attacks == 2
    if expected is None:
        assert campaign.findings == []
    else:
        assert [each.seed for each in campaign.findings] == [7, 8]
        assert all(expected in each.what for each in campaign.findings)
