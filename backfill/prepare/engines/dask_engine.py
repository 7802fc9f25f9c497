"""The only module that knows Dask: it places tasks, and that is all that it does."""

from __future__ import annotations

import logging
import pickle
import queue
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from distributed import Client, Future, Status, get_worker
from distributed.scheduler import KilledWorker
from distributed.security import Security

from backfill.core.errors import BackfillError, ConfigError
from backfill.jobdir.store_addresses import address_of
from backfill.prepare.engines.result_watch import ResultWatch, gone
from backfill.prepare.engines.workers import ClusterError, Versions, run_task, sights, versions

__all__ = ["DaskEngine", "connected", "is_client", "temporary_credentials"]

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

_RANGES = 3  # for each thread of a worker: they end at about the same time, and files stay few
_SHARED = (
    "The job's directory and the sources must be shared: the same files at the same path on every"
    " worker and here."
)
_SHARED_COPY = (
    "This is the copy of a job in an object store. Let XDG_CACHE_HOME name a directory that all"
    " workers and this machine share, or plan without --on; the workers can deliver it then."
)
_TLS = "DASK_DISTRIBUTED__COMM__TLS__"
_LOUD = ("distributed", "distributed.client")  # loggers to which Dask gives a level of their own
_CONNECT = 10  # seconds until a scheduler has answered
_FIRST = 60  # seconds until a first worker is there
_LOOK_AT_WORKER = 0.25  # seconds between two looks whether a worker is to close
_CLOSE = 2.0  # seconds to say good-bye


class DaskEngine:
    """Runs tasks on the workers of a Dask cluster.

    People are told of a worker that has said nothing for `silence` seconds, and a plan ends where
    there was no worker for `lost` seconds. Raises ClusterError where a worker differs from this
    process, or none is there.
    """

    shares_memory = False

    def __init__(self, client: Client, *, silence: float = 15.0, lost: float = 60.0) -> None:
        self._client = client
        self._silence = silence
        self._lost = lost
        self._name = str(client.scheduler_info().get("address", "the cluster"))
        with self._reached():
            try:
                client.wait_for_workers(1, timeout=_FIRST)
            except TimeoutError:
                raise ClusterError(f"no worker came to {self._name} within {_FIRST} s") from None
        for worker, found in self._ask_all(versions).items():
            self._refuse_other(worker, found)

    @property
    def ranges(self) -> int:
        threads = sum(map(int, self._client.nthreads().values()))
        return _RANGES * max(1, threads)

    def refuse_unseen(self, paths: Sequence[Path]) -> None:
        """Raise ConfigError where a worker does not see these files as they are here."""
        names = [str(path.absolute()) for path in paths]
        here = sights(names)
        for worker, there in self._ask_all(sights, names).items():
            for name in names:
                if there[name] == here[name]:
                    continue
                what = "no such file" if there[name] is None else "another file there"
                raise ConfigError(
                    f"the worker {worker} sees {what}",
                    where=name,
                    hint=_SHARED if address_of(Path(name)) is None else _SHARED_COPY,
                )

    @property
    def client(self) -> Client:
        """The connection to the cluster; `engine_on` takes it, too."""
        return self._client

    def workers(self) -> frozenset[str]:
        """The addresses of the workers that are there now. Raises ClusterError."""
        with self._reached():
            return frozenset(self._client.nthreads())

    def ask(
        self, question: Callable[..., Any], *about: object, workers: Collection[str]
    ) -> Mapping[str, Any]:
        """What some workers say, whatever they are busy with; an exception where one raised it."""
        return self._ask_all(question, *about, workers=sorted(workers)) if workers else {}

    def start(
        self,
        worker: str,
        task: Callable[[ItemT], ResultT],
        item: ItemT,
        closing: Callable[[ItemT], None],
    ) -> Future[Any]:
        """Have one worker, and no other, run a task once; `closing` is called there as soon as that
        worker is to close, for whatever reason, while the task runs. Raises ClusterError.
        """
        content = pickle.dumps((task, item))
        with self._reached():
            return self._client.submit(
                _run_attended,
                pickle.dumps(partial(closing, item)),
                versions(),
                content,
                workers=[worker],
                allow_other_workers=False,
                pure=False,
                retries=0,
            )

    def run(
        self,
        task: Callable[[ItemT], ResultT],
        items: Sequence[ItemT],
        waiting: Callable[[str | None], None],
    ) -> Iterator[tuple[int, ResultT]]:
        ended: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
        contents = [pickle.dumps((task, item)) for item in items]
        with self._reached():
            futures = self._client.map(run_task, [versions()] * len(items), contents, pure=False)
        left = {future.key: (index, future) for index, future in enumerate(futures)}
        for future in futures:
            future.add_done_callback(ended.put)
        del futures
        try:
            with ResultWatch(self._client, self._name, self._silence, self._lost) as watch:
                while left:
                    future = watch.next(ended, waiting)
                    result: ResultT = self._result(future)
                    index, _ = left.pop(future.key)
                    yield index, result
        finally:
            if left and self._client.status == "running":
                self._client.cancel([future for _, future in left.values()])

    def _result(self, future: Future[Any]) -> Any:
        if future.status in ("cancelled", "lost"):
            raise gone(self._name)
        try:
            with self._reached():
                return future.result()
        except KilledWorker as error:
            raise ClusterError(
                f"a task ended each worker that began it, at last {error.last_worker.address}",
                hint="Most likely they had too little memory: give them more, or fewer threads.",
            ) from None

    def _refuse_other(self, worker: str, found: object) -> None:
        if isinstance(found, Versions):
            difference = versions().difference(found)
        else:  # without this very module, it has an exception to tell
            difference = f"another backfill, or none: {type(found).__name__}: {found}"
        if difference is not None:
            raise ClusterError(
                f"the worker {worker} has {difference}",
                hint="Install the same versions on every worker and here, and plan again.",
            )

    def _ask_all(
        self, question: Callable[..., Any], *about: object, workers: list[str] | None = None
    ) -> Mapping[str, Any]:
        with self._reached():
            answers: Mapping[str, Any] = self._client.run(
                question, *about, workers=workers, on_error="return"
            )
        return answers

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Say it in words where the scheduler goes."""
        try:
            yield
        except BackfillError:
            raise
        except Exception:
            if self._client.status != "running":
                raise gone(self._name) from None
            raise


def _run_attended(closing: bytes, expected: Versions, content: bytes) -> object:
    """Run a task, as `run_task` does, and call a pickled function once this worker is to close.

    A worker whose scheduler died waits half a minute for its tasks, and tells them nothing.
    """
    worker, over = get_worker(), threading.Event()

    def attend() -> None:
        while not over.wait(_LOOK_AT_WORKER):
            if worker.status not in (Status.running, Status.paused):
                pickle.loads(closing)()  # noqa: S301 - from the client, as all that Dask runs
                return

    threading.Thread(target=attend, name="backfill-closing", daemon=True).start()
    try:
        return run_task(expected, content)
    finally:
        over.set()


def is_client(value: object) -> bool:
    """Whether this is a client of Dask's that can be waited for."""
    return isinstance(value, Client) and not value.asynchronous


@contextmanager
def connected(address: str, security: Mapping[str, str] | None = None) -> Iterator[DaskEngine]:
    """An engine on the cluster at an address, by TLS with what `temporary_credentials` gave.

    Without these, what Dask's own configuration says holds. Raises ConfigError where there is no
    scheduler at the address, and ClusterError.
    """
    _refuse_no_certificate(address, security)
    with ExitStack() as stack:
        for name in _LOUD:  # what goes wrong is said once, by us
            quiet = logging.getLogger(name)
            stack.callback(quiet.setLevel, quiet.level)
            quiet.setLevel(logging.CRITICAL)
        client = _client(address, _security(security) if security else None)
        try:
            yield DaskEngine(client)
        finally:
            client.close(timeout=_CLOSE)


def _client(address: str, security: Security | None) -> Client:
    """A connection to a scheduler. Raises ConfigError where none answers in time."""
    made: queue.SimpleQueue[Client | Exception] = queue.SimpleQueue()

    def make() -> None:
        try:
            made.put(Client(address, timeout=_CONNECT, security=security, set_as_default=False))
        except Exception as error:  # noqa: BLE001 - raised below, as far as it is known
            made.put(error)

    # Dask's own timeout does not hold for a server that takes the connection and says nothing.
    threading.Thread(target=make, name="backfill-connecting", daemon=True).start()
    try:
        found = made.get(timeout=_CONNECT + _CLOSE)
    except queue.Empty:
        found = TimeoutError("something else listens there")
    if isinstance(found, Client):
        return found
    # What another server says may be read as the length of an endless message: MemoryError.
    if not isinstance(found, (OSError, ValueError, TypeError, RuntimeError, MemoryError)):
        raise found
    raise ConfigError(
        f"there is no Dask scheduler that answers at {address}: {found or 'another server does'}",
        hint="`dask scheduler` starts one; its log names its address.",
    ) from None


def _refuse_no_certificate(address: str, security: Mapping[str, str] | None) -> None:
    """Raise ConfigError for an address that needs TLS where Dask is told of no certificate."""
    if not address.startswith("tls://") or security is not None:
        return
    if Security().get_connection_args("client").get("ssl_context") is None:
        variables = ", ".join(
            f"{_TLS}{name}" for name in ("CA_FILE", "CLIENT__CERT", "CLIENT__KEY")
        )
        raise ConfigError(
            "this machine has no certificate for a cluster that speaks TLS",
            where=address,
            hint=f"Set {variables}, or distributed.comm.tls in Dask's configuration.",
        )


def temporary_credentials() -> Mapping[str, str]:
    """A new authority, certificate and key in PEM, by the names of Dask's options."""
    made = Security.temporary()
    return {
        "tls-ca-file": made.tls_ca_file,
        "tls-cert": made.tls_client_cert,
        "tls-key": made.tls_client_key,
    }


def _security(credentials: Mapping[str, str]) -> Security:
    return Security(
        require_encryption=True,
        tls_ca_file=credentials["tls-ca-file"],
        tls_client_cert=credentials["tls-cert"],
        tls_client_key=credentials["tls-key"],
    )
