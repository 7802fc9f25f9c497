"""A job's records: as a table, as a file, and the story of one."""
