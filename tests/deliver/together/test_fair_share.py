"""A joiner gets work: what one holds beyond its share is given back, and nothing more."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from backfill.deliver.together.fair_share import Line

COUNTS = st.lists(st.integers(0, 12), min_size=1, max_size=8)
"""How many buckets each deliverer holds, in the order of joining."""


def lines(deliverers: int) -> list[Line]:
    return [Line(place, deliverers) for place in range(deliverers)]


@given(st.integers(1, 30), st.integers(0, 200))
def test_shares_are_even_and_come_to_all_buckets(deliverers, buckets):
    shares = [line.share(buckets) for line in lines(deliverers)]
    assert sum(shares) == max(buckets, deliverers)
    assert max(shares) - min(shares) <= 1
    assert shares == sorted(shares, reverse=True)
    assert lines(deliverers)[0].enough(buckets) == min(shares)


@given(COUNTS)
def test_where_one_has_too_few_another_has_more_than_its_share(held):
    """Unless each bucket has a deliverer of its own."""
    buckets, everyone = sum(held), lines(len(held))
    if any(count < line.enough(buckets) for count, line in zip(held, everyone, strict=True)):
        more = any(count > line.share(buckets) for count, line in zip(held, everyone, strict=True))
        assert more or max(held) <= 1


@given(COUNTS, st.data())
def test_all_come_to_rest_and_each_bucket_moves_at_most_once(held, data):
    """In any order of looks, with room for as many buckets as each may have, or fewer."""
    deliverers, buckets = len(held), sum(held)
    room = [data.draw(st.integers(1, 12)) for _ in held]
    held, free, moves = list(held), 0, 0
    waited = [False] * deliverers
    for _ in range(100):
        wait = [
            not free and held[each] < min(room[each], line.enough(buckets))
            for each, line in enumerate(lines(deliverers))
        ]
        # Who waits is known for longer than the others take to look once.
        waits = [now or before for now, before in zip(wait, waited, strict=True)]
        before, waited = (list(held), free), wait
        for each in data.draw(st.permutations(range(deliverers))):
            others = any(waits[:each] + waits[each + 1 :])
            line = replace(lines(deliverers)[each], waiting=others)
            if line.waiting and held[each] > line.share(buckets):
                free += held[each] - line.share(buckets)
                held[each] = line.share(buckets)
            most = line.share(buckets) if line.waiting else room[each]
            while free and held[each] < min(room[each], most):
                held[each], free, moves = held[each] + 1, free - 1, moves + 1
        if (held, free) == before and not any(wait):
            break
    else:
        assert sum(held) == buckets < deliverers, "never at rest"
    assert moves <= buckets
    if max(held) > 1:
        for count, space, line in zip(held, room, lines(deliverers), strict=True):
            assert free or count >= min(space, line.enough(buckets)), "nobody is left without"
