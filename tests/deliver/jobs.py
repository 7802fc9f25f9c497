"""Small planned jobs, written straight to a directory: ready files and a manifest."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from backfill.destinations import destination
from backfill.jobdir.manifest import Bucket, Manifest
from tests.ready_files import READY

POPULATION = "00000000-0000-4000-8000-000000000000"
_NAMESPACE = uuid.UUID("6f1f64f0-0000-4000-8000-000000000000")


def item(name: str, key: str, number: int) -> str:
    """The encoded body of an invented record; `number` can be read back from it."""
    if name == "pristo-events":
        return json.dumps(
            {
                "contact": {"id": key, "email": f"{number}@example.com"},
                "type": "event",
                "occurredAt": "2024-01-01T00:00:00Z",
                "customFields": {"number": str(number)},
            },
            separators=(",", ":"),
        )
    target = {"type": "phone_number", "value": key}
    if name == "watch-events":
        content = {"target": target, "label": str(number), "confidence": "neutral"}
    else:
        content = {
            "target": target,
            "type": "verification.started",
            "metadata": {"correlation_id": str(number)},
        }
    return json.dumps(content, separators=(",", ":"))


def number_of(content: dict[str, object]) -> int:
    """The number that `item` put into a body."""
    match content:
        case {"customFields": {"number": str(text)}}:
            return int(text)
        case {"label": str(text)} | {"metadata": {"correlation_id": str(text)}}:
            return int(text)
    raise AssertionError(content)


def key_of(content: dict[str, object]) -> str:
    """The ordering key of a body that `item` made."""
    match content:
        case {"contact": {"id": str(text)}} | {"target": {"value": str(text)}}:
            return text
    raise AssertionError(content)


def make_job(
    directory: Path,
    name: str = "pristo-events",
    lanes: Sequence[Sequence[int]] = ((4, 4),),
    keys: int = 2,
) -> Manifest:
    """A job whose buckets have lanes of the given lengths.

    Records are numbered from 0 over all buckets. Each lane has `keys` keys of its own, taking
    turns.
    """
    ready = directory / "ready"
    ready.mkdir(parents=True, exist_ok=True)
    manifest = manifest_for(name, lanes)
    for bucket, frame in zip(manifest.buckets, ready_frames(name, lanes, keys), strict=True):
        frame.write_parquet(ready / bucket.file)
    return manifest


def ready_frames(name: str, lanes: Sequence[Sequence[int]], keys: int) -> list[pl.DataFrame]:
    """What the ready file of each bucket holds."""
    frames = []
    number = 0
    for index, lengths in enumerate(lanes):
        rows = []
        for lane, length in enumerate(lengths):
            for place in range(length):
                turn = place % keys
                if name == "pristo-events":
                    key = str(uuid.uuid5(_NAMESPACE, f"{index}/{lane}/{turn}"))
                else:
                    key = f"+1202555{index:02}{lane:04}{turn}"
                rows.append((lane, number, key, item(name, key, number)))
                number += 1
        frames.append(
            pl.DataFrame(
                {
                    "lane": [row[0] for row in rows],
                    "file": [0] * len(rows),
                    "row": [row[1] + 1 for row in rows],
                    "time": [None] * len(rows),
                    "key": [row[2] for row in rows],
                    "record": [str(uuid.uuid5(_NAMESPACE, str(row[1]))) for row in rows],
                    "body": [row[3] for row in rows],
                },
                schema=READY,
            )
        )
    return frames


def manifest_for(name: str, lanes: Sequence[Sequence[int]]) -> Manifest:
    """The manifest of a job whose buckets have lanes of these lengths, and nothing else."""
    buckets = tuple(
        Bucket(file=f"{index:03}.parquet", rows=sum(lengths), lanes=tuple(lengths))
        for index, lengths in enumerate(lanes)
    )
    number = sum(each.rows for each in buckets)
    api = destination(name)
    return Manifest(
        backfill="0",
        polars=pl.__version__,
        created=0.0,
        destination=name,
        population=POPULATION if api.needs_population else None,
        shape={},
        shape_sha256="",
        identity=(),
        events=(),
        columns=(),
        input=number,
        rejected=0,
        duplicate=0,
        ready=number,
        buckets=buckets,
    )
