"""Attacks on whole runs: odd inputs, a hostile server, interruptions; one checker for all."""
