"""From files to a first configuration: look at the columns, match them, write it down."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from pydantic import ValidationError

from backfill.config.placeholders import MARK, Question, open_questions
from backfill.config.sources import Files
from backfill.config.validation_messages import in_words
from backfill.core.errors import ConfigError
from backfill.destination import Kind
from backfill.destinations import destination
from backfill.discover.columns import Side, profile_columns
from backfill.discover.data_files import choose_data
from backfill.discover.json_endings import with_format
from backfill.discover.nested import flattened
from backfill.discover.proposal import Proposal, propose
from backfill.discover.samples import read_sample
from backfill.discover.source_sections import Sampled
from backfill.discover.writing import write_config
from backfill.jobdir.overwrite_guard import refuse_job_place
from backfill.prepare.facts.calling_codes import calling_code_beside
from backfill.prepare.mapping.hours import LOOKED_AT, hour_beside
from backfill.sources.locations import is_remote

__all__ = ["Draft", "default_output", "draft_config", "save_config", "write_draft"]


@dataclass(frozen=True)
class Draft:
    """A configuration to be finished: its text, what was found, and what is still open."""

    text: str
    proposal: Proposal
    events: Sampled
    contacts: Sampled | None
    questions: tuple[Question, ...]


def draft_config(
    events: str,
    *,
    destination_name: str,
    target: Path,
    contacts: str | None = None,
    separator: str | None = None,
    encoding: str | None = None,
) -> Draft:
    """Look at the files (names relative to the working directory) and draft a configuration that
    will be the file `target`. `separator` and `encoding` are those of text files where they are
    known. Raises ConfigError, also where the target is there already, and SourceError for files
    that cannot be read.
    """
    wanted = destination(destination_name)
    if target.exists():
        raise _there_already(target)
    directory = target.parent
    now = datetime.now(UTC)
    here = Path()
    events_files = with_format(_files(events, separator, encoding), here)
    contacts_files = with_format(_files(contacts, separator, encoding), here) if contacts else None
    events_files, aside = choose_data(events_files, here, "events", wanted, contacts_files)
    events_sample = read_sample(events_files, here, "events")
    others_aside: tuple[str, ...] = ()
    contacts_sample = None
    if contacts_files:
        contacts_files, others_aside = choose_data(
            contacts_files, here, "contacts", wanted, events_files
        )
        contacts_sample = read_sample(contacts_files, here, "contacts")
    rows = flattened(events_sample.common)
    others = flattened(contacts_sample.common) if contacts_sample else None
    proposal = propose(
        wanted,
        profile_columns(rows, "events", now=now),
        profile_columns(others, "contacts", now=now) if others is not None else None,
        whole=events_sample.complete and contacts_sample is not None and contacts_sample.complete,
    )
    proposal = _with_hours(proposal, rows, now)
    proposal = _with_calling_codes(proposal, {"events": rows, "contacts": others}, now)
    events_side = Sampled(
        _all_relative(events_files, directory), events_sample, events_files.format, aside
    )
    contacts_side = (
        Sampled(
            _all_relative(contacts_files, directory),
            contacts_sample,
            contacts_files.format,
            others_aside,
        )
        if contacts_files and contacts_sample
        else None
    )
    text = write_config(proposal, events_side, contacts_side)
    questions = open_questions(tomllib.loads(text))
    return Draft(text, proposal, events_side, contacts_side, questions)


def _with_hours(proposal: Proposal, rows: pl.DataFrame, now: datetime) -> Proposal:
    """The proposal with the hour of dates that stands in a column of its own."""
    time = proposal.time
    found = hour_beside(rows.head(LOOKED_AT), time.name) if time is not None else None
    if time is None or found is None:
        return proposal
    hours, sql = found
    both = rows.select(pl.sql_expr(sql).alias(f"{time.name} and {hours}"))
    (profile,) = profile_columns(both, "events", now=now)
    unused = (each for each in proposal.unused if (each.side, each.name) != ("events", hours))
    return replace(proposal, time=replace(profile, sql=sql), unused=tuple(unused))


def _with_calling_codes(
    proposal: Proposal, frames: Mapping[Side, pl.DataFrame | None], now: datetime
) -> Proposal:
    """The proposal with the calling codes of phones that stand in a column of their own."""
    for match in proposal.matches:
        phone = match.column
        rows = frames[phone.side] if phone is not None else None
        if phone is None or rows is None or match.field.kind not in (Kind.PHONE, Kind.TARGET):
            continue
        found = calling_code_beside(rows.head(LOOKED_AT), phone.name)
        if found is None:
            continue
        codes, sql = found
        both = rows.select(pl.sql_expr(sql).alias(f"{phone.name} and {codes}"))
        (profile,) = profile_columns(both, phone.side, now=now)
        whole = replace(match, column=replace(profile, sql=sql))
        proposal = replace(
            proposal,
            matches=tuple(whole if each is match else each for each in proposal.matches),
            unused=tuple(
                each for each in proposal.unused if (each.side, each.name) != (phone.side, codes)
            ),
        )
    return proposal


def _files(name: str, separator: str | None, encoding: str | None) -> Files:
    if Path(name).name in ("*", "*.*") and Path(name).parent.is_dir():
        name = str(Path(name).parent)  # all files: those that hold the data are chosen
    given: dict[str, str] = {}
    if separator is not None:
        given["separator"] = "\t" if separator in ("\\t", "tab") else separator
    if encoding is not None:
        given["encoding"] = encoding
    try:
        return Files.model_validate({"files": (name,), **given})
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(in_words(first), where=f"--{first['loc'][0]}") from None


def default_output(events: str) -> Path:
    """The configuration's name: that of the events without its ending, in this directory.

    Of a glob that is no file's own name, what is left without its signs; `events.toml` where
    nothing is.
    """
    name = (
        re.split(r"[/\\]", events.partition("?")[0].rstrip("/"))[-1]
        if is_remote(events)
        else (Path(events).name)
    )
    stem = re.sub(r"([.](gz|zst|zstd))?$", "", name, flags=re.IGNORECASE)
    stem = re.sub(r"[.][A-Za-z0-9*]+$", "", stem) if "." in stem[1:] else stem
    if is_remote(events) or not Path(events).is_file():
        stem = re.sub(r"\[[^]]*\]|[*?]", "", stem)
    plain = stem.strip(" .-_")
    return Path(f"{plain or 'events'}.toml")


def write_draft(
    events: str,
    *,
    destination_name: str,
    output: Path | None = None,
    contacts: str | None = None,
    separator: str | None = None,
    encoding: str | None = None,
) -> tuple[Draft, Path]:
    """Draft a configuration and write it to a new file: `output`, or one called after the events.

    Raises what `draft_config` and `save_config` raise.
    """
    target = output or default_output(events)
    draft = draft_config(
        events,
        contacts=contacts,
        destination_name=destination_name,
        target=target,
        separator=separator,
        encoding=encoding,
    )
    save_config(draft, target)
    return draft, target


def save_config(draft: Draft, target: Path) -> None:
    """Write a draft to a new file. Raises ConfigError where there is one already."""
    refuse_job_place(target)
    try:
        with target.open("x", encoding="utf-8", newline="\n") as file:
            file.write(draft.text)
    except FileExistsError:
        raise _there_already(target) from None
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", where=str(target)) from error


def _there_already(target: Path) -> ConfigError:
    return ConfigError(
        "exists already, and is not written over",
        where=str(target),
        hint="Name another file with -o, or remove this one.",
    )


def _all_relative(files: Files, directory: Path) -> tuple[str, ...]:
    return tuple(_relative(each, directory) for each in files.files)


def _relative(name: str, directory: Path) -> str:
    """A name as the configuration in `directory` has to say it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ConfigError(
            "the name is not UTF-8, so no configuration can hold it",
            where=ascii(name),
            hint="Rename the file.",
        ) from None
    if is_remote(name):
        return name
    if Path(name).is_absolute() and not Path(name).is_relative_to(directory.absolute()):
        return name
    path = os.path.relpath(name, directory).replace(os.sep, "/")
    return f"./{path}" if path.startswith(("~", MARK)) else path
