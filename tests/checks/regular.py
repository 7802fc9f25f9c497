"""Regular expressions over digits as automata, so that a claim about all numbers can be proved.

Understands what libphonenumber's metadata is written in: digits, classes, groups, alternatives
and bounded repetition.
"""

from __future__ import annotations

import re._constants as codes  # type: ignore[import-not-found]  # `re` has no public parser
import re._parser as parser  # type: ignore[import-not-found]  # the same
from typing import Any

__all__ = ["DIGITS", "Automaton", "States"]

DIGITS = "0123456789"
States = frozenset[int]


class Automaton:
    """Which states the pattern can be in after the digits read so far; empty when it has failed."""

    def __init__(self, pattern: str) -> None:
        self._silent: list[list[int]] = []
        self._reading: list[list[tuple[frozenset[str], int]]] = []
        first = self._state()
        self._last = self._build(parser.parse(pattern), first)
        self.start = self._closed({first})

    def step(self, states: States, digit: str) -> States:
        return self._closed(
            {to for state in states for digits, to in self._reading[state] if digit in digits}
        )

    def accepts(self, states: States) -> bool:
        return self._last in states

    def _state(self) -> int:
        self._silent.append([])
        self._reading.append([])
        return len(self._silent) - 1

    def _closed(self, states: set[int]) -> States:
        found, todo = set(states), list(states)
        while todo:
            for to in self._silent[todo.pop()]:
                if to not in found:
                    found.add(to)
                    todo.append(to)
        return frozenset(found)

    def _build(self, parts: Any, state: int) -> int:
        for kind, value in parts:
            if kind is codes.LITERAL:
                state = self._read(state, frozenset(chr(value)))
            elif kind is codes.IN:
                state = self._read(state, frozenset().union(*(_class(*each) for each in value)))
            elif kind is codes.SUBPATTERN:
                state = self._build(value[3], state)
            elif kind is codes.BRANCH:
                state = self._joined([self._build(each, self._after(state)) for each in value[1]])
            elif kind is codes.MAX_REPEAT:
                least, most, part = value
                state = self._repeated(part, least, most, state)
            else:
                raise ValueError(f"{kind} is not expected in the metadata")
        return state

    def _read(self, state: int, digits: frozenset[str]) -> int:
        to = self._state()
        self._reading[state].append((digits, to))
        return to

    def _after(self, state: int) -> int:
        to = self._state()
        self._silent[state].append(to)
        return to

    def _joined(self, ends: list[int]) -> int:
        to = self._state()
        for end in ends:
            self._silent[end].append(to)
        return to

    def _repeated(self, part: Any, least: int, most: int, state: int) -> int:
        for _ in range(least):
            state = self._build(part, state)
        ends = [state]
        for _ in range(most - least):
            ends.append(self._build(part, ends[-1]))
        return self._joined(ends)


def _class(kind: Any, value: Any) -> frozenset[str]:
    if kind is codes.LITERAL:
        return frozenset(chr(value))
    if kind is codes.RANGE:
        return frozenset(chr(each) for each in range(value[0], value[1] + 1))
    return frozenset(DIGITS)  # \d
