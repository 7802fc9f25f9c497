"""What to tell the user when a run stops: nothing would fare better, or it was to go so far."""

from __future__ import annotations

from backfill.core.model import Reply, Stop, StopKind, Verdict
from backfill.core.terminal import printable
from backfill.destination import Destination

__all__ = ["limit_reached", "refusal", "time_over"]

_CREDENTIAL = frozenset({401, 402, 403})
_LONGEST = 200  # characters of an address that are shown


def limit_reached(records: int) -> Stop:
    """The stop of a run that has sent as many records as it was to."""
    noun = "record" if records == 1 else "records"
    return Stop(StopKind.LIMIT, f"the limit of {records:,} {noun} is reached")


def time_over(seconds: float) -> Stop:
    """The stop of a run that has taken as long as it may."""
    return Stop(StopKind.LIMIT, f"the run's {seconds:g} s are over")


def refusal(destination: Destination, host: str, verdict: Verdict, reply: Reply | None) -> Stop:
    """The stop for a reply that refuses the credential or the address.

    Names the host, the status, the server's own words and where to look. The credential itself
    is in none of them.
    """
    status = verdict.http_status or 0
    message = f"{host} answered {status}"
    location = (reply.headers.get("location") or "") if reply is not None else ""
    if 300 <= status < 400:
        message += (
            f" and sends us to {printable(location)[:_LONGEST]}" if location else " (a redirect)"
        )
    elif verdict.reason:
        message += f": {verdict.reason}"
    return Stop(StopKind.REFUSED, f"{message}. {_advice(destination, status)}")


def _advice(destination: Destination, status: int) -> str:
    if 300 <= status < 400:
        return (
            "Redirects are not followed with a credential: set base_url to the address that answers"
            " itself."
        )
    if status in _CREDENTIAL:
        return f"Check the credential in {destination.credential_env}."
    if destination.needs_population:
        return "Check base_url and population."
    return "Check base_url."
