"""What a careful colleague would map to what, and what one would have to ask.

Names and values decide together: a name proposes, the values confirm or veto. What a field's
own rules would reject for the most part is not proposed, however well it is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from backfill.destination import AnyOf, Destination, Field, Kind
from backfill.discover.columns import ColumnProfile
from backfill.discover.event_time import find_time
from backfill.discover.fitting import fits, tells
from backfill.discover.joins import Join, find_join
from backfill.discover.names.addressees import Whose, whose
from backfill.discover.names.spellings import (
    EMAILS,
    JOIN_KEYS,
    LAST_NAMES,
    PHONES,
    TIMES,
    closeness,
    spellings_of,
    words_of,
)

__all__ = ["Match", "Proposal", "propose"]

_TABLE = 50  # values that a table is offered for
_MANY = 20  # rows that are hardly all of one contact
_ADDRESSES = (Kind.PHONE, Kind.EMAIL, Kind.TARGET)
_LIKELY, _SURE = 0.5, 0.8  # shares of values that pass a field's rules


@dataclass(frozen=True)
class Match:
    """A field and the column proposed for it; no column is an open question.

    With a `table`, the column's values are translated: each with how often the sample holds it
    and what it becomes, None where only a person can say. `more` values did not fit in.
    """

    field: Field
    column: ColumnProfile | None
    table: tuple[tuple[str, int, str | None], ...] = ()
    more: int = 0


@dataclass(frozen=True)
class Proposal:
    """Everything that a configuration says, as found in the samples."""

    destination: Destination
    join: Join | None
    joined: bool  # whether there is a contacts file at all
    time: ColumnProfile | None
    matches: tuple[Match, ...]
    unused: tuple[ColumnProfile, ...]
    namespace: bool  # ids are no UUIDs
    perhaps_times: tuple[ColumnProfile, ...] = ()  # of which a person has to choose one
    events: tuple[ColumnProfile, ...] = field(repr=False, default=())
    contacts: tuple[ColumnProfile, ...] = field(repr=False, default=())

    def match(self, name: str) -> Match | None:
        return next((each for each in self.matches if each.field.name == name), None)


def propose(
    destination: Destination,
    events: Sequence[ColumnProfile],
    contacts: Sequence[ColumnProfile] | None = None,
    *,
    whole: bool = False,
) -> Proposal:
    """Match columns to a destination's fields. `whole` says that the samples hold all rows."""
    join = find_join(events, contacts or (), whole=whole)
    matching = _Matching(destination, tuple(events), tuple(contacts or ()), join)
    return matching.proposal(joined=contacts is not None)


class _Matching:
    def __init__(
        self,
        destination: Destination,
        events: tuple[ColumnProfile, ...],
        contacts: tuple[ColumnProfile, ...],
        join: Join | None,
    ) -> None:
        self.destination = destination
        self.events = events
        self.contacts = contacts
        self.join = join
        self._fullest = {
            side: max((each.filled for each in columns), default=0)
            for side, columns in (("events", events), ("contacts", contacts))
        }
        self.identity: ColumnProfile | None = None
        self.time, self.perhaps_times = find_time(events)
        self.taken: set[tuple[str, str]] = set()
        self.namespace = False

    def proposal(self, *, joined: bool) -> Proposal:
        found: dict[str, Match] = {}
        self._take(self.time, self.join.events if self.join else None)
        wanted = [
            each
            for each in self.destination.fields
            if not each.family and each.kind is not Kind.TIME
        ]
        identities = [each for each in wanted if each.kind is Kind.UUID]
        for each in identities:
            if identity := self._identity(each):
                found[each.name] = Match(each, identity)
                self.identity = identity
                if not _says_more(identity):
                    self._take(identity)
        if self.join is not None and not _says_more(self.join.contacts):
            self._take(self.join.contacts)
        found |= self._best(each for each in wanted if each not in identities)
        for each in wanted:
            if each.name not in found and each.required and each.default is None:
                found[each.name] = self._asked(each, found)
        for check in self.destination.checks:
            if isinstance(check, AnyOf) and not found.keys() & set(check.fields):
                first = self.destination.field_for(check.fields[0])
                if first is not None:
                    found[first.name] = Match(first, None)
        used = self.taken | {
            (each.column.side, each.column.name) for each in found.values() if each.column
        }
        return Proposal(
            destination=self.destination,
            join=self.join,
            joined=joined,
            time=self.time,
            matches=tuple(found[each.name] for each in wanted if each.name in found),
            unused=tuple(
                each
                for each in (*self.events, *self.contacts)
                if (each.side, each.name) not in used
            ),
            namespace=self.namespace,
            perhaps_times=self.perhaps_times,
            events=self.events,
            contacts=self.contacts,
        )

    def _take(self, *columns: ColumnProfile | None) -> None:
        self.taken |= {(each.side, each.name) for each in columns if each is not None}

    def _identity(self, wanted: Field) -> ColumnProfile | None:
        """The column of a contact's id: of the join, of the contacts, or where ids come back."""
        spellings = spellings_of(wanted)

        def score(each: ColumnProfile) -> float:
            share = each.share(Kind.UUID)
            named = each.named(wanted.name, spellings) if each.filled else 0.0
            joins = self.join is not None and each is self.join.events
            if share < _LIKELY or not (named or joins):
                return 0.0
            if each.side == "events" and not joins and (self.join or _of_event(each)):
                return 0.0
            return share + named + (2 if joins else 0)

        best = _highest((*self.events, *self.contacts), score)
        if best is not None:
            return best
        other: ColumnProfile | None
        if self.join is not None:
            other = self._own_id(wanted, self.join) or self.join.events
        else:
            other = _highest(
                self.events,
                lambda each: (
                    0.0
                    if not each.filled or _of_event(each) or _no_id(each)
                    else each.named(wanted.name, spellings)
                ),
            )
        # What is named like an id without being a UUID can become one by name.
        self.namespace = other is not None and other.share(Kind.UUID) < _LIKELY
        return other

    def _own_id(self, wanted: Field, join: Join) -> ColumnProfile | None:
        """The contacts' own id where they are joined by an address, which people change."""
        if not _says_more(join.contacts) or join.found < _SURE * len(join.events.values):
            return None

        def score(each: ColumnProfile) -> float:
            apart = each.filled == each.distinct and each.filled >= join.contacts.filled
            if not apart or _says_more(each) or _no_id(each):
                return 0.0
            return each.named(wanted.name, spellings_of(wanted))

        return _highest(self.contacts, score)

    def _best(self, wanted: Iterable[Field]) -> dict[str, Match]:
        """The best pairs of field and column, each column for one field, best pairs first.

        Of two phones, or two emails, of which neither name says whose it is, none is taken: that is
        a question.
        """
        pairs = sorted(
            (
                (score, each, column)
                for each in wanted
                for column in (*self.events, *self.contacts)
                if (column.side, column.name) not in self.taken
                and (score := self._score(each, column)) > 0
            ),
            key=lambda pair: -pair[0],
        )
        found: dict[str, Match] = {}
        for _, each, column in pairs:
            if each.name in found or (column.side, column.name) in self.taken:
                continue
            fitting = (other for _, field, other in pairs if field is each)
            if self._one_of_several(each, column, fitting):
                found[each.name] = Match(each, None)
                continue
            found[each.name] = Match(each, column)
            self._take(column)
        return found

    def _one_of_several(
        self, wanted: Field, column: ColumnProfile, fitting: Iterable[ColumnProfile]
    ) -> bool:
        """Whether an address may be somebody else's, as another one that nobody claims may be."""
        if wanted.kind not in _ADDRESSES or self._whose(wanted, column) is Whose.CONTACTS:
            return False
        return any(
            each is not column and (each.side, each.name) not in self.taken for each in fitting
        )

    def _whose(self, wanted: Field, column: ColumnProfile) -> Whose:
        identity = self.identity.name if self.identity else ""
        found = whose(column.name, identity, language=wanted.kind is Kind.LANGUAGE)
        rank = column.rank(wanted.name)
        known = rank is not None and (rank == 0 or found is not Whose.ANOTHERS)
        return Whose.CONTACTS if known else found

    def _score(self, wanted: Field, column: ColumnProfile) -> float:
        if not column.filled or (wanted.kind in _ADDRESSES and self._shared(column)):
            return 0.0
        of_person = wanted.name.startswith(("contact.", "target."))
        if column.side == "contacts" and not of_person:
            return 0.0
        owner = self._whose(wanted, column)
        if of_person and owner is Whose.ANOTHERS:
            return 0.0
        if not of_person and self._of_person(column):
            return 0.0
        if wanted.kind is Kind.LANGUAGE and owner is not Whose.CONTACTS:
            return 0.0  # `course_language` is no person's
        named = column.named(wanted.name, spellings_of(wanted))
        share = fits(wanted, column)
        if share < _LIKELY or (not named and tells(wanted, column) < _SURE):
            return 0.0
        if wanted.kind in _ADDRESSES:  # of two phones of the contact's, the one that most have
            share += 0.5 * column.filled / self._fullest[column.side] + 3 * owner
        return named + share + (0.1 if of_person and column.side == "contacts" else 0)

    def _of_person(self, column: ColumnProfile) -> bool:
        """Whether a bare `name` is a person's, as one beside a last name is."""
        side = self.events if column.side == "events" else self.contacts
        return words_of(column.name) == ("name",) and any(
            closeness(each.name, LAST_NAMES) > _SURE for each in side
        )

    def _shared(self, column: ColumnProfile) -> bool:
        """Whether one value stands in the rows of many people: a phone of the company's own."""
        if column.distinct != 1:
            return False
        if column.side == "contacts":
            return column.filled > 1
        if self.identity is not None and self.identity.side == "events":
            return self.identity.distinct > 1
        return column.filled >= _MANY

    def _asked(self, wanted: Field, found: dict[str, Match]) -> Match:
        """A required field that no column holds as it is: a table to fill in, or a question."""
        if wanted.kind is not Kind.CHOICE:
            return Match(wanted, None)
        own = _highest(
            [each for each in self.events if 0 < each.distinct <= _TABLE and each != self.time],
            lambda each: each.named(wanted.name, spellings_of(wanted)),
        )
        labels = [
            each.column
            for each in found.values()
            if each.field.required and each.field.kind is Kind.TEXT and each.column
        ]
        column = own or (labels[0] if labels else None)
        if column is None:
            return Match(wanted, None)
        table = tuple(
            (value, count, value.strip() if value.strip() in wanted.choices else None)
            for value, count in column.common[:_TABLE]
        )
        return Match(wanted, column, table, more=column.distinct - len(table))


def _of_event(column: ColumnProfile) -> bool:
    """In events, a bare `id` that never comes back names the event, unless a tool says more."""
    if column.rank("contact.id") is not None:
        return False
    return not column.repeats and closeness(column.name, ("id", "uuid", "guid")) > _SURE


def _says_more(column: ColumnProfile) -> bool:
    """Whether a key is a field's value as well: an email address or a phone number."""
    return max(column.share(Kind.EMAIL), column.share(Kind.PHONE)) >= _LIKELY


def _no_id(column: ColumnProfile) -> bool:
    """Whether a column holds a phone, an email or a time, and no tool names contacts by it."""
    if column.rank("contact.id") is not None:
        return False
    named = max(closeness(column.name, each) for each in (PHONES, EMAILS, TIMES))
    kinds = (Kind.PHONE, Kind.EMAIL, Kind.TIME)
    return named > column.named("contact.id", JOIN_KEYS) or (
        max(column.share(kind) for kind in kinds) >= _LIKELY and column.epoch < _LIKELY
    )


def _highest(
    columns: Iterable[ColumnProfile], score: Callable[[ColumnProfile], float]
) -> ColumnProfile | None:
    """The column with the highest score above zero; the first of equals."""
    scored = [(score(each), each) for each in columns]
    best = max((points for points, _ in scored), default=0.0)
    return next((each for points, each in scored if points == best), None) if best > 0 else None
