"""The nouns: what they add up to, and what they never show."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill.core.model import Batch, Books, Fault, State, StopKind, Tick
from backfill.core.secret import Secret


@given(st.lists(st.integers(0, 10**9), min_size=7, max_size=7))
def test_books_balance_exactly_when_the_states_add_up(counts):
    books = Books(sum(counts), *counts)
    assert books.balanced
    assert sum(books.count(state) for state in State) == books.as_dict()["input"]
    assert not Books(sum(counts) + 1, *counts).balanced


def test_books_with_a_negative_count_never_balance():
    assert not Books(input=1, pending=2, delivered=-1).balanced


def test_every_state_says_what_it_means():
    assert len({state.meaning for state in State}) == len(State) == 7


def test_a_batch_counts_and_lists_its_positions():
    batch = Batch(0, 0, ((3, 5), (9, 10)))
    assert len(batch) == 3
    assert batch.positions() == [3, 4, 9]


def test_only_faults_after_the_connection_stood_may_have_reached_the_server():
    assert {fault for fault in Fault if fault.reached} == {
        Fault.TIMEOUT,
        Fault.DISCONNECTED,
        Fault.BROKEN_REPLY,
    }


def test_slices_of_time_add_up():
    ticks = [
        Tick(10, 1, 2, 3, 4, 5, 6, {0: 1, 7: 2}),
        Tick(20, 10, 20, 30, 40, 50, 60, {7: 5}),
    ]
    total = Tick.total(5, ticks)
    assert total == Tick(5, 11, 22, 33, 44, 55, 66, {0: 1, 7: 7})
    assert total.settled == 44 + 55 + 66
    assert Tick.total(5, []) == Tick(5)


def test_the_stops_stand_in_the_order_of_their_precedence():
    assert [kind.exit_code for kind in StopKind] == [6, 7, 4, 130, 143, 8, 1]


def test_a_credential_is_shown_nowhere_and_kept_nowhere():
    secret = Secret("sk_invented")
    assert secret.reveal() == "sk_invented"
    shown = (repr(secret), str(secret), f"{secret:>20}", repr({"token": secret}))
    assert not any("invented" in text for text in shown)
    assert secret == Secret("sk_invented") != Secret("sk_other")
    for write in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="not written down"):
            write(secret)
