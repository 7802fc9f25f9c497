"""The report of a job: one page that shows what happened, and its pictures.

PNG pictures need the package of `backfill[report]`, the page and SVG pictures nothing more.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from backfill.core.atomic_files import put_in_place
from backfill.core.errors import ConfigError
from backfill.core.typed_paths import typed_path
from backfill.jobdir.errors import reading
from backfill.jobdir.overwrite_guard import refuse_own_files
from backfill.jobdir.store_addresses import address_of

if TYPE_CHECKING:
    from backfill.jobs.job import Job

__all__ = ["Format", "write_report"]

_HEAD = 65_536  # bytes within which a page or a picture of ours says so
_PAGE = b'name="generator" content="backfill"'
_MARKS = {".html": _PAGE, ".htm": _PAGE, ".svg": b"<!-- made by backfill -->"}

Format = Literal["html", "png", "svg"]

_ENDINGS: dict[str, Format] = {".html": "html", ".htm": "html", ".png": "png", ".svg": "svg"}
_TEXT = re.compile(r"<text.*?</text>", re.DOTALL)


def write_report(
    job: Job,
    path: str | Path | None = None,
    format: Format | None = None,  # noqa: A002 - as Altair and others call it
) -> tuple[Path, ...]:
    """Write the page, or with "png" or "svg" each picture, and return the files' paths.

    `path` is `report.html` in the job's directory unless it is given, and of a job in an object
    store `JOB-report.html` in the working directory; pictures lie beside it and are called after
    it, as `report-books.png`. Without `format` the path's ending says it.
    The files are readable by their owner alone. Raises ConfigError where the path has another
    ending, the job lives on what lies there, or PNG cannot be drawn, and BackfillError where a
    file cannot be read or written.
    """
    target = typed_path(path) if path is not None else _usual(job.directory)
    if not target.absolute().parent.is_dir():
        raise ConfigError("its directory does not exist", where=str(target))
    if target.is_dir():
        raise ConfigError("is a directory", where=str(target), hint="Name a file, as report.html.")
    if format is None:
        format = _format_of(target)  # noqa: A001 - see above
    from backfill.report.charts import draw, picture  # noqa: PLC0415 - all of these are heavy
    from backfill.report.gather import gather  # noqa: PLC0415
    from backfill.report.page import page  # noqa: PLC0415

    with reading(job.directory):
        figures = gather(job)
        if format == "html":
            files = {target: page(figures).encode()}
        else:
            stem = target.stem if target.suffix.lower() in _ENDINGS else target.name
            files = {
                target.with_name(f"{stem}-{name}.{format}"): picture(chart).encode()
                for name, chart in draw(figures).items()
            }
        if format == "png":
            files = {file: _png(content.decode()) for file, content in files.items()}
        for file in files:
            refuse_own_files(file, job.directory, job.manifest, job.config, report=True)
            _refuse_users_file(file)
        for file, content in files.items():
            with put_in_place(file) as draft:
                draft.write_bytes(content)
    return tuple(files)


def _usual(directory: Path) -> Path:
    """Where a report lies unless somebody says so: never in a copy, which may be removed."""
    if address_of(directory) is None:
        return directory / "report.html"
    return Path(f"{directory.stem}-report.html")


def _refuse_users_file(file: Path) -> None:
    """Raise ConfigError for a page or a picture that is there and was not made by this program."""
    mark = _MARKS.get(file.suffix.lower())
    if mark is None or not file.is_file():
        return
    with file.open("rb") as there:
        start = there.read(_HEAD)
    if start and mark not in start:
        raise ConfigError(
            "exists already, and is no report of this program",
            where=str(file),
            hint="Nothing was written. Name another file with -o.",
        )


def _format_of(target: Path) -> Format:
    ending = target.suffix.lower()
    if ending not in _ENDINGS:
        raise ConfigError(
            f"{ending or 'no ending'!r} is no format for a report",
            where=str(target),
            hint="End the name in .html for the page, or in .png or .svg for the pictures.",
        )
    return _ENDINGS[ending]


def _png(svg: str) -> bytes:
    """An SVG document as a PNG of twice its size, for sharp print."""
    try:
        from resvg_py import svg_to_bytes  # noqa: PLC0415 - of the extra `report`
    except ImportError as error:
        raise ConfigError(
            f"PNG pictures need a package that is not installed: {error.name}",
            hint="pip install 'backfill[report]', or write .svg, which needs none.",
        ) from error
    content = svg_to_bytes(svg_string=svg, zoom=2)
    if content == svg_to_bytes(svg_string=_TEXT.sub("", svg), zoom=2):
        raise ConfigError(
            "PNG pictures would lack their text: no font is installed on this machine",
            hint="Install one, such as the package fonts-dejavu-core, or write .svg.",
        )
    return content
