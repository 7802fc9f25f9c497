"""What holds after any run, whatever was done to it: one checker for every suite that attacks.

`check_job` compares a job's directory with what a server stored; `check_books` needs no server;
`check_delivery` compares any account of records with any server's log.
"""

from tests.promises.books import check_books
from tests.promises.delivery import NOTHING, Excused, ServerLog, Told, check_delivery
from tests.promises.finding import Finding
from tests.promises.job import canonical, check_job, log_of, sandbox_log

__all__ = [
    "NOTHING",
    "Excused",
    "Finding",
    "ServerLog",
    "Told",
    "canonical",
    "check_books",
    "check_delivery",
    "check_job",
    "log_of",
    "sandbox_log",
]
