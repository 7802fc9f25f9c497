"""The endpoint of a destination that the sandbox has no view of its own of.

It is what the destination declares: its fields as a schema, its batches, its documented replies.
That proves less than a second reading of the API's document, and still shows what is lost, sent
twice or out of order. The sandbox's own three endpoints know nothing of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from backfill.core.errors import ConfigError
from backfill.destination import Destination, Secret
from backfill.sandbox.contract import Endpoint, Refusal, endpoints

__all__ = ["DeclaredEndpoint", "endpoints_for"]

_MARK = "00000000-0000-4000-8000-00000000002a"  # stands for a population, and for a credential


class DeclaredEndpoint(Endpoint):
    """Takes what `destination` declares. Raises what its methods raise."""

    def __init__(self, destination: Destination) -> None:
        self.destination = destination.name
        self._declared = destination
        path = destination.path(_MARK if destination.needs_population else None)
        self.place = path.partition(_MARK)[0]
        self._path = re.compile(re.escape(path).replace(re.escape(_MARK), "[^/?]+"))
        headers = destination.headers(Secret(_MARK))
        self._media = _media_type(headers)
        self._credential = {name: text for name, text in headers.items() if _MARK in text}
        self.schema = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "array",
            "minItems": 1,
            "maxItems": destination.batch_size,
            "items": destination.schema(),
        }
        super().__init__()
        destination.items(destination.body([b"{}"]))  # raises where records cannot be found in it

    def takes(self, path: str) -> bool:
        return self._path.fullmatch(path) is not None

    def credential(self, headers: Mapping[str, str]) -> str:
        for name, text in self._credential.items():
            before, _, after = text.partition(_MARK)
            shown = headers.get(name, "")
            if not shown.startswith(before) or not shown.endswith(after):
                return ""
            return shown.removeprefix(before).removesuffix(after).strip()
        return "none is asked for"

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        own = self._declared.request_headers(_MARK)
        name = next((each for each, text in own.items() if text == _MARK), None)
        return headers.get(name) if name else None

    def refuses_address(self, path: str, headers: Mapping[str, str]) -> Refusal | None:
        del path
        media = _media_type(headers)
        if media != self._media:
            return Refusal(415, f"Content-Type is {media!r}, not {self._media}")
        return None

    def read(self, body: bytes) -> Any:
        if self._media == "application/json":
            super().read(body)  # stricter than those who merely want the records
        return self._declared.items(body)

    def items(self, content: Any) -> Sequence[Any]:
        items: Sequence[Any] = content
        return items

    def key(self, item: Any) -> str | None:
        return _value(item, self._declared.ordering_field)

    def time(self, item: Any) -> str | None:
        name = self._declared.time_field
        return None if name is None else _value(item, name) or ""

    def refusal(self, details: Sequence[tuple[str, str]]) -> Refusal:
        return Refusal(400, "; ".join(f"{path or 'records'}: {words}" for path, words in details))

    def bad_item(self, index: int) -> Refusal:
        return self.refusal([(str(index), "refused on demand, to see what a client does")])

    def success(self, request_id: str, size: int) -> tuple[int, bytes]:
        del request_id
        reply = self._declared.success(size)
        return reply.status, reply.body

    def not_ok(self, inner: int) -> tuple[int, bytes]:
        return self._declared.success(1).status, self._declared.error(inner, "refused on demand")

    def error(self, refusal: Refusal, request_id: str) -> bytes:
        del request_id
        return self._declared.error(refusal.status, refusal.message)


def endpoints_for(
    destinations: Iterable[Destination],
    *,
    email_targets: bool = False,
    custom_value_max: int = 255,
    known_contacts: bool = False,
) -> tuple[Endpoint, ...]:
    """An endpoint for each: the sandbox's own where it has one, else what is declared.

    `known_contacts` says that the population has every contact already. Where two take the same
    path, the first is asked. Raises ConfigError.
    """
    found = endpoints(
        email_targets=email_targets,
        custom_value_max=custom_value_max,
        known_contacts=known_contacts,
    )
    own = {each.destination: each for each in found}
    return tuple(own.get(each.name) or _declared(each) for each in destinations)


def _declared(destination: Destination) -> Endpoint:
    try:
        return DeclaredEndpoint(destination)
    except Exception as error:  # whatever another's methods raise
        raise ConfigError(
            f"the sandbox cannot play the server of {destination.name!r}: {error}",
            where="destination",
            hint="A rehearsal needs its `path`, `headers`, `body`, `items`, `schema` and `success`;"
            " its authors can test them with backfill.testing.",
        ) from error


def _media_type(headers: Mapping[str, str]) -> str:
    named = (text for name, text in headers.items() if name.lower() == "content-type")
    return next(named, "").partition(";")[0].strip().lower()


def _value(item: Any, name: str) -> str | None:
    """The text at a dotted name."""
    for each in name.split("."):
        item = item.get(each) if isinstance(item, dict) else None
    return item if isinstance(item, str) else None
