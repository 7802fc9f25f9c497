"""The real program in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Ended", "backfill", "start"]

CREDENTIALS = {
    "PRISTO_API_KEY": "99999999-8888-4777-8666-555555555555",
    "PRELUDE_API_TOKEN": "sk_invented_token_for_tests",
}


@dataclass(frozen=True)
class Ended:
    """What a process left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.out)
        return content


def start(
    *arguments: object, cwd: Path, prefix: Sequence[str] = (), **environment: str
) -> subprocess.Popen[str]:
    """Start the program, behind a `prefix` such as `nice`, and let it run."""
    return subprocess.Popen(
        [*prefix, sys.executable, "-m", "backfill", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **CREDENTIALS, "POLARS_MAX_THREADS": "2", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def backfill(
    *arguments: object, cwd: Path, timeout: float = 60, expect: Sequence[int] = (), **env: str
) -> Ended:
    """Run the program to its end; `expect` are the exit codes that are right."""
    process = start(*arguments, cwd=cwd, **env)
    out, err = process.communicate(timeout=timeout)
    ended = Ended(process.returncode, out, err)
    assert not expect or ended.code in expect, f"exit code {ended.code}\n{out}\n{err}"
    assert "Traceback" not in err, err
    return ended
