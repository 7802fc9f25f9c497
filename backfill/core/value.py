"""Frozen dataclasses that cost next to nothing to make."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

__all__ = ["value"]

_Class = TypeVar("_Class")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(cls: type[_Class]) -> type[_Class]:
    """A frozen dataclass for what each request makes one of: the type checker keeps it frozen.

    A class that is frozen at run time takes three times as long to make, and a request makes five.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)
