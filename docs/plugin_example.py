"""The package that the page about destinations shows, as the tests install it."""

from __future__ import annotations

from pathlib import Path

__all__ = ["plugin_module", "plugin_project"]

_PACKAGE = Path(__file__).parents[1] / "tests" / "plugin_package"


def plugin_module() -> str:
    """Its only module."""
    return _block("python", "acme_visits.py")


def plugin_project() -> str:
    """What it says of itself."""
    return _block("toml", "pyproject.toml")


def _block(language: str, name: str) -> str:
    return f"```{language}\n{(_PACKAGE / name).read_text(encoding='utf-8')}```"
