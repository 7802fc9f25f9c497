"""Files to one frame whose rows each have their identity, (file, row)."""
