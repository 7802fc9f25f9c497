"""What a destination needs of a configuration before any of its columns is looked at."""

from __future__ import annotations

from collections.abc import Iterable

from backfill.config import Config, Rules
from backfill.core.errors import ConfigError, did_you_mean
from backfill.destination import AnyOf, Destination, Kind, TargetAgrees

__all__ = ["check_keys", "check_required", "listed"]


def check_keys(config: Config, destination: Destination) -> None:
    """Raise ConfigError for a key that the destination needs and that is missing, and for one that
    is there and would do nothing at this destination.
    """
    _check_population(config, destination)
    _check_rules(config, destination)


def _check_population(config: Config, destination: Destination) -> None:
    if destination.needs_population and config.population is None:
        raise ConfigError(
            f"{destination.name} needs the id of the population that the events belong to",
            where="population",
            hint='population = "00000000-0000-4000-8000-000000000000" stands at the top.',
        )
    if not destination.needs_population and config.population is not None:
        raise ConfigError(
            f"{destination.name} knows no population",
            where="population",
            hint="Delete the line, or check `destination`.",
        )


def _check_rules(config: Config, destination: Destination) -> None:
    """Whether each rule is about something that the destination has, as the kinds of its fields and
    its checks say. A rule that says what holds without it promises nothing, and passes.
    """
    kinds = {field.kind for field in destination.fields}
    checks = {type(check) for check in destination.checks}
    phones = not kinds.isdisjoint({Kind.PHONE, Kind.TARGET})
    about = {
        "phone": (phones, "phones"),
        "phone_region": (phones, "phones"),
        "custom_value_max": (Kind.CUSTOM in kinds, "custom fields"),
        "event_types": (Kind.EVENT_TYPE in kinds, "event types"),
        "contact_id": (Kind.UUID in kinds, "ids that are UUIDs"),
        "contact": (
            any(field.name.startswith("contact.") for field in destination.fields),
            "fields of a contact",
        ),
        "reachable": (AnyOf in checks, "contacts that it must be able to reach"),
        "allow_email_targets": (TargetAgrees in checks, "targets"),
    }
    usual = Rules()
    for name, (there, what) in about.items():
        if not there and getattr(config.rules, name) != getattr(usual, name):
            raise ConfigError(
                f"{destination.name} knows no {what}, so this rule would do nothing",
                where=f"[rules] {name}",
                hint="Delete the line, or check `destination`.",
            )


def check_required(config: Config, destination: Destination, bound: set[str]) -> None:
    """Raise ConfigError where no value is given for a field that must be there."""
    missing = [
        field.name for field in destination.fields if field.required and field.name not in bound
    ]
    if destination.time_field in missing:
        raise ConfigError(
            f"{destination.name} needs the time of every event for {destination.time_field}",
            where="[events] time",
            hint='time = "…" names the column that says when it happened.',
        )
    if missing:
        raise ConfigError(
            f"{destination.name} needs {listed(missing)}, which nothing is mapped to",
            where="[fields]",
            hint="A column, a constant { value = … } or a table { column = …, values = … } will do."
            + (
                " It has no default, since its meaning is yours to decide."
                if "confidence" in missing
                else ""
            ),
        )
    for name in config.rules.drop_invalid:
        field = destination.field_for(name)
        if name not in bound and name in config.fields:
            continue  # it stays out anyway, by `contact = "identifiers"`
        if name not in bound:
            raise ConfigError(
                f"{name!r} is not a mapped field",
                where="[rules] drop_invalid",
                hint=did_you_mean(name, bound),
            )
        if field is not None and field.required:
            raise ConfigError(
                f"{name!r} is required, so a record without it cannot be kept",
                where="[rules] drop_invalid",
            )


def listed(names: Iterable[str]) -> str:
    """Names as a part of a sentence: `a, b and c`."""
    *rest, last = names
    return f"{', '.join(rest)} and {last}" if rest else last
