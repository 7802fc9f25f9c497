"""The rest of a job changes hands: whatever moment a process dies in, nothing is sent twice."""

from __future__ import annotations

import shutil
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import backfill as package
from backfill.core.errors import ChangedError, JobError
from backfill.core.secret import Secret
from backfill.jobs.chain import rest as chain
from backfill.ledger import Ledger
from backfill.sandbox import running_sandbox
from tests.acceptance.sources import pristo_job

KEY = Secret("99999999-8888-4777-8666-555555555555")
ROWS, FIRST = 12, 5


class Deaths:
    """Copies of a directory as a process would leave it that is killed before each of its steps.

    Of steps that only files tell apart, one stands for all that leave the same ones in `job`.
    """

    def __init__(self, place: Path, into: Path, job: Path) -> None:
        self._place = place
        self._job = job
        self._known: set[frozenset[str]] = set()
        self._into = into
        self.copies: list[Path] = []

    def before(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        step = getattr(owner, name)

        def copied(*arguments: Any, **options: Any) -> Any:
            self.take(same=owner is not Path)
            return step(*arguments, **options)

        monkeypatch.setattr(owner, name, copied)

    def take(self, *, same: bool = True) -> None:
        files = frozenset(path.name for path in self._job.iterdir())
        if files in self._known and not same:
            return
        self._known.add(files)
        copy = self._into / str(len(self.copies))
        shutil.copytree(self._place, copy)
        self.copies.append(copy)


def sent(server: Any) -> list[str]:
    return [each.record["customFields"]["order"] for each in server.accepted]


def test_a_death_in_the_middle_of_planning_a_rest_sends_nothing_twice(tmp_path, monkeypatch):
    place = tmp_path / "work"
    place.mkdir()
    config = pristo_job(place, ROWS)
    with running_sandbox() as server:
        package.plan(config).run(credential=KEY, base_url=server.url, limit=FIRST)
        before = sent(server)
    assert len(before) == FIRST
    package.plan(config, job=place / "b.job", rest_of=place / "pristo.job")
    text = config.read_text().replace('"type" = "event"', '"type" = { value = "mended" }')
    config.write_text(text)
    deaths = Deaths(place, tmp_path, place / "b.job")
    with monkeypatch.context() as patched:
        deaths.before(patched, Ledger, "set_meta")
        deaths.before(patched, Path, "rename")
        deaths.before(patched, Path, "unlink")
        package.plan(config, job=place / "b.job", rest_of=place / "pristo.job")
    deaths.take()
    between = [each for each in deaths.copies if not (each / "b.job" / "manifest.json").exists()]
    chosen = [deaths.copies[0], between[0], between[len(between) // 2], between[-1]]
    assert not (place / "b.job" / ".preparing").exists()
    refused = 0
    for copy in chosen:
        here, first, rest = copy / config.name, copy / "pristo.job", copy / "b.job"
        with running_sandbox() as server:
            for job in (rest, first):  # what somebody might try who does not know what happened
                try:
                    package.plan(here, job=job).run(credential=KEY, base_url=server.url)
                except (ChangedError, JobError) as error:
                    refused += "was interrupted here" in str(error)
            with suppress(JobError):
                again = package.plan(here, job=rest, rest_of=first)
                again.run(credential=KEY, base_url=server.url)
            found = Counter([*before, *sent(server)])
        assert max(found.values()) == 1, copy
        assert len(found) == ROWS, copy
    assert refused


def test_a_death_as_a_rest_begins_to_send_leaves_it_with_that_job(tmp_path, monkeypatch):
    place = tmp_path / "work"
    place.mkdir()
    config = pristo_job(place, ROWS)
    with running_sandbox() as server:
        package.plan(config).run(credential=KEY, base_url=server.url, limit=FIRST)
        job = package.plan(config, job=place / "b.job", rest_of=place / "pristo.job")
        deaths = Deaths(place, tmp_path, place / "b.job")
        with monkeypatch.context() as patched:
            deaths.before(patched, Ledger, "set_meta")
            deaths.before(patched, chain, "working_on")
            job.run(credential=KEY, base_url=server.url, limit=1)
        before = sent(server)[:FIRST]
    for copy in deaths.copies[1:3]:  # of what comes later the server had something
        with running_sandbox() as server:
            other = copy / "c.job"
            run: dict[str, Any] = {"credential": KEY, "base_url": server.url}
            with suppress(JobError):
                package.plan(copy / config.name, job=other, rest_of=copy / "pristo.job").run(**run)
            with suppress(ChangedError, JobError):
                package.open_job(copy / "b.job").run(**run)
            found = Counter([*before, *sent(server)])
        assert max(found.values()) == 1, copy
        assert len(found) == ROWS, copy
