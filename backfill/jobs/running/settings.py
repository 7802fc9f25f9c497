"""The settings of one run: the configuration's, with what was said for this run alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from backfill.config import Config, Delivery
from backfill.config.validation_messages import in_words
from backfill.core.errors import ConfigError, did_you_mean
from backfill.core.urls import address_of, check_base_url
from backfill.deliver import Settings
from backfill.destination import Destination
from backfill.jobdir.manifest import Manifest
from backfill.jobdir.pace_file import PaceSetting

__all__ = ["address_for", "delivery_for", "refuse_endpoint", "settings_for"]

_MARK = "00000000-0000-4000-8000-000000000000"  # stands for a population


def delivery_for(config: Config | None, manifest: Manifest, changes: Mapping[str, Any]) -> Delivery:
    """The [delivery] section with this run's changes; a change of None is none.

    Without a configuration the settings are those that the job was planned with. Raises
    ConfigError, naming the nearest setting.
    """
    given = {name: value for name, value in changes.items() if value is not None and name != "only"}
    for name in given:
        if name not in Delivery.model_fields:
            raise ConfigError(
                f"a run has no setting {name!r}",
                hint=did_you_mean(name, (*Delivery.model_fields, "only", "on")),
            )
    before = config.delivery.model_dump(mode="json") if config else dict(manifest.delivery)
    try:
        return Delivery.model_validate({**before, **given})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise ConfigError(in_words(first), where=name) from None


def address_for(config: Config, destination: Destination, base_url: str | None = None) -> str:
    """The address that a run with this `base_url` would send to. Raises ConfigError."""
    url = _base_url(base_url or config.delivery.base_url or destination.base_url)
    refuse_endpoint(url, destination)
    return address_of(url)


def refuse_endpoint(base_url: str, destination: Destination) -> None:
    """Raise ConfigError for a `base_url` that ends in the API's own path, as a vendor's page shows
    the whole address: the path would be added once more.
    """
    population = _MARK if destination.needs_population else None
    before, mark, after = destination.path(population).partition(_MARK)
    own = re.escape(before.rstrip("/"))
    if mark:
        own += f"(?:/[^/]+)?{re.escape(after)}"
    # Of a path of one part nobody can say that it is not where a gateway puts the API.
    if before.count("/") > 1 and (whole := re.fullmatch(f"(.*){own}", base_url.rstrip("/"))):
        raise ConfigError(
            f"the address ends in the path of {destination.title}, which is added to it",
            where="delivery.base_url",
            hint=f'Leave the path out: base_url = "{whole[1]}".',
        )


def settings_for(
    delivery: Delivery,
    destination: Destination,
    only: Mapping[str, str | Sequence[str]] | None = None,
    pace: PaceSetting | None = None,
) -> Settings:
    """What `deliver` needs; `only` maps fields of the body to the value or values to send, and
    `pace` is what `delivery` holds already of what was said beside runs.

    Raises ConfigError for an address that is not https, for a field that the destination does not
    take, and for a value that is no text.
    """
    base_url = _base_url(delivery.base_url or destination.base_url)
    return Settings(
        base_url=base_url,
        rate=delivery.rate.per_second if delivery.rate else None,
        concurrency=delivery.concurrency,
        guarantee=delivery.guarantee,
        max_errors_count=delivery.max_errors.count,
        max_errors_fraction=delivery.max_errors.fraction,
        timeout=delivery.timeout,
        max_wait=delivery.max_wait,
        # Nobody who would wait five seconds for a server wants to wait longer for none.
        patience=min(delivery.patience, max(delivery.max_wait, 1.0)),
        limit=delivery.limit,
        max_duration=delivery.max_duration,
        only={
            _known_field(name, destination): _texts(name, value)
            for name, value in _chosen(only).items()
        },
        pace=pace or PaceSetting(),
    )


def _chosen(only: object) -> Mapping[str, str | Sequence[str]]:
    if only is None:
        return {}
    if not isinstance(only, Mapping):
        raise ConfigError(
            "maps fields to values", where="only", hint='Such as only={"contact.id": "…"}.'
        )
    return only


def _known_field(name: str, destination: Destination) -> str:
    if destination.field_for(name) is None:
        known = [each.name for each in destination.fields]
        raise ConfigError(
            f"{destination.title} has no field {name!r}",
            where="only",
            hint=did_you_mean(name, known) or f"Fields are {', '.join(known)}.",
        )
    return name


def _texts(name: str, value: object) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) or not isinstance(value, Iterable) else list(value)
    texts = tuple(each for each in values if isinstance(each, str))
    if not texts or len(texts) < len(values):
        raise ConfigError("takes a text or a list of texts", where=f"only[{name!r}]")
    return texts


def _base_url(url: str) -> str:
    check_base_url(url)
    return url.rstrip("/")
