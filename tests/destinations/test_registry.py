"""Destinations are found by their entry points; what is broken says so and disturbs no other."""

from __future__ import annotations

import itertools
import logging
import subprocess
import sys
from importlib.metadata import EntryPoints, entry_points

import pytest

from backfill.checks.explanations import explain
from backfill.config import config_from_mapping
from backfill.core.errors import ConfigError
from backfill.destinations import builtin_destinations, destination, installed_destinations
from tests.destinations.packages import add_package

OWN = ["pristo-events", "watch-events", "watch-feedbacks"]
_NUMBERS = itertools.count()

WHOLE = """
from backfill.destination import *

class Plugged(Destination):
    name = "plugged"
    title = "Plugged"
    base_url = "https://api.plugged.example"
    credential_env = "PLUGGED_TOKEN"
    batch_size = 1
    ordering_field = "who"
    time_field = None
    fields = (Field("who", Kind.TEXT, required=True, max_chars=40), Field("at", Kind.TIME))

    def path(self, population):
        return "/plugged"

    def headers(self, credential):
        return {"X-Plugged": credential.reveal(), "Content-Type": "application/json"}

    def request_headers(self, record):
        return {}

    def body(self, items):
        return items[0]

    def verdict(self, answer, size):
        return Verdict(Flow.UNKNOWN)

    def success(self, size):
        return Reply(200)
"""


@pytest.fixture
def plug(tmp_path, monkeypatch):
    """Install a package whose one module holds a text and brings `plugged`."""
    monkeypatch.syspath_prepend(tmp_path)

    def put(text: str = WHOLE, *, name="plugged", attribute="Plugged", package="plugged") -> None:
        module = f"plugged_module_{next(_NUMBERS)}"  # imported once in a process
        add_package(tmp_path, package, {name: f"{module}:{attribute}"}, **{module: text})

    return put


def said(name: str) -> str:
    with pytest.raises(ConfigError) as caught:
        destination(name)
    return str(caught.value)


def test_our_own_come_by_entry_points():
    assert list(builtin_destinations()) == OWN
    assert set(OWN) <= set(installed_destinations())
    assert destination("pristo-events") is destination("pristo-events")


def test_a_package_brings_a_destination(plug):
    assert "there is no destination 'plugged'" in said("plugged")
    plug()
    assert destination("plugged").title == "Plugged"
    assert list(installed_destinations())[:3] == OWN
    assert "plugged" in installed_destinations()
    assert "plugged" not in builtin_destinations()


def test_its_name_is_offered_and_its_rules_are_explained(plug):
    plug()
    assert "Did you mean 'plugged'?" in said("pluged")
    assert explain("who|max_length").meaning
    assert "who|required" in explain("required").applies


def test_its_credential_is_no_part_of_a_configuration(plug, tmp_path, monkeypatch):
    plug()
    monkeypatch.setenv("PLUGGED_TOKEN", "invented-token-of-the-plugin")
    content = {
        "destination": "plugged",
        "events": {"files": "a.csv"},
        "fields": {"who": {"value": "invented-token-of-the-plugin"}},
    }
    with pytest.raises(ConfigError, match="holds a credential") as caught:
        config_from_mapping(content, directory=tmp_path)
    assert "PLUGGED_TOKEN" in str(caught.value)
    assert "invented" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "attribute", "words"),
    [
        ("import no_such_module", "Plugged", "cannot be imported: ModuleNotFoundError"),
        ("raise SystemExit(3)", "Plugged", "cannot be imported: SystemExit: 3"),
        ("Plugged = (", "Plugged", "cannot be imported: SyntaxError"),
        (WHOLE, "Plug", "cannot be imported: AttributeError"),
        ("Plugged = 7", "Plugged", "is no subclass of backfill.destination.Destination"),
        (WHOLE + "\nit = Plugged()", "it", "is no subclass of"),
        (WHOLE.replace("def verdict", "def verdicts"), "Plugged", "cannot be made: TypeError"),
        (WHOLE.replace('"plugged"', '"other"'), "Plugged", "its entry point is 'plugged'"),
        (WHOLE.replace("title = ", "titel = "), "Plugged", "`title` is None, not a text"),
        (WHOLE.replace("batch_size = 1", "batch_size = 0"), "Plugged", "`batch_size` is 0"),
        (WHOLE.replace('d = "who"', 'd = "whom"'), "Plugged", "`ordering_field` is 'whom'"),
        (WHOLE.replace("https:", "http:"), "Plugged", "`base_url` is 'http://api.plugged"),
    ],
)
def test_a_broken_one_is_said_in_words_and_breaks_no_other(plug, caplog, text, attribute, words):
    plug(text, attribute=attribute)
    message = said("plugged")
    assert words in message
    assert "the destination 'plugged' of the package plugged" in message
    assert destination("watch-events").name == "watch-events"
    with caplog.at_level(logging.WARNING, logger="backfill"):
        assert set(OWN) <= set(installed_destinations()) - {"plugged"}
    assert words in caplog.text


def test_a_name_of_ours_stays_ours(plug, caplog):
    plug(WHOLE.replace('"plugged"', '"pristo-events"'), name="pristo-events")
    with caplog.at_level(logging.WARNING, logger="backfill"):
        found = destination("pristo-events")
    assert type(found).__module__ == "backfill.destinations.pristo"
    assert "plugged brings a destination 'pristo-events'" in caplog.text


def test_of_two_packages_with_one_name_neither_is_chosen(plug):
    plug()
    plug(package="plugged-too")
    assert "several packages bring a destination 'plugged': plugged, plugged-too" in said("plugged")


def test_packages_are_read_once_until_another_one_is_installed(plug, monkeypatch):
    installed_destinations()
    looked = []

    def look(group: str) -> EntryPoints:
        looked.append(group)
        return entry_points(group=group)

    monkeypatch.setattr("backfill.destinations.registry.entry_points", look)
    assert "plugged" not in installed_destinations()
    assert looked == []
    plug()
    assert "plugged" in installed_destinations()
    assert len(looked) == 1


def test_an_installation_without_its_own_entry_points_is_said_to_be_one(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, "another"])  # nothing is known of it yet
    monkeypatch.setattr("backfill.destinations.registry.entry_points", lambda group: ())
    assert "install backfill again" in said("pristo-events")


def test_help_asks_for_no_entry_points():
    code = (
        "import sys, backfill.__main__\n"
        "sys.argv = ['backfill', '--help']\n"
        "try: backfill.__main__.main()\n"
        "finally: assert not {m for m in sys.modules if m.startswith('backfill.destination')}\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
