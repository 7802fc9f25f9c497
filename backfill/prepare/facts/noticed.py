"""What a plan asks or remarks about its sources as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from backfill.config import Config
from backfill.prepare.facts.calling_codes import notes_of_calling_codes
from backfill.prepare.facts.dropped_columns import note_of_dropped_columns
from backfill.prepare.facts.id_spellings import how_ids_would_meet
from backfill.prepare.facts.lost_pluses import notes_of_lost_pluses
from backfill.prepare.facts.named_encodings import note_of_encoding
from backfill.prepare.facts.odd_cells import notes_of_odd_cells
from backfill.prepare.facts.passed_over_files import note_of_files_passed_over
from backfill.prepare.facts.plan_stats import PartStats
from backfill.prepare.facts.regions_read import notes_of_regions
from backfill.prepare.facts.shared_addresses import note_of_shared_addresses
from backfill.prepare.facts.summary_rows import note_of_empty_rows, notes_of_summaries
from backfill.prepare.facts.zones import note_of_zone
from backfill.prepare.mapping.binding import Binding
from backfill.prepare.mapping.fields import FieldMapping
from backfill.prepare.mapping.first_rows import FirstRows
from backfill.prepare.mapping.hours import hours_left_out
from backfill.prepare.mapping.inputs import Side
from backfill.sources.scan import Source

__all__ = ["noticed"]

_MANY = 20  # records that hardly happened at one moment
_OLDEST = datetime(1990, 1, 1, tzinfo=UTC)  # what ended before it hardly is a company's history


def noticed(
    config: Config,
    binding: Binding,
    mapping: FieldMapping,
    stats: PartStats,
    first: Mapping[Side, FirstRows],
    *,
    events: Source,
    contacts: Source | None,
    rejected: Path,
    ready: Sequence[Path],
) -> list[str]:
    """Questions and remarks, what costs most first. `rejected` and `ready` are what was written,
    and `first` the first rows of each side.
    """
    names = [name for _, name in stats.unmatched]
    broken = {*stats.reasons, *stats.dropped}
    files = [(entry.name, entry.rows) for entry in events.entries]
    about_contacts: list[str | None] = []
    if contacts is not None and config.contacts is not None:
        about_contacts = [
            note_of_files_passed_over(config.contacts, config.directory),
            note_of_encoding("contacts", config.contacts.encoding, contacts),
            note_of_dropped_columns(contacts),
            how_ids_would_meet(names, config, binding, mapping, contacts),
        ]
    timeless = None
    if binding.time is None and config.dedupe.key is None and stats.duplicate:
        timeless = (
            f"no `time` is named under [events], so records of one key that differ in their time"
            f" alone are the same one: {stats.duplicate:,} are taken for duplicates"
        )
    found = [
        note_of_files_passed_over(config.events, config.directory),
        timeless,
        _one_time(binding, stats),
        _long_ago(stats),
        hours_left_out(config.events, events, first["events"].rows),
        note_of_encoding("events", config.events.encoding, events),
        note_of_dropped_columns(events),
        *about_contacts,
        *notes_of_odd_cells(config, binding, first, events, contacts),
        *notes_of_lost_pluses(binding, first),
        *notes_of_calling_codes(binding, events, contacts),
        note_of_zone(config.events.timezone),
        note_of_shared_addresses(
            ready,
            binding.inputs,
            binding.destination.ordering_field,
            by_contact=mapping.join is not None and mapping.gathered,
        ),
        *notes_of_regions(config, binding, broken, events=events, contacts=contacts),
    ]
    if stats.rejected:
        found += notes_of_summaries(rejected, files, events.columns)
        found.append(note_of_empty_rows(rejected, events.columns))
    return [each for each in found if each]


def _long_ago(stats: PartStats) -> str | None:
    """A remark where all times are so old that their unit or their form was mistaken."""
    if stats.last_time is None or stats.last_time >= _OLDEST:
        return None
    return (
        f"the last time is of {stats.last_time:%Y}: are these epochs in another unit, or digits"
        " such as 240131101112, which `time_format` reads?"
    )


def _one_time(binding: Binding, stats: PartStats) -> str | None:
    """A remark where all records have one time: that of an export, say, and not of the events."""
    records = stats.ready + stats.duplicate
    one = stats.first_time is not None and stats.first_time == stats.last_time
    if binding.time is None or not one or records < _MANY:
        return None
    lost = f"; {stats.duplicate:,} are taken for duplicates by it" if stats.duplicate else ""
    return (
        f"all {records:,} records have one and the same time, as if it were that of an export, and"
        f" not of what happened{lost}. `time` under [events] names its column"
    )
