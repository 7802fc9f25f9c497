"""A witness that asked the accused would prove nothing."""

from __future__ import annotations

import ast
from pathlib import Path

import backfill.sandbox

ALLOWED = ("backfill.core.errors", "backfill.core.model", "backfill.sandbox")


def test_the_sandbox_imports_nothing_of_what_it_judges():
    """`declared.py` alone plays destinations of others by what they declare."""
    files = sorted(Path(backfill.sandbox.__file__).parent.glob("*.py"))
    assert len(files) > 5
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [each.name for each in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0
                names = [f"{node.module}.{each.name}" for each in node.names]
            for name in names:
                if name.split(".")[0] == "backfill" and file.name != "declared.py":
                    assert name.startswith(ALLOWED), f"{file.name} imports {name}"
