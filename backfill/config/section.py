"""What the sections of a configuration have in common. Each is frozen and knows no key but its own.

The text below a key says what it does; the documentation's reference is made from these texts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

__all__ = ["Section", "Texts"]


class Section(BaseModel):
    """A part of the configuration. It is frozen, and knows no key beyond its own."""

    # The whole configuration holds the validators of its sections; none needs one of its own.
    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, defer_build=True
    )


def _one_or_list(value: Any) -> Any:
    return (value,) if isinstance(value, str | Path) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(_one_or_list)]
"""One text, or a list of them."""
