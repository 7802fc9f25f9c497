"""How a job is delivered: the section [delivery]."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, StrictInt

from backfill.config.section import Section
from backfill.config.values import Rate, Share, parse_duration, parse_rate, parse_share
from backfill.core.errors import ConfigError
from backfill.core.urls import check_base_url

__all__ = ["Delivery"]


def _sendable(url: str | None) -> str | None:
    if url is not None:
        try:
            check_base_url(url.rstrip("/"))
        except ConfigError as error:
            raise ValueError(error.message) from None
    return url


class Delivery(Section):
    """How the job is delivered. May change between the runs of a job.

    A rate of None is found ("auto"); durations are in seconds.
    """

    base_url: Annotated[str | None, AfterValidator(_sendable)] = None
    """Where the destination is: https, or http on this machine. Else the vendor's own address."""
    rate: Annotated[
        Rate | None,
        BeforeValidator(parse_rate),
        PlainSerializer(lambda rate: "auto" if rate is None else str(rate), when_used="json"),
    ] = None
    """Requests: `"50/s"`, `"3000/min"`, a number a second; `"auto"` finds what is allowed."""
    concurrency: Annotated[StrictInt, Field(ge=1, le=1024)] = 64
    """Requests in flight at most, from 1 to 1,024."""
    guarantee: Literal["at-most-once", "at-least-once"] = "at-most-once"
    """Whether what may have been stored is left alone as `unknown`, or sent again."""
    max_errors: Annotated[
        Share, BeforeValidator(parse_share), PlainSerializer(str, when_used="json")
    ] = Share(fraction=0.01)
    """Failed records after which a run stops: a number, or a share such as `"1%"`."""
    timeout: Annotated[float, BeforeValidator(parse_duration), Field(gt=0)] = 30.0
    """How long to wait for a reply."""
    max_wait: Annotated[float, BeforeValidator(parse_duration), Field(ge=0)] = 600.0
    """The longest wait that the destination may ask for; the run stops at a longer one."""
    patience: Annotated[float, BeforeValidator(parse_duration), Field(gt=0)] = 30.0
    """How long a run goes on while the destination refuses or cannot be reached."""
    limit: Annotated[StrictInt, Field(gt=0)] | None = None
    """Records after which a run stops."""
    max_duration: Annotated[
        Annotated[float, Field(gt=0)] | None, BeforeValidator(parse_duration)
    ] = None
    """Time after which a run stops."""
