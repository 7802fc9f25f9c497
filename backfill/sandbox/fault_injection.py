"""Faults on demand: what may go wrong with a request, and how often.

A fault is written `KIND=SHARE` or `KIND:NUMBER=SHARE`: `500-after=1%`, `slow:0.5=0.02`,
`429:2=5%`. Which request gets which is drawn from a seed, one draw for each request, so the
same requests in the same order meet the same faults.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from backfill.core.errors import ConfigError, did_you_mean

__all__ = ["KINDS", "Arrival", "Fault", "FaultScript", "parse_fault", "parse_faults", "scripted"]

KINDS = {
    "NNN": "answered with that status from 300 to 599 (429, 500, 503, 401 …), not stored",
    "NNN-after": "stored, then answered with that status",
    "bad-item": "answered with 400 that names one item which is in fact right",
    "cut-after": "stored, then the connection is closed without a reply",
    "cut-before": "the connection is closed without a reply, not stored",
    "half-reply": "stored, then the connection is closed in the middle of the reply",
    "hang": "never answered, not stored",
    "hang-after": "stored, never answered",
    "html": "answered with a 502 in HTML, as a gateway does, not stored",
    "html-after": "stored, then answered with the right status and a page of HTML",
    "not-ok": "the right status around a body that says no (Pristo's ok: false), not stored",
    "slow": "answered a second later; slow:0.5 waits half a second",
    "wrong-length": "stored, then answered with a Content-Length shorter than the body",
}

_STATUS = re.compile("[345][0-9]{2}(-after)?")
_STATUSES = ("401", "429", "500", "500-after", "503")
_WORDS = frozenset(KINDS) - {"NNN", "NNN-after"}
_AFTER = frozenset({"cut-after", "half-reply", "hang-after", "html-after", "wrong-length"})


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request.

    `number` is seconds for `slow` and for the Retry-After of a status, and the inner status
    for `not-ok`.
    """

    kind: str
    number: float | None = None

    @property
    def stored(self) -> bool:
        """Whether the records are stored before it happens."""
        return self.kind in _AFTER or self.kind.endswith("-after")

    @property
    def status(self) -> int | None:
        return int(self.kind[:3]) if self.kind[0].isdigit() else None


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request as a script of faults sees it. `number` counts from 0 over all requests."""

    number: int
    destination: str
    keys: tuple[str, ...]
    body: bytes


FaultScript = Callable[[Arrival], Fault | str | None]
"""Decides what goes wrong with a request; None leaves it alone."""


def parse_fault(text: str) -> Fault:
    """Read `KIND` or `KIND:NUMBER`. Raises ConfigError with the nearest right kind."""
    kind, colon, number = text.strip().partition(":")
    if kind not in _WORDS and _STATUS.fullmatch(kind) is None:
        raise ConfigError(
            f"there is no fault of kind {kind!r}",
            where="--fault",
            hint=did_you_mean(kind, [*_WORDS, *_STATUSES]) or f"Kinds: {', '.join(KINDS)}.",
        )
    if not colon:
        return Fault(kind)
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ConfigError(
            f"{number!r} is not a number from 0 on", where="--fault", hint="Write slow:0.5=1%."
        )
    return Fault(kind, value)


def _parse_share(text: str, spec: str) -> float:
    match = re.fullmatch(r"([0-9]*\.?[0-9]+)\s*(%?)", text.strip())
    share = float(match[1]) / (100 if match[2] else 1) if match else -1.0
    if not 0 <= share <= 1:
        raise ConfigError(
            f"{spec!r} has no share from 0 to 1",
            where="--fault",
            hint="A fault is written KIND=SHARE: 429=1%, or 429=0.01.",
        )
    return share


def parse_faults(specs: Iterable[str]) -> tuple[tuple[Fault, float], ...]:
    """Read `KIND=SHARE` each. Raises ConfigError, also where the shares exceed 1 together."""
    shares = []
    for spec in specs:
        kind, _, share = spec.partition("=")
        shares.append((parse_fault(kind), _parse_share(share, spec)))
    if sum(share for _, share in shares) > 1 + 1e-9:
        raise ConfigError("the shares of all faults together exceed 100%", where="--fault")
    return tuple(shares)


def scripted(shares: Sequence[tuple[Fault, float]], seed: int) -> FaultScript:
    """A script that draws each request's fault: one draw a request, whatever comes of it."""
    chance = random.Random(seed)  # noqa: S311 - a rehearsal is meant to be repeatable

    def script(_: Arrival) -> Fault | None:
        draw = chance.random()
        for fault, share in shares:
            if draw < share:
                return fault
            draw -= share
        return None

    return script
