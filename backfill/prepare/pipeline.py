"""From files to ready buckets: the way of a job, from the top to the bottom of this page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

import polars as pl

from backfill.config import Config
from backfill.core.errors import BackfillError, ConfigError
from backfill.core.model import Progress
from backfill.destination import Destination
from backfill.jobdir.manifest import Bucket, Manifest
from backfill.prepare.buckets import gather
from backfill.prepare.dedupe import MARKS
from backfill.prepare.engines.engine import Engine, Threads
from backfill.prepare.facts.examples import examples_of
from backfill.prepare.facts.noticed import noticed
from backfill.prepare.facts.plan_stats import PartStats, Unreadable, as_counts, facts_of
from backfill.prepare.left_out import Previous, check_recognised, left_out
from backfill.prepare.mapping.binding import bind
from backfill.prepare.mapping.first_rows import FirstRows, first_rows
from backfill.prepare.mapping.inputs import Side
from backfill.prepare.partition import parts_needed, rows_at_once
from backfill.prepare.partition_stages import Passes
from backfill.prepare.recipe import Recipe
from backfill.prepare.records import UNDECODABLE
from backfill.prepare.sql.errors import not_on_every_row
from backfill.sources.formats.parquet_errors import UNREADABLE
from backfill.sources.scan import Source, open_source
from backfill.sources.schemas import MIXED

__all__ = ["prepare"]

_SHARED = 16  # parts at least of a job that several machines deliver, each some of them
_NAMED, _SHOWN = 3, 60  # rows of the contacts that cannot be read, and characters of each


def prepare(
    config: Config,
    destination: Destination,
    into: Path,
    *,
    now: datetime,
    previous: Sequence[Previous] = (),
    progress: Progress | None = None,
    parts: int | None = None,
    at_once: int | None = None,
    careful: bool = False,
    engine: Engine | None = None,
) -> Manifest:
    """Prepare a job: write `ready/` and a file each of excluded, rejected and duplicate rows.

    All goes into `into`, an existing, empty directory; the manifest is returned, not written.
    `previous` are the earlier jobs that are named. `parts` says into how many parts the source
    is split and `at_once` how many rows of a large part are worked on together, which otherwise
    follow from its size. `careful` has another process try each Parquet file first, for when an
    attempt before this one died. `engine` runs the tasks, threads of this process without one.
    Raises ConfigError (SourceError among them) where nothing can be prepared,
    BackfillError where the books do not balance.
    """
    engine = engine or Threads()
    with _workspace(into) as work:
        mark = work / "mark"
        mark.touch()
        engine.refuse_unseen([mark])
        opened = partial(
            open_source,
            directory=config.directory,
            progress=progress,
            careful=careful,
            copies=work,
        )
        events = opened(config.events, what="events")
        contacts = opened(config.contacts, what="contacts") if config.contacts else None
        binding = bind(config, destination, events, contacts, now=now)
        engine.refuse_unseen([*events.paths, *(contacts.paths if contacts is not None else ())])
        events = events.with_numbers_as_written(binding.numbers_as_written("events"))
        if contacts is not None:
            contacts = contacts.with_numbers_as_written(binding.numbers_as_written("contacts"))
        recipe = Recipe(
            config=config,
            destination=destination,
            now=now,
            events=events.outline(),
            contacts=contacts.outline() if contacts is not None else None,
            binding=binding,
            left_out=left_out(
                previous,
                config,
                binding,
                events=events.entries,
                contacts=contacts.entries if contacts is not None else (),
                work=work,
                in_files=not engine.shares_memory,
            ),
            parts=parts or max(_parts_for(events, contacts), _SHARED if config.cluster else 1),
            at_once=at_once or rows_at_once(events.rows, _size(events)),
            work=work,
        )
        passes = Passes(recipe, events, contacts, into, engine, progress or _silent)
        sources = [source for source in (events, contacts) if source is not None]
        try:
            manifest = _finished(passes, passes.run(), now)
            manifest = manifest.with_notes(
                check_recognised(previous, config, binding, manifest, into)
            )
        except UNREADABLE as error:
            for source in sources:
                source.refuse_change()
                source.read_through()
            raise _sql_fault(passes) or error from error
        for source in sources:
            source.refuse_change()
        return manifest


def _sql_fault(passes: Passes) -> ConfigError | None:
    """The first expression of the configuration that fails on some row, such as a strict cast."""
    sources = {"events": passes.events, "contacts": passes.contacts}
    for each in passes.recipe.binding.expressions:
        source = sources[each.side]
        if source is not None:
            fault = not_on_every_row(each.text, each.raw, source.scan(), each.where)
            if fault is not None:
                return fault
    return None


def _silent(phase: str, done: int, total: int | None) -> None:
    del phase, done, total


def _parts_for(events: Source, contacts: Source | None) -> int:
    """How many parts: events decide, unless there are far more contacts than events."""
    others = contacts.rows // 2 if contacts else 0
    return parts_needed(max(events.rows, others), _size(events))


def _size(source: Source) -> int:
    """Bytes of its files."""
    return sum(entry.size for entry in source.entries)


@contextmanager
def _workspace(into: Path) -> Iterator[Path]:
    """A hidden directory for what is on its way, gone afterwards whatever happens."""
    work = into.absolute() / ".work"
    work.mkdir(mode=0o700)
    (into / "ready").mkdir(mode=0o700)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _finished(passes: Passes, buckets: list[Bucket], now: datetime) -> Manifest:
    """Put the outputs together, hold the books against them, and say what the plan found."""
    excluded, rejected, duplicates = _gathered(passes)
    ready = sum(
        pl.scan_parquet(passes.into / "ready" / bucket.file, glob=False)
        .select(pl.len())
        .collect()
        .item()
        for bucket in buckets
    )
    _check_books(passes.stats, passes.events.rows, excluded, rejected, duplicates, ready)
    first = first_rows(passes.recipe.binding, passes.events, passes.contacts)
    return Manifest(
        backfill=version("backfill"),
        polars=pl.__version__,
        created=now.timestamp(),
        destination=passes.recipe.binding.destination.name,
        population=passes.recipe.config.population,
        shape=passes.recipe.config.shape(),
        shape_sha256=passes.recipe.config.digest(),
        identity=passes.recipe.binding.identity,
        events=passes.events.entries,
        contacts=passes.contacts.entries if passes.contacts else (),
        columns=passes.events.columns,
        input=passes.events.rows,
        excluded=excluded,
        rejected=rejected,
        duplicate=duplicates,
        ready=ready,
        exclusions=as_counts(passes.stats.exclusions),
        reasons=as_counts(passes.stats.reasons),
        dropped=as_counts(passes.stats.dropped),
        buckets=tuple(buckets),
        facts=facts_of(
            passes.stats,
            passes.recipe.binding,
            examples=examples_of(
                passes.stats.examples,
                passes.recipe.binding,
                passes.recipe.mapping,
                rejected=passes.files["rejected"],
                contacts=passes.contacts,
                names=[entry.name for entry in passes.events.entries],
            ),
            unreadable=_unreadable(passes.contacts, first.get("contacts")),
            warned=passes.recipe.maker.warned,
            encodings=_encodings(passes.recipe.config),
            names=[entry.name for entry in passes.events.entries],
            selection=passes.recipe.binding.selection.shown(passes.recipe.config),
            noticed=noticed(
                passes.recipe.config,
                passes.recipe.binding,
                passes.recipe.mapping,
                passes.stats,
                first,
                events=passes.events,
                contacts=passes.contacts,
                rejected=passes.into / "rejected.parquet",
                ready=[passes.into / "ready" / each.file for each in buckets],
            ),
        ),
    )


def _encodings(config: Config) -> dict[Side, str]:
    found: dict[Side, str] = {"events": config.events.encoding}
    if config.contacts is not None:
        found["contacts"] = config.contacts.encoding
    return found


def _unreadable(contacts: Source | None, begin: FirstRows | None) -> Unreadable:
    if contacts is None or begin is None:
        return Unreadable()
    if begin.complete and begin.readable.height == begin.rows.height:
        return Unreadable()
    place = pl.struct("__file", "__row", pl.col("__raw").str.slice(0, _SHOWN))
    undecodable = pl.col("__raw").str.contains(UNDECODABLE).sum().alias("undecodable")
    count, foreigners, first = (
        contacts.scan()
        .filter(pl.col("__raw").is_not_null())
        .select(
            pl.len(),
            undecodable,
            place.sort_by("__file", "__row").head(_NAMED).implode().alias("first"),
        )
        .collect()
        .row(0)
    )
    return Unreadable(
        count,
        foreigners,
        tuple(
            (contacts.entries[each["__file"]].name, each["__row"], each["__raw"]) for each in first
        ),
    )


def _gathered(passes: Passes) -> tuple[int, int, int]:
    """Put excluded rows, rejected ones and duplicates into a file each; returns their numbers."""
    passes.tell("writing", 0, None)
    own = {
        name: pl.String() if dtype == MIXED else dtype
        for name, dtype in passes.events.schema.items()
    }
    place = {"_file": pl.String(), "_row": pl.UInt64()}
    reasoned = {**place, "_reason": pl.String(), **own}
    excluded = gather(
        passes.files["excluded"], passes.into / "excluded.parquet", pl.Schema(reasoned)
    )
    rejected = gather(
        passes.files["rejected"],
        passes.into / "rejected.parquet",
        pl.Schema({**reasoned, "_raw": pl.String(), "_cause": pl.String()}),
    )
    kept = {name: dtype for name, dtype in MARKS.items() if name.startswith("_kept")}
    duplicates = gather(
        passes.files["duplicates"],
        passes.into / "duplicates.parquet",
        pl.Schema({**place, **kept, "__record": pl.String(), **own}),
    )
    return excluded, rejected, duplicates


def _check_books(stats: PartStats, rows: int, *written: int) -> None:
    """What lies on disk, what was counted on the way, and what the source holds must agree."""
    counted = (stats.excluded, stats.rejected, stats.duplicate, stats.ready)
    if counted != written or sum(counted) != rows:
        raise BackfillError(
            f"the books do not balance: {rows} rows were read; of excluded, rejected, duplicate and"
            f" ready ones {written} were written and {counted} counted",
            hint="This is a fault of backfill, and nothing was sent. Please report it.",
        )
