"""Numbers, times and states in words."""

from __future__ import annotations

from datetime import UTC, datetime

from backfill.core.model import State
from backfill.core.terminal import duration

__all__ = [
    "COLOURS",
    "amount",
    "clock",
    "counted",
    "lasting",
    "milliseconds",
    "moment",
    "records",
    "requests",
    "share",
    "short",
    "size",
]

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
    if isinstance(count, int) or count == int(count) or abs(count) >= 100:
        return f"{count:,.0f}"
    return f"{count:,.1f}" if abs(count) >= 10 else f"{count:,.2f}"


def records(count: int) -> str:
    """`1 record`, `2 records`."""
    return "1 record" if count == 1 else f"{amount(count)} records"


def requests(count: int) -> str:
    """`1 request`, `2 requests`."""
    return "1 request" if count == 1 else f"{amount(count)} requests"


def counted(count: int, one: str = "was", many: str = "were") -> str:
    """The subject of a sentence with its verb: `1 record was`, `2 records were`."""
    return f"{records(count)} {one if count == 1 else many}"


def share(part: int, whole: int) -> str:
    """A percentage that is 0% or 100% only where it is exactly that."""
    if not whole or not part:
        return "0%"
    if part == whole:
        return "100%"
    percent = 100 * part / whole
    if percent < 0.1:
        return "< 0.1%"
    if percent > 99.9:
        return "> 99.9%"
    return f"{percent:.1f}%"


def short(count: float) -> str:
    """A round number beside an axis: `0.2`, `500`, `20k`, `1.5M`."""
    for power, unit in ((9, "G"), (6, "M"), (3, "k")):
        if count >= 10**power:
            return f"{count / 10**power:g}{unit}"
    return f"{count:g}"


def clock(epoch: float) -> str:
    """`2026-11-20 14:05:00 UTC`."""
    return f"{datetime.fromtimestamp(epoch, UTC):%Y-%m-%d %H:%M:%S} UTC"


def moment(text: str) -> str:
    """An ISO 8601 time of the manifest, as `clock` writes it."""
    try:
        return clock(datetime.fromisoformat(text).timestamp())
    except ValueError:
        return text


def milliseconds(value: float | None) -> str:
    """A latency, in two significant digits: `42 ms`, `1.3 s`."""
    if value is None:
        return "-"
    if value >= 950:
        return f"{value / 1000:.1f} s" if value < 9500 else f"{value / 1000:.0f} s"
    return f"{value:.2g} ms" if value < 99.5 else f"{round(value, -1):.0f} ms"


def lasting(seconds: float) -> str:
    """A time that has passed: `1.2 s`, `20 s`, `3 h 20 min`."""
    return milliseconds(1000 * seconds) if seconds < 59.5 else duration(seconds)


def size(count: int) -> str:
    """Bytes: `1.4 MB`."""
    if count < 1000:
        return f"{count} bytes"
    value, unit = float(count), ""
    for unit in ("kB", "MB", "GB", "TB"):  # noqa: B007 - the one it ends at is wanted
        value /= 1000
        if value < 999.5:
            break
    return f"{value:.1f} {unit}"
