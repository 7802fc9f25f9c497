"""Write `licences.md` from the metadata of the packages that are installed.

    python -m docs.licences

What the program needs comes first, then what only its tests do.
"""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

__all__ = ["needed", "page"]

_PAGE = Path(__file__).with_name("licences.md")
_LONGEST = 60  # characters: a longer `License` field is the whole text of one
_OURS = "backfill"


def _named(requirement: str) -> tuple[str, str]:
    """The canonical name of a requirement, and the condition under which it is one."""
    text, _, marker = requirement.partition(";")
    name = re.match(r"[A-Za-z0-9._-]+", text.strip())
    return re.sub(r"[-_.]+", "-", name[0]).lower() if name else "", marker.strip()


def needed(extra: str | None) -> dict[str, metadata.Distribution]:
    """All packages that are installed because of ours, by name; with what an extra adds."""
    wanted = {"docs", "report", "test"} if extra == "test" else {extra}
    found: dict[str, metadata.Distribution] = {}
    waiting = [_OURS]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # its condition does not hold on this machine
        for requirement in found[name].requires or ():
            other, marker = _named(requirement)
            asked = re.search(r"""extra\s*==\s*['"]([^'"]+)""", marker)
            if asked is None or (name == _OURS and asked[1] in wanted):
                waiting.append(other)
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
    runtime, everything = needed("report"), needed("test")
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
