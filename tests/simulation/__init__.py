"""Whole lives of jobs in one thread and in virtual time, each repeatable from its seed.

`python -m tests.simulation --seeds 1000` runs the real code of `deliver`, `ledger` and `jobs` on
the real SQLite against a simulated server, network, disk and clock, and compares what is written
down with what happened after every step.
"""
