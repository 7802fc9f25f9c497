"""`run --on`: a deliverer on each worker of a real cluster, seen and stopped as one run."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from distributed import Client

import backfill
from backfill.core.errors import ConfigError
from backfill.core.secret import Secret
from tests.acceptance.program import CREDENTIALS, Ended, environment
from tests.acceptance.program import backfill as backfill_command
from tests.acceptance.sources import pristo_job
from tests.forked.program import Program, interpreter_in
from tests.prepare.engines.processes import Cluster, cluster_in
from tests.together.world import World, running_world, until

# Dask's processes take some seconds to start, and a busy machine may take its time.
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers, each with a credential; no test may end them."""
    place = tmp_path_factory.mktemp("cluster")
    with cluster_in(place, options=forking(place), environment=CREDENTIALS) as found:
        yield found


@pytest.fixture
def frail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of a test's own."""
    place = tmp_path_factory.mktemp("frail")
    with cluster_in(place, workers=1, options=forking(place), environment=CREDENTIALS) as found:
        yield found


def forking(place: Path) -> tuple[str, ...]:
    """Options for workers whose deliverers are forked: what one imports takes it longer than all
    that it does here. Those that `local:2` starts import it.
    """
    interpreter = interpreter_in(place, "backfill.cli.deliverer")
    preload = place / "preload.py"
    preload.write_text(f"import sys\n\nsys.executable = {str(interpreter)!r}\n", encoding="utf-8")
    return ("--preload", str(preload))


def run_on(world: World, on: str, *options: object) -> Program:
    """The command as a person types it, who has no credential on this machine."""
    key = "" if on.startswith("tcp") else CREDENTIALS["PRISTO_API_KEY"]
    return Program(
        *("run", world.config, "--on", on, "--json", "--yes", *options),
        directory=world.place,
        environment=environment(PRISTO_API_KEY=key),
        forked_from="dask",
    )


def ended(process: Program, *codes: int, within: float = 120) -> Ended:
    out, err = process.communicate(timeout=within)
    assert process.returncode in codes, f"exit code {process.returncode}\n{out}\n{err}"
    assert "Traceback" not in err, err
    return Ended(process.returncode, out, err)


def deliverers_of(cluster: Cluster) -> int:
    """How many deliverers its workers have started that are alive."""
    count = 0
    for worker in cluster.workers:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            for child in psutil.Process(worker.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                    count += "backfill.cli.deliverer" in child.cmdline()
    return count


def test_processes_of_this_machine_deliver_a_job_as_one_run(tmp_path, postgres) -> None:
    with running_world(tmp_path, postgres.address, rows=600, delivery='rate = "300/s"') as world:
        metrics = tmp_path / "metrics.prom"
        found = ended(run_on(world, "local:2", "--metrics", metrics), 0)
        assert world.compare() == {"delivered": 600}
        assert found.json["phase"] == "complete"
        assert found.json["records"]["delivered"] == 600
        assert 'backfill_records{state="delivered"} 600.0' in metrics.read_text()
        status = world.command("status", world.config, "--json", expect=(0,)).json
        assert status["rate"] is not None, "the run was noted with its end"
        assert status["ended_at"] is not None


def test_an_interrupt_and_the_end_are_those_of_the_whole(tmp_path, postgres, cluster) -> None:
    with running_world(
        tmp_path, postgres.address, rows=900, delivery='rate = "100/s"', latency=0.05
    ) as world:
        process = run_on(world, cluster.address)
        until(lambda: world.owners() == 2, every=0.1)
        until(lambda: world.accepted > 40)
        process.send_signal(signal.SIGINT)
        found = ended(process, 130)
        assert found.json["stop"]["kind"] == "interrupted"
        assert "stopping: waiting for requests in flight" in found.err
        assert (found.json["phase"], found.json["records"]["unknown"]) == ("stopped", 0)
        assert world.accepted == found.json["records"]["delivered"] < 900

        process, before = run_on(world, cluster.address), world.accepted
        until(lambda: world.accepted > before + 20)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)  # leaves, but not before the workers were told
        found = ended(process, 130, 143)
        assert "leaving as soon as the workers were told to stop" in found.err
        assert "finished and recorded" not in found.err
        until(lambda: deliverers_of(cluster) == 0, within=20, every=0.1)
        assert world.accepted < 900

        process = run_on(world, cluster.address, "--rate", "20/s")
        until(lambda: world.owners() == 2, every=0.1)
        process.kill()  # its deliverers go on, and one that is started now waits for their workers
        process.communicate()
        world.command("pace", world.job, "--rate", "1000/s", expect=(0,))
        ended(run_on(world, cluster.address), 0)
        assert world.compare() == {"delivered": 900}


def test_workers_come_and_go_and_one_without_a_credential_is_named(
    tmp_path, postgres, frail
) -> None:
    with running_world(
        tmp_path, postgres.address, rows=600, delivery='rate = "10/s"', latency=0.05
    ) as world:
        without = frail.join(PRISTO_API_KEY="")
        with Client(frail.address, set_as_default=False) as client:
            client.wait_for_workers(2)
        process = run_on(world, frail.address)
        until(lambda: world.accepted > 5)
        late = frail.join(**CREDENTIALS)
        until(lambda: deliverers_of(frail) == 2, every=0.1)
        frail.workers[0].kill()
        until(lambda: deliverers_of(frail) == 1, every=0.1)
        world.command("pace", world.job, "--rate", "1000/s", expect=(0,))
        found = ended(process, 0)
        assert "is gone; the others take what it had" in found.err
        assert "does not deliver: environment: Pristo events needs a credential" in found.err
        assert world.compare() == {"delivered": 600}, "what was in flight was finished"
        assert (late.poll(), without.poll()) == (None, None)

        late.terminate()
        late.wait()
        found = ended(run_on(world, frail.address), 2)
        assert "no worker has a credential" in found.json["error"]["message"]


def test_a_scheduler_that_dies_ends_the_run_and_nothing_is_lost(tmp_path, postgres, frail) -> None:
    with running_world(
        tmp_path, postgres.address, rows=300, delivery='rate = "20/s"', latency=0.05
    ) as world:
        process = run_on(world, frail.address)
        until(lambda: world.accepted > 5)
        frail.scheduler.kill()
        until(lambda: deliverers_of(frail) == 0, every=0.1)
        before = world.accepted
        assert before < 150, "the deliverers end at once, and not only when their workers do"
        found = ended(process, 1)
        assert "the scheduler" in found.json["error"]["message"]
        assert "distributed" not in found.err
        assert world.accepted == before
        world.command("run", world.config, "--rate", "1000/s", "--quiet", expect=(0,))
        assert world.compare() == {"delivered": 300}


@pytest.mark.parametrize("by", ["command", "notebook"])
def test_a_job_of_one_process_is_refused_before_anything_is_started(tmp_path, by) -> None:
    config = pristo_job(tmp_path, 10, delivery='base_url = "http://127.0.0.1:1"')
    if by == "command":
        found = backfill_command(
            "run", config, "--on", "tcp://127.0.0.1:1", cwd=tmp_path, expect=(2,)
        )
        assert "workers can only deliver a job whose ledger they share" in found.err
        assert not config.with_suffix(".job").exists()
    else:
        job = backfill.plan(config, progress=lambda *_: None)
        with pytest.raises(ConfigError, match="whose ledger they share"):
            job.run(on="tcp://127.0.0.1:1")


def test_a_notebook_may_give_its_own_client_and_no_credential(tmp_path, postgres, cluster) -> None:
    with (
        running_world(tmp_path, postgres.address, rows=100, delivery='rate = "400/s"') as world,
        Client(cluster.address, set_as_default=False) as client,
    ):
        job = backfill.open_job(world.config)
        with pytest.raises(ConfigError, match="a credential does not travel"):
            job.run(on=client, credential=Secret("invented"))
        seen: list[int] = []
        status = job.run(on=client, limit=50, observe=lambda now: seen.append(now.pending))
        assert (status.exit_code, world.accepted) == (8, 50)
        assert status.stop is not None
        assert status.stop.message == "the limit of 50 records is reached"
        assert (seen[0], seen[-1]) == (100, 50)
        assert job.run(on=client).phase == "complete"
        assert world.compare() == {"delivered": 100}
        assert client.status == "running"
