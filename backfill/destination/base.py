"""What a destination is: its fields, its requests, and how its replies are read.

`prepare` reads its fields and rules to turn rows into bodies; `deliver` asks it for requests and
verdicts; the sandbox asks it what its server takes and answers.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from backfill.core.model import Fault, Reply, Verdict
from backfill.core.secret import Secret
from backfill.destination.bodies import items_of
from backfill.destination.fields import AnyOf, Field, TargetAgrees
from backfill.destination.schema import schema_of

__all__ = ["Destination"]


class Destination(ABC):
    """One endpoint that takes records."""

    name: str
    title: str
    base_url: str
    credential_env: str
    batch_size: int
    fields: tuple[Field, ...]
    checks: tuple[AnyOf | TargetAgrees, ...] = ()
    ordering_field: str
    time_field: str | None  # the body's field that carries the time; None where there is none
    needs_population: bool = False
    tie_order: Mapping[str, tuple[str, ...]] = {}  # at equal times: a field's values, in order
    notes: tuple[str, ...] = ()  # what a plan must tell its reader, one sentence each

    def field_for(self, name: str) -> Field | None:
        """The declared field, or the family, that a mapped name belongs to."""
        return next((field for field in self.fields if field.covers(name)), None)

    @abstractmethod
    def path(self, population: str | None) -> str:
        """The request's path, beginning with a slash."""

    @abstractmethod
    def headers(self, credential: Secret) -> dict[str, str]:
        """The headers that are the same for every request."""

    @abstractmethod
    def request_headers(self, record: str) -> dict[str, str]:
        """Headers of one request, from the record key of its first record."""

    @abstractmethod
    def body(self, items: Sequence[bytes]) -> bytes:
        """The request's body from 1 to `batch_size` encoded records."""

    @abstractmethod
    def verdict(self, answer: Reply | Fault, size: int) -> Verdict:
        """What an answer means for the `size` records of its request. Never raises."""

    def request_id_of(self, record: str) -> str | None:  # noqa: ARG002 - for those that have one
        """The id under which the destination knows a record's request, where we choose it."""
        return None

    # --- what its server takes and answers, for a rehearsal -------------------------------------

    @abstractmethod
    def success(self, size: int) -> Reply:
        """The documented reply to a request of `size` records that were all taken."""

    def error(self, status: int, message: str) -> bytes:  # noqa: ARG002 - for those that name it
        """The body of a refusal in the API's own form, with these words."""
        return json.dumps({"error": message}).encode()

    def items(self, body: bytes) -> Sequence[Any]:
        """The records of a request's body, parsed: the reverse of `body`.

        Works as it stands for a body in JSON that holds its records whole, one after another.
        Raises ValueError for what `body` cannot have made.
        """
        return items_of(self.body, self.batch_size, body)

    def schema(self) -> dict[str, Any]:
        """What the API takes as one record, in JSON Schema (draft 2020-12)."""
        return schema_of(self.fields, self.checks)
