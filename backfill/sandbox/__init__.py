"""The three endpoints on this machine, to rehearse against.

A separate witness: what is accepted here is decided from the API documents alone, by a
validator of its own, and by nothing that `prepare` uses.
"""

from __future__ import annotations

from backfill.sandbox.accepted_log import Accepted, InjectedFault
from backfill.sandbox.fault_injection import KINDS, Arrival, Fault, parse_fault, parse_faults
from backfill.sandbox.serve import serve
from backfill.sandbox.server import Sandbox, running_sandbox

__all__ = [
    "KINDS",
    "Accepted",
    "Arrival",
    "Fault",
    "InjectedFault",
    "Sandbox",
    "parse_fault",
    "parse_faults",
    "running_sandbox",
    "serve",
]
