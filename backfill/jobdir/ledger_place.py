"""Which database holds the ledger of a job that several machines deliver, as its directory says."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from backfill.core.atomic_files import sync
from backfill.core.errors import JobError
from backfill.core.job_files import LEDGER_PLACE
from backfill.jobdir.storage_wait import is_away, storage_error

__all__ = ["LedgerPlace"]


@dataclass(frozen=True, slots=True)
class LedgerPlace:
    """A database, without a password, and the job's own schema in it.

    `lease` is how many seconds a deliverer that is not heard of keeps its buckets, and `hold` how
    many a request of it may still be on its way.
    """

    database: str
    schema: str
    lease: float
    hold: float

    def write(self, directory: Path) -> None:
        """Note it in a job's directory, durably. Raises OSError."""
        path = directory / LEDGER_PLACE
        path.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        path.chmod(0o600)
        sync(path)

    @classmethod
    def read(cls, directory: Path) -> Self | None:
        """What a job's directory says; None for a job of one machine.

        Raises JobError for a damaged file, and StorageError where the directory cannot be read: a
        job would be taken for one of one machine.
        """
        path = directory / LEDGER_PLACE
        try:
            found = cls(**json.loads(path.read_bytes()))
            return cls(str(found.database), str(found.schema), float(found.lease), found.hold)
        except OSError as error:
            if not is_away(directory, error):
                return None
            raise storage_error(directory, error) from error
        except (ValueError, TypeError) as error:
            raise JobError(
                f"where the ledger lies cannot be read: {error}",
                where=str(path),
                hint="Restore the file from a copy of the job's directory.",
            ) from error
