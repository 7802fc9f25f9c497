"""What every test may count on."""

from __future__ import annotations

import compileall
import contextlib
import gc
import importlib
import os
import signal
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis  # noqa: F401 - its plugin would, after the objects of others are frozen below
import pytest
from hypothesis import settings

from tests.ledger.postgres.server import PostgresServer, why_none
from tests.signal_handlers import unchanged_signal_handlers

# What programs of the user share on a machine, tests share with nobody.
_home = tempfile.TemporaryDirectory(prefix="backfill-home-", ignore_cleanup_errors=True)
for directory in ("state", "cache"):
    os.environ[f"XDG_{directory.upper()}_HOME"] = str(Path(_home.name, directory))
    Path(_home.name, directory).mkdir()

# Each program that a test starts would compile the package anew, and most run for less time. So it
# is compiled before the first: some are given little room for what they write, and Python keeps the
# half of a module that found room as if it were whole.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False  # else pytest keeps nothing of what it makes of test modules
if "PYTEST_XDIST_WORKER" not in os.environ:
    compileall.compile_dir(Path(__file__).parents[1] / "backfill", quiet=1)

# A busy machine takes 200 ms for anything now and then; every test has a timeout of its own. Other
# examples are tried each time, so what many are for comes with the runs.
settings.register_profile("any machine", settings(), deadline=None, max_examples=60)
settings.load_profile("any machine")

# Whoever starts the tests in the background of a script, or under `nohup`, has these ignored here
# and in every process that a test starts; tests of Ctrl-C and of lost terminals need them heard.
for number, handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)


def pytest_xdist_auto_num_workers() -> int:
    """Two more than there are cores: much of a test's time is spent waiting for another process."""
    return (os.cpu_count() or 1) + 2


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Look for no garbage among what is imported: it stays, and is 600,000 objects."""
    gc.disable()
    try:
        _import_a_share(session.config)
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def _import_a_share(config: pytest.Config) -> None:
    """Have each worker begin with other modules, where all of them collect all tests.

    In a fresh clone pytest rewrites the asserts of every module, which takes longer than importing
    it then does: what one worker has rewritten the others find on the disk.
    """
    workers = getattr(config, "workerinput", None)  # what xdist tells a worker
    if workers is None or config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    here = Path(__file__).parent
    modules = sorted(here.rglob("test_*.py"))
    first = int(workers["workerid"].removeprefix("gw"))
    for path in modules[first :: workers["workercount"]]:
        name = ".".join(path.relative_to(here.parent).with_suffix("").parts)
        with contextlib.suppress(Exception, pytest.skip.Exception):  # collecting tells of it
            importlib.import_module(name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have the last third be brief tests, so that no long one is waited for at the end.

    A long one is known by the time that it is given.
    """
    brief = [item for item in items if item.get_closest_marker("timeout") is None]
    last = set(brief[len(brief) * 2 // 3 :])
    items.sort(key=last.__contains__)


@pytest.fixture(autouse=True)
def _signal_handlers() -> Iterator[None]:
    """What a test changes of the process is no later test's concern."""
    with unchanged_signal_handlers():
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL of this process's own."""
    reason = why_none()
    if reason is not None:
        pytest.skip(reason)
    server = PostgresServer()
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def object_store() -> Iterator[str]:
    """The address of an object store of this process's own."""
    from tests.object_store import running_object_store  # it takes a second to import

    with running_object_store() as server:
        yield server


@pytest.fixture
def bucket(object_store: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A new bucket's address, which the environment leads to; this machine has no copy yet."""
    from tests.object_store import SURROUNDINGS, new_bucket

    for name, value in {**SURROUNDINGS, "AWS_ENDPOINT_URL": object_store}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return new_bucket(object_store)
