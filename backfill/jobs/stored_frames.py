"""Frames as sources: kept as Parquet in the job's directory, so that the job needs no process."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backfill.core.errors import ConfigError
from backfill.jobdir.manifest import Manifest
from backfill.jobdir.ownership import is_frame_file

if TYPE_CHECKING:
    import polars as pl

__all__ = ["as_lazy", "discard_unused_frames", "holds_frames", "is_frame", "store_frames"]

_FOLDER = "sources"


def is_frame(source: object) -> bool:
    """Whether a source is a table in memory and not the name of a file."""
    return any(
        hasattr(source, name) for name in ("collect_schema", "__arrow_c_stream__", "__dataframe__")
    )


def holds_frames(content: Mapping[str, Any]) -> bool:
    """Whether the `files` of [events] or [contacts] are a table in memory."""
    sections = (content.get(name) for name in ("events", "contacts"))
    return any(isinstance(each, Mapping) and is_frame(each.get("files")) for each in sections)


def store_frames(content: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """Write the frames among the `files` of [events] and [contacts] into the job's directory.

    Returns the content with the files' names in their place. A frame whose rows are already
    there is left alone, so that running a notebook again finds the same job. The caller holds the
    lock until the job is planned: nobody else may discard what is stored here.
    """
    stored = dict(content)
    for name in ("events", "contacts"):
        section = content.get(name)
        if not isinstance(section, Mapping) or not is_frame(section.get("files")):
            continue
        file = _store(as_lazy(section["files"], name), directory / _FOLDER, name)
        stored[name] = {**section, "files": f"{_FOLDER}/{file}"}
    return stored


def index_hint(content: Mapping[str, Any], message: str) -> str | None:
    """What helps where a missing column is named that stands in the index of a frame of pandas,
    which is not read.
    """
    for section in (content.get("events"), content.get("contacts")):
        files = section.get("files") if isinstance(section, Mapping) else None
        for level in getattr(getattr(files, "index", None), "names", ()):
            if level is not None and repr(level) in message:
                return (
                    f"{level!r} is the frame's index, which is not read: frame.reset_index() makes"
                    " a column of it."
                )
    return None


def discard_unused_frames(directory: Path, manifest: Manifest) -> None:
    """Remove stored frames that the job in `directory` was not planned from.

    The caller holds the lock since before it stored its own.
    """
    kept = {Path(entry.path).name for entry in (*manifest.events, *manifest.contacts)}
    for path in (directory / _FOLDER).iterdir():
        if is_frame_file(path.name) and path.name not in kept:
            path.unlink()


def _store(frame: pl.LazyFrame, folder: Path, name: str) -> str:
    """Write a frame under a name made from its content; a job's source is never written over."""
    folder.mkdir(mode=0o700, exist_ok=True)
    draft = folder / f"{name}.draft"
    _write(frame, draft, name)
    for known in folder.glob(f"{name}-*.parquet"):
        if _same(known, draft):
            draft.unlink()
            return known.name
    with draft.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    file_name = f"{name}-{digest[:12]}.parquet"
    draft.chmod(0o600)
    draft.replace(folder / file_name)
    return file_name


def _same(one: Path, other: Path) -> bool:
    """Whether two files hold the same rows in the same order.

    Their bytes may differ: how rows are put into groups depends on how a frame came about.
    """
    import polars as pl  # noqa: PLC0415 - only for those who bring frames

    left, right = pl.scan_parquet(one, glob=False), pl.scan_parquet(other, glob=False)
    schema = left.collect_schema()
    if list(schema.items()) != list(right.collect_schema().items()):
        return False
    rows = [int(each.select(pl.len()).collect().item()) for each in (left, right)]
    if rows[0] != rows[1]:
        return False
    renamed = right.rename({column: f"{column}__other" for column in schema})
    differences = [pl.col(column).ne_missing(pl.col(f"{column}__other")).any() for column in schema]
    try:
        found = pl.concat([left, renamed], how="horizontal").select(pl.any_horizontal(differences))
        return not found.collect(engine="streaming").item()
    except pl.exceptions.PolarsError:
        return False  # of a type that cannot be compared: better planned once too often


def as_lazy(source: Any, name: str) -> pl.LazyFrame:
    import polars as pl  # noqa: PLC0415 - only for those who bring frames

    if isinstance(source, pl.LazyFrame):
        return source
    if isinstance(source, pl.DataFrame):
        return source.lazy()
    wide = _wide_decimals(source)
    if wide is not None:
        raise ConfigError(
            f"the column {wide!r} holds decimals of more than 38 digits",
            where=name,
            hint="Write it as text, or with fewer digits.",
        )
    try:
        return _converted(source).lazy()
    except ImportError as error:
        raise ConfigError(
            f"a {type(source).__name__} cannot be read without {error.name or 'pyarrow'}",
            where=name,
            hint="pip install pyarrow, which 'backfill[notebook]' brings along. Or bring a Polars"
            " frame.",
        ) from error
    except (Exception, pl.exceptions.PanicException) as error:  # of whatever made the frame
        if (texts := _mixed_as_text(source)) is not None:
            return as_lazy(texts, name)
        column = _failing_column(source)
        what = f"the column {column!r}" if column is not None else f"a {type(source).__name__}"
        raise ConfigError(
            f"{what} cannot be read as a frame's: {_first_line(error)}",
            where=name,
            hint="Bring a Polars frame, a pandas frame (with pyarrow) or an Arrow table, and write"
            " a column of a kind of its own as text.",
        ) from error


def _converted(source: Any) -> pl.DataFrame:
    import polars as pl  # noqa: PLC0415 - only for those who bring frames

    if hasattr(source, "__arrow_c_stream__"):
        return pl.DataFrame(source)
    return pl.from_dataframe(source)


def _mixed_as_text(source: Any) -> Any:
    """A pandas frame whose columns of single values of several kinds are text, as sheets give them.

    Numbers among text are written as pandas shows them, so a phone that became a float is told as
    one. None for what is no such frame, or has no such column.
    """
    if type(source).__module__.partition(".")[0] != "pandas":
        return None
    objects = [name for name, dtype in source.dtypes.items() if str(dtype) == "object"]
    mixed = [name for name in objects if _is_mixed(source[name])]
    if not mixed:
        return None
    return source.assign(**{name: source[name].map(_as_text, na_action="ignore") for name in mixed})


def _is_mixed(column: Any) -> bool:
    kinds = {type(each) for each in column.dropna()}
    return len(kinds) > 1 and str in kinds and kinds <= {str, bool, int, float}


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _wide_decimals(source: Any) -> str | None:
    """The column of an Arrow table for whose decimals Polars has no type: it would panic."""
    fields = getattr(source, "schema", ())
    wide = (f.name for f in fields if str(getattr(f, "type", "")).startswith("decimal256"))
    return next(wide, None)


def _failing_column(source: Any) -> str | None:
    """The first column that cannot be read alone, of a table that can be taken apart."""
    import polars as pl  # noqa: PLC0415 - only for those who bring frames

    names = getattr(source, "column_names", None)
    for name in names if names is not None else getattr(source, "columns", ()):
        try:
            part = source.select([name]) if hasattr(source, "column_names") else source[[name]]
        except Exception:  # noqa: BLE001 - it cannot be taken apart so
            return None
        try:
            _converted(part)
        except (Exception, pl.exceptions.PanicException):  # noqa: BLE001 - the one that fails
            return str(name)
    return None


def _write(frame: pl.LazyFrame, draft: Path, name: str) -> None:
    """Work a frame out into a file. Raises ConfigError where it has no such values."""
    import polars as pl  # noqa: PLC0415 - only for those who bring frames

    try:
        odd = [column for column, dtype in frame.collect_schema().items() if dtype == pl.Object]
        if not odd:
            frame.sink_parquet(draft)
    except (Exception, pl.exceptions.PanicException) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the disk, not of the frame
        raise ConfigError(
            f"the frame cannot be worked out: {_first_line(error)}",
            where=name,
            hint="Call collect() on it to see where it fails.",
        ) from error
    if odd:
        raise ConfigError(
            f"the column {odd[0]!r} holds Python objects, which have no text",
            where=name,
            hint=f"Write it as text or as numbers, or leave it out: frame.drop({odd[0]!r}).",
        )


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).partition("\n")[0]
