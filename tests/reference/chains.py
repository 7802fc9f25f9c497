"""Jobs that come after one another, and what each of them has delivered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from backfill.core.model import State
from tests.reference.cells import Chance
from tests.reference.jobs import Job
from tests.reference.reference import Earlier, Outcome, Place, expected, identity

__all__ = ["Chain", "Link", "expected_of_all"]

_SENT = (State.DELIVERED, State.UNKNOWN)


@dataclass(frozen=True)
class Link:
    """One job, and those before it that it names, by their numbers."""

    job: Job
    delivered_by: tuple[int, ...] = ()
    rest_of: int | None = None


@dataclass(frozen=True)
class Chain:
    """Jobs in the order in which they are planned. Each ends before the next one is planned."""

    seed: int
    links: tuple[Link, ...]

    def state_of(self, number: int, place: Place) -> State:
        """What becomes of a record that a job has ready."""
        chance = Chance(f"{self.seed} {number} {place}")
        states = [State.DELIVERED] * 4 + [State.FAILED, State.PENDING]
        if self.links[-1].rest_of is not None:
            states.append(State.UNKNOWN)  # nothing can be planned after it with delivered_by
        return chance.choice(states)


@dataclass
class _Sent:
    """Rows that a job has sent, or left out because an earlier one had, and what they are."""

    places: list[Place] = field(default_factory=list)
    identities: dict[object, Place] = field(default_factory=dict)


def expected_of_all(chain: Chain, now: datetime) -> list[dict[Place, Outcome]]:
    """What becomes of each row of each job's events when it is planned."""
    all_sent: list[_Sent] = []
    found = []
    for number, link in enumerate(chain.links):
        earlier = Earlier()
        if link.rest_of is not None:
            earlier = Earlier(places=all_sent[link.rest_of].places)
        for before in link.delivered_by:
            for own, place in all_sent[before].identities.items():
                earlier.identities.setdefault(own, place)
        outcomes = expected(link.job, now, earlier)
        found.append(outcomes)
        all_sent.append(_sent(chain, number, outcomes))
    return found


def _sent(chain: Chain, number: int, outcomes: Mapping[Place, Outcome]) -> _Sent:
    sent = _Sent()
    job = chain.links[number].job
    for place, outcome in outcomes.items():
        is_sent = outcome.state == "pending" and chain.state_of(number, place) in _SENT
        if not is_sent and not outcome.by_earlier:
            continue
        sent.places.append(place)
        if not outcome.no_record:
            own = identity(job, outcome)
            sent.identities.setdefault(own, place)
    return sent
