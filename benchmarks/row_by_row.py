"""The usual ways: a model for each row, and a pipeline tool's own destination.

    python -m benchmarks.row_by_row

pandas reads and joins the files of `benchmarks.prepare` and pydantic judges each row and writes
its body, without the order of delivery and what else a plan leaves behind. dlt hands a custom
destination one record at a time, which posts it over a shared `httpx.Client` from as many
threads as there were connections in `benchmarks.deliver`, without a ledger of requests. Both
run on small data: they take the same time for every row. Prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import httpx
from pydantic import AwareDatetime, BaseModel, StringConstraints, ValidationError, model_validator

from benchmarks.endpoint import endpoint
from benchmarks.prepare import NOW, POPULATION, generate

_UUID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_Short = Annotated[str, StringConstraints(max_length=50)]


class _Contact(BaseModel):
    id: Annotated[str, StringConstraints(pattern=_UUID)]
    email: Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")] | None
    phone: Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{1,14}$")] | None
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")] | None
    name: str | None
    customFields: dict[str, _Short]  # noqa: N815 - the names are those of the body

    @model_validator(mode="after")
    def reachable(self) -> _Contact:
        if self.email is None and self.phone is None:
            raise ValueError("neither an email address nor a phone number")
        return self


class _Event(BaseModel):
    contact: _Contact
    type: str
    occurredAt: AwareDatetime  # noqa: N815 - the same
    customFields: dict[str, _Short]  # noqa: N815 - the same

    @model_validator(mode="after")
    def past(self) -> _Event:
        if self.occurredAt > NOW:
            raise ValueError("in the future")
        return self


def pandas_with_pydantic(directory: Path) -> tuple[int, float, float]:
    """Rows read, and the seconds that they took by the clock and of the processor."""
    import pandas as pd  # type: ignore[import-untyped,import-not-found,unused-ignore]  # noqa: PLC0415 - optional

    wall, cpu = time.perf_counter(), time.process_time()
    events = pd.read_parquet(directory / "events.parquet")
    contacts = pd.read_parquet(directory / "contacts.parquet").drop_duplicates("id", keep="last")
    rows = events.merge(contacts, left_on="user_id", right_on="id", how="left")
    rows = rows.astype(object).where(rows.notna(), None)
    good, rejected, seen = [], [], set()
    for index, row in enumerate(rows.to_dict("records")):
        try:
            body = _Event.model_validate(_shaped(row)).model_dump_json(exclude_none=True)
        except ValidationError as error:
            rejected.append((index, str(error)))
            continue
        if body not in seen:
            seen.add(body)
            good.append((row["user_id"], row["at"], body))
    ready = pd.DataFrame(good, columns=["key", "time", "body"]).sort_values(["key", "time"])
    ready.to_parquet(directory / "bodies.parquet")
    return len(rows), time.perf_counter() - wall, time.process_time() - cpu


def _shaped(row: dict[str, Any]) -> dict[str, Any]:
    own = {"channel": row["channel"], "amount": row["amount"], "transactionId": row["transaction"]}
    return {
        "contact": {
            **{name: row[name] for name in ("email", "phone", "language", "name")},
            "id": row["user_id"],
            "customFields": {} if row["plan"] is None else {"plan": row["plan"]},
        },
        "type": row["event"],
        "occurredAt": row["at"],
        "customFields": {name: str(value) for name, value in own.items() if value is not None},
    }


def dlt_destination(url: str, records: int, connections: int) -> tuple[int, float, float]:
    """Records delivered, and the seconds that they took by the clock and of the processor."""
    # Nothing leaves this machine while it is measured.
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["RUNTIME__LOG_LEVEL"] = "CRITICAL"
    os.environ["LOAD__WORKERS"] = str(connections)
    os.environ["DATA_WRITER__FILE_MAX_ITEMS"] = str(max(1, records // connections))
    import dlt  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - optional, and reads the above

    posted: list[int] = []
    body = {"contact": {"id": "3d19215e-2991-4a05-a41a-527314e6ff6a"}, "note": "x" * 200}

    def numbered() -> Iterator[dict[str, Any]]:
        for number in range(records):
            yield {**body, "type": f"purchase {number}"}

    with (
        tempfile.TemporaryDirectory() as room,
        httpx.Client(limits=httpx.Limits(max_connections=connections), timeout=60) as client,
    ):

        @dlt.destination(batch_size=1, name="pristo", max_table_nesting=0)  # type: ignore[untyped-decorator,unused-ignore]
        def pristo(items: Any, _: object, /) -> None:
            for item in items:
                client.post(f"{url}/v1/events/send/{POPULATION}", json=item).raise_for_status()
                posted.append(1)

        wall, cpu = time.perf_counter(), time.process_time()
        pipeline = dlt.pipeline("measured", destination=pristo, pipelines_dir=room)
        pipeline.run(numbered(), table_name="events")
        taken = time.perf_counter() - wall, time.process_time() - cpu
    assert len(posted) == records
    return records, *taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--contacts", type=int, default=10_000)
    parser.add_argument("--records", type=int, default=2_000, help="that dlt delivers")
    given = parser.parse_args()
    print("| way | rows | rows/s | CPU for each |")
    print("|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory(prefix="backfill-benchmark-") as room:
        generate(Path(room), given.events, given.contacts)
        _tell("preparing: pandas with pydantic, row by row", pandas_with_pydantic(Path(room)))
    with endpoint(max(os.sched_getaffinity(0))) as (url, _):
        _tell("delivering: dlt's custom destination", dlt_destination(url, given.records, 64))


def _tell(way: str, found: tuple[int, float, float]) -> None:
    rows, seconds, used = found
    print(f"| {way} | {rows:,} | {rows / seconds:,.0f} | {used / rows * 1e6:,.0f} µs |")


if __name__ == "__main__":
    main()
