"""Numbers, times and states in words."""

from __future__ import annotations

from datetime import UTC, datetime

from backfill.core.model import State

__all__ = ["COLOURS", "amount", "clock", "milliseconds", "number_of", "share"]

# Each stands out from white and from near black by at least 3 to 1, so one palette serves both.
COLOURS = {
    State.DELIVERED: "#1f9d61",
    State.UNKNOWN: "#a55fd6",
    State.FAILED: "#d9483b",
    State.PENDING: "#3f86d9",
    State.DUPLICATE: "#7d8794",
    State.REJECTED: "#bd7a12",
    State.EXCLUDED: "#8a7f6b",
}


def amount(count: float) -> str:
    """`12,345`; small fractions keep two digits."""
    if count == int(count) or abs(count) >= 100:
        return f"{count:,.0f}"
    return f"{count:,.1f}" if abs(count) >= 10 else f"{count:,.2f}"


def number_of(count: int, noun: str) -> str:
    """`1 record`, `2,000 records`."""
    return f"{amount(count)} {noun}{'' if count == 1 else 's'}"


def share(part: int, whole: int) -> str:
    """A percentage that is 0% or 100% only where it is exactly that."""
    if not whole or not part:
        return "0%"
    if part == whole:
        return "100%"
    percent = 100 * part / whole
    if percent < 0.1:
        return "< 0.1%"
    return "> 99.9%" if percent > 99.9 else f"{percent:.1f}%"


def clock(epoch: float) -> str:
    """`2026-11-20 14:05:00 UTC`."""
    return f"{datetime.fromtimestamp(epoch, UTC):%Y-%m-%d %H:%M:%S} UTC"


def milliseconds(value: float | None) -> str:
    """A latency, in two significant digits: `42 ms`, `1.3 s`."""
    if value is None:
        return "-"
    if value >= 950:
        return f"{value / 1000:.2g} s" if value < 99_500 else f"{value / 1000:,.0f} s"
    return f"{value:.2g} ms" if value < 99.5 else f"{round(value, -1):.0f} ms"
