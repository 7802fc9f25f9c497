"""A proposal as a configuration file that one likes to read and only has to finish."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from backfill.config.placeholders import MARK
from backfill.destinations import Field, Kind
from backfill.discover.columns import ColumnProfile
from backfill.discover.dates import Written
from backfill.discover.phrases import percent, reason, summary, time_format
from backfill.discover.proposal import Match, Proposal, resembles
from backfill.discover.samples import Sample
from backfill.discover.spellings import TIMES, closeness
from backfill.discover.toml_text import quoted

__all__ = ["Sampled", "write_config"]

_NOTICED = 0.1  # the share of times or phones without a zone or country that is worth a question
_SOME = 0.01  # the share that is worth a word
_LONGEST = 50  # characters of a custom value; more is an option


_LIKELY_ENCODINGS = (
    'Likely answers: "windows-1252" (Western Europe), "windows-1250" (Central Europe),'
    ' "windows-1251" (Cyrillic), "windows-1253" (Greek), "windows-1254" (Turkish), "windows-1255"'
    ' (Hebrew), "windows-1256" (Arabic), "shift_jis" (Japanese).'
)


@dataclass(frozen=True)
class Sampled:
    """One side of the source: its files as the configuration names them, and their sample."""

    files: str
    sample: Sample


def write_config(proposal: Proposal, events: Sampled, contacts: Sampled | None = None) -> str:
    """Write a proposal as TOML. Every open question is the value `"?"`."""
    blocks = [
        _head(proposal, events, contacts),
        _events(proposal, events, contacts),
        *([_contacts(proposal, contacts)] if contacts else []),
        _fields(proposal),
        *(_table(each) for each in proposal.matches if each.table),
        _rules(proposal),
        _rest(proposal),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


Line = tuple[str, str, str]  # key, value, comment


def _aligned(lines: list[Line], *, hidden: bool = False) -> list[str]:
    """Lines with their signs and comments below each other; hidden ones as comments."""
    keys = max((len(key) for key, _, _ in lines), default=0)
    values = max((len(value) for _, value, comment in lines if comment), default=0)
    return [
        ("# " if hidden else "")
        + f"{key:<{keys}} = {value:<{values if comment else 0}}"
        + (f"  # {comment}" if comment else "")
        for key, value, comment in lines
    ]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        text,
        width=98,
        initial_indent="# ",
        subsequent_indent="# ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _head(proposal: Proposal, events: Sampled, contacts: Sampled | None) -> list[str]:
    looked = f"{events.sample} of {events.files}"
    if contacts:
        looked += f" and {contacts.sample} of {contacts.files}"
    lines: list[Line] = [("destination", quoted(proposal.destination.name), "")]
    if proposal.destination.needs_population:
        lines.append(
            (
                "population",
                quoted(MARK),
                "the UUID of the events' population, from Pristo's settings",
            )
        )
    return [
        *_wrapped(f"Written by `backfill init` after a look at {quoted(looked)[1:-1]}."),
        f"# Each {quoted(MARK)} is a question: put the answer in its place, then `backfill plan`.",
        "",
        *_aligned(lines),
    ]


def _files(side: Sampled) -> list[Line]:
    lines: list[Line] = [("files", quoted(side.files), "")]
    if side.sample.separator is not None:
        lines.append(("separator", quoted(side.sample.separator), "as in the header"))
    encoding = side.sample.encoding
    if encoding is not None and encoding.asked:
        lines.append(("encoding", quoted(MARK), str(encoding)))
    elif encoding is not None and not encoding.undecodable:
        by_mark = "by the byte order mark" if encoding.reading == "utf-16" else ""
        lines.append(("encoding", quoted(encoding.reading), by_mark))
    if side.sample.hive:
        lines.append(("hive", "true", "directories named key=value are columns"))
    return lines


def _remarks(side: Sampled) -> list[str]:
    """What else there is to say of a side's files."""
    notes: list[str] = []
    encoding = side.sample.encoding
    if encoding is not None and encoding.asked:
        notes += _wrapped(_LIKELY_ENCODINGS)
        notes += _wrapped(
            f"What is not ASCII{' in the names of columns' if encoding.header else ''} stands"
            f' below as "{encoding.reading}" reads it; look at it once more with your answer.'
        )
    elif encoding is not None and encoding.undecodable:
        notes += _wrapped(f"{encoding}: such rows are rejected. Is the encoding another one?")
        notes.append('# encoding = "windows-1252"')
    if side.sample.unreadable is not None:
        file, row, text = side.sample.unreadable
        many = side.sample.malformed
        are = "sampled row cannot" if many == 1 else "sampled rows cannot"
        notes += _wrapped(
            f"{many:,} {are} be read, and will be rejected: {file} row {row:,} is {quoted(text)}"
        )
    if side.sample.partial:
        names = ", ".join(quoted(each) for each in side.sample.partial)
        notes += _wrapped(f"Not mapped, since some of the files lack it: {names}")
    return notes


def _events(proposal: Proposal, events: Sampled, contacts: Sampled | None) -> list[str]:
    lines = _files(events)
    notes: list[str] = []
    join, time = proposal.join, proposal.time
    if join is not None:
        place = "contacts" if contacts and contacts.sample.complete else "sampled contacts"
        common = f"{join.found:,} of {len(join.events.values):,} sampled ids stand in the {place}"
        if not join.found:
            common = f"by its name: {common}"
        lines.append(("contact_key", _own(join.events), common))
    elif proposal.joined:
        lines.append(("contact_key", quoted(MARK), "the column that names a row of the contacts"))
    if time is not None:
        wrong = max(0, 1 - time.timed)
        unread = f"; {percent(wrong)} cannot be read" if wrong > 0 else ""
        lines.append(("time", _own(time), time_format(time) + unread))
        if time.written is not None:
            lines.append(("time_format", *_written_form(time, time.written)))
            notes = _undecided(time.written)
        if time.written is not None or time.unzoned >= _NOTICED:
            lines.append(
                ("timezone", quoted(MARK), 'the zone of these times, such as "Asia/Jerusalem"')
            )
        elif time.unzoned > 0:
            notes = ['# timezone = "UTC"  # for times without a zone; else such rows are rejected']
    elif proposal.destination.time_field:
        lines.append(("time", quoted(MARK), "the column that says when it happened"))
        notes = ["# No column holds times in a known form: RFC 3339, a date, or an epoch number."]
        named = [quoted(each.name) for each in proposal.events if closeness(each.name, TIMES)]
        if named:
            words = "is named like one, but written in another form, which time_format can say."
            notes += _wrapped(f"{', '.join(named)} {words}")
    else:
        notes = ['# time = "…"  # the column that says when it happened, for the order']
    return ["[events]", *_aligned(lines), *_remarks(events), *notes]


def _written_form(time: ColumnProfile, written: Written) -> tuple[str, str]:
    """The value of `time_format` and its comment."""
    if written.other:
        return quoted(MARK), "which number is the day, and which the month"
    looks = f"{percent(written.share)} of {time.filled:,} sampled values are written so"
    return _formats(written.formats), looks


def _formats(formats: tuple[str, ...]) -> str:
    texts = ", ".join(quoted(each) for each in formats)
    return texts if len(formats) == 1 else f"[{texts}]"


def _undecided(written: Written) -> list[str]:
    """The two answers where a sample does not tell day and month apart."""
    if not written.other:
        return []
    why = (
        "some sampled values fit only the one and some only the other"
        if written.torn
        else "no sampled value has a number above 12 where it would tell"
    )
    answers = f"time_format = {_formats(written.formats)} or {_formats(written.other)}"
    return _wrapped(f"{answers}: {why}.")


def _contacts(proposal: Proposal, contacts: Sampled) -> list[str]:
    join = proposal.join
    lines = _files(contacts)
    if join is None:
        lines.append(("key", quoted(MARK), "the column whose values the events name"))
    else:
        lines.append(("key", _own(join.contacts), ""))
    again = join.repeated if join else 0
    rows = f"{again:,} rows of the sample" if again != 1 else "1 row of the sample"
    several = f"{rows} have the id of another one; the last counts"
    lines.append(("keep", quoted("last"), several if again else "of several rows of one contact"))
    return ["[contacts]", *_aligned(lines), *_remarks(contacts)]


def _fields(proposal: Proposal) -> list[str]:
    lines = [
        (quoted(each.field.name), *_source(proposal, each))
        for each in proposal.matches
        if not each.table
    ]
    custom = list(_custom(proposal))
    idle = [each for each in proposal.unused if not custom]
    notes = []
    if custom:
        notes = ["", "# Not sent yet. Delete the # where the destination is to know it."]
    elif idle:
        names = ", ".join(_column(proposal, each) for each in idle)
        notes = ["", *_wrapped(f"Columns that nothing uses: {names}")]
    return ["[fields]", *_aligned(lines), *notes, *_aligned(custom, hidden=True)]


def _source(proposal: Proposal, match: Match) -> tuple[str, str]:
    if match.column is None:
        return quoted(MARK), _wanted(proposal, match.field)
    return _column(proposal, match.column), reason(match.field, match.column)


def _wanted(proposal: Proposal, field: Field) -> str:
    """What a field without a column needs, and which columns come near."""
    if field.choices:
        words = f"a column of {', '.join(field.choices)}"
        return f'{words}; or {{ value = "…" }} for all'
    near = [_column(proposal, each) for each in proposal.unused if resembles(field, each)]
    hint = f"; perhaps {' or '.join(near[:3])}" if near else ""
    if not field.required:
        return f"a contact needs a phone or an email, and no column was found for either{hint}"
    return f"no column was found for it{hint}"


def _custom(proposal: Proposal) -> Iterator[Line]:
    """Unused columns as fields of the user's own, where the destination takes any."""
    families = [each for each in proposal.destination.fields if each.family]
    names: set[str] = set()
    for column in proposal.unused:
        of_contact = column.side == "contacts"
        family = next((f for f in families if f.name.startswith("contact.") == of_contact), None)
        if family is None or column.dtype.is_nested():
            continue
        # A reason is written `field|rule`, with `;` between two, so neither may be in a name.
        name = family.name[:-1] + re.sub("[;|]", "_", column.name)
        if name in names:
            continue
        names.add(name)
        text = summary(column)
        if column.longest > _LONGEST:
            text += f"; the longest has {column.longest:,} of {_LONGEST} characters"
        yield quoted(name), _column(proposal, column), text


def _table(match: Match) -> list[str]:
    column, name = match.column, _key(match.field.name)
    assert column is not None  # noqa: S101 - a table is one of a column
    choices = ", ".join(match.field.choices)
    lines: list[Line] = [
        (quoted(value), quoted(MARK if sent is None else sent), f"{count:,} in the sample")
        for value, count, sent in match.table
    ]
    note = [
        f"# What {match.field.name} each value stands for is yours to say: {choices}.",
        "# Rows of a value without a line are rejected: delete the lines of what is not to go.",
    ]
    if match.more:
        note.append(f"# {match.more:,} rarer values of the sample are not listed.")
    return [
        *note,
        f"[fields.{name}]",
        f"column = {quoted(f'{column.side}.{column.name}')}",
        "",
        f"[fields.{name}.values]",
        *_aligned(lines),
    ]


def _key(name: str) -> str:
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else quoted(name)


def _rules(proposal: Proposal) -> list[str]:
    mapped = [(each.field, each.column) for each in proposal.matches if each.column]
    lines: list[str] = []
    phones = [c for f, c in mapped if f.kind in (Kind.PHONE, Kind.TARGET)]
    national = max((each.national for each in phones), default=0.0)
    if national >= _NOTICED:
        lines.append(
            f"phone_region = {quoted(MARK)}  # {percent(national)} of the phones are national"
            ' numbers: of which country, such as "IL"?'
        )
    elif national >= _SOME:
        lines.append('# phone_region = "IL"  # some phones are national numbers; of which country?')
    if proposal.namespace:
        lines.append(
            f"contact_id = {{ namespace = {quoted(MARK)} }}  # the ids are no UUIDs: a UUID of your"
            " own, always the same, makes them ones"
        )
    types = next((c for f, c in mapped if f.kind is Kind.EVENT_TYPE), None)
    if types is not None and types.distinct <= 20:
        names = ", ".join(quoted(value.strip()) for value, _ in sorted(types.common))
        lines.append(f"# event_types = [{names}]  # reject any other")
    bad = [
        (field.name, 1 - column.share(field.kind))
        for field, column in mapped
        if not field.required and field.kind in (Kind.EMAIL, Kind.PHONE, Kind.LANGUAGE)
        if column.share(field.kind) < 1
    ]
    if bad:
        names = ", ".join(quoted(name) for name, _ in bad)
        shares = ", ".join(f"{percent(share)} of {name}" for name, share in bad)
        lines.append("# What is no valid value rejects its record, unless it may be left out:")
        lines.append(f"# drop_invalid = [{names}]  # {shares}")
    if any(each.longest > _LONGEST for each in proposal.unused) and list(_custom(proposal)):
        lines.append(f"# custom_value_max = 255  # instead of {_LONGEST} characters")
    return ["[rules]", *lines] if lines else []


def _rest(proposal: Proposal) -> list[str]:
    batch = proposal.destination.batch_size
    each = f", of up to {batch} records each" if batch > 1 else ", of one record each"
    return [
        "[delivery]",
        f'# rate = "50/s"  # requests{each}; without this the rate is found while sending',
        '# guarantee = "at-least-once"  # send again what may have arrived, at the risk of twice',
    ]


def _own(column: ColumnProfile) -> str:
    """A column of one side, where only that side's can stand."""
    plain = re.fullmatch(r"\w+", column.name)
    return quoted(column.name if plain else f"{column.side}.{column.name}")


def _column(proposal: Proposal, column: ColumnProfile) -> str:
    """A column as [fields] names it: with its side, unless there is one side and a plain name."""
    return quoted(f"{column.side}.{column.name}") if proposal.joined else _own(column)
