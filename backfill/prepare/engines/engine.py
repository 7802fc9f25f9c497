"""Where the tasks of a plan run: in threads of this process, unless something else is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Protocol, TypeVar

__all__ = ["Engine", "Threads"]

_LOOK = 0.5  # seconds until somebody may want to know how far a task has come

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class Engine(Protocol):
    """Something that runs tasks, several at a time, in whatever order."""

    @property
    def ranges(self) -> int:
        """Into how many ranges a source is cut, so that there is something to do for everybody."""

    @property
    def shares_memory(self) -> bool:
        """Whether tasks can be given what only this process has."""

    def refuse_unseen(self, paths: Sequence[Path]) -> None:
        """Raise ConfigError where tasks would not see these files as they are here."""

    def run(
        self,
        task: Callable[[ItemT], ResultT],
        items: Sequence[ItemT],
        waiting: Callable[[str | None], None],
    ) -> Iterator[tuple[int, ResultT]]:
        """Run a task on each item: the item's index and the result, as they end.

        `waiting` is told in words why nothing comes. It is told None when something comes again, or
        when it may be time to look how far a task has come. Raises what the task raised; items that
        wait are not begun then.
        """


class Threads:
    """Threads of this process. Polars uses all cores for a single task, so few are enough."""

    ranges = 1
    shares_memory = True

    def __init__(self, count: int = 2) -> None:
        self._count = count  # one task computes while another reads or writes

    def refuse_unseen(self, paths: Sequence[Path]) -> None:
        """They see what this process sees."""

    def run(
        self,
        task: Callable[[ItemT], ResultT],
        items: Sequence[ItemT],
        waiting: Callable[[str | None], None],
    ) -> Iterator[tuple[int, ResultT]]:
        if len(items) == 1:  # in the caller's thread, which an interrupt ends at once
            yield 0, task(items[0])
            return
        with ThreadPoolExecutor(self._count) as pool:
            indices = {pool.submit(task, item): index for index, item in enumerate(items)}
            try:
                left = set(indices)
                while left:
                    ended, left = wait(left, timeout=_LOOK, return_when=FIRST_COMPLETED)
                    if not ended:
                        waiting(None)
                    for future in ended:
                        yield indices[future], future.result()
            finally:
                for future in indices:
                    future.cancel()
