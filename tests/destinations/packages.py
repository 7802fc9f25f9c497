"""Packages that bring destinations, as pip leaves them: modules and metadata."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

__all__ = ["add_package"]


def add_package(site: Path, package: str, entries: Mapping[str, str], **modules: str) -> None:
    """Put a package into a directory of `sys.path`: entry points by name, modules by name."""
    site.mkdir(parents=True, exist_ok=True)
    info = site / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n", encoding="utf-8"
    )
    lines = [f"{name} = {value}" for name, value in entries.items()]
    (info / "entry_points.txt").write_text(
        "\n".join(["[backfill.destinations]", *lines, ""]), encoding="utf-8"
    )
    for name, text in modules.items():
        (site / f"{name}.py").write_text(text, encoding="utf-8")
