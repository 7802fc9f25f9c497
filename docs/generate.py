"""Fill in the parts of the pages that are made from the code.

    python -m docs.generate            rewrite them
    python -m docs.generate --check    leave with 1 where one is out of date

A part stands between `<!-- made from NAME -->` and `<!-- end -->`; `PARTS` says what makes it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from backfill.destinations import builtin_destinations
from docs.config_tables import config_table, fields_table
from docs.layering_table import contracts_table, layers_table
from docs.plugin_example import plugin_module, plugin_project
from docs.program_tables import commands, exit_codes, faults, rules_of_destination, rules_table
from docs.verdict_table import verdict_table

__all__ = ["PAGES", "PARTS", "filled", "main"]

PAGES = Path(__file__).parent

PARTS: Mapping[str, Callable[[], str]] = {
    "commands": commands,
    "exit codes": exit_codes,
    "contracts": contracts_table,
    "faults": faults,
    "layers": layers_table,
    "plugin module": plugin_module,
    "plugin project": plugin_project,
    "rules": rules_table,
    "verdicts": verdict_table,
    **{
        f"config {name}": partial(config_table, name)
        for name in (
            "Config",
            "Files",
            "Events",
            "Contacts",
            "Rules",
            "Dedupe",
            "Delivery",
            "Cluster",
        )
    },
    **{f"fields {name}": partial(fields_table, name) for name in builtin_destinations()},
    **{f"rules {name}": partial(rules_of_destination, name) for name in builtin_destinations()},
}
"""What each part is made by."""

_PART = re.compile(r"(<!-- made from ([^>]+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text: str) -> str:
    """A page with its parts made anew. Raises KeyError for a part that nothing makes."""
    return _PART.sub(lambda part: f"{part[1]}\n{PARTS[part[2]]().strip()}\n\n{part[3]}", text)


def main(arguments: list[str]) -> int:
    """Rewrite the pages, or only look whether they are as they should be."""
    stale = []
    for page in sorted(PAGES.rglob("*.md")):
        before = page.read_text(encoding="utf-8")
        after = filled(before)
        if before != after:
            stale.append(page)
            if "--check" not in arguments:
                page.write_text(after, encoding="utf-8")
    for page in stale:
        sys.stdout.write(f"{page.relative_to(PAGES)}\n")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
