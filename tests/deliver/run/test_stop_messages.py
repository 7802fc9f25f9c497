"""A stop says why in plain words."""

from __future__ import annotations

import pytest

from backfill.deliver.run.stop_messages import limit_reached


@pytest.mark.parametrize(("records", "words"), [(1, "1 record is"), (1_200, "1,200 records is")])
def test_a_limit_names_the_number_of_its_records(records: int, words: str) -> None:
    assert limit_reached(records).message == f"the limit of {words} reached"
