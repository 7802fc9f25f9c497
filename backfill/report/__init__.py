"""The report of a job: one page that shows what happened, and its pictures.

Drawing needs the packages of `backfill[report]`, which are imported when something is drawn.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from backfill.core.atomic_files import put_in_place
from backfill.core.errors import BackfillError, ConfigError
from backfill.jobdir.overwrite_guard import refuse_own_files

if TYPE_CHECKING:
    from backfill.jobs.job import Job

__all__ = ["Format", "write_report"]

Format = Literal["html", "png", "svg"]

_ENDINGS: dict[str, Format] = {".html": "html", ".htm": "html", ".png": "png", ".svg": "svg"}


def write_report(
    job: Job,
    path: str | Path | None = None,
    format: Format | None = None,  # noqa: A002 - as Altair and others call it
) -> tuple[Path, ...]:
    """Write the page, or with "png" or "svg" each picture, and return the files' paths.

    `path` is `report.html` in the job's directory unless it is given; pictures lie beside it
    and are called after it, as `report-books.png`. Without `format` the path's ending says it.
    The files are readable by their owner alone. Raises ConfigError where the packages of
    `backfill[report]` are missing, the path has another ending or cannot be written to, or the
    job lives on what lies there.
    """
    target = Path(path) if path is not None else job.directory / "report.html"
    if not target.absolute().parent.is_dir():
        raise ConfigError("its directory does not exist", where=str(target))
    if target.is_dir():
        raise ConfigError("is a directory", where=str(target), hint="Name a file, as report.html.")
    if format is None:
        format = _format_of(target)  # noqa: A001 - see above
    try:
        import altair  # noqa: F401, PLC0415
        import vl_convert  # noqa: F401, PLC0415
    except ImportError as error:
        raise ConfigError(
            f"the report needs a package that is not installed: {error.name}",
            hint="pip install 'backfill[report]'",
        ) from error
    from backfill.report.gather import gather  # noqa: PLC0415 - all of these are heavy
    from backfill.report.page import page  # noqa: PLC0415
    from backfill.report.pictures import draw, png, svg_files  # noqa: PLC0415

    figures = gather(job)
    if format == "html":
        files = {target: page(figures, draw(figures)).encode()}
    else:
        stem = target.stem if target.suffix.lower() in _ENDINGS else target.name
        files = {
            target.with_name(f"{stem}-{name}.{format}"): png(svg)
            if format == "png"
            else svg.encode()
            for name, svg in svg_files(figures).items()
        }
    for file in files:
        refuse_own_files(file, job.directory, job.manifest, job.config)
    for file, content in files.items():
        _write(file, content)
    return tuple(files)


def _format_of(target: Path) -> Format:
    ending = target.suffix.lower()
    if ending not in _ENDINGS:
        raise ConfigError(
            f"{ending or 'no ending'!r} is no format for a report",
            where=str(target),
            hint="End the name in .html for the page, or in .png or .svg for the pictures.",
        )
    return _ENDINGS[ending]


def _write(path: Path, content: bytes) -> None:
    try:
        with put_in_place(path) as draft:
            draft.write_bytes(content)
    except OSError as error:
        raise BackfillError(
            f"the report cannot be written: {error.strerror or error}",
            where=str(path),
            hint="Check the free space and the permissions, or name another file with -o.",
        ) from error
