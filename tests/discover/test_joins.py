"""The two columns that join events and contacts."""

from __future__ import annotations

import polars as pl
import pytest

from backfill.discover.joins import find_join
from tests.discover.frames import IDS, contacts, events, profiled


def join_of(mine, theirs):
    found = find_join(profiled(mine, "events"), profiled(theirs, "contacts"))
    return (found.events.name, found.contacts.name) if found else None


def test_names_and_common_values_agree():
    assert join_of(events(), contacts()) == ("user_id", "id")


def test_common_values_are_enough_under_names_that_say_nothing():
    mine = events(user_id=None, x7=IDS[:20] * 2)
    theirs = contacts(id=None, column_3=IDS)
    assert join_of(mine, theirs) == ("x7", "column_3")


def test_row_numbers_on_both_sides_do_not_win_against_ids():
    """Counting ids have everything in common with row numbers; the names decide."""
    mine = events(id=range(40), user_id=[number // 2 for number in range(40)])
    theirs = contacts(id=range(40), row=range(40))
    assert join_of(mine, theirs) == ("user_id", "id")


def test_names_are_enough_where_samples_have_nothing_in_common():
    mine = events(user_id=[f"{number:036}" for number in range(40)])
    assert join_of(mine, contacts()) == ("user_id", "id")


def test_codes_that_every_file_has_join_nothing():
    mine = pl.DataFrame({"country": ["IL", "GB"] * 20})
    theirs = pl.DataFrame({"country": ["GB", "IL"] * 20})
    assert join_of(mine, theirs) is None


def test_ids_that_stand_in_several_rows_of_the_contacts_still_join():
    theirs = pl.concat([contacts(), contacts().head(5)])
    (found,) = [
        find_join(
            profiled(events(), "events"),
            profiled(theirs, "contacts"),
        )
    ]
    assert found is not None
    assert found.repeated == 5
    assert found.found == 20


def test_uuids_meet_in_either_case():
    ids = [f"abcdef{number:02}-0000-4000-8000-abcdefabcdef" for number in range(40)]
    mine = events(user_id=None, x7=[each.upper() for each in ids[:20]] * 2)
    theirs = contacts(id=None, column_3=ids)
    assert join_of(mine, theirs) == ("x7", "column_3")


def test_empty_sides_join_nothing():
    assert join_of(events().clear(), contacts()) is None
    assert join_of(events(), contacts().clear()) is None


def test_whole_samples_without_a_common_id_join_nothing():
    mine, theirs = events(user_id=["a", "b"] * 20), contacts()
    sides = profiled(mine, "events"), profiled(theirs, "contacts")
    assert find_join(*sides) is not None
    assert find_join(*sides, whole=True) is None


def test_an_id_that_is_written_in_two_ways_is_counted_once():
    padded = [f"{number:03}" for number in range(1, 41)]
    mine = events(user_id=[*padded[:20], *map(str, range(1, 21))])
    theirs = contacts(id=padded)
    found = find_join(profiled(mine, "events"), profiled(theirs, "contacts"))
    assert found is not None
    assert found.respelled is not None
    assert (found.found, len(found.events.values)) == (20, 20)


@pytest.mark.parametrize(
    ("serial", "named", "written"),
    [
        ("id", "user_id", "{:05}"),
        ("id", "user_id", "{}.0"),
        ("id", "user_id", "'{}"),
        ("id", "user_id", "{}"),
        ("order_id", "user", "{}"),
        ("order.id", "user_id", "{}"),
    ],
)
def test_a_serial_number_of_the_events_is_no_contact_however_these_are_written(
    serial, named, written
):
    mine = events(user_id=None).with_columns(
        pl.Series(serial, range(1, 41)),
        pl.Series(named, [written.format(37 * number % 20 + 1) for number in range(40)]),
    )
    assert join_of(mine, contacts(id=range(1, 41))) == (named, "id")


def test_two_serial_numbers_alone_join_nothing():
    mine, theirs = events(user_id=None, id=range(1, 41)), contacts(id=range(1, 41))
    assert join_of(mine, theirs) is None


@pytest.mark.parametrize("name", ["quantity", "age", "product_id", "store_id", "referrer_id"])
def test_small_whole_numbers_stand_among_any_contacts_and_join_nothing(name):
    mine = events(user_id=None, **{name: [number % 9 + 1 for number in range(40)]})
    theirs = contacts(id=range(1, 41))
    assert join_of(mine, theirs) is None
    assert join_of(mine.rename({name: "customer_id"}), theirs) == ("customer_id", "id")
    by_email = mine.with_columns(user_email=theirs["email"])
    assert join_of(by_email, theirs) == ("user_email", "email")
