"""Jobs under attack: servers that answer nonsense, and files of a job that were changed."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from backfill.config import load_config
from backfill.core.errors import BackfillError
from backfill.core.secret import Secret
from backfill.jobdir.errors import reading
from backfill.jobs.job import Job
from backfill.jobs.opening import open_job, plan_job
from backfill.jobs.status import Status
from backfill.report.gather import gather
from backfill.report.page import page
from tests.fuzz.mutations import spoilt_bytes
from tests.fuzz.replies import lying
from tests.fuzz.targets import Target
from tests.promises import ServerLog, canonical, check_books, check_job

__all__ = ["Jobs", "Replies"]

_SECRET = "fuzz-5e2c1a90-credential"  # noqa: S105 - it opens nothing
_CREDENTIAL = Secret(_SECRET)
_HASTE: dict[str, Any] = {
    "rate": "2000/s",
    "concurrency": 6,
    "timeout": 0.25,
    "patience": 0.4,
    "max_wait": 0.3,
    "max_duration": 3.0,
    "max_errors": "100%",
}


_ROWS = 240
_HISTORY = """
destination = "pristo-events"
population = "00000000-0000-4000-8000-000000000000"
[events]
files = "history.csv"
time = "at"
[fields]
"contact.id" = "id"
"contact.email" = "email"
"type" = { value = "signup" }
"customFields.number" = "number"
"""
_FEEDBACKS = """
destination = "watch-feedbacks"
[events]
files = "history.csv"
time = "at"
[fields]
"target.value" = "phone"
"type" = { value = "verification.started" }
"metadata.correlation_id" = "number"
"""


def _make_history(place: Path) -> None:
    """A clean source, and one that repeats and breaks some rows, with their configurations."""
    rows = [
        f"{uuid.UUID(int=4 << 76 | 2 << 62 | row % 50)},{row}@example.com,+1202555{row % 50:04},"
        f"2025-01-01T00:{row % 60:02}:00Z,{row}"
        for row in range(_ROWS)
    ]
    head = "id,email,phone,at,number"
    (place / "history.csv").write_text("\n".join([head, *rows, ""]), encoding="utf-8")
    dirty = [*rows, *rows[:9], *(row.replace("-", "", 2) for row in rows[:9]), 'a,"b']
    (place / "dirty.csv").write_text("\n".join([head, *dirty, ""]), encoding="utf-8")
    (place / "pristo.toml").write_text(_HISTORY, encoding="utf-8")
    (place / "feedbacks.toml").write_text(_FEEDBACKS, encoding="utf-8")
    (place / "dirty.toml").write_text(_HISTORY.replace("history", "dirty"), encoding="utf-8")


def _settled(status: Status) -> Status:
    assert status.books.balanced, status.books
    assert sum(status.books.as_dict().values()) == 2 * status.books.input
    return status


class Replies(Target):
    """Servers that break every rule of HTTP, and of their own documents.

    Under at-most-once an item that was honestly accepted once comes only once, and what is
    called delivered was received.
    """

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        _make_history(place)

    def attack(self, chance: random.Random) -> str:
        name = chance.choice(("pristo", "feedbacks"))
        directory = self.place / "fuzzed.job"
        shutil.rmtree(directory, ignore_errors=True)
        job = plan_job(load_config(self.place / f"{name}.toml"), directory)
        return asyncio.run(self._deliver(job, chance))

    async def _deliver(self, job: Job, chance: random.Random) -> str:
        async with lying(chance, job.manifest.destination) as liar:
            status = await job.run_async(
                observe=lambda _: None, credential=_CREDENTIAL, base_url=liar.url, **_HASTE
            )
        assert open_job(job.directory).status().books == status.books
        log = ServerLog(liar.honest, received=liar.received)
        check_job(job.directory, log, secret=_SECRET)
        ready = job.sample(job.manifest.ready)["body"]
        known = {canonical(json.loads(body)) for body in ready}
        assert liar.received.keys() <= known, "something was sent that is no record of the job"
        failed = job.records("failed").join(job.sample(job.manifest.ready), on=["_file", "_row"])
        for body in failed["body"]:
            assert canonical(json.loads(body)) in liar.received, "failed, and never sent"
        return status.stop.kind.value if status.stop else "complete"


class Jobs(Target):
    """Directories of jobs in which a byte, a row or a whole file is not what it was."""

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        _make_history(place)
        self._config = place / "dirty.toml"
        self._whole = place / "whole.job"
        job = plan_job(load_config(self._config), self._whole)
        asyncio.run(self._begin(job))
        self._ready = job.manifest.ready

    async def _begin(self, job: Job) -> None:
        """Deliver some, so that the ledger has something to say."""
        chance = random.Random(2)
        async with lying(chance, job.manifest.destination) as liar:
            options = _HASTE | {"limit": _ROWS // 2}
            await job.run_async(
                observe=lambda _: None, credential=_CREDENTIAL, base_url=liar.url, **options
            )

    def attack(self, chance: random.Random) -> str:
        directory = self.place / "dirty.job"
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(self._whole, directory)
        files = sorted(path for path in directory.rglob("*") if path.is_file())
        for _ in range(chance.choice((1, 1, 2))):
            self._spoil(chance, chance.choice(files))
        words = []
        for use in chance.sample(_USES, 3):
            try:
                words.append(use(directory))
            except BackfillError as error:
                if not error.message.strip():
                    raise AssertionError("refused without a word") from error
                words.append("refused")
        return ", ".join(f"{count} {word}" for word, count in sorted(Counter(words).items()))

    def _spoil(self, chance: random.Random, path: Path) -> None:
        way = chance.randrange(8)
        if path.is_dir():  # spoilt before
            return
        if way == 0:
            path.unlink(missing_ok=True)
        elif way == 1:
            path.write_bytes(b"")
        elif way == 2:
            path.unlink(missing_ok=True)
            path.mkdir()
        elif path.is_file():
            data = path.read_bytes()
            if way == 3:
                path.write_bytes(data[: chance.randrange(len(data) + 1)])
            elif path.suffix == ".json" and way < 6:
                path.write_text(
                    _spoilt_json(chance, data.decode("utf-8", "replace")), encoding="utf-8"
                )
            elif path.suffix == ".parquet" and way == 4 and data == self._whole_of(path):
                pl.read_parquet(data).head(chance.randrange(5)).write_parquet(path)
            else:
                path.write_bytes(spoilt_bytes(chance, data))

    def _whole_of(self, path: Path) -> bytes:
        """The file before anything was done to it."""
        return (self._whole / path.relative_to(self.place / "dirty.job")).read_bytes()


def _spoilt_json(chance: random.Random, text: str) -> str:
    """The same JSON with one value changed for another of whatever kind."""
    try:
        content = json.loads(text)
    except ValueError:  # spoilt before
        return text[:-1]
    place: Any = content
    while True:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        if not keys:
            return text
        key = chance.choice(list(keys))
        if isinstance(place[key], dict | list) and place[key] and chance.random() < 0.8:
            place = place[key]
            continue
        place[key] = chance.choice(
            (None, 0, -1, 1, 2**70, 1.5, "", "x", "../x", [], {}, True, "\x00", "pristo-events")
        )
        return json.dumps(content)


def _look(directory: Path) -> str:
    _settled(open_job(directory).status())
    return "balanced"


def _records(directory: Path) -> str:
    check_books(open_job(directory))
    return "listed"


def _write(directory: Path) -> str:
    target = directory.parent / "records.csv"
    open_job(directory).write_records(target, "rejected")
    return "written"


def _frames(directory: Path) -> str:
    job = open_job(directory)
    assert job.rejected.width
    assert job.duplicates.width
    job.sample(3)
    return "framed"


def _retry(directory: Path) -> str:
    job = open_job(directory)
    job.retry()
    job.resolve("failed")
    _settled(job.status())
    return "settled"


def _report(directory: Path) -> str:
    with reading(directory):
        assert page(gather(open_job(directory))).encode()
    return "reported"


def _run(directory: Path) -> str:
    job = open_job(directory)
    _settled(
        job.run(
            observe=lambda _: None,
            credential=_CREDENTIAL,
            base_url="http://127.0.0.1:9",
            **{**_HASTE, "max_duration": 0.3},
        )
    )
    return "ran"


_USES: list[Callable[[Path], str]] = [_look, _records, _write, _frames, _retry, _report, _run]
