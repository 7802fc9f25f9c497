"""The file of `--log-file`: it stops nothing, and follows whoever rotates it."""

from __future__ import annotations

import contextlib
import io
import logging
import logging.handlers
import os
import sys
from pathlib import Path

__all__ = ["LogFile"]

log = logging.getLogger(__name__)


class LogFile(logging.handlers.WatchedFileHandler):
    """Appends to a file, for its owner alone: it tells what was sent where, though not what was in
    it.

    A file that is moved away, as logrotate does, is begun anew. A full disk, or a directory that is
    gone, is warned of once. Raises OSError where the file cannot be opened at first.
    """

    def __init__(self, path: Path) -> None:
        self._warned = False
        super().__init__(path, encoding="utf-8")

    def _open(self) -> io.TextIOWrapper:
        handle = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return open(handle, self.mode, encoding=self.encoding, errors=self.errors)  # type: ignore[return-value] # noqa: PTH123

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
        except OSError:  # while it is begun anew
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        error = sys.exception()
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._warned:
            self._warned = True
            log.warning("--log-file %s: %s", self.baseFilename, error.strerror or error)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # each line was flushed, and what failed was told
            super().close()
