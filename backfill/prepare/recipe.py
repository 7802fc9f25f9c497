"""What every task of a plan needs to know, in a form that another process can be sent."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path

from backfill.config import Config
from backfill.destination import Destination
from backfill.destinations import destination
from backfill.prepare.buckets import BucketWriter
from backfill.prepare.identity import Identity, identity_of
from backfill.prepare.left_out import LeftOut
from backfill.prepare.mapping.binding import Binding, bind
from backfill.prepare.mapping.fields import (
    FieldMapping,
    PartKeys,
    mapping_of,
    part_keys_of,
)
from backfill.prepare.partition import Rows
from backfill.prepare.records import RecordMaker
from backfill.sources.scan import Source

__all__ = ["Recipe"]


def _unheard(attempt: Path, rows: float) -> None:
    del attempt, rows


_LARGE = 2  # times the usual rows; there are always parts of somewhat more than others
_IDENTITIES = 4  # are short, so so many times the rows of a bucket are held


@dataclass(frozen=True)
class Recipe:
    """How the rows of a job's sources become its ready records.

    `events` and `contacts` are outlines, of which ranges are scanned. `parts` is into how many
    parts rows are split by their key, `at_once` how many rows of one are worked on together where
    it is large, `work` an existing directory for what is on its way. `moved` hears, within this
    process, how many rows' worth of work an attempt at a large part has done since it said so last.

    Its expressions stay in the process in which they were made: another one is sent what they
    were made from, without addresses and settings that are none of its business, and makes them
    once for all tasks.
    """

    config: Config
    destination: Destination
    now: datetime
    events: Source
    contacts: Source | None
    binding: Binding
    left_out: LeftOut
    parts: int
    at_once: int
    work: Path
    moved: Callable[[Path, float], None] = field(default=_unheard, compare=False)

    @cached_property
    def mapping(self) -> FieldMapping:
        return mapping_of(self.binding, self.config, now=self.now)

    @cached_property
    def part_keys(self) -> PartKeys:
        return part_keys_of(self.binding, self.config, now=self.now)

    @cached_property
    def identity(self) -> Identity:
        return identity_of(self.binding, self.config.population)

    @cached_property
    def maker(self) -> RecordMaker:
        return RecordMaker(self.binding, self.mapping, self.identity, self.config.rules)

    @cached_property
    def writer(self) -> BucketWriter:
        return BucketWriter(
            destination=self.destination,
            record=self.identity.record,
            names=[entry.name for entry in self.events.entries],
            columns=self.events.columns,
            buckets=self.parts,
        )

    @property
    def identity_parts(self) -> int:
        """Into how many parts the identities of all records are split."""
        return -(-self.parts // _IDENTITIES)

    def is_large(self, rows: Rows, *, of_identities: bool = False) -> bool:
        """Whether so many rows of one part are not held in memory together."""
        usual = self.at_once * (_IDENTITIES if of_identities else 1)
        return rows.height > _LARGE * usual

    def parts_of_identities(self, records: int) -> int:
        """Into how many parts the identities of the records of one large part are split."""
        return max(1, -(-records // (_IDENTITIES * self.at_once)))

    def __reduce__(self) -> tuple[Callable[[bytes], Recipe], tuple[bytes]]:
        content = (
            _without_addresses(self.config),
            self.now,
            self.events,
            self.contacts,
            self.left_out,
            self.parts,
            self.at_once,
            self.work,
        )
        return _made_again, (pickle.dumps(content),)


def _without_addresses(config: Config) -> Config:
    """A configuration as far as it says what becomes of a row."""
    contacts = config.contacts
    return config.model_copy(
        update={
            "events": config.events.model_copy(update={"files": ()}),
            "contacts": contacts and contacts.model_copy(update={"files": ()}),
            "delivery": type(config.delivery)(),
            "cluster": None,
        }
    )


@lru_cache(maxsize=2)
def _made_again(content: bytes) -> Recipe:
    config, now, events, contacts, *others = pickle.loads(content)  # noqa: S301 - ours
    known = destination(config.destination)
    binding = bind(config, known, events, contacts, now=now)
    return Recipe(config, known, now, events, contacts, binding, *others)
