"""The program: a command line of it, a process that is forked, or one of its own from the start."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from backfill.cli import command_line
from tests.forked.program import Program

__all__ = [
    "CREDENTIALS",
    "Ended",
    "backfill",
    "backfill_in_a_process",
    "command_of",
    "credential_of",
    "environment",
    "start",
    "start_anew",
]

CREDENTIALS = {
    "PRISTO_API_KEY": "99999999-8888-4777-8666-555555555555",
    "PRELUDE_API_TOKEN": "sk_invented_token_for_tests",
}


def credential_of(destination: str) -> str:
    """What the program was given to send to a destination with."""
    return CREDENTIALS["PRISTO_API_KEY" if destination == "pristo-events" else "PRELUDE_API_TOKEN"]


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


def command_of(*arguments: object, prefix: Sequence[str] = ()) -> list[str]:
    """The program's command line, behind a `prefix` such as `nice`."""
    return [*prefix, sys.executable, "-m", "backfill", *map(str, arguments)]


def environment(**more: str) -> dict[str, str]:
    """What a process of the program is started with."""
    return {**os.environ, **CREDENTIALS, "POLARS_MAX_THREADS": "2", **more}


def start(*arguments: object, cwd: Path, **more: str) -> Program:
    """Start the program, and let it run; it is forked from a process that has imported it."""
    return Program(*arguments, directory=cwd, environment=environment(**more))


def start_anew(
    *arguments: object, cwd: Path, prefix: Sequence[str] = (), **more: str
) -> subprocess.Popen[str]:
    """The same from a command line, behind a `prefix` such as `nice`."""
    return subprocess.Popen(
        command_of(*arguments, prefix=prefix),
        cwd=cwd,
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def backfill(*arguments: object, cwd: Path, expect: Sequence[int] = (), **env: str) -> Ended:
    """Run a command line to its end in this process; `expect` are the exit codes that are right.

    All of the program but its process: what concerns that (signals, terminals, what is loaded,
    an end without a goodbye) is for the others here.
    """
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with (
        contextlib.chdir(cwd),
        Path(os.devnull).open(encoding="utf-8") as nothing,
        mock.patch.dict(os.environ, {**CREDENTIALS, **env}),
        mock.patch.multiple(sys, argv=["backfill", *map(str, arguments)], stdin=nothing),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            code = command_line()
        except KeyboardInterrupt:
            code = 130
    texts = [each.buffer.getvalue().decode() for each in (out, err)]
    return _expected(Ended(code, *texts), expect)


def backfill_in_a_process(
    *arguments: object, cwd: Path, timeout: float = 60, expect: Sequence[int] = (), **env: str
) -> Ended:
    """Run the program to its end, from its command line on; `expect` are the exit codes that are
    right.
    """
    process = start_anew(*arguments, cwd=cwd, **env)
    out, err = process.communicate(timeout=timeout)
    return _expected(Ended(process.returncode, out, err), expect)


def _expected(ended: Ended, expect: Sequence[int]) -> Ended:
    assert not expect or ended.code in expect, f"exit code {ended.code}\n{ended.out}\n{ended.err}"
    assert "Traceback" not in ended.err, ended.err
    return ended
