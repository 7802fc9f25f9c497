"""The endpoints on this machine, to rehearse against.

A separate witness: what the three endpoints of our own accept is decided from the API documents
alone, by a validator of its own, and by nothing that `prepare` uses. Those of other packages are
what their destinations declare.
"""

from __future__ import annotations

from backfill.sandbox.accepted_log import Accepted, InjectedFault
from backfill.sandbox.contract import Endpoint
from backfill.sandbox.declared import DeclaredEndpoint, endpoints_for
from backfill.sandbox.fault_injection import KINDS, Arrival, Fault, parse_fault, parse_faults
from backfill.sandbox.serve import serve
from backfill.sandbox.server import Sandbox, running_sandbox

__all__ = [
    "KINDS",
    "Accepted",
    "Arrival",
    "DeclaredEndpoint",
    "Endpoint",
    "Fault",
    "InjectedFault",
    "Sandbox",
    "endpoints_for",
    "parse_fault",
    "parse_faults",
    "running_sandbox",
    "serve",
]
