"""Jobs that come after other ones: the rest of one, or what earlier ones did not deliver."""
