"""An installation without extras does all that needs none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.acceptance.program import environment
from tests.docs.pages import ROOT

CONFIG = """
destination = "pristo-events"
population  = "00000000-0000-4000-8000-000000000000"
[events]
files       = "events.ndjson"
contact_key = { sql = "TRIM(\\"who.id\\")" }
time        = "at"
where       = "\\"who.kind\\" <> 'test'"
[contacts]
files = "contacts.csv"
key   = { sql = "TRIM(id)" }
where = "plan IS NULL OR plan <> 'none'"
[fields]
"contact.id"        = "who.id"
"contact.email"     = "mail"
"contact.phone"     = "contacts.mobile"
"type"              = "what"
"customFields.plan" = { column = "contacts.plan", values = { p1 = "gold" } }
"customFields.sum"  = "cart.sum"
[rules]
phone_region = { column = "contacts.land" }
"""
ONE, TWO = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff", "6f9619ff-8b86-4d01-b42d-00cf4fc964fe"
EVENTS = [
    {
        "who": {"id": ONE, "kind": "a"},
        "at": "2024-01-01T10:00:00Z",
        "what": "buy",
        "cart": {"sum": 5.0},
    },
    {
        "who": {"id": TWO, "kind": "a"},
        "at": "2024-01-01T10:00:00Z",
        "what": "buy",
        "cart": {"sum": [1]},
    },
    {
        "who": {"id": ONE, "kind": "test"},
        "at": "2024-01-01T10:00:00Z",
        "what": "buy",
        "cart": {"sum": 1},
    },
    {"who": {"id": ONE, "kind": "a"}, "at": 1704103200, "what": "see", "cart": None},
]
CONTACTS = f"""id,mail,mobile,plan,land
{ONE},ada@example.com,0161 496 0123,p1,GB
{TWO},not an address,,p1,GB
"""


def test_every_step_works_without_extras(tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text(CONFIG)
    (tmp_path / "contacts.csv").write_text(CONTACTS)
    (tmp_path / "events.ndjson").write_text("\n".join(map(json.dumps, EVENTS)))
    look = "init events.ndjson --contacts contacts.csv --destination pristo-events -o made.toml"
    words = [
        *(*look.split(), "--", "rehearse", "job.toml", "--quiet"),
        *("--", "plan", "job.toml", "--quiet", "--", "status", "job.toml"),
        *("--", "records", "job.toml", "-o", "all.csv", "--", "report", "job.toml"),
        *("--", "show", "job.toml", "1", "--", "show", "job.toml", "2"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "tests.acceptance.base_installation", *words],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 3, done.stdout + done.stderr
    assert f"{ONE}   (events.who.id)" in done.stdout
    assert "0161 496 0123 → +441614960123   (contacts.mobile)" in done.stdout
    assert "5   (events.cart.sum)" in done.stdout
    assert "not an address (contact.email|email)   (contacts.mail)" in done.stdout
    assert "[1] (customFields.sum|nested)   (events.cart.sum)" in done.stdout
