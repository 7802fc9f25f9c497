"""The program as an installation without extras has it: what only they bring cannot be imported.

`python -m tests.acceptance.base_installation plan a.toml -- show a.toml 1` runs one command after
the other, and ends with the highest of their codes.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from itertools import groupby
from types import ModuleType

from packaging.requirements import Requirement

from backfill.cli import command_line


def _installed(name: str, found: set[str]) -> set[str]:
    """A distribution and all that it needs, without extras, by their normalized names."""
    if (own := re.sub(r"[-_.]+", "-", name).lower()) not in found:
        found.add(own)
        try:
            needed = [Requirement(each) for each in requires(name) or ()]
        except PackageNotFoundError:
            return found
        for each in needed:
            if each.marker is None or each.marker.evaluate({"extra": ""}):
                _installed(each.name, found)
    return found


class _Refuse(MetaPathFinder):
    """Finds none of these modules, and lets nobody else find them."""

    def __init__(self, modules: set[str]) -> None:
        self.modules = modules

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] in self.modules:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def without_extras() -> None:
    """Have no module be importable that only extras bring."""
    base = _installed("backfill", set())
    others = {
        module
        for module, names in packages_distributions().items()
        if base.isdisjoint(re.sub(r"[-_.]+", "-", each).lower() for each in names)
    }
    for name in [each for each in sys.modules if each.partition(".")[0] in others]:
        del sys.modules[name]
    sys.meta_path.insert(0, _Refuse(others))


if __name__ == "__main__":
    without_extras()
    codes = []
    for between, words in groupby(sys.argv[1:], lambda each: each == "--"):
        if not between:
            sys.argv = ["backfill", *words]
            codes.append(command_line())
    sys.exit(max(codes))
