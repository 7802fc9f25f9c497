"""Whether a destination's own data is whole, so that a mistake in it is told before a job is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from backfill.destination.base import Destination
from backfill.destination.fields import AnyOf, Field, Kind, TargetAgrees

__all__ = ["declaration_errors"]

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
_TEXTS = ("name", "title", "base_url", "credential_env", "ordering_field")


def declaration_errors(destination: Destination) -> tuple[str, ...]:
    """What is wrong with a destination's data, one sentence each; empty where it is whole.

    Its methods are not called: `backfill.testing` does that.
    """
    found = tuple(_of_types(destination))
    return found or (*_of_values(destination), *_of_fields(destination))


def _of_types(destination: Destination) -> Iterator[str]:
    for name in _TEXTS:
        value = getattr(destination, name, None)
        if not isinstance(value, str) or not value:
            yield f"`{name}` is {value!r}, not a text"
    if not isinstance(getattr(destination, "time_field", 0), str | None):
        yield "`time_field` is neither the name of a field nor None"
    size = getattr(destination, "batch_size", None)
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        yield f"`batch_size` is {size!r}, not a number from 1 on"
    fields = getattr(destination, "fields", None)
    if not isinstance(fields, tuple) or not all(isinstance(each, Field) for each in fields):
        yield "`fields` is not a tuple of Field"
    elif not fields:
        yield "`fields` is empty"
    checks = destination.checks
    if not isinstance(checks, tuple) or not all(
        isinstance(each, AnyOf | TargetAgrees) for each in checks
    ):
        yield "`checks` is not a tuple of AnyOf and TargetAgrees"
    notes = destination.notes
    if not isinstance(notes, tuple) or not all(isinstance(each, str) for each in notes):
        yield "`notes` is not a tuple of texts"


def _of_values(destination: Destination) -> Iterator[str]:
    if _NAME.fullmatch(destination.name) is None:
        yield f"`name` is {destination.name!r}: lower case letters, digits and hyphens make one"
    if _VARIABLE.fullmatch(destination.credential_env) is None:
        yield f"`credential_env` is {destination.credential_env!r}: write it as ACME_TOKEN"
    address = urlsplit(destination.base_url)
    if address.scheme != "https" or not address.hostname or address.path.strip("/"):
        yield f"`base_url` is {destination.base_url!r}: write https and a host, without a path"


def _of_fields(destination: Destination) -> Iterator[str]:
    names = [each.name for each in destination.fields]
    for name in sorted({each for each in names if names.count(each) > 1}):
        yield f"the field {name!r} is declared twice"
    for each in destination.fields:
        if each.kind is Kind.CHOICE and not each.choices:
            yield f"the field {each.name!r} is a choice of nothing: `choices` is empty"
        if each.default is not None and each.choices and each.default not in each.choices:
            yield f"the field {each.name!r} has a default that is none of its choices"
        if each.kind is Kind.TARGET and not any(
            isinstance(check, TargetAgrees) and check.value_field == each.name
            for check in destination.checks
        ):
            yield f"the field {each.name!r} is a target, and no TargetAgrees says of which type"
    ordering = _declared(destination, destination.ordering_field)
    if ordering is None or not ordering.required:
        yield f"`ordering_field` is {destination.ordering_field!r}, which is no required field"
    if destination.time_field is not None:
        time = _declared(destination, destination.time_field)
        if time is None or time.kind is not Kind.TIME:
            yield f"`time_field` is {destination.time_field!r}, which is no field of kind TIME"
    for check in destination.checks:
        if isinstance(check, AnyOf) and not check.name.endswith("|reachable"):
            yield f"the check {check.name!r} is not named `field|reachable`"
        used = check.fields if isinstance(check, AnyOf) else (check.type_field, check.value_field)
        yield from _unknown(destination, used, f"a check of type {type(check).__name__}")
    yield from _unknown(destination, tuple(destination.tie_order), "`tie_order`")


def _declared(destination: Destination, name: str) -> Field | None:
    return next((each for each in destination.fields if each.name == name), None)


def _unknown(destination: Destination, names: tuple[str, ...], where: str) -> Iterator[str]:
    for name in names:
        if _declared(destination, name) is None:
            yield f"{where} names the field {name!r}, which is not declared"
