"""How many buckets each of several deliverers holds, where one of them has too few.

Whoever has room takes the next bucket that nobody holds. Only where none is left for one who has
room does it matter who holds how many: then each keeps its share, and gives the others back.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Line"]


@dataclass(frozen=True, slots=True)
class Line:
    """The deliverers of a run in the order in which they joined, as one of them sees it.

    `place` is its own, from 0, and `waiting` says that another one has room and too few buckets.
    """

    place: int = 0
    deliverers: int = 1
    waiting: bool = False

    def enough(self, buckets: int) -> int:
        """Who holds so many of the open buckets does not wait for more: one, or an even part."""
        return max(1, buckets // self.deliverers)

    def share(self, buckets: int) -> int:
        """The most that this one holds of the open buckets while another one waits.

        They are dealt out evenly, and the first in line get what is left over; but one who holds
        a single bucket keeps it. So where somebody waits, somebody has more than its share, unless
        there are fewer buckets than deliverers.
        """
        rest = buckets % self.deliverers
        return max(1, buckets // self.deliverers + (self.place < rest))
