"""The only module that knows Dask: it places tasks, and that is all that it does."""

from __future__ import annotations

import logging
import pickle
import queue
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future as Answer
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from distributed import Client, Future
from distributed.scheduler import KilledWorker
from distributed.security import Security

from backfill.core.errors import BackfillError, ConfigError
from backfill.jobdir.copies import address_of
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
_CONNECT = 10  # seconds until a scheduler has answered
_FIRST = 60  # seconds until a first worker is there
_LOOK = 1.0  # seconds without a result until somebody looks why
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

    def start(self, worker: str, task: Callable[[ItemT], ResultT], item: ItemT) -> Future[Any]:
        """Have one worker, and no other, run a task once. Raises ClusterError."""
        content = pickle.dumps((task, item))
        with self._reached():
            return self._client.submit(
                run_task,
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
            with _Watch(self._client, self._name, self._silence, self._lost) as watch:
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
            raise _gone(self._name)
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
                raise _gone(self._name) from None
            raise


class _Watch:
    """Waits for results, and says why none come."""

    def __init__(self, client: Client, name: str, silence: float, lost: float) -> None:
        self._client = client
        self._name = name
        self._silence = silence
        self._lost = lost
        # A thread of its own asks, as a scheduler that is stopped never answers.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="backfill-workers")
        self._answer: Answer[Mapping[str, Any]] | None = None
        self._asked = 0.0
        self._without: float | None = None
        self._heard: dict[str, tuple[float, float]] = {}  # what it last said when, and since when

    def __enter__(self) -> _Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def next(
        self, ended: queue.SimpleQueue[Future[Any]], waiting: Callable[[str | None], None]
    ) -> Future[Any]:
        """The next future that ended. Raises ClusterError where none ever will."""
        said: str | None = None
        while True:
            try:
                future = ended.get(timeout=_LOOK)
            except queue.Empty:
                trouble = self._trouble()
                if trouble != said:
                    waiting(trouble)
                    said = trouble
                continue
            if said is not None:
                waiting(None)
            return future

    def _trouble(self) -> str | None:
        """Why nothing comes, in words, where it is not that tasks take their time."""
        if self._client.status != "running":
            raise _gone(self._name)
        now = time.monotonic()
        if self._answer is None:
            self._asked = now
            self._answer = self._thread.submit(self._client.scheduler_info)
        try:
            answer = self._answer.result(_LOOK)
        except NotYet:
            late = now - self._asked > self._silence
            return f"the scheduler {self._name} does not answer" if late else None
        self._answer = None
        workers: Mapping[str, Any] = answer["workers"]
        if len(workers) < answer["n_workers"]:
            return None  # Dask's own look, which leaves them out, came in between
        if not workers:
            self._without = self._without or now
            if now - self._without > self._lost:
                raise ClusterError(
                    f"no worker is left at {self._name}",
                    hint="Start workers and plan again; nothing was sent.",
                )
            return "no worker is left"
        self._without = None
        for worker, each in workers.items():
            if self._heard.get(worker, (None, 0.0))[0] != each["last_seen"]:
                self._heard[worker] = (each["last_seen"], now)
        silent = [worker for worker in workers if now - self._heard[worker][1] > self._silence]
        return f"the worker {silent[0]} does not answer" if silent else None


def _gone(name: str) -> ClusterError:
    return ClusterError(
        f"the scheduler {name} is gone, and with it what the workers were doing",
        hint="Start it again and plan anew; nothing was sent, and no job was made.",
    )


def is_client(value: object) -> bool:
    """Whether this is a client of Dask's that can be waited for."""
    return isinstance(value, Client) and not value.asynchronous


@contextmanager
def connected(address: str, security: Mapping[str, str] | None = None) -> Iterator[DaskEngine]:
    """An engine on the cluster at an address, by TLS with what `temporary_credentials` gave.

    Without these, what Dask's own configuration says holds. Raises ClusterError.
    """
    _refuse_no_certificate(address, security)
    quiet = logging.getLogger("distributed")
    before = quiet.level
    quiet.setLevel(logging.CRITICAL)  # what goes wrong is said once, by us
    try:
        try:
            client = Client(
                address,
                timeout=_CONNECT,
                security=_security(security) if security else None,
                set_as_default=False,
            )
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            raise ClusterError(
                f"there is no Dask scheduler that answers at {address}: {error}",
                hint="`dask scheduler` starts one; its log names its address.",
            ) from None
        try:
            yield DaskEngine(client)
        finally:
            client.close(timeout=_CLOSE)
    finally:
        quiet.setLevel(before)


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
