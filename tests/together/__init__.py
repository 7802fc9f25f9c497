"""Several deliverers of one job: real processes, a real PostgreSQL, and a server that counts."""
