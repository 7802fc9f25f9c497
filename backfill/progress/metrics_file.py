"""A run's figures as a Prometheus text file, for the node exporter's textfile collector."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from prometheus_client import CollectorRegistry, write_to_textfile
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from backfill.core.errors import ConfigError
from backfill.core.model import Books, State
from backfill.deliver import Snapshot
from backfill.progress.repeating import Repeating
from backfill.progress.time_left import TimeLeft

__all__ = ["MetricsFile"]

log = logging.getLogger("backfill.metrics")

_EVERY = 5.0  # seconds between two writings
_BEGIN = b"# HELP backfill_records "  # the first bytes of each file that is written here
_SLOTS = 40  # of the latency's histogram, two for each doubling: up to 1,000 s


class MetricsFile(Collector):
    """Writes the figures of a run to a file while it is entered, replacing it whole each time.

    The object itself is the observer of the run; a thread of its own writes, so that a slow disk
    holds nothing up. A file that cannot be written, or that holds anything but metrics of this
    kind, is an error at the beginning; later it is a warning, because the delivery matters more.
    """

    def __init__(
        self, path: Path, books: Books, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`books` are those before the run."""
        self._path = path
        self._books = books
        self._clock = clock
        self._snapshot: Snapshot | None = None
        self._time_left = TimeLeft()
        self._running = True
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        self._repeating = Repeating(self._try, _EVERY, name="backfill-metrics")

    def __enter__(self) -> Self:
        try:
            self._refuse_other_file()
            self._write()
        except OSError as error:
            raise ConfigError(
                f"the metrics cannot be written: {error.strerror or error}",
                where=str(self._path),
                hint="Name a file in a directory that exists and can be written to.",
            ) from error
        self._repeating.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._repeating.stop()
        self._running = False
        self._try()

    def _refuse_other_file(self) -> None:
        """The file is replaced whole, so what stands there must be an earlier run's metrics."""
        if not self._path.is_file():
            if self._path.exists():
                raise ConfigError(
                    "is a device, a pipe or a directory, and metrics replace a file",
                    where=str(self._path),
                    hint="Nothing was sent. Name a file of their own, such as backfill.prom.",
                )
            return
        with self._path.open("rb") as file:
            begin = file.read(len(_BEGIN))
        if begin and begin != _BEGIN:
            raise ConfigError(
                "the metrics would replace a file that holds something else",
                where=str(self._path),
                hint="Name a file of their own, such as backfill.prom.",
            )

    def __call__(self, snapshot: Snapshot) -> None:
        settled = snapshot.delivered + snapshot.failed + snapshot.unknown
        idle = not snapshot.in_flight and not snapshot.rate
        self._time_left.add(self._clock(), settled, idle=idle)
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """The metrics at this moment; called by the registry."""
        snapshot = self._snapshot
        records = GaugeMetricFamily(
            "backfill_records", "Records by state, over all runs of the job.", labels=["state"]
        )
        for state in State:
            count = getattr(snapshot, state.value, None)
            records.add_metric([state.value], self._books.count(state) if count is None else count)
        yield records
        yield GaugeMetricFamily("backfill_running", "1 while a run goes on.", self._running)
        if snapshot is None:
            return
        requests = CounterMetricFamily(
            "backfill_requests", "Requests of this run by what became of them.", labels=["outcome"]
        )
        for outcome, count in sorted(snapshot.outcomes.items()):
            requests.add_metric([outcome], count)
        yield requests
        for name, meaning, value in (
            ("requests_in_flight", "Requests that wait for their reply.", snapshot.in_flight),
            ("request_rate", "Requests a second over the last seconds.", snapshot.rate),
            ("request_rate_limit", "Requests a second that the limiter allows.", snapshot.limit),
            ("quiet_until_seconds", "End of a quiet period; 0 for none.", snapshot.quiet_until),
            ("seconds_left", "At the pace of the last minute.", self._seconds_left(snapshot)),
        ):
            if value is not None:
                yield GaugeMetricFamily(f"backfill_{name}", meaning, value)
        yield self._latency(snapshot)

    def _seconds_left(self, snapshot: Snapshot) -> float | None:
        return self._time_left.time_for(snapshot.pending) if snapshot.pending else 0.0

    def _latency(self, snapshot: Snapshot) -> Metric:
        total, buckets = 0, []
        for slot in range(_SLOTS):
            total += snapshot.latency.get(slot, 0)
            buckets.append((f"{2 ** ((slot + 1) / 2) / 1000:.6g}", total))
        total = sum(snapshot.latency.values())
        return HistogramMetricFamily(
            "backfill_reply_seconds",
            "Time until a reply, of this run.",
            buckets=[*buckets, ("+Inf", total)],
            sum_value=snapshot.waited,
        )

    def _try(self) -> None:
        try:
            self._write()
        except OSError as error:
            log.warning("the metrics cannot be written: %s: %s", self._path, error.strerror)

    def _write(self) -> None:
        write_to_textfile(str(self._path), self._registry)
