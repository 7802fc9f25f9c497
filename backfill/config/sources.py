"""Which files a job reads, and which of their rows: the sections [events] and [contacts]."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import BeforeValidator, Field, StrictBool, field_validator, model_validator

from backfill.config.field_specs import Sql, read_key
from backfill.config.section import Section, Texts
from backfill.config.time_formats import read_time_format
from backfill.core.errors import did_you_mean

__all__ = ["Contacts", "Events", "Files"]

_OFFSET = re.compile(r"(?i)Z|(?:Etc/)?(?:UTC|GMT)? ?([+-])([0-9]{1,2})(?::?([0-9]{2}))?")


def _of_events(value: Any) -> str | Sql | None:
    return None if value is None else read_key(value, "events")


def _of_contacts(value: Any) -> str | Sql:
    return read_key(value, "contacts")


def _moment_as_text(value: Any) -> Any:
    """TOML has dates and times of its own; both are kept as text."""
    if isinstance(value, date):  # a datetime is one, too
        return value.isoformat()
    if value is None or isinstance(value, str):
        return value
    raise ValueError('is a date or a time, such as "2023-01-31"')


class Files(Section):
    """Which files, and how they are read where their ending does not say it."""

    files: Annotated[Texts, Field(min_length=1)]
    """One or a list: files, globs, directories, `http(s)://` and object-store addresses. Relative
    paths are relative to the configuration. Directories are read at any depth: of their files those
    with an ending below (with `format` all), but no name that begins with `.` or `_`."""
    format: Literal["csv", "tsv", "ndjson", "parquet"] | None = None
    """What the files are, where their ending does not say it: `.csv` and `.txt` (commas), `.tsv`
    and `.tab` (tabs), `.ndjson` and `.jsonl`, also with `.gz` or `.zst`; `.parquet` and `.pq`."""
    separator: str | None = None
    """One ASCII character between the cells of a CSV. Without it a comma, in `.tsv` and `.tab` a
    tab."""
    encoding: str = "utf-8"
    """How text files are encoded, by a name that Python knows, such as `windows-1255`."""
    null_values: Texts = ()
    """Cells of text files that mean "missing", besides the empty one."""
    hive: StrictBool = False
    """Whether directories named `key=value` are columns."""

    @field_validator("files", mode="after")
    @classmethod
    def _not_empty(cls, files: tuple[str, ...]) -> tuple[str, ...]:
        if any(not each.strip() for each in files):
            raise ValueError("a file's name is empty")
        return files

    @field_validator("separator")
    @classmethod
    def _one_byte(cls, separator: str | None) -> str | None:
        if separator is not None and (len(separator.encode()) != 1 or separator in '"\r\n'):
            raise ValueError('is one ASCII character, such as ";" or "\\t"')
        return separator

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str) -> str:
        try:
            "".encode(encoding)
        except LookupError:
            raise ValueError(f"{encoding!r} is no encoding that Python knows") from None
        return encoding


def _condition(where: str | None) -> str | None:
    if where is not None and not where.strip():
        raise ValueError("is empty; leave it out to take every row")
    return where


_NO_PLACE = re.compile("(?:posix|right)/.*|localtime|Factory|posixrules")
"""What a machine keeps beside the zones, under names that mean something on that machine alone."""


def _nearest_zone(name: str) -> str:
    """The zone of the same place or the same offset, or the one that is written most like it."""
    if found := _OFFSET.fullmatch(name):
        return _zone_of_offset(*found.groups(default="0"))
    zones = sorted(each for each in available_timezones() if not _NO_PLACE.fullmatch(each))
    place = name.rpartition("/")[2].replace(" ", "_").lower()
    same = [each for each in zones if each.rpartition("/")[2].lower() == place and "/" in each]
    if not same and re.fullmatch("[A-Z]{2,5}", name):  # its letters tell nothing: IST is three
        return " An abbreviation is none: name a place whose clocks show that time."
    near = f"Did you mean {same[0]!r}?" if same else did_you_mean(name, zones)
    return f" {near}" if near and near.startswith("Did") else ""


def _zone_of_offset(sign: str, hours: str, minutes: str) -> str:
    """The zone of a fixed offset. Their names have its sign turned round (IANA, `etcetera`)."""
    if not int(hours) and not int(minutes):
        return " Did you mean 'UTC'?"
    zone = f"Etc/GMT{'-' if sign == '+' else '+'}{int(hours)}"
    if int(minutes) or zone not in available_timezones():
        return " No zone is this offset and nothing else: name a place that has it."
    return (
        f" Did you mean {zone!r}? That is UTC{sign}{int(hours)} all year, as these names have the"
        " sign turned round; the name of a place knows its summer time, too."
    )


class Events(Files):
    """The events source. `time` may be left out where the destination takes no timestamp."""

    contact_key: Annotated[str | Sql | None, BeforeValidator(_of_events)] = None
    """The column that names the contact, or `{ sql = … }`. Needed with [contacts]."""
    time: Annotated[str | Sql | None, BeforeValidator(_of_events)] = None
    """The column that says when it happened, or `{ sql = "date || ' ' || hour" }`: for the order,
    for what is a duplicate, and for the destination's time field. May be left out where the
    destination takes no timestamp."""
    timezone: str | None = None
    """The zone of times without one, such as `Asia/Jerusalem`; else such rows are rejected."""

    time_format: Texts = ()
    """How the times of a text column are written where they are in no form that is always known:
    one or a list, tried in order, in strftime notation, such as `"%d.%m.%Y %H:%M"`. Without a zone
    (`%z`) in it, the time is one of `timezone`."""
    where: str | None = None
    """An SQL condition over the columns of the events. A row for which it is not true is excluded,
    and so is one for which it has no value, such as `amount > 0` where `amount` is empty."""
    since: Annotated[str | None, BeforeValidator(_moment_as_text)] = None
    """Rows of an earlier `time` are excluded: a date or a time, without a zone one of `timezone`
    (of UTC, where there is none). A row whose time is missing or cannot be read is rejected."""
    until: Annotated[str | None, BeforeValidator(_moment_as_text)] = None
    """Rows of this `time` or a later one are excluded; written like `since`."""

    @field_validator("time_format")
    @classmethod
    def _known_notation(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        for each in formats:
            read_time_format(each)
        return formats

    @model_validator(mode="after")
    def _of_a_time(self) -> Events:
        if self.time_format and self.time is None:
            raise ValueError("`time_format` says how `time` is written, and there is no `time`")
        for name in ("since", "until"):
            if getattr(self, name) is not None and self.time is None:
                raise ValueError(f"`{name}` goes by `time`, and there is no `time`")
        return self

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                if _NO_PLACE.fullmatch(name):
                    raise ZoneInfoNotFoundError
                ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                raise ValueError(
                    f'{name!r} is no time zone; names look like "Asia/Jerusalem" or "UTC".'
                    f"{_nearest_zone(name)}"
                ) from None
        return name

    _where = field_validator("where")(_condition)


class Contacts(Files):
    """The contacts source, joined to the events by its key."""

    key: Annotated[str | Sql, BeforeValidator(_of_contacts)]
    """The column whose values stand in the events' `contact_key`, or `{ sql = … }`. White space
    around them does not count, nor does the case of a UUID; all else is compared letter by
    letter."""
    keep: Literal["first", "last", "fill"] = "last"
    """Which of several rows of one contact counts: the first or the last, or with `"fill"` the last
    value of each column that is not empty. Files may then add columns to each other: all of them
    have the key, and each may lack what another one has."""
    where: str | None = None
    """An SQL condition over the columns of the contacts, such as `is_test = 'f'`. The events of a
    contact for which it is not true, or has no value, are excluded. Events that name no known
    contact are not judged by it."""

    _where = field_validator("where")(_condition)
