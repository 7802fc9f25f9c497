"""A job's books: balanced, and the same in the status, in the records and in the ledger."""

from __future__ import annotations

from collections import Counter

from backfill.core.model import State
from backfill.jobs.job import Job
from tests.promises.finding import Finding

__all__ = ["check_books"]

_SENT = (State.PENDING, State.DELIVERED, State.FAILED, State.UNKNOWN)


def check_books(job: Job) -> Counter[str]:
    """Raise Finding where the entries differ. Returns how many records each state has."""
    books = job.status().books
    if not books.balanced or books.input != sum(books.count(state) for state in State):
        raise Finding("the books do not balance", str(books))
    left_out = books.input - sum(books.count(state) for state in _SENT)
    if left_out != books.excluded + books.rejected + books.duplicate:
        raise Finding("the books do not balance", str(books))
    if (ready := sum(books.count(state) for state in _SENT)) != job.manifest.ready:
        raise Finding("the books are not what was ready", f"{ready}, {job.manifest.ready}")
    records = job.records()
    told = Counter(records["_state"].to_list())
    counted = Counter({state.value: n for state in State if (n := books.count(state))})
    if told != counted:
        raise Finding("status and records differ", f"{counted}, {told}")
    for frame, number in ((job.rejected, books.rejected), (job.duplicates, books.duplicate)):
        if frame.height != number:
            raise Finding("status and what was left out differ", f"{number}, {frame.height}")
    return told
