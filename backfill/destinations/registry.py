"""Finds destinations by the entry point group `backfill.destinations`, ours like anyone's.

Only the one that is asked for is imported, and nothing before it is: the list of names is read
from what the installed packages say of themselves.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import NamedTuple

from backfill.core.errors import ConfigError, did_you_mean
from backfill.destination import Destination, declaration_errors

__all__ = ["GROUP", "builtin_destinations", "destination", "installed_destinations", "known_names"]

GROUP = "backfill.destinations"
"""The entry point group; an entry's name is the destination's own, its value the class."""

_OWN = "backfill"  # the package whose destinations nobody may replace

log = logging.getLogger("backfill.destinations")


class _Offer(NamedTuple):
    """An entry point, and the name of the package that brings it."""

    point: EntryPoint
    package: str


def destination(name: str) -> Destination:
    """Look a destination up.

    Raises ConfigError with the nearest right name, or with what is wrong with the package that
    brings it.
    """
    return _destination(name, tuple(sys.path))


def builtin_destinations() -> dict[str, Destination]:
    """The destinations that come with this package, by name, in alphabetical order."""
    return {name: destination(name) for name, offers in _found().items() if _own(offers)}


def installed_destinations() -> dict[str, Destination]:
    """All destinations that can be used, by name, ours first.

    What cannot be used is logged as a warning and left out.
    """
    usable = builtin_destinations()
    for name in sorted(_found().keys() - usable.keys()):
        try:
            usable[name] = destination(name)
        except ConfigError as error:
            log.warning("%s", error)
    return usable


def known_names() -> frozenset[str]:
    """The names of all installed destinations, usable or not."""
    return frozenset(_found())


@lru_cache(maxsize=64)
def _destination(name: str, path: Sequence[str]) -> Destination:
    """`path` is where modules are looked for: what is found elsewhere is another destination."""
    del path
    found = _found()
    offers = found.get(name, [])
    if not any(map(_own, found.values())):
        raise ConfigError(
            f"there is no destination {name!r}, and not even one of backfill's own",
            where="destination",
            hint="Its package metadata is missing or older than its code: install backfill again.",
        )
    if not offers:
        raise ConfigError(
            f"there is no destination {name!r}",
            where="destination",
            hint=did_you_mean(name, found) or "A package that brings it has to be installed first.",
        )
    own = _own(offers)
    others = [offer for offer in offers if offer is not own]
    if own is None and len(others) > 1:
        raise ConfigError(
            f"several packages bring a destination {name!r}: {_listed(others)}",
            where="destination",
            hint="Uninstall all but one of them.",
        )
    if own is not None and others:
        log.warning(
            "%s brings a destination %r, which is the name of one of backfill's own: that one is"
            " used",
            _listed(others),
            name,
        )
    return _loaded(own or others[0])


def _found() -> Mapping[str, list[_Offer]]:
    """The entry points by name, in alphabetical order.

    Every installed package is read for them, so they are read again only where a directory of
    packages has changed, as `importlib.metadata` lists its packages anew.
    """
    return _found_in(tuple((each, _changed(each)) for each in sys.path))


def _changed(directory: str) -> int | None:
    """When something was last put into a directory, or taken out, in nanoseconds."""
    try:
        return Path(directory).stat().st_mtime_ns
    except OSError:
        return None


@lru_cache(maxsize=16)
def _found_in(directories: Sequence[tuple[str, int | None]]) -> Mapping[str, list[_Offer]]:
    del directories  # what is found elsewhere, or later, are other entry points
    found: dict[str, list[_Offer]] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda each: each.name):
        package = point.dist.name if point.dist is not None else "an unknown package"
        found.setdefault(point.name, []).append(_Offer(point, package))
    return found


def _own(offers: Sequence[_Offer]) -> _Offer | None:
    return next((offer for offer in offers if offer.package == _OWN), None)


def _listed(offers: Sequence[_Offer]) -> str:
    return ", ".join(sorted(offer.package for offer in offers))


def _loaded(offer: _Offer) -> Destination:
    """Import a destination and look whether it is whole. Raises ConfigError."""
    try:
        made = offer.point.load()
    except (Exception, SystemExit) as error:
        raise _broken(offer, f"cannot be imported: {type(error).__name__}: {error}") from error
    if not isinstance(made, type) or not issubclass(made, Destination):
        raise _broken(offer, "is no subclass of backfill.destination.Destination")
    try:
        destination = made()
        errors = list(declaration_errors(destination))
    except Exception as error:
        raise _broken(offer, f"cannot be made: {type(error).__name__}: {error}") from error
    if not errors and destination.name != offer.point.name:
        errors = [f"`name` is {destination.name!r}, while its entry point is {offer.point.name!r}"]
    if errors:
        raise _broken(offer, "is incomplete: " + "; ".join(errors))
    return destination


def _broken(offer: _Offer, what: str) -> ConfigError:
    return ConfigError(
        f"the destination {offer.point.name!r} of the package {offer.package} {what}",
        where="destination",
        hint=f"It comes from {offer.point.value}; its authors can test it with backfill.testing.",
    )
