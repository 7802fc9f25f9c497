"""What the job is bound to: its sources with their hashes, its configuration, its versions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from backfill.jobdir.manifest import Manifest
from backfill.report.markup import Html, printable, tag, without_secrets
from backfill.report.tables import table
from backfill.report.wording import amount, clock, moment, records, size
from backfill.sources.entries import SourceEntry

__all__ = ["bound_section"]

_MOST_FILES = 200
_LONGEST = 20_000  # characters of the configuration that are shown


def bound_section(manifest: Manifest) -> Html:
    """The last section: everything needed to say what was sent, and from what."""
    facts = manifest.facts
    plan = [
        ("Planned", clock(manifest.created)),
        (
            "First and last time",
            f"{moment(facts.first_time)} to {moment(facts.last_time)}"
            if facts.first_time and facts.last_time
            else "none",
        ),
        ("Requests needed", amount(facts.requests)),
        ("Ordering keys", amount(facts.keys)),
        ("Busiest key", records(facts.longest_key)),
        ("Longest lane", records(facts.longest_lane)),
        (
            "The same record",
            "equal in " + ", ".join(manifest.identity) if manifest.identity else "-",
        ),
        ("Columns nothing uses", ", ".join(facts.unused_columns) or "none"),
    ]
    versions = [
        ("Destination", manifest.destination),
        ("Population", manifest.population or "-"),
        ("Configuration", without_secrets(manifest.config_path or "given in the program")),
        ("Its SHA-256", manifest.shape_sha256),
        ("backfill", manifest.backfill),
        ("Polars", manifest.polars),
    ]
    return tag(
        "section",
        tag("h2", "What it is bound to", id="bound-title"),
        tag("p", "A job refuses to go on when one of these is no longer what it was planned from."),
        _sources("Events", manifest.events),
        _sources("Contacts", manifest.contacts) if manifest.contacts else None,
        tag("h3", "Configuration"),
        _pairs(versions),
        _json("What shapes the records", manifest.shape),
        _json("How they are delivered (may change between runs)", manifest.delivery),
        tag("h3", "Plan"),
        _pairs(plan),
        tag("h3", "Notes") if facts.warnings else None,
        tag("ul", [tag("li", tag("bdi", printable(each))) for each in facts.warnings])
        if facts.warnings
        else None,
        id="bound",
        aria_labelledby="bound-title",
    )


def _sources(title: str, entries: tuple[SourceEntry, ...]) -> Html:
    rows = [
        (
            tag("bdi", without_secrets(entry.name)),
            amount(entry.rows),
            size(entry.size),
            tag("code", entry.sha256),
        )
        for entry in entries[:_MOST_FILES]
    ]
    left = len(entries) - len(rows)
    return tag(
        "div",
        tag("h3", title),
        table(
            f"{title} files",
            ("File", "Rows", "Size", "SHA-256"),
            rows,
            numbers={1, 2},
            wrap={0, 3},
            kind="stacked",
        ),
        tag("p", f"And {amount(left)} more files, which manifest.json lists.") if left else None,
    )


def _pairs(pairs: list[tuple[str, str]]) -> Html:
    return tag(
        "dl",
        [
            tag("div", tag("dt", name), tag("dd", tag("bdi", printable(value))))
            for name, value in pairs
        ],
        class_="pairs",
    )


def _json(title: str, content: Mapping[str, Any]) -> Html | None:
    shown = _shown(content)
    if not shown:
        return None
    text = json.dumps(shown, indent=2, ensure_ascii=False)
    return tag("details", tag("summary", title), tag("pre", printable(text, _LONGEST)))


def _shown(content: Any) -> Any:
    """Settings that say something, without what could be a secret inside an address."""
    if isinstance(content, Mapping):
        return {
            key: _shown(value) for key, value in content.items() if value not in (None, (), [], {})
        }
    if isinstance(content, list | tuple):
        return [_shown(each) for each in content]
    return without_secrets(content) if isinstance(content, str) else content
