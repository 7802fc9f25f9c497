"""Plans on real worker processes: the same job, whatever dies; and what is refused, in words."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import polars as pl
import psutil  # type: ignore[import-untyped]
import pytest
from distributed import Client

import backfill
from backfill.core.errors import ConfigError, SourceError
from backfill.prepare.engines import dask_engine
from backfill.prepare.engines.dask_engine import DaskEngine, connected
from backfill.prepare.engines.engine import Engine
from backfill.prepare.engines.opening import engine_on
from backfill.prepare.engines.workers import ClusterError
from tests.prepare.engines.processes import Cluster, cluster_in
from tests.prepare.prepared import Prepared, prepare_in
from tests.prepare.shapes_of_jobs import FORMATS, JOBS, assert_same, write_sources

pytestmark = pytest.mark.timeout(300)


class Ranged(DaskEngine):
    """Cuts sources into as many ranges as a test wants."""

    ranges = 3


def ranged(client: Client, ranges: int, **options: float) -> DaskEngine:
    engine = Ranged(client, **options)
    engine.ranges = ranges
    return engine


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster that always has two workers."""
    with cluster_in(tmp_path_factory.mktemp("shared")) as found:
        yield found


@pytest.fixture(scope="module")
def client(shared: Cluster) -> Iterator[Client]:
    with connected(shared.address) as engine:
        engine.client.wait_for_workers(2)
        yield engine.client


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of a test's own."""
    with cluster_in(tmp_path_factory.mktemp("cluster")) as found:
        yield found


def both(directory: Path, sections: dict[str, Any], engine: Engine, **options: Any) -> Prepared:
    """The job of one process, and of the engine: the same. Returns it."""
    one = prepare_in(directory, "watch-events", None, name="one", parts=3, **sections)
    other = prepare_in(
        directory, "watch-events", None, name="other", parts=3, engine=engine, **sections, **options
    )
    assert_same(one, other)
    return one


@pytest.mark.parametrize(
    ("job", "form", "ranges"),
    list(zip(JOBS, FORMATS, (1, 3, 8), strict=True)),
)
def test_workers_make_the_job_that_one_process_makes(
    tmp_path: Path, client: Client, job: str, form: str, ranges: int
) -> None:
    both(tmp_path, write_sources(tmp_path, form, job), ranged(client, ranges))


def test_workers_that_are_killed_in_each_phase_change_nothing(
    tmp_path: Path, shared: Cluster, client: Client
) -> None:
    phases = ["splitting", "splitting contacts", "preparing"]
    phases += ["finding duplicates", "gathering", "ordering"]
    killed: list[str] = []

    def kill(phase: str, done: int, total: int | None) -> None:
        if phase in phases and phase not in killed:
            killed.append(phase)
            shared.workers.pop(0).kill()
            shared.join()

    sections = write_sources(tmp_path, "csv", "an identity of its own")
    both(tmp_path, sections, ranged(client, 5), progress=kill)
    assert killed == phases


def test_a_worker_that_is_stopped_is_told_of(tmp_path: Path, cluster: Cluster) -> None:
    said: list[str] = []
    stopped = cluster.workers[0].pid

    def stop(phase: str, done: int, total: int | None) -> None:
        if phase == "preparing" and not said:
            os.kill(stopped, signal.SIGSTOP)
        if said and "does not answer" in phase and "does not answer" not in said[-1]:
            os.kill(stopped, signal.SIGCONT)
        said.append(phase) if "preparing" in phase else None

    sections = write_sources(tmp_path, "parquet", "one pass")
    with connected(cluster.address) as engine:
        engine.client.wait_for_workers(2)
        try:
            both(tmp_path, sections, ranged(engine.client, 4, silence=1.0), progress=stop)
        finally:
            os.kill(stopped, signal.SIGCONT)
    assert any("does not answer" in phase for phase in said)
    assert said[-1] == "preparing"


def test_a_plan_ends_with_its_scheduler_and_is_made_anew(tmp_path: Path, cluster: Cluster) -> None:
    write_sources(tmp_path, "csv", "two passes", files=3)
    (tmp_path / "job.toml").write_text(CONFIG)

    def kill(phase: str, done: int, total: int | None) -> None:
        if phase == "preparing":
            cluster.scheduler.kill()

    with pytest.raises(ClusterError, match=r"the scheduler \S+ is gone") as raised:
        backfill.plan(tmp_path / "job.toml", on=cluster.address, progress=kill)
    assert "nothing was sent" in str(raised.value)
    assert not (tmp_path / "job.job/manifest.json").exists()
    job = backfill.plan(tmp_path / "job.toml", progress=silent)
    books = job.status().as_dict()["records"]
    assert sum(count for name, count in books.items() if name != "input") == books["input"] == 600


CONFIG = """
destination = "watch-events"
[events]
files = "events-*.csv"
contact_key = "user"
time = "at"
[contacts]
files = "contacts.csv"
key = "id"
[fields]
"target.value" = "contacts.phone"
label = "label"
confidence = { value = "high" }
"""


def silent(phase: str, done: int, total: int | None) -> None:
    del phase, done, total


def test_a_client_of_the_notebooks_own_is_taken(tmp_path: Path, client: Client) -> None:
    write_sources(tmp_path, "csv", "two passes", files=2)
    (tmp_path / "job.toml").write_text(CONFIG)
    job = backfill.plan(tmp_path / "job.toml", on=client, progress=silent)
    assert job.status().as_dict()["records"]["input"] == 400
    assert client.status == "running"


def test_a_worker_of_another_version_is_refused(tmp_path: Path) -> None:
    preload = tmp_path / "other_version.py"
    preload.write_text("import polars\npolars.__version__ = '1.99.0'\n")
    with (
        cluster_in(tmp_path, workers=0, preload=preload) as cluster,
        pytest.raises(ClusterError, match=r"worker tcp://\S+ has polars 1\.99\.0 \(here 2\."),
        ExitStack() as stack,
    ):
        stack.enter_context(connected(cluster.address))


def test_a_file_that_a_worker_does_not_see_is_named(client: Client, tmp_path: Path) -> None:
    engine = DaskEngine(client)
    engine.refuse_unseen([tmp_path])
    with (tmp_path / "file").open("w") as file:
        own = Path(f"/proc/self/fd/{os.dup2(file.fileno(), 900)}")  # which no other process has
        with pytest.raises(ConfigError, match="sees no such file") as raised:
            engine.refuse_unseen([own])
        os.close(900)
    assert "must be shared" in str(raised.value)
    assert raised.value.where == str(own)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (SourceError("is odd", where="a.csv"), "a.csv: is odd"),
        (FileNotFoundError(2, "No such file", "/a"), "does not see it"),
        (pl.exceptions.ComputeError("is odd"), "is odd"),
    ],
)
def test_what_goes_wrong_on_a_worker_is_raised_here(
    client: Client, error: Exception, words: str
) -> None:
    expected = ConfigError if isinstance(error, FileNotFoundError) else type(error)
    with pytest.raises(expected, match=words):
        list(DaskEngine(client).run(raise_it, [error], print))


def raise_it(error: Exception) -> None:
    raise error


@pytest.mark.parametrize("on", ["local:0", "local:x", "local:", "host:8786", "http://a:1", "", 4])
def test_what_names_no_place_is_refused(on: object) -> None:
    with pytest.raises(ConfigError, match="names no place"), engine_on(on):
        pass


def test_a_scheduler_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_engine, "_CONNECT", 1)
    with (
        pytest.raises(ConfigError, match=r"answers at tcp://127\.0\.0\.1:9"),
        engine_on("tcp://127.0.0.1:9"),
    ):
        pass


def test_another_kind_of_server_is_no_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_engine, "_CONNECT", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes connections, and no more
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ConfigError, match="answers at tcp"), engine_on(address):
            pass


def test_an_address_with_tls_needs_a_certificate_on_this_machine() -> None:
    with pytest.raises(ConfigError, match="has no certificate") as raised, engine_on("tls://a:1"):
        pass
    assert "DASK_DISTRIBUTED__COMM__TLS__CA_FILE" in str(raised.value)


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "backfill.prepare.engines.dask_engine", raising=False)
    monkeypatch.delattr("backfill.prepare.engines.dask_engine", raising=False)
    with pytest.raises(ConfigError, match=r"backfill\[cluster\]"), engine_on("local:2"):
        pass


def test_workers_of_this_machine_are_started_again_and_end_with_who_started_them(
    tmp_path: Path,
) -> None:
    program = (
        "import os, signal\n"
        "from backfill.prepare.engines.opening import engine_on\n"
        "with engine_on('local:1') as engine:\n"
        "    [worker] = engine.client.run(os.getpid).values()\n"
        "    os.kill(worker, signal.SIGKILL)\n"
        "    [(_, again)] = engine.run(int, [worker], lambda words: None)\n"
        "    assert [*engine.client.run(os.getpid).values()] != [again]\n"
        "    print('up', flush=True)\n"
        "    input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "TMPDIR": str(tmp_path)},  # nobody is left to remove their directory
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        started = psutil.Process(process.pid).children(recursive=True)
        assert len(started) >= 3  # a scheduler, a nanny and its worker
        process.kill()
    _, alive = psutil.wait_procs(started, timeout=60)
    assert not alive


def test_nothing_of_a_cluster_is_imported_without_one(tmp_path: Path) -> None:
    write_sources(tmp_path, "csv", "two passes", files=1)
    (tmp_path / "job.toml").write_text(CONFIG)
    program = (
        "import sys, backfill\n"
        "backfill.plan('job.toml', progress=lambda *_: None)\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('dask', 'distributed')])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert done.stdout == "[]\n"
