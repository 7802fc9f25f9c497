"""What holds of every cell of a verdict table, whichever API it is of."""

from __future__ import annotations

from collections.abc import Mapping

from backfill.core.model import Flow, Reply
from backfill.destination import Destination

__all__ = ["check_cell"]


def check_cell(
    api: Destination, status: int, flow: Flow, bodies: Mapping[str, bytes], *, records: int
) -> None:
    """Assert that a status has this flow and no other, with each of the bodies by name."""
    for name, body in bodies.items():
        verdict = api.verdict(Reply(status, {}, body), records)
        assert verdict.flow is flow, name
        assert verdict.http_status == status, name
        assert verdict.reason, name
        assert not verdict.bad, name
        assert verdict.throttled is (status == 429), name
