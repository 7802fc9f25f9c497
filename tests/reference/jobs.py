"""Random jobs: a configuration and the files that it names, from a seed alone."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from tests.reference.cells import PARQUET_TYPES, WHO, Chance, json_cell, text_cell, typed_cell, who
from tests.reference.expressions import Expression
from tests.reference.hive import HIVE_COLUMNS, Partitions, hive_directory, random_partitions
from tests.reference.readers import MALFORMED, Row, csv_rows, ndjson_rows

__all__ = ["File", "Job", "random_files"]


@dataclass(frozen=True)
class File:
    """One file of a source, as bytes or, for Parquet, as typed rows."""

    name: str
    content: bytes = b""
    typed: Sequence[Row] = ()
    schema: Mapping[str, Any] = field(default_factory=dict)
    partitions: Partitions = ()  # columns that the directories around it are
    directory: str = ""

    def write(self, directory: Path) -> None:
        place = directory / self.directory / self.name
        place.parent.mkdir(parents=True, exist_ok=True)
        if self.schema:
            frame = pl.DataFrame(self.typed, schema=dict(self.schema), orient="row")
            frame.write_parquet(place)
        else:
            packed = self.name.endswith(".gz")
            place.write_bytes(gzip.compress(self.content) if packed else self.content)

    def rows(self, section: Mapping[str, Any]) -> list[Row]:
        rows = self._rows_within(section)
        if not section.get("hive"):
            return rows
        return [row if row is MALFORMED else {**row, **dict(self.partitions)} for row in rows]

    def _rows_within(self, section: Mapping[str, Any]) -> list[Row]:
        if self.schema:
            return list(self.typed)
        if ".ndjson" in self.name:
            null_values = section.get("null_values", [])
            return [
                row if not null_values else _without(row, null_values)
                for row in ndjson_rows(self.content)
            ]
        return list(
            csv_rows(
                self.content,
                separator=section.get("separator", ","),
                encoding=section.get("encoding", "utf-8"),
                null_values=section.get("null_values", []),
            )
        )


def _without(row: Row, null_values: Sequence[str]) -> Row:
    """`null_values` are for cells of text files, to which NDJSON belongs."""
    if not row:
        return row
    return {name: None if cell in null_values else cell for name, cell in row.items()}


@dataclass(frozen=True)
class Job:
    """A configuration, as its sections, and its files."""

    seed: int
    config: Mapping[str, Any]
    events: Sequence[File]
    contacts: Sequence[File]
    expressions: Mapping[str, Expression]

    @property
    def destination(self) -> str:
        return str(self.config["destination"])

    def write(self, directory: Path) -> None:
        for file in (*self.events, *self.contacts):
            file.write(directory)


def random_files(
    chance: Chance, stem: str, columns: Sequence[str], sizes: Sequence[int]
) -> tuple[list[File], dict[str, Any]]:
    """Files of one format, and how the configuration says that they are read."""
    if chance.random() < 0.12:
        return _hive_files(chance, stem, columns, sizes)
    return _flat_files(chance, stem, columns, sizes)


def _hive_files(
    chance: Chance, stem: str, columns: Sequence[str], sizes: Sequence[int]
) -> tuple[list[File], dict[str, Any]]:
    """Files in directories named `key=value`, which are columns that the files do not have."""
    able = [column for column in columns if column in HIVE_COLUMNS]
    keys = chance.sample(able, chance.choice([1, 1, 2]))
    within = columns if chance.random() < 0.1 else [each for each in columns if each not in keys]
    files, section = _flat_files(chance, stem, within, sizes)
    placed = []
    for file in files:
        partitions = random_partitions(chance, keys)
        directory = f"{stem}/{hive_directory(chance, partitions)}"
        placed.append(replace(file, partitions=partitions, directory=directory))
    ending = section["files"] if isinstance(section["files"], str) else section["files"][0]
    everywhere = f"{stem}/**/*.{ending.partition('.')[2]}"
    section |= {"hive": True, "files": chance.choice([stem, everywhere])}
    return sorted(placed, key=lambda file: [*file.directory.split("/"), file.name]), section


def _flat_files(
    chance: Chance, stem: str, columns: Sequence[str], sizes: Sequence[int]
) -> tuple[list[File], dict[str, Any]]:
    format_ = chance.choice(["csv", "csv", "ndjson", "parquet", "parquet"])
    packed = ".gz" if format_ != "parquet" and chance.random() < 0.1 else ""
    names = [f"{stem}-{number}.{format_}{packed}" for number in range(1, len(sizes) + 1)]
    section: dict[str, Any] = {"files": names if len(names) > 1 else names[0]}
    if format_ == "parquet":
        types = {
            column: chance.choice(list(PARQUET_TYPES[column]))
            for column in columns
            if column in PARQUET_TYPES and chance.random() < 0.4
        }
        return [_parquet(chance, *each, columns, types) for each in _each(names, sizes)], section
    if chance.random() < 0.15:
        section["null_values"] = ["n/a", "-"]
    if format_ == "ndjson":
        return [_ndjson(chance, *each, columns) for each in _each(names, sizes)], section
    if chance.random() < 0.3:
        section["separator"] = chance.choice([";", "|", "\t"])
    if chance.random() < 0.15:
        section["encoding"] = chance.choice(["windows-1255", "utf-16", "latin-1"])
    return [_csv(chance, *each, columns, section) for each in _each(names, sizes)], section


def _each(names: Sequence[str], sizes: Sequence[int]) -> list[tuple[str, int]]:
    return list(zip(names, sizes, strict=True))


def _parquet(
    chance: Chance, name: str, size: int, columns: Sequence[str], types: Mapping[str, str]
) -> File:
    schema = {
        column: PARQUET_TYPES[column][types[column]][0] if column in types else pl.String
        for column in columns
    }
    if "who" in schema:
        schema["who"] = WHO
    rows = [
        {column: _parquet_cell(chance, column, types) for column in columns} for _ in range(size)
    ]
    return File(name, typed=rows, schema=schema)


def _parquet_cell(chance: Chance, column: str, types: Mapping[str, str]) -> Any:
    if column == "who":
        return who(chance)
    if column in types:
        return typed_cell(chance, column, types[column])
    return text_cell(chance, column) or chance.choice([None, ""])


def _ndjson(chance: Chance, name: str, size: int, columns: Sequence[str]) -> File:
    lines = [json.dumps(dict.fromkeys(columns))]
    for _ in range(size):
        row = {
            column: who(chance) if column == "who" else json_cell(chance, column)
            for column in columns
        }
        if chance.random() < 0.1:
            row.pop(chance.choice(list(row)))
        line = json.dumps(row, ensure_ascii=chance.random() < 0.3)
        if chance.random() < 0.03:
            line = chance.choice(["", "{", "[1]", '"text"', line[:-1], line + "}", "5", "null"])
        lines.append(line)
    return File(name, "\n".join(lines).encode() + b"\n" * chance.randint(0, 1))


def _csv(
    chance: Chance,
    name: str,
    size: int,
    columns: Sequence[str],
    section: Mapping[str, Any],
) -> File:
    separator, encoding = section.get("separator", ","), section.get("encoding", "utf-8")
    end = chance.choice(["\n", "\n", "\r\n"])
    header = chance.sample(list(columns), len(columns))
    always = chance.random() < 0.2
    lines = [separator.join(header)]
    for _ in range(size):
        texts = [
            json.dumps(who(chance)) if column == "who" else text_cell(chance, column)
            for column in header
        ]
        cells = [_as_csv(text, separator, always) for text in texts]
        line = separator.join(cells)
        if chance.random() < 0.04:
            odd = [
                "",
                "  ",
                'a "quote" within',
                line + separator + "more",
                '"open' + separator + line,
                '"a"b' + separator,
            ]
            odd += [separator.join(header), separator.join(cells[: chance.randint(1, 3)])]
            line = chance.choice(odd)
        lines.append(line)
    text = end.join(lines) + end * chance.randint(0, 1)
    content = text.encode(encoding, "replace")
    if encoding == "utf-8":
        content = b"\xef\xbb\xbf" * (chance.random() < 0.2) + content
        if chance.random() < chance.odd:
            at = chance.randrange(len(header[0]) + len(content) // 2, len(content))
            content = content[:at] + chance.choice([b"\xff", b"\xc3("]) + content[at:]
    return File(name, content)


def _as_csv(cell: str | None, separator: str, always: bool) -> str:
    text = cell or ""
    if always or any(sign in text for sign in (separator, '"', "\n", "\r")):
        return '"' + text.replace('"', '""') + '"'
    return text
