"""What is attacked, and what must hold whatever comes in.

Each target is made once in a directory of its own, and then attacked with many seeds. An attack
returns a word for what happened; anything raised is a finding.
"""

from __future__ import annotations

import gzip
import random
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
from backports import zstd

from backfill.config import Files, load_config
from backfill.core.errors import ConfigError
from backfill.jobs.job import Job
from backfill.jobs.opening import plan_job
from backfill.sources.scan import open_source
from tests.fuzz.mutations import spoilt_bytes, spoilt_toml

__all__ = ["SOURCES", "Configurations", "Sources", "Target", "make_sources", "planned"]

SAMPLES = Path(__file__).parents[2] / "sample_data"
CONFIGURATIONS = ("pristo.toml", "watch-events.toml", "watch-feedbacks.toml")
_ROWS = 40


class Target(ABC):
    """Something that takes what others wrote. `place` is an empty directory of its own."""

    def __init__(self, place: Path) -> None:
        self.place = place

    @abstractmethod
    def attack(self, chance: random.Random) -> str:
        """Spoil something, use it, and look whether the promises hold."""


def make_sources(place: Path) -> None:
    """Some rows of the sample data that belong together, with its configurations."""
    for name in CONFIGURATIONS:
        shutil.copy(SAMPLES / name, place / name)
    people = pl.read_csv(SAMPLES / "contacts.csv", columns=["id"], infer_schema=False).head(_ROWS)
    everyone = pl.read_parquet(SAMPLES / "events.parquet")
    events = everyone.filter(pl.col("user_id").is_in(people["id"].implode())).head(2 * _ROWS)
    events.write_parquet(place / "events.parquet")
    events.write_ndjson(place / "events.ndjson")
    for name in ("contacts.csv", "verifications.csv"):
        lines = (SAMPLES / name).read_bytes().splitlines(keepends=True)
        (place / name).write_bytes(b"".join(lines[: _ROWS + 1]))


def planned(config: Path) -> tuple[str, Job | None]:
    """Plan a configuration: refused in words with exit code 2, or planned with balanced books."""
    directory = config.with_suffix(".job")
    shutil.rmtree(directory, ignore_errors=True)
    try:
        job = plan_job(load_config(config), directory)
    except ConfigError as error:
        if error.exit_code != 2 or not error.message.strip():
            raise AssertionError("refused without a word or with another exit code") from error
        assert not (directory / "manifest.json").exists()
        return "refused", None
    books = job.status().books
    assert books.balanced, books
    assert books.pending + books.rejected + books.duplicate == books.input, books
    assert job.records().height == books.input
    return "planned", job


class Configurations(Target):
    """Configuration files that someone mistyped."""

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        make_sources(place)
        self._texts = [(SAMPLES / name).read_text(encoding="utf-8") for name in CONFIGURATIONS]

    def attack(self, chance: random.Random) -> str:
        text = spoilt_toml(chance, chance.choice(self._texts), self._texts)
        config = self.place / "fuzzed.toml"
        config.write_text(text, encoding="utf-8")
        word, job = planned(config)
        if job is not None and chance.random() < 0.2:
            try:
                job.settings({"rate": "5/s"})
            except ConfigError:
                return "refused to run"
        return word


def _parquet(place: Path, chance: random.Random) -> bytes:
    """A Parquet file of many types and pages, in a compression of chance's choosing."""
    start = datetime(2025, 1, 1, tzinfo=UTC)
    rows = range(120)
    path = place / "whole.parquet"
    pl.DataFrame(
        {
            "id": [f"user-{row % 7}" for row in rows],
            "phone": [f"+1202555{row % 100:04}" for row in rows],
            "event": [None if row % 11 == 0 else "purchase" for row in rows],
            "at": [start + timedelta(minutes=row) for row in rows],
            "n": rows,
            "share": [row / 7 for row in rows],
            "yes": [row % 3 == 0 for row in rows],
            "list": [["x"] * (row % 3) for row in rows],
            "pair": [{"a": row, "b": str(row)} for row in rows],
        }
    ).write_parquet(
        path,
        compression=chance.choice(("uncompressed", "snappy", "zstd", "lz4", "gzip")),
        row_group_size=50,
        data_page_size=256,
    )
    return path.read_bytes()


def _spoilt_parquet(chance: random.Random, data: bytes) -> bytes:
    """Damage the pages, or the footer, or anything; sometimes keep the file's length."""
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    if chance.random() < 0.2:
        return spoilt_bytes(chance, data)
    low, high = chance.choice(((4, footer), (footer, len(data)), (0, len(data))))
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        changed[chance.randrange(low, high)] = chance.randrange(256)
    return bytes(changed)


class Parquet(Target):
    """Parquet files that a disk or a copy damaged."""

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self._config = place / "fuzzed.toml"
        self._config.write_text(
            """
destination = "watch-events"
[events]
files = "damaged.parquet"
time = "at"
[fields]
"target.value" = "phone"
"label" = "event"
"confidence" = { value = "neutral" }
""",
            encoding="utf-8",
        )

    def attack(self, chance: random.Random) -> str:
        data = _spoilt_parquet(chance, _parquet(self.place, chance))
        (self.place / "damaged.parquet").write_bytes(data)
        return planned(self._config)[0]


class Sources(Target):
    """CSV and NDJSON files, plain and packed, with readers that expect the right or wrong thing.

    Every row is given its number once, and is either readable or has its raw text.
    """

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        make_sources(place)
        self._wholes = [
            (place / name).read_bytes()
            for name in ("contacts.csv", "verifications.csv", "events.ndjson")
        ]

    def attack(self, chance: random.Random) -> str:
        which = chance.randrange(len(self._wholes))
        ending = "ndjson" if which == 2 else "csv"
        data = self._packed(chance, self._wholes[which])
        name = f"spoilt.{ending}{data[0]}"
        path = self.place / name
        path.write_bytes(data[1])
        options = {} if chance.random() < 0.6 else _odd_options(chance, ending)
        try:
            files = Files.model_validate({"files": name, **options})
            source = open_source(files, self.place, what="events")
            frame = source.scan().collect(engine="streaming")
        except ConfigError as error:
            if name not in str(error):
                raise AssertionError("refused without the file's name") from error
            return "refused"
        finally:
            path.unlink()
        assert frame.height == source.rows, (frame.height, source.rows)
        assert frame["__row"].to_list() == list(range(1, source.rows + 1))
        own = frame.select(source.columns)
        raw = frame.filter(pl.col("__raw").is_not_null()).select(source.columns)
        assert raw.null_count().sum_horizontal().sum() == raw.height * raw.width
        assert own.width
        return "read with malformed rows" if raw.height else "read"

    def _packed(self, chance: random.Random, whole: bytes) -> tuple[str, bytes]:
        """The file's last ending and its bytes, spoilt before or after they are packed."""
        way = chance.randrange(6)
        text = spoilt_bytes(chance, whole) if way < 4 else whole
        if way in (0, 1, 2):
            return "", text
        ending, pack = chance.choice(((".gz", gzip.compress), (".zst", zstd.compress)))
        packed = pack(text)
        return ending, packed if way == 3 else spoilt_bytes(chance, packed)


def _odd_options(chance: random.Random, ending: str) -> dict[str, object]:
    options: dict[str, object] = {
        "encoding": chance.choice(("utf-8", "latin-1", "windows-1255", "utf-16", "cp037", "utf-7"))
    }
    if ending == "csv":
        options["separator"] = chance.choice((",", ";", "\t", "|", " ", "a"))
    if chance.random() < 0.3:
        options["null_values"] = chance.choice(((), ("",), ("NULL", "null"), ('"',)))
    return options


SOURCES: Sequence[Callable[[Path], Target]] = (Configurations, Parquet, Sources)
