"""The page: every section in the order in which a colleague would ask."""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from collections.abc import Mapping
from typing import Any

from backfill.checks.rules import Rule, rule_named
from backfill.core.atomic_files import free_name
from backfill.core.model import Tick
from backfill.core.version import VERSION
from backfill.deliver.run.run_metrics import SLICE
from backfill.destinations import destination
from backfill.report.charts import READY, draw
from backfill.report.drawing import books_chart
from backfill.report.gather import Figures
from backfill.report.templating import printable, render, source, without_secrets
from backfill.report.timeline_bins import percentile

__all__ = ["page"]

_LONGEST = 20_000  # characters of the configuration that are shown


def page(figures: Figures) -> str:
    """The whole report as one HTML document that asks nothing of any network."""
    style = source("page.css")
    status, manifest, course = figures.status, figures.manifest, figures.course
    return render(
        "page.html",
        figures=figures,
        status=status,
        manifest=manifest,
        facts=manifest.facts,
        title=destination(manifest.destination).title,
        version=VERSION,
        style=style,
        digest=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        books=books_chart(status.books),
        job=shlex.quote(status.job),
        free_name=free_name,
        total=Tick.total(0, [each.total for each in course.bins]),
        slice=SLICE,
        charts=draw(figures),
        percentile=percentile,
        ready=READY,
        rule_named=_rule_named,
        by_count=_by_count,
        settings=_settings,
    )


def _by_count(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Names with their numbers, the largest first."""
    return sorted(
        ((name, count) for name, count in counts.items() if count),
        key=lambda each: (-each[1], each[0]),
    )


def _rule_named(name: str) -> Rule | None:
    try:
        return rule_named(name)
    except KeyError:  # a destination's own, or one of another version
        return None


def _settings(content: Mapping[str, Any]) -> str:
    """Settings that say something, without what could be a secret inside an address."""

    def said(part: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in part.items() if value not in (None, [], {})}

    shown = json.loads(json.dumps(content), object_hook=said)
    text = json.dumps(shown, indent=2, ensure_ascii=False) if shown else ""
    return printable(without_secrets(text), _LONGEST)
