"""Several processes, on any machine, that deliver one job and know of each other by its ledger."""
