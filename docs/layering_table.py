"""Which package may import which, as import-linter's contracts in `pyproject.toml` say."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path
from typing import Any

__all__ = ["contracts_table", "layers_table"]

_ROOT = Path(__file__).parents[1]


def layers_table() -> str:
    """The layers from the top down, with what each package says of itself."""
    (layers,) = (each["layers"] for each in _contracts() if each["type"] == "layers")
    lines = [
        f"| {level} | `{name.strip()}` | {_first_sentence(name.strip())} |"
        for level, layer in enumerate(reversed(layers))
        for name in layer.split("|")
    ]
    lines.sort(key=lambda line: -int(line.split("|")[1]))
    return "\n".join(["| level | package | what lives there |", "|---:|---|---|", *lines])


def contracts_table() -> str:
    """The other contracts: who alone may import what."""
    lines = []
    for contract in _contracts():
        match contract["type"]:
            case "protected":
                what = ", ".join(f"`{each}`" for each in contract["protected_modules"])
                who = ", ".join(f"`{_short(each)}`" for each in contract["allowed_importers"])
                lines.append(f"| {contract['name']} | only {who} may import {what} |")
            case "forbidden":
                what = ", ".join(f"`{_short(each)}`" for each in contract["forbidden_modules"])
                who = ", ".join(f"`{_short(each)}`" for each in contract["source_modules"])
                lines.append(f"| {contract['name']} | {who} may not import {what} |")
            case "acyclic_siblings":
                lines.append(f"| {contract['name']} | no cycles, at any depth |")
    return "\n".join(["| contract | what it holds |", "|---|---|", *lines])


def _contracts() -> list[dict[str, Any]]:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts: list[dict[str, Any]] = project["tool"]["importlinter"]["contracts"]
    return contracts


def _short(module: str) -> str:
    return module.removeprefix("backfill.")


def _first_sentence(name: str) -> str:
    package = _ROOT / "backfill" / name
    path = package / "__init__.py" if package.is_dir() else package.with_suffix(".py")
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    first = " ".join(text.split("\n\n", maxsplit=1)[0].split())
    return first[:1].lower() + first[1:].rstrip(".")
