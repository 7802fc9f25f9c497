"""Write `licences.md` from the metadata of the packages that are installed.

    python -m docs.licences

What the program needs comes first, then what only its tests do.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

__all__ = ["needed", "page"]

_PAGE = Path(__file__).with_name("licences.md")
_LONGEST = 60  # characters: a longer `License` field is the whole text of one
_OURS = "backfill"


def needed(*extras: str) -> dict[str, metadata.Distribution]:
    """All packages that are installed because of ours, by name; with what our extras add."""
    found: dict[str, metadata.Distribution] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(_OURS, extra) for extra in ("", *extras)]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # its condition does not hold on this machine
        for each in map(Requirement, found[name].requires or ()):
            if each.marker is None or each.marker.evaluate({"extra": extra}):
                other = canonicalize_name(each.name)
                waiting += [(other, wanted) for wanted in ("", *each.extras)]
    del found[_OURS]
    return found


def _licence(package: metadata.Distribution) -> str:
    about = package.metadata
    if "License-Expression" in about:
        return about["License-Expression"]
    classified = [
        each.rpartition(" :: ")[2]
        for each in about.get_all("Classifier") or ()
        if each.startswith("License :: ")
    ]
    if classified:
        return ", ".join(sorted(set(classified)))
    text = about["License"].strip() if "License" in about else ""
    return text if text and len(text) <= _LONGEST and "\n" not in text else "not stated"


def page() -> str:
    """The page, as Markdown."""
    runtime = needed("cluster", "notebook", "postgres", "report", "speed")
    everything = runtime | needed("test")
    lines = ["# Licences", "", "Made by `python -m docs.licences` from installed metadata."]
    for title, names in (
        ("The program", sorted(runtime)),
        ("Its tests, in addition", sorted(set(everything) - set(runtime))),
    ):
        lines += ["", f"## {title}", "", "| package | licence |", "|---|---|"]
        lines += [f"| {name} | {_licence(everything[name])} |" for name in names]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    _PAGE.write_text(page(), encoding="utf-8")
