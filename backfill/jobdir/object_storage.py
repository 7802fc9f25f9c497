"""What lies under an address in an object store, such as `s3://bucket/prefix`.

The machine's own environment says who asks, as with other tools. A store has no directories and
renames nothing: one object that is put only where there is none is the one step that is atomic.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from backfill.core.errors import BackfillError, ConfigError, StorageError
from backfill.sources.object_stores import CREDENTIALS, open_store

__all__ = ["ObjectStorage"]

_TIME = "10m"  # for one request and its answer: a piece of a large file, or all of a small one
_PIECE = 8 << 20  # bytes


class ObjectStorage:
    """The objects under `address`, by their names below it.

    Methods raise BackfillError; it is a StorageError where the store failed or was not reached.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        with self._errors():
            self._store = open_store(address, time=_TIME)

    def read(self, name: str) -> bytes | None:
        """The content of a small object; None where there is none of this name."""
        import obstore  # noqa: PLC0415 - only for jobs that lie in a store

        with self._errors(name):
            try:
                return bytes(obstore.get(self._store, name).bytes())
            except FileNotFoundError:
                return None

    def fetch(self, name: str, path: Path) -> None:
        """Copy an object into a file. Raises OSError where that cannot be written."""
        with path.open("wb") as file:
            for piece in self._pieces(name):
                file.write(piece)

    def _pieces(self, name: str) -> Iterator[bytes]:
        import obstore  # noqa: PLC0415 - see above

        with self._errors(name):
            yield from obstore.get(self._store, name).stream(min_chunk_size=_PIECE)

    def put(self, name: str, path: Path) -> None:
        """Put a file's content under a name, whatever is there."""
        import obstore  # noqa: PLC0415 - see above

        with self._errors(name, writes=True):
            obstore.put(self._store, name, path)

    def put_new(self, name: str, content: bytes) -> None:
        """Put an object under a name that nothing has, in one step, whoever else tries.

        Raises FileExistsError.
        """
        import obstore  # noqa: PLC0415 - see above

        with self._errors(name, writes=True):
            try:
                obstore.put(self._store, name, content, mode="create")
            except obstore.exceptions.AlreadyExistsError:
                raise FileExistsError(name) from None

    def names(self, folder: str) -> list[str]:
        """What lies in a folder, at any depth."""
        import obstore  # noqa: PLC0415 - see above

        with self._errors(folder):
            return [each["path"] for part in obstore.list(self._store, folder) for each in part]

    def remove(self, names: Sequence[str]) -> None:
        """Remove what is there of these."""
        import obstore  # noqa: PLC0415 - see above

        with self._errors():
            for name in names:
                try:
                    obstore.delete(self._store, name)
                except FileNotFoundError:
                    continue

    @contextmanager
    def _errors(self, name: str = "", *, writes: bool = False) -> Iterator[None]:
        import obstore  # noqa: PLC0415 - see above

        try:
            yield
        except FileExistsError:
            raise
        except (obstore.exceptions.BaseError, OSError, ValueError) as error:
            if writes and isinstance(error, FileNotFoundError):  # so it is no object that lacks
                raise ConfigError(
                    f"there is no bucket {urlsplit(self.address).netloc!r}",
                    where=self.address,
                    hint="Make it, or mend `storage` under [cluster].",
                ) from error
            reason = str(error).strip().partition("\n")[0]
            # What it says no to, or does not have, it will not have in a while either.
            passes = isinstance(error, obstore.exceptions.GenericError | TimeoutError)
            raise (StorageError if passes else BackfillError)(
                f"the object store does not do what it is asked: {reason}",
                where=f"{self.address}/{name}".rstrip("/"),
                hint=CREDENTIALS,
            ) from error
