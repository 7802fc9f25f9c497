"""The written file loads once its questions are answered, whatever the columns are called."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.config import Column, Config, Lookup, config_from_mapping
from backfill.config.placeholders import open_questions
from backfill.discover.columns import ColumnProfile
from backfill.discover.proposal import Proposal
from backfill.discover.samples import Sample
from backfill.discover.source_sections import Sampled
from backfill.discover.writing import write_config
from tests.discover.frames import EMAILS, PHONES, contacts, events, proposed

HOSTILE = [
    'a "quoted" name',
    "two\nlines",
    "events.dotted",
    "contacts.",
    "#",
    "?",
    " ? ",
    "Bearer token",
    "שפה",
    "a\\",
    "x]\n[events]",
    "'''",
    "a;b|c",
]
NAME = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(codec="utf-8"), min_size=1))
ANSWERS = {
    "population": "00000000-0000-4000-8000-000000000000",
    "timezone": "UTC",
    "time_format": "%d.%m.%Y",
}
LOCAL = ["2024-03-01 10:00:00"] * 40


def written(proposal: Proposal) -> str:
    mine = Sampled(("events.csv",), Sample(events(), 1, 40))
    theirs = Sampled(("contacts.csv",), Sample(contacts(), 1, 40)) if proposal.joined else None
    return write_config(proposal, mine, theirs)


def answered(content: Any, key: str = "") -> Any:
    """The content with an answer in the place of each question."""
    if isinstance(content, dict):
        return {name: answered(value, name) for name, value in content.items()}
    return ANSWERS.get(key, "neutral") if content == "?" else content


def loaded(text: str) -> Config:
    return config_from_mapping(answered(tomllib.loads(text)), directory=Path())


def uncommented(text: str) -> str:
    return re.sub(r'(?m)^# (?=("([^"\\\\]|\\\\.)*"|[a-z_]+) += )', "", text)


@cache
def plain(name: str, joined: bool) -> Proposal:
    """A proposal for columns with plain names; looking at them takes longer than writing."""
    mine = events() if joined else events(phone=PHONES, email=EMAILS)
    return proposed(name, mine, contacts() if joined else None)[0]


def sources(config: Config) -> dict[str, tuple[str | None, str]]:
    found: dict[str, tuple[str | None, str]] = {}
    for name, spec in config.fields.items():
        column = spec.column if isinstance(spec, Lookup) else spec
        assert isinstance(column, Column)
        found[name] = (column.side, column.name)
    return found


@pytest.mark.parametrize("name", ["pristo-events", "watch-events"])
@pytest.mark.parametrize("joined", [True, False])
def test_an_answered_configuration_says_what_was_proposed(name, joined):
    mine = events() if joined else events(phone=PHONES, email=EMAILS)
    proposal, fields = proposed(name, mine, contacts() if joined else None)
    config = loaded(written(proposal))
    assert config.destination == name
    assert config.events.time == "at"
    assert config.events.timezone is None
    assert {
        field: f"{side or 'events'}.{column}" for field, (side, column) in sources(config).items()
    } == fields
    assert (config.events.contact_key, config.contacts.key if config.contacts else None) == (
        ("user_id", "id") if joined else (None, None)
    )


def test_what_stands_as_a_comment_can_be_uncommented():
    proposal, fields = proposed("pristo-events", events(at=LOCAL), contacts())
    config = loaded(uncommented(written(proposal)))
    assert {*config.fields} == {*fields, "customFields.amount", "contact.customFields.plan"}
    assert config.rules.event_types == ("login", "purchase", "signup")
    assert config.delivery.guarantee == "at-least-once"
    assert config.events.timezone == "UTC"


def test_values_without_a_text_are_named_and_not_offered():
    odd = events(phone=PHONES, email=EMAILS).with_columns(
        payload=pl.lit(b"x"), took=pl.lit(5).cast(pl.Duration("us"))
    )
    proposal, _ = proposed("pristo-events", odd)
    text = written(proposal)
    assert '"payload" (bytes), "took" (durations)' in text
    assert "customFields.payload" not in text


def test_questions_are_marked_where_only_a_person_knows():
    proposal, _ = proposed("watch-events", events(at=LOCAL), contacts())
    questions = open_questions(tomllib.loads(written(proposal)))
    assert [each.place for each in questions] == ["[events] timezone", "[fields] confidence"]
    questions = open_questions(tomllib.loads(written(plain("pristo-events", joined=True))))
    assert [each.place for each in questions] == ["population"]


def test_ids_and_phones_in_a_form_of_their_own_raise_questions():
    national = [f"052-555-0{number:03}" for number in range(40)]
    numbers = list(range(20)) * 2
    proposal, _ = proposed(
        "pristo-events", events(user_id=numbers), contacts(id=range(40), mobile=national)
    )
    places = [each.place for each in open_questions(tomllib.loads(written(proposal)))]
    assert places == ["population", "[rules] phone_region", "[rules.contact_id] namespace"]


def test_contacts_that_nothing_joins_raise_both_questions():
    proposal, _ = proposed(
        "watch-events", events(user_id=None), contacts(id=None, surname=None, firstName=None)
    )
    places = [each.place for each in open_questions(tomllib.loads(written(proposal)))]
    assert places[:2] == ["[events] contact_key", "[contacts] key"]


def test_a_time_in_another_form_is_a_question_that_names_its_column():
    proposal, _ = proposed("pristo-events", events(at=["31. Januar 2024, 10 Uhr"] * 40), contacts())
    text = written(proposal)
    assert [each.place for each in open_questions(tomllib.loads(text))] == [
        "population",
        "[events] time",
    ]
    assert '# "at" is named like one' in text


def test_a_few_times_without_a_zone_are_a_remark_and_no_question():
    mixed = ["2024-03-01 10:00:00", *["2024-03-01T10:00:00Z"] * 39]
    proposal, _ = proposed("watch-events", events(at=mixed), contacts())
    text = written(proposal)
    assert "[events] timezone" not in [each.place for each in open_questions(tomllib.loads(text))]
    assert "# timezone" in text


def test_what_people_wrote_is_not_copied_into_the_file():
    proposal, _ = proposed(
        "pristo-events", events(note=["ring at the back door", "leave it"] * 20), contacts()
    )
    text = written(proposal)
    for private in ("back door", "person1@", "+1202555", "Grace", 'Sample"'):
        assert private not in text


@settings(max_examples=20, deadline=None)
@given(
    names=st.lists(NAME, min_size=11, max_size=11, unique=True),
    name=st.sampled_from(["pristo-events", "watch-events"]),
    joined=st.booleans(),
)
def test_any_column_name_survives(names, name, joined):
    renamed = _renamed(plain(name, joined), names)
    text = written(renamed)
    config = loaded(text)
    expected = {each.field.name: each.column for each in renamed.matches}
    for field, (side, column) in sources(config).items():
        source = expected[field]
        assert source is not None
        assert (side or "events", column) == (source.side, source.name)
    assert renamed.time is not None
    assert config.events.time == renamed.time.name
    if renamed.join and config.contacts:
        assert config.events.contact_key == renamed.join.events.name
        assert config.contacts.key == renamed.join.contacts.name
    # Comments are inert, and the proposals among them are TOML that means the same columns.
    assert {*loaded(uncommented(text)).fields} >= {*config.fields}


def _renamed(proposal: Proposal, names: list[str]) -> Proposal:
    order = {
        (each.side, each.name): names[index % len(names)]
        for side in (proposal.events, proposal.contacts)
        for index, each in enumerate(side)
    }

    def new(column: ColumnProfile | None) -> Any:
        return column and replace(column, name=order[column.side, column.name])

    join = proposal.join
    return replace(
        proposal,
        time=new(proposal.time),
        join=join and replace(join, events=new(join.events), contacts=new(join.contacts)),
        matches=tuple(replace(each, column=new(each.column)) for each in proposal.matches),
        unused=tuple(new(each) for each in proposal.unused),
    )


# What looks like a credential is refused wherever it stands in a configuration.
LABEL = NAME.filter(lambda text: not text.strip().lower().startswith("bearer"))


@settings(max_examples=12, deadline=None)
@given(st.lists(LABEL, min_size=1, max_size=6, unique=True))
def test_any_label_survives_as_a_line_of_the_table(labels):
    proposal = plain("watch-events", joined=True)
    tables = tuple(
        replace(each, table=tuple((label, 1, None) for label in labels)) if each.table else each
        for each in proposal.matches
    )
    spec = loaded(written(replace(proposal, matches=tables))).fields["confidence"]
    assert isinstance(spec, Lookup)
    assert [old for old, _ in spec.values] == labels


def test_an_email_column_of_another_form_is_named_where_a_contact_has_no_address():
    proposal, _ = proposed("pristo-events", events(email=["Noa <noa@example.com>"] * 40))
    assert 'no column was found for either; perhaps "email"' in written(proposal)
