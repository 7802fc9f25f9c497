"""How the ledger of a job is reached: by one process alone, or by several on any machine."""
