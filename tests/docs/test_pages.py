"""What the pages mention is there: commands, options, keys, fields, rules, codes, links."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from backfill.checks.rules import rule_named
from backfill.cli import _group
from backfill.config import Config, config_from_mapping
from backfill.destinations import builtin_destinations, destination
from docs.config_tables import config_table, keys_of
from docs.generate import PARTS, filled
from docs.program_tables import help_of
from tests.docs.pages import PAGES, ROOT, blocks_of, code_of, name_of

_SHELL = ("sh", "bash", "console")
_ENDS = {"|", "||", "&&", ";", ";;", "&", "(", ")"}

each_page = pytest.mark.parametrize("page", PAGES, ids=name_of)

_BASE: dict[str, Any] = {
    "destination": "pristo-events",
    "population": "00000000-0000-4000-8000-000000000000",
    "events": {"files": "events.csv", "contact_key": "user_id", "time": "at"},
    "contacts": {"files": "contacts.csv", "key": "id"},
    "fields": {"contact.id": "events.user_id"},
}


def _commands(text: str) -> Iterator[list[str]]:
    """The arguments of each `backfill …` in a shell's block."""
    joined = re.sub(r"\\\n\s*", " ", text)
    for line in joined.splitlines():
        plain = re.sub(r"[0-9]?>{1,2} *&?[^\s|;&]+", "", line.removeprefix("$ "))
        lexer = shlex.shlex(plain, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word in _ENDS:
                while words and (words[0] == "nohup" or re.match(r"[A-Z_]+=", words[0])):
                    words.pop(0)
                if words and words[0].rpartition("/")[2] == "backfill":
                    yield words[1:]
                words = []
            else:
                words.append(word)


@each_page
def test_every_command_in_a_block_exists_with_its_options(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # --log-file opens its file as soon as it is read
    for block in blocks_of(page):
        if block.language not in _SHELL:
            continue
        for arguments in _commands(block.text):
            # A command keeps the help option that its first context gives it.
            with click.Context(_group, **_group.context_settings) as top:
                name, command, rest = _group.resolve_command(top, list(arguments))
                assert command is not None, f"{block.place}: {arguments}"
                # Raises UsageError for an option or an argument that is not there.
                command.make_context(name, rest, parent=top)


def test_commands_are_found_in_blocks():
    found = list(_commands('cd x && A=1 .venv/bin/backfill run c.toml > log 2>&1  # words\n'
                           "backfill records j \\\n  --state failed | head\n"))  # fmt: skip
    assert found == [["run", "c.toml"], ["records", "j", "--state", "failed"]]


@each_page
def test_every_command_in_a_sentence_exists_with_its_options(page):
    for code in code_of(page):
        for name, rest in re.findall(r"(?:^|[\s/])backfill ([a-z]+)\b([^'\"|;&]*)", code):
            assert name in _group.commands, f"{name_of(page)}: {code}"
            known = {each for param in _group.commands[name].params for each in param.opts}
            used = set(re.findall(r"(?<!\S)--?[a-z][a-z-]*", rest))
            assert used <= known | {"--help"}, f"{name_of(page)}: {code}"


@each_page
def test_every_configuration_loads_and_maps_known_fields(page, monkeypatch):
    for block in blocks_of(page):
        if block.language != "toml":
            continue
        content = tomllib.loads(block.text.replace("…", '"x"'))
        if "project" in content:  # of a package that brings a destination
            continue
        fragment = "destination" not in content
        if fragment:
            content = {
                **_BASE,
                **{
                    name: {**_BASE.get(name, {}), **value} if isinstance(value, dict) else value
                    for name, value in content.items()
                },
            }
        config = config_from_mapping(content, directory=Path())
        if block.mark == "acme":
            continue
        named = builtin_destinations().values() if fragment else [destination(config.destination)]
        for field in config.fields:
            assert any(each.field_for(field) for each in named), f"{block.place}: {field}"


@each_page
def test_every_piece_of_python_is_python(page):
    for block in blocks_of(page):
        if block.language == "python":
            compile(block.text, block.place, "exec", flags=0x2000)  # `await` at the top is allowed


@each_page
def test_every_rule_that_is_mentioned_exists(page):
    for code in code_of(page):
        # Not the choices of an option in a command's help: [csv|parquet|ndjson].
        for field, name in re.findall(
            r"(?<![\[|\w-])([A-Za-z_.*]+)\\?\|([a-z]+[a-z_0-9]*)\b(?!\|)", code
        ):
            if (field, name) == ("field", "rule"):
                continue
            rule_named(f"{field}|{name}")
            known = any(each.field_for(field) for each in builtin_destinations().values())
            assert known or field in ("row", "time", "contact", "visitor"), f"{code}: {field}"


@each_page
def test_the_parts_made_from_the_code_are_up_to_date(page):
    text = page.read_text(encoding="utf-8")
    assert filled(text) == text, "run: python -m docs.generate"


def test_every_part_stands_on_a_page():
    everything = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for name in PARTS:
        assert f"<!-- made from {name} -->" in everything


@pytest.mark.parametrize(
    "section", ["Config", "Files", "Events", "Contacts", "Rules", "Dedupe", "Delivery", "Cluster"]
)
def test_every_key_of_the_configuration_is_explained(section):
    table = config_table(section)
    for key in keys_of(section):
        (line,) = [each for each in table.splitlines() if each.startswith(f"| `{key}` |")]
        assert len(line.rpartition("| ")[2]) > 0, f"{section}.{key} has no text below it"
        assert not line.endswith("|  |"), f"{section}.{key} has no text below it"


def test_no_section_of_the_configuration_is_left_out():
    sections = {"events", "contacts", "fields", "rules", "dedupe", "delivery", "cluster"}
    hidden = {name for name, field in Config.model_fields.items() if field.exclude}
    assert set(keys_of("Config")) | sections | hidden == set(Config.model_fields)


def test_the_readme_has_the_exit_codes_of_the_help():
    shown = re.findall(r"^ +([0-9]+(?:, [0-9]+)*)  (.+)$", help_of(), re.MULTILINE)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| ([0-9]+(?:, [0-9]+)*) \| (.+) \|$", readme, re.MULTILINE)
    assert shown
    assert [(code, words.replace("`", "")) for code, words in table] == shown


def test_the_architecture_names_modules_that_exist():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    modules = set(re.findall(r"`((?:\w+/)+\w+\.py)`", page))
    assert modules
    assert [each for each in modules if not (ROOT / "backfill" / each).exists()] == []


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")), ids=name_of)
def test_links_of_pages_beside_the_site_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if "://" not in link:
            assert (page.parent / link).exists(), f"{name_of(page)}: {link}"
    for path in re.findall(r"`((?:docs|tests|backfill)/[\w./-]+\.\w+)`", text):
        assert (ROOT / path).exists(), f"{name_of(page)}: {path}"
