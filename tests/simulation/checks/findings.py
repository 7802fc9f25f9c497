"""What a life can end with besides its end."""

from __future__ import annotations

__all__ = ["DeathError", "Finding"]


class Finding(Exception):  # noqa: N818 - a finding is no error of the simulator
    """A promise that was not kept. `kind` stays the same while a life is made shorter."""

    def __init__(self, kind: str, details: str = "") -> None:
        self.kind = kind
        super().__init__(f"{kind}: {details}" if details else kind)


class DeathError(BaseException):
    """The machine has died; whatever the program still does is seen by nobody."""
