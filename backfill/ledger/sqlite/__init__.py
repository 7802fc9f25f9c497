"""The ledger in one SQLite file: for a job that one machine delivers."""
