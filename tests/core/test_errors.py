"""What an exception offers: the nearest of the names that are known."""

from __future__ import annotations

from backfill.core.errors import did_you_mean
from backfill.core.model import State


def test_the_nearest_name_is_offered_and_few_names_are_listed():
    assert did_you_mean("Colum", ["column", "sql"]) == "Did you mean 'column'?"
    assert did_you_mean("xyz", ["sql", "column"]) == "Known names: column, sql."
    assert did_you_mean("xyz", map(str, range(13))) is None


def test_members_of_an_enumeration_are_offered_by_their_values():
    assert did_you_mean("faild", State) == "Did you mean 'failed'?"
    assert "State" not in (did_you_mean("xyz", State) or "State")
