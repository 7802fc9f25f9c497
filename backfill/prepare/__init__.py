"""Files to ready buckets: all Polars, no network."""
