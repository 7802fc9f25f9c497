"""Every rule and every state is explained, and a wrong name gets the nearest right one."""

from __future__ import annotations

import pytest

import backfill
from backfill.checks.rules import RULES, rules_of
from backfill.core.errors import ConfigError
from backfill.core.model import State
from backfill.destinations import builtin_destinations

NAMES = [each.name for known in builtin_destinations().values() for each in rules_of(known)]


def test_whatever_a_plan_or_a_status_names_is_explained():
    for name in (*State, *(rule.name for rule in RULES), *NAMES):
        found = backfill.explain(name)
        assert found.name == name
        assert all(len(part) > 10 for part in (found.meaning, found.why, found.helps)), name
        assert str(found).startswith(name)


def test_a_rule_alone_tells_its_fields_and_a_field_of_a_family_is_known():
    assert "contact.id|uuid" in backfill.explain("uuid").applies
    assert backfill.explain("customFields.channel|max_length").applies == ()


@pytest.mark.parametrize(
    "name",
    ["row|where", "row|since", "row|until", "label|otherwise", "customFields.x|otherwise"],
)
def test_what_excluded_a_row_is_explained_as_the_books_name_it(name):
    assert "excluded" in backfill.explain(name).meaning


@pytest.mark.parametrize("name", ["confidence|where", "nothing|otherwise", "row|otherwise"])
def test_what_can_exclude_no_row_is_not_explained(name):
    with pytest.raises(ConfigError):
        backfill.explain(name)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("contact.id|uid", "contact.id|uuid"),
        ("unknwon", "unknown"),
        ("reachabel", "reachable"),
        ("contact.id|email", "contact.email|email"),
    ],
)
def test_a_wrong_name_gets_the_nearest(name, nearest):
    with pytest.raises(ConfigError) as raised:
        backfill.explain(name)
    assert nearest in str(raised.value.hint)


@pytest.mark.parametrize("name", [None, 422])
def test_what_is_no_name_is_refused_in_words(name):
    with pytest.raises(ConfigError, match="named by a text"):
        backfill.explain(name)
