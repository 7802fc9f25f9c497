"""A job's directory: its manifest, its lock, its name."""
