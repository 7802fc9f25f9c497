"""SQL expressions of the configuration, for Polars."""
