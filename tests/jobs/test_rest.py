"""The rest of a job changes hands: whatever moment a process dies in, nothing is sent twice."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import backfill as package
from backfill.cli import _group
from backfill.core.errors import BusyError, ChangedError, ConfigError, JobError
from backfill.core.secret import Secret
from backfill.jobdir.lock import locked
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


def cut_after(config: Path) -> package.Job:
    """A job whose first records arrived and are unknown: each connection was cut after them."""
    job = package.plan(config)
    with running_sandbox(faults=lambda _: "cut-after") as server:
        job.run(credential=KEY, base_url=server.url, limit=FIRST)
    return job


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


def test_who_delivers_a_rest_beside_others_needs_the_earlier_job_no_more(tmp_path):
    """On a cluster several begin at once, and the first one has noted it there for all."""
    config = pristo_job(tmp_path, ROWS)
    with running_sandbox() as server:
        package.plan(config).run(credential=KEY, base_url=server.url, limit=FIRST)
    job = package.plan(config, job=tmp_path / "b.job", rest_of=tmp_path / "pristo.job")
    with locked(tmp_path / "pristo.job", "resolve"), pytest.raises(BusyError):
        chain.take_rest(job.directory, job.manifest)
    chain.take_rest(job.directory, job.manifest)
    with locked(tmp_path / "pristo.job", "resolve"):
        chain.take_rest(job.directory, job.manifest)


def test_a_rest_of_a_rest_names_the_job_whose_records_are_unknown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = pristo_job(tmp_path, ROWS)
    first = cut_after(config)
    unknown = first.status()["records"]["unknown"]
    assert unknown
    package.plan(config, job="b.job", rest_of="pristo.job")
    with running_sandbox() as server:
        run: dict[str, Any] = {"credential": KEY, "base_url": server.url}
        package.open_job("b.job").run(**run, limit=2)
        last = package.plan(config, job="c.job", rest_of="b.job")
        warnings = " ".join(last.manifest.facts.warnings)
        assert f"{unknown} records are unknown in pristo.job" in warnings
        assert "backfill resolve pristo.job" in warnings
        assert "b.job" not in warnings
        first.resolve("failed")
        # A plan that was made before they were settled is made anew, as nothing of it was sent.
        again = package.plan(config, job="c.job", rest_of="b.job")
        assert "unknown" not in " ".join(again.manifest.facts.warnings)
        assert again.status()["records"]["pending"] == ROWS - 2
        again.run(**run)
        assert Counter(sent(server)).most_common(1)[0][1] == 1
        assert len(sent(server)) == ROWS
        # Later it is a plan like any other.
        assert package.plan(config, job="c.job", rest_of="b.job").status().books == (
            again.status().books
        )


def test_records_that_are_unknown_in_the_job_before_the_one_named_are_to_be_settled_there(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    config = pristo_job(tmp_path, ROWS)
    cut_after(config)
    package.plan(config, job="b.job", rest_of="pristo.job")
    config.write_text(config.read_text() + '\n[dedupe]\ndelivered_by = ["b.job"]\n')
    with pytest.raises(ConfigError, match=r"records of .*pristo\.job are unknown") as raised:
        package.plan(config, job="c.job")
    assert re.search(r"backfill resolve \S*pristo\.job --delivered", str(raised.value))


def test_what_can_become_of_a_record_of_an_abandoned_job_is_with_its_rest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = pristo_job(tmp_path, ROWS)
    cut_after(config)
    first = package.open_job("pristo.job")
    pending = first.records("pending").select("_file", "_row").row(0)
    unknown = first.records("unknown").select("_file", "_row").row(0)
    assert "`backfill run pristo.job`" in helps(first, pending)
    first.abandon()
    assert "backfill plan CONFIG --rest-of pristo.job" in helps(first, pending)
    assert first.status().rest is None
    rest = package.plan(config, job="b.job", rest_of="pristo.job")
    there = f"backfill show b.job {pending[0]}:{pending[1]}"
    assert there in helps(first, pending)
    assert helps(rest, pending) == "`backfill run b.job` sends it."
    assert "--resend" not in helps(first, unknown)
    assert "backfill plan CONFIG --rest-of pristo.job" in helps(first, unknown)
    assert first.status()["rest"] == "b.job"
    said = CliRunner().invoke(_group, ["status", "pristo.job"]).output
    assert "backfill status b.job" in said
    assert "--resend" not in said
    shutil.rmtree("b.job")  # nothing of it was sent, so nobody has the rest any more
    assert first.status().rest is None
    assert "backfill plan CONFIG --rest-of pristo.job" in helps(first, pending)
    rest = package.plan(config, job="b.job", rest_of="pristo.job")
    with running_sandbox() as server:
        rest.run(credential=KEY, base_url=server.url, limit=1)
    assert "backfill plan CONFIG --rest-of b.job" in helps(first, unknown)
    first.resolve("failed")
    assert f"backfill show b.job {unknown[0]}:{unknown[1]}" in helps(first, unknown)
    assert "backfill plan CONFIG --rest-of b.job" in helps(first, unknown)


def test_what_failed_after_the_rest_was_planned_is_named_with_the_command_that_sends_it(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    config = pristo_job(tmp_path, ROWS)

    def goes_on(job: package.Job) -> str:
        return str(job.status().next).replace(f"{tmp_path}/", "")

    with running_sandbox(faults=lambda _: "cut-before") as server:
        first = package.plan(config)
        first.run(credential=KEY, base_url=server.url, limit=FIRST)
    file, number = first.records("unknown").select("_file", "_row").row(0)
    unknown = first.status().books.unknown
    rest = package.plan(config, job="b.job", rest_of="pristo.job")
    with running_sandbox() as server:
        run: dict[str, Any] = {"credential": KEY, "base_url": server.url}
        first.resolve("failed")
        assert goes_on(first) == "backfill plan pristo.toml --rest-of pristo.job --job b.job"
        rest.run(**run, limit=1)
        assert goes_on(first) == "backfill status b.job"
        rest.run(**run)
        assert goes_on(first) == goes_on(rest) == "backfill plan pristo.toml --rest-of b.job"
        said = rest.show(f"{file}:{number}")
        assert said.state == "duplicate"
        assert said.meaning == "unknown in the job that this is the rest of, and left to it"
        assert f"backfill show pristo.job {file}:{number}" in said.helps
        assert "backfill plan CONFIG --rest-of b.job" in said.helps
        with pytest.raises(JobError, match=r"backfill plan CONFIG --rest-of \S*b\.job"):
            first.resolve("resend")
        with pytest.raises(JobError, match=r"backfill plan CONFIG --rest-of \S*b\.job"):
            first.retry()
        last = package.plan(config, job="c.job", rest_of="b.job")
        assert last.status().books.pending == unknown
        last.run(**run)
        for job in (first, rest, last):
            assert job.status().next is None
        assert Counter(sent(server)).most_common(1)[0][1] == 1
        assert len(sent(server)) == ROWS


def test_what_arrived_after_the_rest_was_planned_asks_for_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = pristo_job(tmp_path, ROWS)
    first = cut_after(config)
    rest = package.plan(config, job="b.job", rest_of="pristo.job")
    with running_sandbox() as server:
        rest.run(credential=KEY, base_url=server.url)
    assert rest.status().next is None
    first.resolve("delivered")
    assert first.status().next is None
    assert rest.status().next is None


def test_a_job_that_was_abandoned_is_not_to_be_finished_first(tmp_path, monkeypatch):
    """What its rest has delivered is left out already, and it can deliver nothing any more."""
    monkeypatch.chdir(tmp_path)
    config = pristo_job(tmp_path, ROWS)
    later = tmp_path / "later.toml"
    later.write_text(config.read_text() + '\n[dedupe]\ndelivered_by = ["pristo.job"]\n')
    with running_sandbox() as server:
        run: dict[str, Any] = {"credential": KEY, "base_url": server.url}
        package.plan(config).run(**run, limit=FIRST)

        def unfinished() -> bool:
            warnings = package.plan(later).manifest.facts.warnings
            return any("finish it first" in each for each in warnings)

        assert unfinished()
        rest = package.plan(config, job="b.job", rest_of="pristo.job")
        rest.run(**run, limit=1)
        assert unfinished()  # of the rest
        rest.run(**run)
        assert not unfinished()


def helps(job: package.Job, row: tuple[str, int]) -> str:
    return job.show(f"{row[0]}:{row[1]}").helps
