"""Tasks that run elsewhere, over any number of ranges and more than once, give the same job."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import polars as pl
import pytest

from backfill.core.errors import SourceError
from backfill.prepare.engines.engine import Threads
from backfill.prepare.left_out import Previous
from tests.prepare.prepared import prepare_in
from tests.prepare.shapes_of_jobs import FORMATS, assert_same, write_sources

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class Elsewhere:
    """Runs tasks as another process would: from what was pickled, the last first, and each twice.

    Only what the second attempt said is taken.
    """

    shares_memory = False

    def __init__(self, ranges: int) -> None:
        self.ranges = ranges
        self.sent: list[bytes] = []

    def refuse_unseen(self, paths: Sequence[Path]) -> None:
        assert all(path.exists() for path in paths)

    def run(
        self,
        task: Callable[[ItemT], ResultT],
        items: Sequence[ItemT],
        waiting: Callable[[str | None], None],
    ) -> Iterator[tuple[int, ResultT]]:
        for index, item in reversed(list(enumerate(items))):
            content = pickle.dumps((task, item))
            self.sent.append(content)
            for _ in range(2):
                again, given = pickle.loads(content)  # noqa: S301 - our own
                result = pickle.dumps(again(given))
            yield index, pickle.loads(result)  # noqa: S301 - our own


@pytest.mark.parametrize(
    ("job", "ranges", "form", "parts"),
    [
        *(("two passes", 3, form, 3) for form in FORMATS),  # which the splitting alone reads
        ("one pass", 3, "parquet", 3),
        ("two passes", 1, "csv", 2),
        ("an identity of its own", 8, "csv", 5),
    ],
)
def test_a_job_is_the_same_wherever_its_tasks_run(
    tmp_path: Path, job: str, form: str, ranges: int, parts: int
) -> None:
    sections = write_sources(tmp_path, form, job)
    one = prepare_in(tmp_path, "watch-events", None, name="one", parts=parts, **sections)
    engine = Elsewhere(ranges)
    other = prepare_in(
        tmp_path, "watch-events", None, name="other", parts=parts, engine=engine, **sections
    )
    assert_same(one, other)
    assert one.manifest.excluded
    assert one.manifest.rejected
    assert one.manifest.duplicate
    assert one.manifest.ready >= 40


def test_a_source_of_one_part_needs_no_split(tmp_path: Path) -> None:
    sections = write_sources(tmp_path, "csv", "two passes")
    one = prepare_in(tmp_path, "watch-events", None, name="one", **sections)
    engine = Elsewhere(4)
    other = prepare_in(tmp_path, "watch-events", None, name="other", engine=engine, **sections)
    assert_same(one, other)
    assert len(engine.sent) == 1


@pytest.mark.parametrize("parts", [1, 3])
def test_what_earlier_jobs_sent_is_known_elsewhere(tmp_path: Path, parts: int) -> None:
    sections = write_sources(tmp_path, "parquet", "two passes")
    old = prepare_in(tmp_path, "watch-events", None, name="old", **sections)
    # Rows in memory, as a ledger gives them, which no other process could read.
    sent = old.ready.sort("row").head(50).lazy()
    records = sent.select(
        *("record", "row", "key", "time"),
        number="file",
        file=pl.lit("x"),
        state=pl.lit("delivered"),
    )
    previous = [Previous("old", old.manifest, records)]
    options = {"parts": parts, "previous": previous, **sections}
    one = prepare_in(tmp_path, "watch-events", None, name="one", **options)
    other = prepare_in(tmp_path, "watch-events", None, name="other", engine=Elsewhere(3), **options)
    assert_same(one, other)
    assert one.duplicates["_kept_job"].drop_nulls().len() >= 50


def test_what_is_sent_holds_no_secret_and_names_no_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRELUDE_API_TOKEN", "hush-hush")
    sections = write_sources(tmp_path, "csv", "two passes")
    base = "https://user.example.com"
    engine = Elsewhere(3)
    sections["delivery"] = {"base_url": base}
    prepare_in(tmp_path, "watch-events", None, parts=3, engine=engine, **sections)
    assert engine.sent
    for words in (base, "events-*", "hush-hush"):
        assert not any(words.encode() in content for content in engine.sent)


def test_what_a_task_raised_is_raised_and_the_others_are_not_begun() -> None:
    begun: list[int] = []

    def fail(item: int) -> int:
        begun.append(item)
        raise SourceError("is odd", where=str(item))

    with pytest.raises(SourceError, match="is odd"):
        list(Threads(1).run(fail, range(100), print))
    assert len(begun) < 100


def test_results_come_with_the_index_of_their_item() -> None:
    found = dict(Threads().run(lambda item: item * 2, range(10, 20), print))
    assert found == {index: (index + 10) * 2 for index in range(10)}
