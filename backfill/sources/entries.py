"""What a source file was when a job was planned from it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from backfill.core.errors import ConfigError

__all__ = ["SourceEntry"]


class SourceEntry(BaseModel):
    """One source file: `name` as the user sees it, and what its content was when it was read.

    `path` is an address, or relative to the configuration's directory where that says so.
    `rows` counts the data rows, readable or not. `mtime_ns` and `size` tell cheaply that a
    file is untouched, and of one behind an address what its server called `etag` and `modified`;
    where they differ, `sha256` of its bytes decides.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    name: str
    path: str
    size: int
    mtime_ns: int | None
    sha256: str
    rows: int
    etag: str | None = None
    modified: str | None = None

    def lacks(self, row: int) -> ConfigError:
        """What to say to a person who names a row that the file does not have."""
        return ConfigError(
            f"{self.name} has no row {row:,}",
            hint=f"Its rows are numbered from 1 to {self.rows:,}; the header is not counted.",
        )
