"""The whole story of one record: the row, its fields, its body, its requests, its state.

Everything comes from the job's directory; only what a contact's columns held is read from the
contacts' files, where they can still be read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

import polars as pl

from backfill.checks.explanations import explain
from backfill.config import Config
from backfill.core.errors import ConfigError, did_you_mean
from backfill.core.model import State
from backfill.destination import Destination
from backfill.jobdir.copies import job_file
from backfill.jobdir.manifest import Manifest
from backfill.jobs.records.field_stories import FieldStory, as_text, field_stories
from backfill.jobs.records.table import parts_of_records
from backfill.ledger import AnyLedger

__all__ = ["FieldStory", "Request", "Story", "place_named", "story_of"]


@dataclass(frozen=True, slots=True)
class Request:
    """A request that the record was in. `at` is in UTC, when it ended; `outcome` a state."""

    at: str
    outcome: str
    http_status: int | None
    words: str
    request_id: str | None


@dataclass(frozen=True, slots=True)
class Story:
    """What is known of one record.

    `row` are the source's own columns, `raw` the text of a row that cannot be read, and `cause` why
    it cannot. `place` says where it lies among the ready records: bucket, lane, its number in the
    lane, and the records of its key before and after it.
    """

    file: str
    number: int
    state: State
    reason: str | None
    meaning: str
    helps: str
    row: Mapping[str, str | None]
    raw: str | None
    cause: str | None
    fields: tuple[FieldStory, ...]
    body: str | None
    place: Mapping[str, Any] | None
    requests: tuple[Request, ...]

    def as_dict(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        content = asdict(self)
        content |= {"row": self.number, "columns": dict(self.row), "state": self.state.value}
        del content["number"]
        content["body"] = None if self.body is None else json.loads(self.body)
        return content

    def _repr_html_(self) -> str:
        rows = [
            ("record", f"{self.file}, row {self.number:,}"),
            ("state", f"{self.state}: {self.meaning}"),
            *([("reason", self.reason)] if self.reason else []),
            *([("cannot be read", f"{self.cause}: {self.raw}")] if self.cause else []),
            *((f"{each.name} ← {each.origin}", str(each)) for each in self.fields),
            *([("body", self.body)] if self.body else []),
            *((f"request, {each.at}", _said(each)) for each in self.requests),
            ("what helps", self.helps),
        ]
        cells = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th>"
            f"<td style='text-align:left'>{escape(text)}</td></tr>"
            for name, text in rows
        )
        return f"<table>{cells}</table>"


def place_named(name: str | int, manifest: Manifest) -> tuple[str, int]:
    """The file and the row that `[FILE:]ROW` means. Raises ConfigError where none is meant."""
    text = str(name)
    file, _, row = text.rpartition(":")
    digits = row.replace(",", "").replace("_", "")
    if not (digits.isascii() and digits.isdigit()):
        raise ConfigError(f"{text!r} is no row", hint="Name it by its number, or as FILE:ROW.")
    names = [entry.name for entry in manifest.events]
    found = [each for each in names if not file or each == file or Path(each).name == file]
    if len(found) == 1:
        return found[0], int(digits)
    if found:
        raise ConfigError(
            f"row {int(digits):,} stands in {len(found)} files",
            hint=f"Name the file, too: {found[0]}:{digits}",
        )
    raise ConfigError(f"the job has no file {file!r}", hint=did_you_mean(file, names))


def story_of(
    file: str,
    row: int,
    *,
    directory: Path,
    manifest: Manifest,
    destination: Destination,
    config: Config | None,
    ledger: AnyLedger,
) -> Story:
    """Tell what is known of a row. Raises ConfigError for a row that the job does not have."""
    record = _record(file, row, directory, manifest, ledger)
    found = record.row(0, named=True)
    state = State(found["_state"])
    own = {name: as_text(found[name]) for name in manifest.columns}
    body: str | None = None
    place: dict[str, Any] | None = None
    requests: tuple[Request, ...] = ()
    if state not in (State.EXCLUDED, State.REJECTED, State.DUPLICATE):
        body, place, requests = _ready(
            file, row, found, directory=directory, manifest=manifest, ledger=ledger
        )
    said = explain(state.value)
    return Story(
        file=file,
        number=row,
        state=state,
        reason=found["_reason"],
        meaning=state.meaning,
        helps=said.helps.replace("JOB", str(directory)).replace(" ROW", f" {row}"),
        row=own,
        raw=found.get("_raw"),
        cause=found.get("_cause"),
        fields=field_stories(
            record.select(manifest.columns),
            reason=found["_reason"],
            body=body,
            manifest=manifest,
            destination=destination,
            config=config,
        ),
        body=body,
        place=place,
        requests=requests,
    )


def _record(
    file: str, row: int, directory: Path, manifest: Manifest, ledger: AnyLedger
) -> pl.DataFrame:
    number = next(at for at, entry in enumerate(manifest.events) if entry.name == file)
    # By what a bucket's records and its rows are joined on, so that both are read no further.
    wanted = (pl.col("__file") == number) & (pl.col("_row") == row)
    for part in parts_of_records(directory, manifest, ledger):
        frame = part.filter(wanted).collect()
        if frame.height:
            return frame.head(1)
    raise manifest.events[number].lacks(row)


def _ready(
    file: str,
    row: int,
    found: Mapping[str, Any],
    *,
    directory: Path,
    manifest: Manifest,
    ledger: AnyLedger,
) -> tuple[str, dict[str, Any], tuple[Request, ...]]:
    """The body of a ready record, where it lies, and the requests it was in."""
    number = next(at for at, entry in enumerate(manifest.events) if entry.name == file)
    for bucket, described in enumerate(manifest.buckets):
        path = job_file(directory, f"ready/{described.file}")
        ready = pl.scan_parquet(path, glob=False).with_row_index("position")
        here = ready.filter((pl.col("file") == number) & (pl.col("row") == row))
        rows = here.select("position", "key", "body").collect()
        if not rows.height:
            continue
        position, key, body = rows.row(0)
        lane = next(
            each
            for each in manifest.lanes()
            if each.bucket == bucket and each.start <= position < each.stop
        )
        siblings = (
            ready.filter((pl.col("key") == key) & (pl.col("position") >= lane.start))
            .filter(pl.col("position") < lane.stop)
            .select("position", "file", "row")
            .collect()
        )
        names = [entry.name for entry in manifest.events]
        before = siblings.filter(pl.col("position") < position).tail(1)
        after = siblings.filter(pl.col("position") > position).head(1)
        place = {
            "bucket": bucket,
            "lane": lane.number,
            "number": position - lane.start + 1,
            "of": lane.stop - lane.start,
            "key": key,
            "before": _neighbour(before, names),
            "after": _neighbour(after, names),
        }
        return str(body), place, _requests(ledger, bucket, position, found)
    raise ConfigError(f"row {row:,} of {file} is in no ready bucket")


def _neighbour(rows: pl.DataFrame, names: list[str]) -> str | None:
    if not rows.height:
        return None
    _, file, row = rows.row(0)
    return f"{names[file]}:{row}"


def _requests(
    ledger: AnyLedger, bucket: int, position: int, found: Mapping[str, Any]
) -> tuple[Request, ...]:
    requests = [
        Request(_moment(at), "pending", said.http_status, said.reason, said.request_id)
        for at, _, said in ledger.attempts(bucket, position)
    ]
    for at_bucket, outcome, at in ledger.outcomes(State(found["_state"])) if _sent(found) else ():
        if at_bucket == bucket and any(start <= position < stop for start, stop in outcome.ranges):
            requests.append(
                Request(
                    _moment(at),
                    outcome.state.value,
                    outcome.http_status,
                    outcome.reason,
                    found["_request_id"],
                )
            )
            break
    return tuple(requests)


def _sent(found: Mapping[str, Any]) -> bool:
    return found["_state"] in (State.DELIVERED, State.FAILED, State.UNKNOWN)


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _said(request: Request) -> str:
    parts = [request.outcome, str(request.http_status or "no reply"), request.words]
    return ", ".join(part for part in parts if part)
