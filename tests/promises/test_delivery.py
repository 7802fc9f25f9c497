"""The checker sees each promise that is broken, and nothing where all are kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.promises import Excused, Finding, ServerLog, Told, check_delivery

TOLD = [
    Told("a1", "a", "delivered"),
    Told("a2", "a", "unknown"),
    Told("a3", "a", "delivered"),
    Told("b1", "b", "failed"),
    Told("b2", "b", "delivered"),
    Told("b3", "b", "pending"),
]


@pytest.mark.parametrize(
    "stored",
    [
        ["a1", "a3", "b2"],
        ["a1", "a2", "a3", "b2"],  # what is unknown may be there
        ["b2", "a1", "a2", "a3"],  # keys do not wait for each other
    ],
)
def test_kept_promises(stored):
    check_delivery(TOLD, ServerLog(stored))


@pytest.mark.parametrize(
    ("stored", "overlaps", "kind"),
    [
        (["a1", "b2"], 0, "delivered, and not stored"),
        (["a1", "a3", "b2", "b1"], 0, "stored, and told as pending or failed"),
        (["a1", "a3", "b2", "b3"], 0, "stored, and told as pending or failed"),
        (["a1", "a1", "a3", "b2"], 0, "stored twice"),
        (["a1", "a2", "a2", "a3", "b2"], 0, "stored twice"),
        (["a1", "a3", "b2", "c1"], 0, "stored, and not ready"),
        (["a3", "a1", "b2"], 0, "stored after a later record of its key"),
        (["a1", "a3", "b2"], 1, "two requests of one key at once"),
    ],
)
def test_broken_promises(stored, overlaps, kind):
    with pytest.raises(Finding) as found:
        check_delivery(TOLD, ServerLog(stored, overlaps))
    assert found.value.kind == kind


def test_records_that_are_the_same_are_counted():
    told = [Told("a", "a", "delivered"), Told("a", "a", "delivered"), Told("a", "a", "pending")]
    check_delivery(told, ServerLog(["a", "a"]))
    for stored, kind in ((1, "not stored"), (3, "pending or failed"), (4, "stored twice")):
        with pytest.raises(Finding, match=kind):
            check_delivery(told, ServerLog(["a"] * stored))


def test_what_a_decision_sent_again_may_be_stored_twice_and_late():
    log = ServerLog(["a1", "a2", "a3", "b2", "a2", "b3"])
    excused = Excused(resent={"a2", "b3"}.__contains__)
    check_delivery(TOLD, log, excused=excused)
    with pytest.raises(Finding, match="stored twice"):
        check_delivery(TOLD, log)


def test_what_was_retried_may_be_late_and_not_twice():
    excused = Excused(retried={"a1"}.__contains__)
    check_delivery(TOLD, ServerLog(["a3", "b2", "a1"]), excused=excused)
    with pytest.raises(Finding, match="stored twice"):
        check_delivery(TOLD, ServerLog(["a3", "b2", "a1", "a1"]), excused=excused)


def test_at_least_once_may_store_twice_and_never_loses():
    log = ServerLog(["a1", "a2", "a1", "a3", "b1", "b2"])
    check_delivery(TOLD, log, at_most_once=False)
    with pytest.raises(Finding, match="delivered, and not stored"):
        check_delivery(TOLD, ServerLog(["a1"]), at_most_once=False)
    with pytest.raises(Finding, match="after a later record"):
        check_delivery(TOLD, ServerLog(["a3", "a1", "b2"]), at_most_once=False)


def test_overlaps_that_are_explained():
    check_delivery(TOLD, ServerLog(["a1", "a3", "b2"], 2), excused=Excused(overlaps=2))


def test_of_a_server_that_lies_what_it_received_may_be_called_delivered():
    check_delivery(TOLD, ServerLog(["a1"], received={"a1": 1, "a3": 2, "b2": 1}))
    with pytest.raises(Finding, match="delivered, and not stored"):
        check_delivery(TOLD, ServerLog(["a1"], received={"a1": 1, "b2": 1}))


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["pending", "delivered", "failed"])),
        min_size=1,
    ),
    st.data(),
)
def test_any_log_but_the_right_one_is_seen(records, data):
    told = [Told(f"{key}{n}", key, state) for n, (key, state) in enumerate(records)]
    right = [each.record for each in told if each.state == "delivered"]
    check_delivery(told, ServerLog(right))
    wrong = data.draw(st.lists(st.sampled_from([each.record for each in told])))
    kept = {key: [each for each in wrong if each[0] == key] for key in "abc"}
    if kept != {key: [each for each in right if each[0] == key] for key in "abc"}:
        with pytest.raises(Finding):
            check_delivery(told, ServerLog(wrong))
