"""A PostgreSQL and an object store for tests of several deliverers."""

from __future__ import annotations

from tests.jobdir.conftest import bucket, object_store
from tests.ledger.conftest import postgres

__all__ = ["bucket", "object_store", "postgres"]
