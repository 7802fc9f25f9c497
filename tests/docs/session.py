"""A page's marked blocks, run in order in a directory of its own by real processes.

Those of the program are forked: importing it anew for each command would take longer than all that
these do.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from tests.docs.pages import ROOT, Block
from tests.forked.program import command_in
from tests.free_port import free_port

__all__ = ["Session"]

_SAMPLES = ROOT / "sample_data"
_PORT = "8080"  # the port in the pages; a free one takes its place
_PRELUDE = """\
set -euo pipefail
. ./.state 2>/dev/null || true
trap '{ export -p; printf "cd %q\\n" "$PWD"; } > "$SESSION/.state"' EXIT
backfill() {
    # The demo runs for half a minute and has a test of its own; here its files are enough.
    if [ "$1" = demo ]; then
        mkdir "$3" && cp "$SAMPLES"/*.csv "$SAMPLES"/*.parquet "$SAMPLES"/*.toml "$3"
        [ -z "$EVENTS" ] || cp "$EVENTS" "$3"
    else
        command backfill "$@"
    fi
}
"""


class Session:
    """Runs blocks as their marks say. What is left running ends with it.

    The demo's files have all `events` of the sample data, or so many.
    """

    def __init__(self, directory: Path, *, events: int | None = None) -> None:
        self._directory = directory
        self._events = ""
        if events is not None:
            fewer = directory / ".fewer" / "events.parquet"
            fewer.parent.mkdir()
            pl.read_parquet(_SAMPLES / fewer.name).head(events).write_parquet(fewer)
            self._events = str(fewer)
        self._port = free_port()
        self._commands = directory / ".commands"
        self._commands.mkdir()
        command_in(self._commands)
        self._output = ""
        self._running: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for process in self._running:
            process.terminate()
            process.wait(timeout=20)
            if process.stdout is not None:
                process.stdout.close()

    def follow(self, block: Block) -> None:
        """Do what the block's mark says. Raises AssertionError where it is not as the page says."""
        kind, _, words = block.mark.partition(": ")
        text = block.text.replace(_PORT, str(self._port))
        if kind == "file":
            path = self._place() / words
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif kind == "output":
            self._compare(block, text)
        elif kind == "run" and words == "with the next":
            self._keep(text)
        elif kind == "run" and words == "background":
            self._start(text)
        elif kind == "run":
            codes = {int(code) for code in words.removeprefix("exit ").split("|") if code} or {0}
            self._run(block, text, codes)
        else:
            raise AssertionError(f"{block.place}: no such mark: {block.mark}")

    def _run(self, block: Block, text: str, codes: set[int]) -> None:
        self._stays_here(block, text)
        if block.language == "python":
            command = [sys.executable, str(self._keep(text))]
        else:
            command = ["bash", "-c", _PRELUDE + text]
        done = subprocess.run(
            command,
            cwd=self._directory,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=90,
            check=False,
        )
        self._output = done.stdout
        assert done.returncode in codes, f"{block.place}: exit {done.returncode}\n{done.stdout}"
        assert "Traceback" not in done.stdout, f"{block.place}\n{done.stdout}"

    def _keep(self, text: str) -> Path:
        """A page's Python goes on where the block before ended, as cells of a notebook do."""
        script = self._directory / ".script.py"
        with script.open("a", encoding="utf-8") as file:
            file.write(text + "\n")
        return script

    def _start(self, text: str) -> None:
        process = subprocess.Popen(
            shlex.split(text),
            cwd=self._place(),
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._running.append(process)
        assert process.stdout is not None
        assert str(self._port) in process.stdout.readline()

    def _compare(self, block: Block, text: str) -> None:
        """Each stretch of shown lines is in the output, in order; `…` is for what is not shown."""
        shown = _lines(self._output)
        at = 0
        for stretch in _stretches(_lines(text)):
            end = len(stretch)
            found = next((i for i in range(at, len(shown)) if shown[i : i + end] == stretch), None)
            assert found is not None, f"{block.place}: not in the output:\n" + "\n".join(
                [*stretch, "--- output", *shown]
            )
            at = found + end

    def _stays_here(self, block: Block, text: str) -> None:
        """No example may send anything to another machine."""
        for config in re.findall(r"^backfill run (\S+)(?!.*127\.0\.0\.1)", text, re.MULTILINE):
            settings = (self._place() / config).read_text(encoding="utf-8")
            assert "127.0.0.1" in settings, f"{block.place}: {config} is sent elsewhere"

    def _place(self) -> Path:
        """Where the page's last `cd` led."""
        state = self._directory / ".state"
        moves = re.findall(r"^cd (.+)$", state.read_text(), re.MULTILINE) if state.exists() else []
        return Path(shlex.split(moves[-1])[0]) if moves else self._directory

    def _environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PRELUDE_", "PRISTO_"))
        }
        return {
            **kept,
            "PATH": os.pathsep.join(
                [str(self._commands), str(Path(sys.executable).parent), kept.get("PATH", "")]
            ),
            "SESSION": str(self._directory),
            "SAMPLES": str(_SAMPLES),
            "EVENTS": self._events,
            "POLARS_MAX_THREADS": "2",
            "PYTHONPATH": str(ROOT),
        }


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def _stretches(lines: list[str]) -> Iterator[list[str]]:
    stretch: list[str] = []
    for line in [*lines, "…"]:
        if line.strip() != "…":
            stretch.append(line)
        elif stretch:
            yield stretch
            stretch = []


assert shutil.which("bash") is not None, "the examples are for a POSIX shell"
