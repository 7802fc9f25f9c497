"""Email addresses: those that any mail server and any validator would call one.

Source: Pristo `Contact.email` (`format: email`), Watch `Target.value`.
"""

from __future__ import annotations

import polars as pl

from backfill.prepare.checked import Steps, trimmed

__all__ = ["check_email"]

_ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_LAST = "[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_FORM = f"^{_ATOM}(?:[.]{_ATOM})*@(?:{_LABEL}[.])+{_LAST}$"
_LONGEST = 254  # RFC 5321: a path has 256 characters, two of which are its brackets
_LONGEST_LOCAL = 64  # RFC 5321, 4.5.3.1.1


def check_email() -> Steps:
    """The address as it stands, but for white space around it. Rule: `email`.

    Accepted are a local part of dot-separated atoms and a domain with at least one dot whose
    last label begins with a letter, in ASCII. So `user@localhost`, quoted local parts, address
    literals and names beside the address are refused, and so are addresses beyond ASCII:
    `format: email` does not know them (a domain can be given in its `xn--` form).
    """
    inner = pl.field("value")
    good = (
        inner.str.contains(_FORM)
        & (inner.str.len_bytes() <= _LONGEST)
        & (inner.str.find("@", literal=True) <= _LONGEST_LOCAL)
    )
    return Steps(({"value": trimmed(pl.field("text"))}, {"email": ~good}), ("email",))
