"""Configuration, destination and columns together: what resolves, and what is an error."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from backfill.core.errors import ConfigError, SourceError
from backfill.destination import Destination, Field, Kind
from backfill.destinations import builtin_destinations
from backfill.prepare.mapping.binding import Binding, bind
from backfill.prepare.mapping.requirements import check_keys
from backfill.sources.scan import open_source
from tests.plugin_package.acme_visits import AcmeVisits
from tests.prepare.prepared import NOW, configured

EVENTS = {"user_id": ["u"], "event": ["e"], "at": ["2024-01-01T00:00:00Z"], "both": ["b"], "n": [1]}
CONTACTS = {"id": ["u"], "email": ["x@example.com"], "both": ["b"], "plan": ["p1"]}
PRISTO = {
    "contact.id": "user_id",
    "contact.email": "contacts.email",
    "type": "event",
}
WATCH = {"target.value": "user_id", "label": "event", "confidence": {"value": "high"}}


@pytest.fixture
def bound(tmp_path: Path) -> Any:
    """Binds a configuration over EVENTS and CONTACTS."""
    pl.DataFrame(EVENTS).write_parquet(tmp_path / "events.parquet")
    pl.DataFrame(CONTACTS).write_parquet(tmp_path / "contacts.parquet")

    def do(destination: str, **sections: Any) -> Binding:
        sections.setdefault("events", {"contact_key": "user_id", "time": "at"})
        if destination == "pristo-events":
            sections.setdefault("contacts", {"key": "id"})
        config = configured(tmp_path, destination, **sections)
        contacts = config.contacts
        return bind(
            config,
            builtin_destinations()[destination],
            open_source(config.events, tmp_path, what="events"),
            open_source(contacts, tmp_path, what="contacts") if contacts else None,
            now=NOW,
        )

    return do


def test_fields_stand_in_the_order_of_the_body_and_own_fields_in_that_of_the_mapping(
    bound: Any,
) -> None:
    fields = {"customFields.z": "n", "type": "event", "customFields.a": "n", **PRISTO}
    binding = bound("pristo-events", fields=fields)
    assert [each.name for each in binding.inputs] == [
        "contact.id",
        "contact.email",
        "type",
        "occurredAt",
        "customFields.z",
        "customFields.a",
    ]


def test_a_column_without_a_prefix_belongs_to_the_one_file_that_has_it(bound: Any) -> None:
    fields = {**PRISTO, "contact.email": "email", "customFields.plan": "plan"}
    binding = bound("pristo-events", fields=fields)
    sides = {each.name: each.side for each in binding.inputs}
    assert sides["contact.id"] == sides["occurredAt"] == "events"
    assert sides["contact.email"] == sides["customFields.plan"] == "contacts"


def test_a_field_with_a_default_is_sent_unmapped(bound: Any) -> None:
    binding = bound("watch-events", fields=WATCH)
    assert next(e for e in binding.inputs if e.name == "target.type").constant == "phone_number"
    assert binding.tables["target.type"] == {"(always)": "phone_number"}


def test_columns_that_nothing_uses_are_known(bound: Any) -> None:
    fields = {**PRISTO, "customFields.x": {"sql": "event || 'x'"}}
    binding = bound("pristo-events", fields=fields)
    assert binding.unused == ("events.both", "events.n", "contacts.both", "contacts.plan")


def test_identifiers_alone_leave_the_other_details_of_a_contact_out(bound: Any) -> None:
    fields = {**PRISTO, "contact.name": "plan", "contact.customFields.p": "plan"}
    binding = bound("pristo-events", fields=fields, rules={"contact": "identifiers"})
    names = ["contact.id", "contact.email", "type", "occurredAt"]
    assert [each.name for each in binding.inputs] == names
    assert set(binding.identity) == set(names)


def test_the_identity_is_every_mapped_field_and_the_time_unless_said_otherwise(bound: Any) -> None:
    assert set(bound("pristo-events", fields=PRISTO).identity) == {*PRISTO, "occurredAt"}
    assert set(bound("watch-events", fields=WATCH).identity) == {*WATCH, "time"}
    chosen = bound("pristo-events", fields=PRISTO, dedupe={"key": ["type", "time"]})
    assert chosen.identity == ("type", "occurredAt")


def test_tables_show_what_becomes_of_every_value(bound: Any) -> None:
    table = {"column": "event", "values": {"e": "high", "f": "low"}}
    for otherwise, shown in (
        ("reject", "(rejected)"),
        ("omit", "(left out)"),
        ("keep", "(as it is)"),
        ({"value": "neutral"}, "neutral"),
    ):
        fields = {**WATCH, "confidence": {**table, "otherwise": otherwise}}
        found = bound("watch-events", fields=fields).tables["confidence"]
        assert found == {"e": "high", "f": "low", "(any other)": shown}


@pytest.mark.parametrize(
    ("changes", "where", "words"),
    [
        ({"fields": {**PRISTO, "contact.emial": "email"}}, "[fields]", "'contact.email'"),
        ({"fields": {**PRISTO, "channel": "event"}}, "[fields]", "contact.customFields.*"),
        ({"fields": {**PRISTO, "customField.z": "event"}}, "[fields]", "'customFields.z'"),
        ({"fields": {**PRISTO, "customFields.": "n"}}, "[fields]", "after the dot"),
        ({"fields": {**PRISTO, "customFields.a;b": "event"}}, "[fields]", "no field"),
        ({"fields": {"contact.id": "user_id"}}, "[fields]", "needs type"),
        ({"fields": {"contact.email": "email"}}, "[fields]", "contact.id and type"),
        ({"fields": {**PRISTO, "type": "both"}}, "[fields] type", "'contacts.both'"),
        ({"fields": {**PRISTO, "occurredAt": "event"}}, "[fields]", "[events] time"),
        ({"fields": {**PRISTO, "occurredAt": {"value": "now"}}}, "[fields]", "[events] time"),
        ({"population": None}, "population", "needs the id of the population"),
        ({"events": {"contact_key": "user_id"}}, "[events] time", "occurredAt"),
        ({"rules": {"drop_invalid": ["contact.id"]}}, "[rules] drop_invalid", "required"),
        ({"rules": {"drop_invalid": ["contact.mail"]}}, "[rules] drop_invalid", "'contact.email'"),
        ({"dedupe": {"key": ["contact.di"]}}, "[dedupe] key", "'contact.id'"),
        ({"fields": {**PRISTO, "customFields.x": {"value": "x" * 51}}}, "x", "max_length"),
        ({"fields": {**PRISTO, "customFields.x": {"value": ""}}}, "x", "not empty"),
        ({"fields": {**PRISTO, "customFields.x": {"sql": "max(event)"}}}, "x", "aggregate"),
        ({"fields": {**PRISTO, "customFields.x": {"sql": "plan || 'x'"}}}, "x", "'plan'"),
    ],
)
def test_what_is_wrong_for_pristo_is_said_with_its_place_and_a_hint(
    bound: Any, changes: dict[str, Any], where: str, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        bound("pristo-events", **{"fields": PRISTO, **changes})
    assert (caught.value.where or "").endswith(where)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "where", "words"),
    [
        ({"population": "5b0c7d1e-9a34-4c58-8f21-6d3e0a9b7c42"}, "population", "no population"),
        ({"fields": {**WATCH, "confidence": {"value": "hihg"}}}, "confidence", "maximum, high"),
        (
            {"fields": {**WATCH, "confidence": {"column": "event", "values": {"e": "hi"}}}},
            "confidence",
            "'hi' breaks choice",
        ),
        ({"fields": {"target.value": "user_id", "label": "event"}}, "[fields]", "confidence"),
        ({"fields": {**WATCH, "target.number": "n"}}, "[fields]", "target.number"),
        ({"fields": {**WATCH, "target": {"value": "user_id"}}}, "[fields]", '"target.value" = …'),
        ({"dedupe": {"key": ["time"]}, "events": {}}, "[dedupe] key", "'time'"),
    ],
)
def test_what_is_wrong_for_watch_is_said_with_its_place_and_a_hint(
    bound: Any, changes: dict[str, Any], where: str, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        bound("watch-events", **{"fields": WATCH, **changes})
    assert (caught.value.where or "").endswith(where)
    assert words in str(caught.value)


_NAMESPACE = {"namespace": "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"}


@pytest.mark.parametrize(
    ("destination", "rules"),
    [
        ("watch-events", {"custom_value_max": 255}),
        ("watch-events", {"event_types": ["a"]}),
        ("watch-feedbacks", {"event_types": []}),
        ("watch-events", {"contact_id": _NAMESPACE}),
        ("watch-events", {"contact": "identifiers"}),
        ("watch-feedbacks", {"reachable": "known"}),
        ("pristo-events", {"allow_email_targets": True}),
    ],
)
def test_a_rule_that_would_do_nothing_at_its_destination_is_refused(
    bound: Any, destination: str, rules: dict[str, Any]
) -> None:
    fields = PRISTO if destination == "pristo-events" else WATCH
    with pytest.raises(ConfigError, match=f"{destination} knows no ") as caught:
        bound(destination, fields=fields, rules=rules)
    assert caught.value.where == f"[rules] {next(iter(rules))}"


def test_a_rule_that_says_what_holds_anyway_is_let_be(bound: Any) -> None:
    """Whoever writes it has what it says; and a job's own configuration has every rule."""
    usual = {"custom_value_max": 50, "contact": "full", "reachable": "required"}
    bound("watch-events", fields=WATCH, rules=usual)
    bound("pristo-events", fields=PRISTO, rules={"allow_email_targets": False})


def test_which_rules_a_package_s_destination_has_follows_from_its_fields(tmp_path: Path) -> None:
    def refused(destination: Destination, **rules: Any) -> bool:
        config = configured(tmp_path, "watch-events", fields=WATCH, rules=rules)
        with suppress(ConfigError):
            check_keys(config, destination)
            return False
        return True

    visits: Destination = AcmeVisits()  # has a phone, and a check of what it can be reached by
    assert not refused(visits, phone="valid", phone_region="IL", reachable="known")
    assert refused(visits, event_types=["a"])
    assert refused(visits, allow_email_targets=True)
    visits.fields = (Field("kind", Kind.EVENT_TYPE, required=True),)
    assert not refused(visits, event_types=["a"])
    assert refused(visits, phone="valid")
    assert refused(visits, phone_region="IL")


def test_a_name_of_two_countries_is_refused_and_one_written_twice_is_not(bound: Any) -> None:
    codes = {"column": "event", "values": {"Germany": "DE", "Germany ": "DE"}}
    assert bound("watch-events", fields=WATCH, rules={"phone_region": codes})
    codes["values"] = {"Germany": "DE", "Germany ": "AT"}
    with pytest.raises(ConfigError, match="'Germany' stands for DE and for AT"):
        bound("watch-events", fields=WATCH, rules={"phone_region": codes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fields": {**PRISTO, "type": "evnt"}}, ("'evnt'", "events.parquet", "'event'")),
        ({"fields": {**PRISTO, "type": "events.plan"}}, ("'plan'", "events.parquet")),
        (
            {"fields": {**PRISTO, "contact.email": "contacts.mail"}},
            ("contacts.parquet", "'email'"),
        ),
        ({"events": {"contact_key": "user", "time": "at"}}, ("contact_key", "'user_id'")),
        ({"events": {"contact_key": "user_id", "time": "att"}}, ("time", "'at'")),
        ({"contacts": {"key": "idd"}}, ("[contacts] key", "contacts.parquet", "'id'")),
    ],
)
def test_a_missing_column_is_named_with_its_file_and_the_nearest_column(
    bound: Any, changes: dict[str, Any], words: tuple[str, ...]
) -> None:
    with pytest.raises(SourceError) as caught:
        bound("pristo-events", **{"fields": PRISTO, **changes})
    assert all(word in str(caught.value) for word in words), str(caught.value)
