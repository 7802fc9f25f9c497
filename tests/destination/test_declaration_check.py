"""What is wrong with a destination's data is told in words, all at once."""

from __future__ import annotations

import pytest

from backfill.destination import AnyOf, Field, Kind, TargetAgrees, declaration_errors
from backfill.destinations import builtin_destinations, destination

PRISTO, WATCH = destination("pristo-events"), destination("watch-events")


def changed(base, **data):
    """A destination like `base`, with other data."""
    return type("Changed", (type(base),), data)()


@pytest.mark.parametrize("api", builtin_destinations().values(), ids=lambda each: each.name)
def test_our_own_are_whole(api):
    assert declaration_errors(api) == ()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"name": "Pristo"}, "`name` is 'Pristo'"),
        ({"name": ""}, "`name` is '', not a text"),
        ({"title": 7}, "`title` is 7"),
        ({"base_url": "https://api.example.com/v1"}, "without a path"),
        ({"base_url": "http://api.example.com"}, "`base_url`"),
        ({"credential_env": "acme token"}, "`credential_env`"),
        ({"batch_size": True}, "`batch_size` is True"),
        ({"batch_size": "many"}, "`batch_size` is 'many'"),
        ({"fields": ()}, "`fields` is empty"),
        ({"fields": [Field("a", Kind.TEXT)]}, "`fields` is not a tuple of Field"),
        ({"checks": ["a"]}, "`checks` is not a tuple"),
        ({"notes": "one sentence"}, "`notes` is not a tuple of texts"),
        ({"time_field": 3}, "`time_field` is neither"),
        ({"time_field": "contact.id"}, "no field of kind TIME"),
        ({"ordering_field": "contact.name"}, "no required field"),
        ({"fields": (*PRISTO.fields, PRISTO.fields[0])}, "'contact.id' is declared twice"),
        ({"fields": (*PRISTO.fields, Field("c", Kind.CHOICE))}, "a choice of nothing"),
        (
            {"fields": (*PRISTO.fields, Field("c", Kind.CHOICE, choices=("a",), default="b"))},
            "a default that is none",
        ),
        ({"fields": (*PRISTO.fields, Field("t", Kind.TARGET))}, "no TargetAgrees"),
        ({"checks": (AnyOf("contact|anyhow", ("contact.phone",)),)}, "`field|reachable`"),
        ({"checks": (AnyOf("contact|reachable", ("fax",)),)}, "names the field 'fax'"),
        ({"checks": (TargetAgrees("kind", "contact.phone", "p", "e"),)}, "names the field 'kind'"),
        ({"tie_order": {"step": ("a", "b")}}, "`tie_order` names the field 'step'"),
    ],
)
def test_a_mistake_is_named(data, words):
    (error,) = declaration_errors(changed(PRISTO, **data))
    assert words in error


def test_all_mistakes_are_told_together():
    errors = declaration_errors(changed(WATCH, title=None, batch_size=0, fields=()))
    assert len(errors) == 3
