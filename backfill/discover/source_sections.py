"""The sections [events] and [contacts] of a drafted configuration."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from backfill.config.placeholders import MARK
from backfill.config.toml_strings import quoted, sql_text
from backfill.discover.columns import ColumnProfile
from backfill.discover.names.spellings import JOIN_KEYS, TIMES
from backfill.discover.phrases import percent, time_format
from backfill.discover.proposal import Proposal
from backfill.discover.samples import Sample
from backfill.discover.times.dates import Written, date_and_epoch
from backfill.discover.times.zones import zone_said
from backfill.discover.toml_text import Line, aligned, wrapped
from backfill.prepare.facts.odd_cells import SEVERAL, header_remark
from backfill.prepare.facts.passed_over_files import remark_on_files_passed_over
from backfill.prepare.facts.summary_rows import count_empty_rows, leaving_out, without_empty_rows

__all__ = ["Sampled", "contacts_section", "events_section", "own_name"]

_NAMED = 4  # files that a sentence names
_NOTICED = 0.1  # the share of times without a zone that is worth a question

_LIKELY_ENCODINGS = (
    'Likely answers: "windows-1252" (Western Europe), "windows-1250" (Central Europe),'
    ' "windows-1251" (Cyrillic), "windows-1253" (Greek), "windows-1254" (Turkish), "windows-1255"'
    ' (Hebrew), "windows-1256" (Arabic), "shift_jis" (Japanese).'
)


@dataclass(frozen=True)
class Sampled:
    """One side of the source: its files as the configuration names them, and their sample.

    `format` is what they are where their ending does not say it. `aside` are files that lie beside
    them and are left aside, as they hold something else.
    """

    files: tuple[str, ...]
    sample: Sample
    format: str | None = None
    aside: tuple[str, ...] = ()

    @property
    def named(self) -> str:
        """The files as a sentence names them."""
        more = len(self.files) - _NAMED
        return ", ".join(self.files[:_NAMED]) + (f" and {more} more" if more > 0 else "")

    @property
    def remark_on_aside(self) -> str | None:
        """What is said of the files that are left aside; None where there are none."""
        if not self.aside:
            return None
        names = ", ".join(self.aside[:_NAMED])
        more = ", …" if len(self.aside) > _NAMED else ""
        one = len(self.aside) == 1
        what = (
            "1 file is left aside, as it holds"
            if one
            else (f"{len(self.aside):,} files are left aside, as they hold")
        )
        return (
            f"{what} something else or nothing ({names}{more}): what belongs to this source all"
            " the same is to be added to `files`"
        )


def _files(side: Sampled) -> list[Line]:
    names = [quoted(each) for each in side.files]
    listed = names[0] if len(names) == 1 else f"[{', '.join(names)}]"
    lines: list[Line] = [("files", listed, "")]
    if side.format is not None:
        lines.append(("format", quoted(side.format), "an object on each line"))
    if side.sample.separator is not None:
        lines.append(("separator", quoted(side.sample.separator), "as in the header"))
    encoding = side.sample.encoding
    if encoding is not None and encoding.asked:
        lines.append(("encoding", quoted(MARK), str(encoding)))
    elif encoding is not None and not encoding.undecodable:
        why = "by the byte order mark" if encoding.reading == "utf-16" else ""
        if encoding.instead is not None:
            why = f"all of it is UTF-8, and not {quoted(encoding.instead)}"
        lines.append(("encoding", quoted(encoding.reading), why))
    if side.sample.nulls:
        words = ", ".join(quoted(each) for each in side.sample.nulls)
        lines.append(("null_values", f"[{words}]", "cells that stand for a missing value"))
    if side.sample.hive:
        lines.append(("hive", "true", "directories named key=value are columns"))
    return lines


def _remarks(side: Sampled, columns: Sequence[ColumnProfile]) -> list[str]:
    """What else there is to say of a side's files."""
    notes: list[str] = []
    export = next((each.export for each in columns), None)
    if export is not None:
        notes.append(f"# The columns are those of an export of {export.tool}.")
    if side.sample.titles is not None:
        notes += wrapped(f"{side.sample.titles}.")
    remark = header_remark([each.name for each in columns if each.dtype == pl.String])
    if remark is not None:
        notes += wrapped(f"{remark[0].upper()}{remark[1:]}.")
    notes += _several(columns)
    if "\\N" in side.sample.nulls and side.files[0].lower().endswith((".tsv", ".tab")):
        notes += wrapped(
            "This looks like PostgreSQL's or MySQL's own format, in which line breaks, tabs and"
            " backslashes in a cell stand as \\n, \\t and \\\\ and are sent so. Export CSV instead."
        )
    encoding = side.sample.encoding
    if encoding is not None and encoding.asked:
        notes += wrapped(_LIKELY_ENCODINGS)
        notes += wrapped(
            f"What is not ASCII{' in the names of columns' if encoding.header else ''} stands"
            f' below as "{encoding.reading}" reads it; look at it once more with your answer.'
        )
    elif encoding is not None and encoding.undecodable:
        notes += wrapped(f"{encoding}: such rows are rejected. Is the encoding another one?")
        notes.append('# encoding = "windows-1252"')
    if side.sample.unreadable is not None:
        file, row, text = side.sample.unreadable
        many = side.sample.malformed
        are = "sampled row cannot" if many == 1 else "sampled rows cannot"
        notes += wrapped(
            f"{many:,} {are} be read, and will be rejected: {file} row {row:,} is {quoted(text)}"
        )
    if side.sample.wider is not None:
        notes += wrapped(side.sample.wider)
    if side.remark_on_aside:
        notes += wrapped(f"{side.remark_on_aside}.")
    if over := remark_on_files_passed_over(side.sample.passed_over):
        notes += wrapped(f"{over}.")
    if side.sample.partial:
        names = ", ".join(quoted(each) for each in side.sample.partial)
        notes += wrapped(f"Not mapped, since some of the files lack it: {names}")
    return notes


def _several(columns: Sequence[ColumnProfile]) -> list[str]:
    """A remark on columns named as ids of contacts that hold several in one cell."""
    notes: list[str] = []
    for each in columns:
        if each.named("contact.id", JOIN_KEYS) and each.values.dtype == pl.String:
            several = each.values.filter(each.values.str.contains(SEVERAL))
            if len(several):
                notes += wrapped(
                    f"Some of {quoted(each.name)} are several ids, such as"
                    f" {quoted(several[0][:60])}, which nobody has. SPLIT_PART takes the first one;"
                    " a record for each needs a row for each."
                )
    return notes


def events_section(proposal: Proposal, events: Sampled, contacts: Sampled | None) -> list[str]:
    lines = _files(events)
    join = proposal.join
    if join is not None:
        place = "contacts" if contacts and contacts.sample.complete else "sampled contacts"
        common = f"{join.found:,} of {len(join.events.values):,} sampled ids stand in the {place}"
        if not join.found:
            common = f"by its name: {common}"
        if join.respelled is not None:
            own, other = join.respelled.example
            common += f"; {quoted(own)} is {quoted(other)} there ({join.respelled.what})"
        lines.append(("contact_key", own_name(join.events), common))
    elif proposal.joined:
        lines.append(("contact_key", quoted(MARK), "the column that names a row of the contacts"))
    more, notes = _time(proposal)
    chosen = leaving_out(events.sample.summaries)
    empty = count_empty_rows(events.sample.frame)
    if empty:
        filled = without_empty_rows(events.sample.frame.columns)
        chosen = f"({chosen}) AND ({filled})" if chosen else filled
    if chosen:
        end = "what looks like a total or the end of a report"
        totals = end if events.sample.summaries else ""
        rows = f"{empty:,} empty row{'' if empty == 1 else 's'} of the sample" if empty else ""
        without = " and ".join(filter(None, (totals, rows)))
        more.append(("where", sql_text(chosen), f"without {without}"))
    return ["[events]", *aligned([*lines, *more]), *_remarks(events, proposal.events), *notes]


def _time(proposal: Proposal) -> tuple[list[Line], list[str]]:
    """When it happened: lines, and remarks below the section."""
    time = proposal.time
    if time is None:
        return _no_time(proposal)
    wrong = max(0, 1 - time.timed)
    unread = f"; {percent(wrong)} cannot be read" if wrong > 0 else ""
    notes: list[str] = []
    lines: list[Line] = [("time", own_name(time), time_format(time) + unread)]
    if time.written is not None:
        lines.append(("time_format", *_written_form(time, time.written)))
        notes = _undecided(time, time.written)
    unzoned = time.written is not None and not time.written.zoned
    if unzoned or time.unzoned >= _NOTICED:
        lines.append(("timezone", *_zone(time)))
    elif time.unzoned > 0:
        notes = ['# timezone = "UTC"  # for times without a zone; else such rows are rejected']
    return lines, notes


def _no_time(proposal: Proposal) -> tuple[list[Line], list[str]]:
    if proposal.perhaps_times:
        names = " or ".join(quoted(each.name) for each in proposal.perhaps_times[:4])
        return [("time", quoted(MARK), f"when it happened: {names}")], []
    named = [quoted(each.name) for each in proposal.events if each.named("time", TIMES)]
    if not proposal.destination.time_field and not named:
        return [], ['# time = "…"  # the column that says when it happened, for the order']
    notes = ["# No column holds times in a known form: RFC 3339, a date, or an epoch number."]
    if named:
        words = "is named like one, but written in another form, which time_format can say."
        notes += wrapped(f"{', '.join(named)} {words}")
    return [("time", quoted(MARK), "the column that says when it happened")], notes


def _zone(time: ColumnProfile) -> tuple[str, str]:
    """The zone of times without one, where they, their name or the tool that wrote them says it."""
    said = zone_said(time.written) if time.written is not None else None
    if said is not None:
        return quoted(said.name or MARK), said.why
    if re.search(r"(?i)(^|[^a-z])(utc|gmt)([^a-z]|$)", time.name):
        return quoted("UTC"), "as the column's name says"
    # Names with a space are labels for people, whose own zone a tool writes beside them.
    if time.export is not None and time.export.utc and " " not in time.name:
        return quoted("UTC"), f"as {time.export.tool} writes such times"
    return quoted(MARK), 'the zone of these times, such as "Asia/Jerusalem"'


def _written_form(time: ColumnProfile, written: Written) -> tuple[str, str]:
    """The value of `time_format` and its comment."""
    if written.epoch:
        return quoted(MARK), "are these digits a date, or an epoch?"
    if written.others:
        return quoted(MARK), "which number is the day, and which the month"
    looks = f"{percent(written.share)} of {time.filled:,} sampled values are written so"
    return _formats(written.formats), looks


def _formats(formats: tuple[str, ...]) -> str:
    texts = ", ".join(quoted(each) for each in formats)
    return texts if len(formats) == 1 else f"[{texts}]"


def _undecided(time: ColumnProfile, written: Written) -> list[str]:
    """The answers where a sample does not tell one reading from another."""
    if written.epoch:
        digits = time.common[0][0].strip()
        date, epoch = date_and_epoch(digits, written.formats[0])
        return wrapped(
            f"time_format = {_formats(written.formats)} reads {digits} as {date}. As an epoch it is"
            f" {epoch} in UTC: if that is meant, delete the lines time_format and timezone."
        )
    if not written.others:
        return []
    why = "no sampled value has a number above 12 where it would tell"
    if written.torn:
        why = "some sampled values fit only the one and some only the other"
    elif any("%y" in each for each in written.formats):
        why = "which number is the year, the sampled values do not tell"
    answers = " or ".join(map(_formats, (written.formats, *written.others)))
    return wrapped(f"time_format = {answers}: {why}.")


def contacts_section(proposal: Proposal, contacts: Sampled) -> list[str]:
    join = proposal.join
    lines = _files(contacts)
    if join is None:
        lines.append(("key", quoted(MARK), "the column whose values the events name"))
    else:
        lines.append(("key", own_name(join.contacts), ""))
    again = join.repeated if join else 0
    rows = f"{again:,} rows of the sample" if again != 1 else "1 row of the sample"
    several = f"{rows} have the id of another one; the last counts"
    lines.append(("keep", quoted("last"), several if again else "of several rows of one contact"))
    return ["[contacts]", *aligned(lines), *_remarks(contacts, proposal.contacts)]


def own_name(column: ColumnProfile, *, among_both: bool = False) -> str:
    """A column of one side, where only that side's can stand, or `among_both`."""
    if column.sql is not None:
        sql = sql_text(column.sql)
        side = ', from = "contacts"' if among_both and column.side == "contacts" else ""
        return f"{{ sql = {sql}{side} }}"
    if among_both:
        return quoted(f"{column.side}.{column.name}")
    plain = re.fullmatch(r"\w+", column.name)
    return quoted(column.name if plain else f"{column.side}.{column.name}")
