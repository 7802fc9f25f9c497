"""Whether the promises hold while everything around a job breaks.

`python -m tests.chaos --rounds 20 --seed 1` runs jobs of chance in processes of their own
against a faulty server, while they are killed, starved of disk and network, and stopped, and
compares the books with what the server stored. `--power` does the same for losses of power.
"""
