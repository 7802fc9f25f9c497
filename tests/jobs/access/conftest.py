"""A PostgreSQL for tests of jobs whose ledger lies in one."""

from __future__ import annotations

from tests.ledger.conftest import postgres

__all__ = ["postgres"]
