"""The page: every section in the order in which a colleague would ask."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from backfill.checks.rule import Rule
from backfill.checks.rules import rule_named
from backfill.core.atomic_files import free_name
from backfill.core.terminal import path_argument
from backfill.core.version import VERSION
from backfill.destinations import destination
from backfill.report.charts import READY, draw
from backfill.report.gather import Figures
from backfill.report.templating import printable, render, without_secrets
from backfill.report.timeline_bins import percentile

__all__ = ["page"]

_LONGEST = 20_000  # characters of the configuration that are shown


def page(figures: Figures) -> str:
    """The whole report as one HTML document that asks nothing of any network."""
    style = render("page.css")
    return render(
        "page.html",
        figures=figures,
        status=figures.status,
        books=figures.status.books,
        manifest=figures.manifest,
        facts=figures.manifest.facts,
        timeline=figures.timeline,
        total=figures.timeline.total,
        title=destination(figures.manifest.destination).title,
        version=VERSION,
        style=style,
        digest=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        job=path_argument(figures.status.job),
        free_name=free_name,
        charts=draw(figures),
        percentile=percentile,
        ready=READY,
        rule_named=_rule_named,
        settings=_settings,
    )


def _rule_named(name: str) -> Rule | None:
    try:
        return rule_named(name)
    except KeyError:  # a destination's own, or one of another version
        return None


def _settings(content: Mapping[str, Any]) -> str:
    """Settings that say something, without what could be a secret inside an address."""

    def said(part: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in part.items() if value not in (None, [])}

    text = json.dumps(
        json.loads(json.dumps(content), object_hook=said), indent=2, ensure_ascii=False
    )
    return printable(without_secrets(text), _LONGEST)
