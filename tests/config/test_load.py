"""From TOML to a Config: every form is read, every fault is explained."""

from __future__ import annotations

import codecs
import re
import textwrap
import tomllib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill.config import (
    Column,
    Constant,
    Lookup,
    Rate,
    Share,
    Sql,
    config_from_mapping,
    load_config,
)
from backfill.config.sources import Events
from backfill.config.values import parse_duration, parse_rate
from backfill.core.errors import ConfigError

FULL = """
destination = "pristo-events"
population = "00000000-0000-4000-8000-00000000000A"

[events]
files = "exports/*.parquet"
contact_key = "events.user_id"
time = "at"
timezone = "Asia/Jerusalem"

[contacts]
files = ["a.csv", "b.csv"]
key = "id"

[fields]
"contact.id" = "events.user_id"
"contact.email" = { column = "email", from = "contacts" }
"contact.phone" = { sql = "'+' || mobile", from = "contacts" }
"type" = "event"
"customFields.channel" = { value = "import" }
"customFields.tier" = { column = "contacts.plan", values = { p1 = "gold" }, otherwise = "omit" }
"customFields.odd" = "a.b"

[rules]
phone = "valid"
contact_id = { namespace = "6ba7b810-9dad-11d1-80b4-00c04fd430c8" }

[dedupe]
key = ["contact.id", "type"]
delivered_by = "march.job"

[delivery]
rate = "3000/min"
max_errors = "2.5%"
timeout = "1m30s"
"""
MINIMAL = """
destination = "watch-events"
[events]
files = "e.csv"
[fields]
"target.value" = "phone"
"""


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "job.toml"
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return write


def message_of(path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_every_form_of_a_field_is_read(write):
    config = load_config(write(FULL))
    assert config.fields == {
        "contact.id": Column("user_id", "events"),
        "contact.email": Column("email", "contacts"),
        "contact.phone": Sql("'+' || mobile", "contacts"),
        "type": Column("event"),
        "customFields.channel": Constant("import"),
        "customFields.tier": Lookup(Column("plan", "contacts"), (("p1", "gold"),), "omit"),
        "customFields.odd": Column("a.b"),
    }


def test_values_that_a_person_writes_are_understood(write):
    config = load_config(write(FULL))
    assert config.population == "00000000-0000-4000-8000-00000000000a"
    assert config.events.contact_key == "user_id"
    assert config.contacts is not None
    assert config.contacts.files == ("a.csv", "b.csv")
    assert config.dedupe.delivered_by == ("march.job",)
    assert config.delivery.rate == Rate(50.0)
    assert config.delivery.max_errors == Share(fraction=0.025)
    assert config.delivery.timeout == 90.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1.5h", 5400), ("1h 30m", 5400), ("1h30min", 5400), ("0.5 d", 43200), (" 90S ", 90)],
)
def test_a_duration_is_the_sum_of_its_parts(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", ".5h", "1.5.5h", "1..5h", "5", "h", "5 x", "1h-30m"])
def test_what_is_no_duration_is_refused_and_never_half_read(text):
    with pytest.raises(ValueError, match='"1h30m"'):
        parse_duration(text)


@given(st.floats(min_value=1e-9, max_value=1e18))
def test_a_rate_is_read_back_as_it_is_remembered(per_second):
    assert parse_rate(str(Rate(per_second))) == Rate(per_second)


def test_defaults_are_the_careful_ones(write):
    config = load_config(write(MINIMAL))
    assert config.rules.phone == "e164"
    assert config.rules.custom_value_max == 50
    assert config.delivery.guarantee == "at-most-once"
    assert config.delivery.rate is None
    assert config.dedupe.keep == "first"


@pytest.mark.parametrize(
    ("line", "replacement", "expected"),
    [
        ('timeout = "1m30s"', 'timout = "1m"', "[delivery] timout: unknown key. Did you mean 'ti"),
        ('key = "id"', 'kee = "id"', "Did you mean 'keep'?"),
        ('rate = "3000/min"', 'rate = "fast"', '"50/s"'),
        ('rate = "3000/min"', 'rate = "0/s"', "more than 0"),
        ('max_errors = "2.5%"', 'max_errors = "250%"', "share"),
        ('max_errors = "2.5%"', "max_errors = -1", "share"),
        ('timezone = "Asia/Jerusalem"', 'timezone = "Asia/Jerusalm"', "is no time zone"),
        ('timezone = "Asia/Jerusalem"', 'timezone = "berlin"', "Did you mean 'Europe/Berlin'?"),
        (
            'timezone = "Asia/Jerusalem"',
            'timezone = "Asia/Jerusalm"',
            "Did you mean 'Asia/Jerusalem'?",
        ),
        ('otherwise = "omit"', 'otherwise = "gold"', '"reject", "omit", "keep"'),
        ('{ value = "import" }', "{ value = [1] }", "never a list"),
        ('{ value = "import" }', '{ value = "a", column = "b" }', "exactly one of"),
        ('{ value = "import" }', '{ value = "a", from = "events" }', "unknown key 'from'"),
        ('{ value = "import" }', '{ sql = "a", otherwise = "omit" }', "which takes `from`"),
        ('{ value = "import" }', '{ colum = "Plan" }', "'colum'. Did you mean 'column'?"),
        ('{ value = "import" }', "{ sqll = \"a || 'b'\" }", "Did you mean 'sql'?"),
        ('otherwise = "omit"', 'otherwize = "omit"', "Did you mean 'otherwise'?"),
        ('{ column = "email", from = "contacts" }', '{ column = "events.e", from = "contacts" }',
         "two different files"),
        ("00000000-0000-4000-8000-00000000000A", "not-a-uuid", "population: is a UUID"),
        ('files = "exports/*.parquet"', "files = []", "files"),
        ('contact_key = "events.user_id"', "", "needs `contact_key`"),
        ('files = ["a.csv", "b.csv"]', 'files = "a.csv"\nencoding = "klingon"', "no encoding"),
    ],
)  # fmt: skip
def test_a_fault_is_explained_where_it_stands(write, line, replacement, expected):
    text = FULL.replace(line, replacement)
    assert text != FULL
    assert expected in message_of(write(text))


def test_all_faults_are_told_at_once(write):
    text = FULL.replace('timeout = "1m30s"', 'timout = "1m"').replace('key = "id"', "")
    message = message_of(write(text))
    assert "timout" in message
    assert "[contacts] key: is missing" in message


def test_contacts_fields_need_contacts(write):
    path = write(MINIMAL.replace('"phone"', '"contacts.phone"'))
    assert "there is no [contacts]" in message_of(path)


@pytest.mark.parametrize(
    "line",
    [
        'api_token = "abc-123"',
        'apiKey = "abc-123"',
        'Authorization = "abc-123"',
        'base_url = "Bearer abc-123"',
    ],
)
def test_a_credential_in_the_file_is_refused_and_not_repeated(write, line):
    message = message_of(write(FULL + line))
    assert "credential" in message
    assert "abc-123" not in message


def test_a_known_credential_is_found_under_any_name(write, monkeypatch):
    monkeypatch.setenv("PRISTO_API_KEY", "11111111-2222-4333-8444-555555555555")
    path = write(FULL.replace('"import"', '"11111111-2222-4333-8444-555555555555"'))
    message = message_of(path)
    assert "credential" in message
    assert "11111111" not in message


@pytest.mark.parametrize(
    "change",
    [
        ('"import"', '"{}"'),
        ('"import"', '" {} "'),
        ("'+' || mobile", "'{}' || mobile"),
        ('p1 = "gold"', '{} = "gold"'),
        ('"3000/min"', '"3000/min"\nbase_url = "https://api.example.com/{}"'),
        ('["contact.id", "type"]', '["contact.id", "{}"]'),
        ("[delivery]", '[[delivery.more]]\nx = "{}"\n[delivery]'),
    ],
)
@pytest.mark.parametrize("in_file", [False, True])
def test_a_known_credential_is_found_wherever_it_stands(
    write, monkeypatch, tmp_path, change, in_file
):
    before, after = change
    key = "11111111-2222-4333-8444-555555555555"
    monkeypatch.delenv("PRISTO_API_KEY", raising=False)
    if in_file:
        (tmp_path / "key").write_text(f"{key}\n", encoding="utf-8")
        monkeypatch.setenv("PRISTO_API_KEY_FILE", str(tmp_path / "key"))
    else:
        monkeypatch.setenv("PRISTO_API_KEY", key)
    assert before in FULL
    message = message_of(write(FULL.replace(before, after.format(key))))
    assert "holds a credential" in message
    assert "11111111" not in message


def test_a_credential_file_that_cannot_be_read_is_left_to_the_run(write, monkeypatch, tmp_path):
    monkeypatch.setenv("PRISTO_API_KEY_FILE", str(tmp_path / "not-there"))
    load_config(write(FULL))


def test_a_field_may_be_called_token(write):
    load_config(write(FULL.replace("customFields.channel", "customFields.token")))


def test_a_short_credential_is_a_mere_word_among_the_users_data(write, monkeypatch):
    monkeypatch.setenv("PRISTO_API_KEY", "test")
    text = FULL.replace('"import"', '"test"').replace('"type"]', '"test"]')
    load_config(write(text.replace("[rules]", '[rules]\nevent_types = ["test"]')))
    assert "holds a credential" in message_of(write(f'{FULL}\nbase_url = "test"'))
    load_config(write(FULL.replace('key = "id"', 'key = "test"')))
    for name in ("key", "events", "files"):
        monkeypatch.setenv("PRISTO_API_KEY", name)
        load_config(write(FULL))
    monkeypatch.setenv("PRISTO_API_KEY", "test-key")  # eight characters
    message = message_of(write(FULL.replace('"import"', '"test-key"')))
    assert "holds a credential" in message
    assert "test-key" not in message


@pytest.mark.parametrize(
    ("line", "whole"),
    [
        ('contact.email = "mail"', "contact.email"),
        ('contact.email = { column = "mail" }', "contact.email"),
        ('contact.customFields.plan = "plan"', "contact.customFields.plan"),
        ('target.type = { value = "phone_number" }\ntarget.value = "phone"', "target.type"),
        ('customFields.values = "v"\ncustomFields.plan = "plan"', "customFields.plan"),
        ('customFields.col = "c"', "customFields.col"),
    ],
)
def test_a_dotted_name_without_quotes_is_told_from_a_table(write, line, whole):
    message = message_of(write(MINIMAL.replace('"target.value" = "phone"', line)))
    assert f'stands in quotes: "{whole}"' in message


@pytest.mark.parametrize("line", ['type = { colum = "Plan" }', '"contact.email" = { emial = "x" }'])
def test_a_slip_within_a_fields_table_is_not_taken_for_a_name(write, line):
    message = message_of(write(MINIMAL.replace('"target.value" = "phone"', line)))
    assert "unknown key" in message
    assert "column" in message


@pytest.mark.parametrize(
    ("section", "line", "expected"),
    [
        ("", "destination = 5", "destination: is a text in quotes, not the number 5"),
        ("", "population = true", "population: is a text in quotes, not true"),
        ("", 'rules = "strict"', "rules: is a section of its own: [rules] on a line"),
        ("", "fields = []", "fields: is a section of its own: [fields] on a line"),
        ("events", "files = 5", "[events] files: is a text, or a list of texts"),
        ("events", "files = [5]", "[events] files: a part of it is a text in quotes, not the nu"),
        ("events", "files = { a = 1 }", "not a table"),
        ("events", 'format = "jsonl"', "not the text 'jsonl'. Did you mean 'ndjson'?"),
        ("events", "format = 1", 'format: is "csv", "tsv", "ndjson" or "parquet", not the number'),
        ("events", 'hive = "on it"', "[events] hive: is true or false, without quotes, not the te"),
        ("events", "hive = 1", "[events] hive: is true or false, without quotes, not the number"),
        ("events", "time = 2024-01-01", "[events] time: is a column's name in quotes"),
        ("events", "null_values = 0", "[events] null_values: is a text, or a list of texts"),
        ("contacts", 'keep = "latest"', "\"last\" or \"fill\", not the text 'latest'"),
        ("rules", 'phone_region = "il"', 'phone_region: is two capital letters, such as "IL"'),
        ("rules", "phone_region = 972", "phone_region: is two capital letters"),
        ("rules", 'phone_region = { value = "IL" }', "phone_region: is two capital letters"),
        (
            "rules",
            'phone_region = { column = "c", values = { Germany = "Germany" } }',
            "phone_region: the code of 'Germany' is two capital letters",
        ),
        (
            "rules",
            'phone_region = { column = "c", values = { Germany = "DE" }, otherwise = "keep" }',
            "phone_region: takes no `otherwise`",
        ),
        ("rules", 'phone_region = { colum = "c" }', "unknown key 'colum'. Did you mean 'column'?"),
        ("rules", "custom_value_max = 256", "custom_value_max: is at most 255, not the number 256"),
        ("rules", 'custom_value_max = "many"', "custom_value_max: is a whole number, not the text"),
        ("rules", "custom_value_max = true", "custom_value_max: is a whole number, not true"),
        ("rules", 'allow_email_targets = "yes"', "is true or false, without quotes, not the text"),
        ("rules", "event_types = 5", "[rules] event_types: is a text, or a list of texts"),
        ("rules", 'contact_id = "x"', "[rules] contact_id: is a section of its own: [rules.conta"),
        ("rules", 'contact_id = { namespace = "x" }', "namespace: is a UUID of 36 characters"),
        ("rules", "contact_id = { namespace = 5 }", "namespace: is a UUID of 36 characters"),
        ("dedupe", "key = []", "[dedupe] key: names no field"),
        ("dedupe", "delivered_by = [[]]", "a part of it is a text in quotes, not a list"),
        ("delivery", "concurrency = 0", "concurrency: is at least 1, not the number 0"),
        ("delivery", "concurrency = 1.5", "concurrency: is a whole number, not the number 1.5"),
        ("delivery", "concurrency = true", "concurrency: is a whole number, not true"),
        ("delivery", 'limit = "5"', "limit: is a whole number, not the text '5'"),
        ("delivery", "limit = true", "limit: is a whole number, not true"),
        ("delivery", "limit = 0", "limit: is more than 0, not the number 0"),
        ("delivery", "timeout = 0", "timeout: is more than 0, not the number 0"),
        ("delivery", "limit = [5]", "limit: is a whole number, not a list"),
    ],
)  # fmt: skip
def test_a_wrong_type_is_told_in_plain_words(section, line, expected):
    content: dict[str, Any] = {
        "destination": "watch-events",
        "events": {"files": "e.csv", "contact_key": "u"},
        "contacts": {"files": "c.csv", "key": "k"},
        "fields": {"label": "l"},
    }
    given = tomllib.loads(line)
    content |= {section: {**content.get(section, {}), **given}} if section else given
    with pytest.raises(ConfigError) as caught:
        config_from_mapping(content, directory=Path())
    message = str(caught.value)
    assert expected in message
    assert "Input" not in message


@pytest.mark.parametrize(
    ("section", "name"),
    [
        ("events", "files"),
        ("events", "null_values"),
        ("rules", "event_types"),
        ("rules", "drop_invalid"),
        ("dedupe", "key"),
        ("dedupe", "delivered_by"),
    ],
)
def test_a_single_text_is_a_list_of_one(section, name):
    sections = {"events": {"files": "e.csv"}, "rules": {}, "dedupe": {}}
    sections[section][name] = "one"
    config = config_from_mapping(
        {"destination": "watch-events", "fields": {"label": "l"}, **sections}, directory=Path()
    )
    assert getattr(getattr(config, section), name) == ("one",)


def test_a_byte_order_mark_before_the_toml_is_skipped(tmp_path):
    path = tmp_path / "job.toml"
    path.write_bytes(codecs.BOM_UTF8 + MINIMAL.encode().replace(b"\n", b"\r\n"))
    assert load_config(path).destination == "watch-events"


def test_a_file_in_another_encoding_is_to_be_saved_as_utf_8(tmp_path):
    path = tmp_path / "job.toml"
    path.write_bytes(MINIMAL.encode("utf-16"))
    assert "save it as UTF-8" in message_of(path)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a = ", b"[events\n"])
def test_what_is_not_toml_is_said_to_be_none(tmp_path, content):
    path = tmp_path / "job.toml"
    path.write_bytes(content)
    assert "is not TOML" in message_of(path)


def test_a_missing_file_says_what_makes_one(tmp_path):
    assert "backfill init" in message_of(tmp_path / "none.toml")


def test_settings_survive_the_way_through_json(write):
    delivery = load_config(write(FULL)).delivery
    assert type(delivery).model_validate(delivery.model_dump(mode="json")) == delivery


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("rate = 50/s", "Line 3: rate = 50/s"),
        ("api_token = sk_invented", "Line 3: api_token = …"),
    ],
)
def test_a_line_that_is_no_toml_is_shown_but_no_credential(tmp_path, line, hint):
    path = tmp_path / "a.toml"
    path.write_text(f'destination = "watch-events"\n[delivery]\n{line}\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="is not TOML") as error:
        load_config(path)
    assert error.value.hint == hint
    assert "sk_invented" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("GMT+3", "'Etc/GMT-3'? That is UTC+3"),
        ("utc-11", "'Etc/GMT+11'? That is UTC-11"),
        ("+02:00", "'Etc/GMT-2'? That is UTC+2"),
        ("Z", "'UTC'?"),
        ("+0000", "'UTC'?"),
        ("UTC+5:30", "No zone is this offset"),
        ("IST", "name a place"),  # of three countries, and none of them is 'MST'
        ("ROME", "Did you mean 'Europe/Rome'?"),
        ("GMT+15", "No zone is this offset"),
        ("posix/Europe/Berlin", "Did you mean 'Europe/Berlin'?"),
        ("localtime", '"UTC".'),
        ("Factory", "names look like"),
    ],
)
def test_the_zone_that_is_offered_for_an_offset_is_the_one_that_has_it(name, nearest):
    with pytest.raises(ValueError, match="is no time zone") as raised:
        Events(files="a.csv", time="at", timezone=name)
    assert nearest in str(raised.value)
    for zone in re.findall(r"Etc/GMT[+-][0-9]+", str(raised.value)):
        offset = datetime(2024, 7, 1, tzinfo=ZoneInfo(zone)).utcoffset()
        assert offset == timedelta(hours=int(re.sub(":.*|[^0-9+-]", "", name)))
