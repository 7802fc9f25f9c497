"""What a destination needs of a configuration before any of its columns is looked at."""

from __future__ import annotations

from collections.abc import Iterable

from backfill.config import Config
from backfill.core.errors import ConfigError, did_you_mean
from backfill.destination import Destination

__all__ = ["check_population", "check_required", "listed"]


def check_population(config: Config, destination: Destination) -> None:
    """Raise ConfigError where the population is missing, or where there is none to name."""
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
