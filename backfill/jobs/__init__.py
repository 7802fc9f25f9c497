"""A job's life: planned, opened, run, looked at, settled."""
