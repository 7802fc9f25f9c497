"""Names are compared as people mean them."""

from __future__ import annotations

import pytest

from backfill.destinations import builtin_destinations
from backfill.discover.names.spellings import JOIN_KEYS, TIMES, closeness, spellings_of


@pytest.mark.parametrize("name", ["user_id", "userId", "UserID", "USER_ID", "user-id", "User Id"])
def test_case_and_separators_do_not_matter(name):
    assert closeness(name, JOIN_KEYS) == closeness("user_id", JOIN_KEYS) > 0.9


@pytest.mark.parametrize(
    ("name", "spellings"),
    [("home_phone", ("phone",)), ("emailWork", ("email",)), ("signup_user_id", ("user_id",))],
)
def test_a_spelling_inside_a_longer_name_counts_for_less(name, spellings):
    assert 0.5 < closeness(name, spellings) < closeness(spellings[0], spellings)


@pytest.mark.parametrize(
    "name", ["order_id", "birth_date", "expires_at", "nickname", "", "?", "🎁"]
)
def test_words_that_say_little_are_not_recognised_in_longer_names(name):
    assert closeness(name, ("id", "name", "date", "at", *TIMES)) == 0


def test_clearer_spellings_come_before_others():
    ranks = [closeness(name, TIMES) for name in ("occurred_at", "created_at", "updated_at")]
    assert ranks == sorted(ranks, reverse=True)
    assert len(set(ranks)) == 3


SHORT = [
    ("pristo-events", "contact.id", ["cust", "CUST", "usr", "cust_id", "usrId", "cust_no"]),
    ("pristo-events", "contact.phone", ["tel", "mob", "ph", "phone_num", "TelNum"]),
    ("pristo-events", "contact.email", ["eml", "email_addr", "e-mail"]),
    ("watch-feedbacks", "metadata.correlation_id", ["corr", "corr_id", "corrId"]),
]


@pytest.mark.parametrize(("destination", "field", "names"), SHORT)
def test_short_forms_are_known(destination, field, names):
    found = builtin_destinations()[destination].field_for(field)
    assert found is not None
    assert all(closeness(name, spellings_of(found)) > 0.3 for name in names)


@pytest.mark.parametrize(
    "name",
    ["cust_segment", "custom", "custard", "usr_agent", "corr_factor", "corridor", "ph_value"],
)
@pytest.mark.parametrize(("destination", "field"), [each[:2] for each in SHORT])
def test_short_forms_are_no_part_of_longer_names(destination, field, name):
    found = builtin_destinations()[destination].field_for(field)
    assert found is not None
    assert closeness(name, spellings_of(found)) == 0
