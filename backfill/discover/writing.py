"""A proposal as a configuration file that one likes to read and only has to finish."""

from __future__ import annotations

import re
from collections.abc import Iterator

from backfill.config.placeholders import MARK
from backfill.config.toml_strings import quoted
from backfill.destination import AnyOf, Field, Kind
from backfill.discover.columns import ColumnProfile
from backfill.discover.fitting import resembles
from backfill.discover.phrases import percent, reason, summary, without_text
from backfill.discover.proposal import Match, Proposal
from backfill.discover.regions import country_beside, names_of_countries
from backfill.discover.source_sections import (
    Sampled,
    contacts_section,
    events_section,
    own_name,
)
from backfill.discover.toml_text import Line, aligned, wrapped

__all__ = ["write_config"]

_NOTICED = 0.1  # the share of phones without a country that is worth a question
_SOME = 0.01  # the share that is worth a word
_NONE = 1e-9  # what is left of a share that is none
_LONGEST = 50  # characters of a custom value; more is an option


def write_config(proposal: Proposal, events: Sampled, contacts: Sampled | None = None) -> str:
    """Write a proposal as TOML. Every open question is the value `"?"`."""
    blocks = [
        _head(proposal, events, contacts),
        events_section(proposal, events, contacts),
        *([contacts_section(proposal, contacts)] if contacts else []),
        _fields(proposal),
        *(_table(each) for each in proposal.matches if each.table),
        _rules(proposal),
        _regions(proposal),
        _rest(proposal),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _head(proposal: Proposal, events: Sampled, contacts: Sampled | None) -> list[str]:
    looked = f"{events.sample} of {events.named}"
    if contacts:
        looked += f" and {contacts.sample} of {contacts.named}"
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
        *wrapped(f"Written by `backfill init` after a look at {quoted(looked)[1:-1]}."),
        f"# Each {quoted(MARK)} is a question: put the answer in its place, then `backfill plan`.",
        "",
        *aligned(lines),
    ]


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
        notes = ["", *wrapped(f"Columns that nothing uses: {names}")]
    odd = [(_column(proposal, each), without_text(each)) for each in proposal.unused if custom]
    names = ", ".join(f"{name} ({held})" for name, held in odd if held)
    rest = wrapped(f"Without a text that could be sent: {names}") if names else []
    return ["[fields]", *aligned(lines), *notes, *aligned(custom, hidden=True), *rest]


def _source(proposal: Proposal, match: Match) -> tuple[str, str]:
    if match.column is None:
        return quoted(MARK), _wanted(proposal, match.field)
    return _column(proposal, match.column), reason(match.field, match.column)


def _wanted(proposal: Proposal, field: Field) -> str:
    """What a field without a column needs, and which columns come near."""
    if field.choices:
        words = f"a column of {', '.join(field.choices)}"
        return f'{words}; or {{ value = "…" }} for all'
    instead = {field.name}.union(
        *(each.fields for each in proposal.destination.checks if isinstance(each, AnyOf))
    )
    fields = [field, *(each for each in proposal.destination.fields if each.name in instead)]
    near = [
        _column(proposal, each)
        for each in proposal.unused
        if any(resembles(one, each) for one in (fields if not field.required else [field]))
    ]
    if field.kind in (Kind.PHONE, Kind.EMAIL, Kind.TARGET) and len(near) > 1:
        return f"the contact's own: {' or '.join(near[:3])}"
    hint = f"; perhaps {' or '.join(near[:3])}" if near else ""
    if not field.required:
        return f"a contact needs a phone or an email, and no column was found for either{hint}"
    if field.kind in (Kind.EVENT_TYPE, Kind.TEXT):
        return f'no column was found for it{hint}; or {{ value = "…" }} for all'
    return f"no column was found for it{hint}"


def _custom(proposal: Proposal) -> Iterator[Line]:
    """Unused columns as fields of the user's own, where the destination takes any."""
    families = [each for each in proposal.destination.fields if each.family]
    names: set[str] = set()
    for column in proposal.unused:
        of_contact = column.side == "contacts"
        family = next((f for f in families if f.name.startswith("contact.") == of_contact), None)
        if family is None or without_text(column) is not None:
            continue
        # A reason is written `field|rule`, with `;` between two, so neither may be in a name.
        own = column.name.replace("[0]", "")
        name = family.name[:-1] + re.sub("[;|]", "_", own)
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
        *aligned(lines),
    ]


def _key(name: str) -> str:
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else quoted(name)


def _rules(proposal: Proposal) -> list[str]:
    mapped = [(each.field, each.column) for each in proposal.matches if each.column]
    lines: list[str] = []
    phones = [c for f, c in mapped if f.kind in (Kind.PHONE, Kind.TARGET)]
    national = max((each.national for each in phones), default=0.0)
    country = _country(proposal) if national >= _SOME else None
    if country is not None and names_of_countries(country):
        pass  # a table of its own
    elif country is not None:
        lines.append(
            f"phone_region = {{ column = {_column(proposal, country)} }}"
            f"  # {percent(national)} of the phones are national numbers: this column says of which"
            " country"
        )
    elif national >= _NOTICED:
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
    asked = country is not None or national >= _NOTICED
    bad = [
        (field.name, share)
        for field, column in mapped
        if not field.required and field.kind in (Kind.EMAIL, Kind.PHONE, Kind.LANGUAGE)
        # What phone_region converts is no reason to drop anything.
        if (share := 1 - column.share(field.kind) - column.national * (asked and column in phones))
        > _NONE
    ]
    if bad:
        names = ", ".join(quoted(name) for name, _ in bad)
        shares = ", ".join(f"{percent(share)} of {name}" for name, share in bad)
        lines.append("# What is no valid value rejects its record, unless it may be left out:")
        lines.append(f"# drop_invalid = [{names}]  # {shares}")
    if any(each.longest > _LONGEST for each in proposal.unused) and list(_custom(proposal)):
        lines.append(f"# custom_value_max = 255  # instead of {_LONGEST} characters")
    return ["[rules]", *lines] if lines else []


def _country(proposal: Proposal) -> ColumnProfile | None:
    """The column that says where national phones are dialled."""
    columns = [
        each.column
        for each in proposal.matches
        if each.column and each.field.kind in (Kind.PHONE, Kind.TARGET) and each.column.national
    ]
    found = (country_beside(each, _of(proposal, each)) for each in columns)
    return next((each for each in found if each is not None), None)


def _regions(proposal: Proposal) -> list[str]:
    """Names of countries as codes, where the column beside national phones holds names."""
    mapped = (each.column for each in proposal.matches if each.column)
    country = _country(proposal)
    names = names_of_countries(country) if country is not None else None
    if country is None or not names or max(each.national for each in mapped) < _SOME:
        return []
    return [
        '# The country of the national phones: a code of two letters for each name, such as "DE".',
        "# Phones of a name without a line are not converted.",
        "[rules.phone_region]",
        f"column = {quoted(f'{country.side}.{country.name}')}",
        "",
        "[rules.phone_region.values]",
        *aligned([(quoted(name), quoted(MARK), "") for name in names]),
    ]


def _of(proposal: Proposal, column: ColumnProfile) -> tuple[ColumnProfile, ...]:
    return proposal.events if column.side == "events" else proposal.contacts


def _rest(proposal: Proposal) -> list[str]:
    batch = proposal.destination.batch_size
    each = f", of up to {batch} records each" if batch > 1 else ", of one record each"
    return [
        "[delivery]",
        f'# rate = "50/s"  # requests{each}; without this the rate is found while sending',
        '# guarantee = "at-least-once"  # send again what may have arrived, at the risk of twice',
    ]


def _column(proposal: Proposal, column: ColumnProfile) -> str:
    """A column as [fields] names it: with its side, unless there is one side and a plain name."""
    return own_name(column, among_both=proposal.joined)
