"""A promise that was not kept."""

from __future__ import annotations

__all__ = ["Finding"]


class Finding(AssertionError):  # noqa: N818 - no fault of the campaign: what it looks for
    """A promise that was not kept. `kind` names it, in the same words each time."""

    def __init__(self, kind: str, details: str = "") -> None:
        self.kind = kind
        super().__init__(f"{kind}: {details}" if details else kind)
