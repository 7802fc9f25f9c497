"""A job's parts, one after another: made, gathered by key where need be, and settled.

What one split has gathered already is not split again: a source whose join key is the ordering
key needs one pass; phones that come from the contacts need a second one, of what was made; an
identity without the ordering key finds its duplicates among parts of its own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from backfill.core.model import Progress
from backfill.jobdir.manifest import Bucket
from backfill.prepare.buckets import PartOutput
from backfill.prepare.engines.engine import Engine
from backfill.prepare.facts.plan_stats import PlanStats
from backfill.prepare.partition import Files, Parts
from backfill.prepare.recipe import Recipe
from backfill.prepare.tasks import (
    Identities,
    Part,
    Split,
    find_duplicates,
    make_part,
    settle_gathered,
    settle_part,
    split_contacts,
    split_earlier,
    split_events,
    split_identities,
    split_items,
)
from backfill.sources.ranges import Range
from backfill.sources.scan import Source

__all__ = ["Passes"]

log = logging.getLogger("backfill.prepare")


class _Counted(Protocol):
    @property
    def rows(self) -> int: ...


ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT", bound=_Counted)


@dataclass
class Passes:
    """One job's rows on their way: `run` writes the buckets, and `stats` has counted them.

    `files` are those of the rows that are not sent, by what becomes of these.
    """

    recipe: Recipe
    events: Source
    contacts: Source | None
    into: Path
    engine: Engine
    tell: Progress

    def __post_init__(self) -> None:
        self.stats = PlanStats()
        self._moved: dict[Path, float] = {}  # rows' worth of work on parts that are not done yet
        self._look_again: Callable[[], None] = lambda: None
        self._thread = threading.current_thread()
        self.recipe = replace(self.recipe, moved=self._hear)
        self.files: dict[str, list[str]] = {"excluded": [], "rejected": [], "duplicates": []}

    def run(self) -> list[Bucket]:
        """Split, make, gather and settle; in one pass where that suffices, else in two."""
        self.tell("splitting", 0, self.events.rows)
        if self.recipe.parts == 1:
            return self._settle(self._unsplit())
        parts = self._split_sources()
        if self.recipe.mapping.gathered and self._identity_gathered():
            return self._settle(parts)
        made = self._each("preparing", partial(make_part, self.recipe), parts)
        self._count(made)
        items = tuple(name for each in made for name in each.files["items"])
        duplicates = None if self._identity_gathered() else self._find_duplicates(items)
        return self._gather_and_settle(items, duplicates)

    # --- splitting -------------------------------------------------------------------------

    def _unsplit(self) -> list[Part]:
        """Sources that are small enough as they are."""
        [events] = self.events.ranges(1)
        contacts = self._joined_contacts()
        part = Part(0, events, contacts.ranges(1)[0] if contacts is not None else None)
        return [part] if events.rows else []

    def _split_sources(self) -> list[Part]:
        """Both sources by the join key, or the events alone by the ordering key."""
        contacts = self._joined_contacts()
        rows = self._split(
            "splitting", partial(split_events, self.recipe), self._ranges(self.events)
        )
        found = None
        if contacts is not None:
            task, ranges = partial(split_contacts, self.recipe), self._ranges(contacts)
            found = self._split("splitting contacts", task, ranges, of=contacts.rows)
        return [
            Part(number, files, found.files(number) if found is not None else None)
            for number in range(self.recipe.parts)
            if (files := rows.files(number))
        ]

    def _joined_contacts(self) -> Source | None:
        return self.contacts if self.recipe.mapping.join is not None else None

    def _ranges(self, source: Source) -> list[Range]:
        return source.ranges(self.engine.ranges)

    def _split(
        self,
        phase: str,
        task: Callable[[ItemT], Split],
        items: Sequence[ItemT],
        *,
        count: int | None = None,
        of: int | None = None,
    ) -> Parts:
        parts = Parts(count or self.recipe.parts)
        for each in self._each(phase, task, items, of=of):
            parts.add(each.files)
        return parts

    # --- one pass, or two ------------------------------------------------------------------

    def _identity_gathered(self) -> bool:
        """Whether the same records meet in one bucket; earlier jobs' records never do."""
        recipe = self.recipe
        return (
            recipe.destination.ordering_field in recipe.binding.identity
            and recipe.left_out.by_key is None
        )

    def _settle(self, parts: Sequence[Part]) -> list[Bucket]:
        """One pass: each part is a bucket."""
        return self._buckets(self._each("preparing", partial(settle_part, self.recipe), parts))

    def _find_duplicates(self, items: Files) -> Files:
        """Mark duplicates among parts of their own, of identities only."""
        count = self.recipe.identity_parts
        parts = [Identities(0, items, (), split=False)] if items else []
        if count > 1:
            phase = "finding duplicates"
            task = partial(split_identities, self.recipe, count)
            found = self._split(phase, task, self._shared_out(items), count=count)
            earlier = Parts(count)
            if self.recipe.left_out.by_key is not None:
                earlier = self._split(
                    phase, partial(split_earlier, self.recipe), [count], count=count
                )
            parts = [
                Identities(number, files, earlier.files(number), split=True)
                for number in range(count)
                if (files := found.files(number))
            ]
        marked = self._each("finding duplicates", partial(find_duplicates, self.recipe), parts)
        return tuple(name for each in marked for name in each.files.get("marks", ()))

    def _gather_and_settle(self, items: Files, duplicates: Files | None) -> list[Bucket]:
        """Second of two passes: the records of one ordering key come together."""
        parts = self._split("gathering", partial(split_items, self.recipe), self._shared_out(items))
        for name in items:
            Path(name).unlink()
        numbers = [number for number in range(parts.count) if parts.files(number)]
        made = self._each(
            "ordering",
            partial(settle_gathered, self.recipe, duplicates),
            [parts.files(number) for number in numbers],
            done=lambda index: parts.drop(numbers[index]),
        )
        return self._buckets(made)

    def _shared_out(self, files: Files) -> list[Files]:
        """Files in portions, so that there is something to do for everybody."""
        count = min(self.engine.ranges, len(files))
        return [files[start::count] for start in range(count)]

    # --- all parts -------------------------------------------------------------------------

    def _each(
        self,
        phase: str,
        task: Callable[[ItemT], ResultT],
        items: Sequence[ItemT],
        *,
        of: int | None = None,
        done: Callable[[int], None] | None = None,
    ) -> list[ResultT]:
        """Run a task on every item, `of` so many rows; results in the order of the items.

        `done` is told the index of each item when its result is there.
        """
        results: dict[int, ResultT] = {}
        rows, of = 0, of or self.events.rows
        self._moved.clear()
        self.tell(phase, 0, of)

        def waiting(words: str | None) -> None:
            if words is not None:
                log.warning("%s: %s", phase, words)
            done = min(rows + int(sum(list(self._moved.values()))), of)
            self.tell(f"{phase}; {words}" if words is not None else phase, done, of)

        self._look_again = partial(waiting, None)
        for index, result in self.engine.run(task, items, waiting):
            results[index] = result
            if done is not None:
                done(index)
            rows += result.rows
            if isinstance(result, PartOutput):
                self._moved.pop(result.directory, None)
            waiting(None)
        return [results[index] for index in range(len(items))]

    def _hear(self, attempt: Path, rows: float) -> None:
        """Take note of progress within a large part, from whatever thread works on it."""
        self._moved[attempt] = self._moved.get(attempt, 0.0) + rows
        if threading.current_thread() is self._thread:
            self._look_again()  # else the engine does so now and then

    def _count(self, made: Sequence[PartOutput]) -> None:
        for each in made:
            self.stats.add(each.stats)
            for what, files in self.files.items():
                files.extend(each.files.get(what, ()))

    def _buckets(self, made: Sequence[PartOutput]) -> list[Bucket]:
        """Take the buckets that came of the parts, numbered without gaps."""
        self._count(made)
        buckets: list[Bucket] = []
        for each in made:
            if each.bucket is None:
                continue
            stem = f"{len(buckets):03d}"
            file = f"{stem}.parquet"
            own = tuple(f"{stem}.own-{at}.parquet" for at in range(len(each.bucket.own)))
            made_in = (*each.files["ready"], *each.bucket.own)
            for path, name in zip(made_in, (file, *own), strict=True):
                Path(path).rename(self.into / "ready" / name)
            buckets.append(each.bucket.model_copy(update={"file": file, "own": own}))
        return buckets
