"""What befalls processes and the database of a life: deaths, freezes, lost calls, restarts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from tests.simulation.several.connection import Server
from tests.simulation.several.fibers import World
from tests.simulation.several.plan import SharedPlan
from tests.simulation.several.process import Process

__all__ = ["BOUNDARIES", "LifeFates"]

BOUNDARIES = ("call", "carried out", "leave", "looked", "reply", "thread")
"""Where a process dies or freezes: before a call to the database, after it was carried out there,
before the last look, between that and the bytes, after the reply, in a thread."""

_FEW = ("leave", "looked", "reply")  # boundaries that a small job seldom comes to
_LINGER = 0.05  # seconds at most
_OFTEN = 5.0  # times as often a request waits for its connection where notices are lost


class LifeFates:
    """Chance, by the plan of a life. `calm` turns every fault off."""

    def __init__(
        self, plan: SharedPlan, world: World, marks: Counter[str], tell: Callable[..., None]
    ) -> None:
        self.calm = False
        self.disturbed_at = 0.0  # when the last of these faults was over
        self._plan = plan
        self._world = world
        self._marks = marks
        self._tell = tell
        self._chance = plan.stream("fates")
        self._latency = self._chance.choice((0.0003, 0.002, 0.02))
        self._thread = self._chance.choice((0.0, 0.002))
        self._deaths: dict[Process, tuple[str, int]] = {}
        self._freezes: dict[Process, tuple[str, int]] = {}

    def has(self, fault: str) -> bool:
        return fault in self._plan.faults and not self.calm

    def _meets(self, fault: str, share: float) -> bool:
        return self.has(fault) and self._chance.random() < share * self._plan.intensity

    # --- the processes -----------------------------------------------------------------------

    def arm(self, process: Process) -> None:
        """A process begins: decide at which boundary it dies or freezes."""
        if self.has("death") and self._chance.random() < 0.6:
            self._deaths[process] = self._moment()
        if self.has("freeze") and self._chance.random() < 0.6:
            self._freezes[process] = self._moment()

    def die_soon(self, process: Process) -> None:
        """Have a process die at one of its next steps."""
        self._deaths[process] = "any", int(2 ** self._chance.uniform(0, 7))

    def _moment(self) -> tuple[str, int]:
        name = self._chance.choice(BOUNDARIES)
        return name, int(2 ** self._chance.uniform(0, 3 if name in _FEW else 6.5))

    def crosses(self, process: Process, boundary: str) -> None:
        """A process crosses a boundary."""
        if self._is_due(self._freezes, process, boundary) and not self.calm:
            seconds = self._plan.lease * self._chance.choice((0.3, 1.3, 4.0))
            self._marks[f"frozen at {boundary}"] += 1
            self._tell(process.name, "freezes at", boundary, seconds)
            process.suffered = True
            self.disturbed_at = self._world.now + seconds
            process.freeze(seconds)
        if self._is_due(self._deaths, process, boundary):
            self._marks[f"died at {boundary}"] += 1
            self._tell(process.name, "dies at", boundary)
            process.die()

    def _is_due(
        self, moments: dict[Process, tuple[str, int]], process: Process, boundary: str
    ) -> bool:
        name, count = moments.get(process, ("", 0))
        if name not in (boundary, "any") or process.crossed[name] < count:
            return False
        del moments[process]
        return True

    def in_thread(self) -> float:
        """Seconds until a thread begins its work."""
        return self._thread * self._chance.uniform(0.5, 1.5)

    def connecting(self) -> float:
        """Seconds until a request has a connection to the server, before the last look."""
        # Where most notices are lost, a draw tells of a quiet period, and only a request that waits
        # for its connection meanwhile can leave within it.
        if not self._meets("connect", _OFTEN if self.has("notice") else 1.0):
            return 0.0
        self._marks["a request waited for its connection"] += 1
        return self._plan.lease * self._chance.choice((0.01, 0.1, 0.5, 1.2))

    # --- the database ------------------------------------------------------------------------

    def there(self, process: Process) -> float:
        return self._way(process, "a call was stalled")

    def back(self, process: Process) -> float:
        return self._way(process, "an answer was stalled")

    def _way(self, process: Process, mark: str) -> float:
        if self._meets("stall", 0.05):
            seconds = self._plan.lease * self._chance.choice((0.5, 1.2, 2.5))
            self._tell(process.name, mark, seconds)
            self._marks[mark] += 1
            process.suffered = True
            self.disturbed_at = self._world.now + seconds
            return seconds
        if self._meets("slow_database", 0.2):
            seconds = self._chance.choice((0.1, 0.5, 2.0))
            self.disturbed_at = max(self.disturbed_at, self._world.now + seconds)
            return seconds
        return self._latency * self._chance.uniform(0.5, 1.5)

    def loses_call(self, process: Process) -> bool:
        return self._loses("lose_call", process)

    def loses_answer(self, process: Process) -> bool:
        return self._loses("lose_answer", process)

    def _loses(self, fault: str, process: Process) -> bool:
        if not self._meets(fault, 0.15):
            return False
        self.disturbed_at = self._world.now
        self._tell(process.name, fault)
        return True

    def lingers(self) -> float:
        return self._chance.uniform(0, _LINGER)

    def notice(self) -> float | None:
        if self.has("notice"):
            fate = self._chance.random()
            if fate < (0.8 if self.has("connect") else 0.3):
                self._marks["a notice was lost"] += 1
                return None
            if fate < 0.9:
                self._marks["a notice came late"] += 1
                return self._chance.choice((0.3, 2.0))
        return self._latency * self._chance.uniform(0.5, 1.5)

    def strike(self, server: Server) -> None:
        """The database is started anew, or somebody cuts a connection, at a moment of chance."""
        if self.calm:
            return
        if self.has("restart") and not server.away:
            seconds = self._chance.choice((0.0, 0.5, 5.0, 30.0))
            self._tell("the database stops for", seconds)
            self._marks["the database was started anew"] += 1
            self._marks["the database was away"] += seconds > 1
            self.disturbed_at = self._world.now + seconds
            server.restart(seconds)

    def cut(self, server: Server) -> None:
        """The database ends one session, and nobody tells its client."""
        if self.has("cut") and server.sessions:
            session = self._chance.choice(server.sessions)
            self._tell("a session is cut")
            self._marks["a session was cut, and its locks with it"] += 1
            self.disturbed_at = self._world.now
            server.end(session)
