"""One budget for all runs on this machine that send to one address with one credential.

A limit belongs to a credential, not to a process. So runs that share one take turns through a
small file in the user's state directory: each draws the next free slot of a few requests, evenly
after the one before, under a lock that is held for a fraction of a millisecond. Slots that nobody
uses expire. The lock belongs to the process, and goes with it.

The run that came first finds the rate for all of them; the others tell it what they sent and what
was refused, and take its rate over. One that is not heard of for some seconds is forgotten, and the
next one leads, beginning with the rate that was found. A quiet period is one for all. Nothing
depends on the file: where it cannot be written or locked, a run goes on by itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from backfill.core.secret import Secret
from backfill.deliver.pacing.budget import News

__all__ = ["SharedBudget"]

_SLOT = 0.025  # seconds of requests that are drawn at once
_LOOK = 0.25  # seconds between two looks of a run that is alone
_GONE = 2.0  # seconds after which a run that was not heard of is forgotten
_RETRY = 0.002  # seconds until a lock that another one holds is tried again
_STUCK = 0.25  # seconds of trying after which a run goes on by itself
_SAME = 0.001  # seconds by which two ends of one quiet period may differ
_SET_BACK = 0.05  # seconds by which the clock is behind where it was set back
_FAR = 5.0  # seconds; a slot that far ahead is from before the machine was started
_LENGTH = 8192  # bytes of the file, filled up with spaces
_LOG, _SLOTS = 32, 96  # refusals and slots that are remembered for the one that leads
_ROUNDS = 20_000  # of the key derivation that hides the credential


class SharedBudget:
    """The file of one address and credential. `open` finds it.

    Requests and what became of them are told with the next draw. A quiet period is told at once:
    its end and the moment when it was told are the time stamps of a file, its last change and its
    last use, which are read without a lock. `wall` gives seconds since the epoch.
    """

    def __init__(
        self, path: Path, *, now: float, wall: Callable[[], float], finds: bool = True
    ) -> None:
        self._wall = wall
        self.leads = self._finds = finds
        self.other = "another job on this machine"
        self.others = 0
        self.rate: float | None = None
        self._path = path
        self._quiet = path.with_suffix(".quiet")
        self._own_sent = self._own_refused = 0  # told in the exchange at hand
        self._looked = self._came = now
        self._lock = FileLock(path.with_suffix(".lock"), timeout=0, mode=0o600)
        self._me = secrets.token_hex(8)
        self._met = False  # whether those who came at the same time have had time to be seen
        self._sent: list[tuple[float, int]] = []  # since it was told: when a slot began, requests
        self._accepted = 0  # since they were told
        self._unheard = False  # whether a refusal or a quiet period is to be told and heard of
        self._refused: list[tuple[float, float]] = []
        self._seen: tuple[int, int, int] | None = None  # of all runs, when looked last
        self._news: list[News] = []
        self._left = 0  # requests of the present slot
        self._next = now  # when the next of them may go
        self._tried: float | None = None  # since when the lock is not to be had

    @classmethod
    def open(
        cls,
        directory: Path | None,
        base_url: str,
        credential: Secret,
        *,
        clock: Callable[[], float],
        wall: Callable[[], float] = time.time,
        finds: bool = True,
    ) -> SharedBudget | None:
        """The budget of an address and a credential; None where no directory is of use.

        A run whose rate is set has none to find, and leaves that to others. The file's name is
        derived from both by a slow one-way function with a random salt of this machine, so it gives
        the credential to nobody.
        """
        if directory is None:
            return None
        try:
            folder = directory / "rates"
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            key = _key(credential, _salt(folder / "salt"))
            url = urlsplit(base_url.lower())
            address = f"{url.scheme}://{url.netloc}"
            name = hmac.new(key, address.encode(), "sha256").hexdigest()[:32]
            return cls(folder / f"{name}.json", now=clock(), wall=wall, finds=finds)
        except (OSError, Timeout, NotImplementedError):
            return None

    def draw(self, now: float, rate: float) -> float:
        """Take a permission: 0, or the seconds until one may be there."""
        if self._left and now > self._next + _SLOT:
            self._left = 0  # it expired
        if not self._left and now >= self._next:
            new = self._seen is None
            if self._exchange(now, rate, draw=True):
                self._tried = None
                if new and self.others:
                    # One that is alone looks so often; until then a wait of ours is not its own.
                    self._left, self._next = 0, max(self._next, now + _LOOK + _SLOT)
            elif self._tried is None or now - self._tried < _STUCK:
                self._tried = now if self._tried is None else self._tried
                return _RETRY
            else:
                self._left, self._next = max(1, int(_SLOT * rate)), now
        if now < self._next:
            return self._next - now
        self._left -= 1
        self._count(now)
        self._next += 1 / rate
        return 0.0

    @property
    def draws(self) -> bool:
        return self.others > 0 or not self._met

    def _count(self, now: float) -> None:
        """A request may leave now: it is told as one of those of its slot."""
        if self._sent and now < self._sent[-1][0] + _SLOT:
            began, number = self._sent.pop()
            self._sent.append((began, number + 1))
        else:
            self._sent.append((now, 1))

    def accepted(self) -> None:
        self._accepted += 1

    def refused(self, sent_at: float, rate: float) -> None:
        self._refused.append((sent_at, rate))
        self._unheard = True

    def find(self, *, find: bool) -> None:
        self._finds = find

    def look(self, now: float, rate: float) -> None:
        if self._unheard or now - self._looked >= _LOOK:
            self._looked = now
            self._unheard = not self._exchange(now, rate, draw=False)
            self._met = now - self._came >= 2 * _LOOK

    def quiet(self, seconds: float) -> None:
        self._left = 0
        self._unheard = True  # what was sent before it, by anybody
        # Of two that are told at the same moment the later one may be lost; the server will tell
        # it again.
        if seconds > self.quiet_left() + _SAME:
            self._tell_quiet(seconds)

    def quiet_left(self) -> float:
        try:
            found = self._quiet.stat()
        except OSError:
            return 0.0
        now = self._wall()
        if now < found.st_atime - _SET_BACK:
            # The clock was set back since, and would reach the end that much later.
            left = max(0.0, found.st_mtime - found.st_atime)
            self._tell_quiet(left)
            return left
        return max(0.0, found.st_mtime - now)

    def _tell_quiet(self, seconds: float) -> None:
        now = self._wall()
        with contextlib.suppress(OSError):
            self._quiet.touch(mode=0o600)
            os.utime(self._quiet, (now, now + seconds))

    def news(self) -> News:
        found, self._news = self._news, []
        return News.of(found)

    def close(self) -> None:
        self._exchange(self._next, self.rate or 1.0, draw=False, leave=True)

    def _exchange(self, now: float, rate: float, *, draw: bool, leave: bool = False) -> bool:
        """Tell and hear what is new, and draw a slot. False where the file is not to be had."""
        try:
            with self._lock.acquire(timeout=0):
                state = _read(self._path)
                self._tell(state)
                self._hear(state, now, leave=leave)
                if self.leads:
                    state["rate"] = rate
                self.rate = state["rate"]
                if draw:
                    self._slot(state, now, (self._finds and self.rate) or rate)
                self._write(state)
            return True
        except (OSError, Timeout):
            return False

    def _write(self, state: dict[str, Any]) -> None:
        # In place and of one length: a file that is cut off first is written out by some file
        # systems when it is closed, which takes milliseconds.
        text = json.dumps(state).encode("ascii").ljust(_LENGTH)
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
        with os.fdopen(handle, "wb", buffering=0) as file:
            file.write(text)

    def _tell(self, state: dict[str, Any]) -> None:
        state["slots"] += len(self._sent)
        state["sent"] = [*state["sent"], *self._sent][-_SLOTS:]
        state["accepted"] += self._accepted
        state["refused"] += len(self._refused)
        state["log"] = [*state["log"], *self._refused][-_LOG:]
        if self._seen is not None:  # one's own are no news
            slots, accepted, refused = self._seen
            self._seen = (slots, accepted + self._accepted, refused)
        self._own_sent, self._sent = len(self._sent), []
        self._own_refused, self._refused = len(self._refused), []
        self._accepted = 0

    def _hear(self, state: dict[str, Any], now: float, *, leave: bool) -> None:
        members: dict[str, list[float]] = {
            name: times
            for name, times in state["members"].items()
            if name != self._me and (leave or abs(now - times[1]) < _GONE)
        }
        self.others = len(members)
        if not leave:
            members[self._me] = [self._came, now, self._finds]
            finders = [(times[0], name) for name, times in members.items() if times[2]]
            self.leads = bool(finders) and min(finders)[1] == self._me
        state["members"] = members
        if self._seen is not None:
            slots, accepted, refused = self._seen
            self._news.append(
                News(
                    _fresh(state["sent"], state["slots"] - slots, self._own_sent),
                    state["accepted"] - accepted,
                    _fresh(state["log"], state["refused"] - refused, self._own_refused),
                )
            )
        self._seen = (state["slots"], state["accepted"], state["refused"])

    def _slot(self, state: dict[str, Any], now: float, rate: float) -> None:
        count = max(1, int(_SLOT * rate))
        due = state["due"] if state["due"] < now + _FAR else now
        self._next = max(due, now)
        # What one comes late may be caught up with, as far as a slot.
        state["due"] = max(due, now - _SLOT) + count / rate
        self._left = count


def _fresh(log: list[Any], new: int, own: int) -> tuple[Any, ...]:
    """Of the rows that are new the others' ones: one's own were written last."""
    rows = log[max(0, len(log) - new) : len(log) - own]
    return tuple(tuple(row) for row in rows)


def _read(path: Path) -> dict[str, Any]:
    """The state as it stands; an empty one where there is none, or none that makes sense."""
    empty: dict[str, Any] = {
        "members": {}, "due": 0.0, "rate": None,
        "slots": 0, "accepted": 0, "refused": 0, "sent": [], "log": [],
    }  # fmt: skip
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(path.read_text(encoding="ascii"))
        if isinstance(found, dict) and found.keys() == empty.keys() and _makes_sense(found):
            return found
    return empty


def _makes_sense(state: dict[str, Any]) -> bool:
    numbers = [state[name] for name in ("due", "slots", "accepted", "refused")]
    numbers += [] if state["rate"] is None else [state["rate"]]
    if not isinstance(state["members"], dict):
        return False
    if not isinstance(state["sent"], list) or not isinstance(state["log"], list):
        return False
    rows = [(each, 3) for each in state["members"].values()]
    rows += [(each, 2) for each in state["sent"] + state["log"]]
    if not all(isinstance(row, list) and len(row) == size for row, size in rows):
        return False
    numbers += [number for row, _ in rows for number in row]
    return all(isinstance(number, int | float) for number in numbers)


@lru_cache(maxsize=1)
def _key(credential: Secret, salt: bytes) -> bytes:
    """Slow on purpose, so it is worked out once for all runs of a process."""
    return hashlib.pbkdf2_hmac("sha256", credential.reveal().encode(), salt, _ROUNDS)


def _salt(path: Path) -> bytes:
    """Random bytes of this machine, made once."""
    with contextlib.suppress(FileExistsError):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(32))
    return path.read_bytes()
