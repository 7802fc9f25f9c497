"""Email addresses: those that any mail server and any validator would call one.

Source: Pristo `Contact.email` (`format: email`), Watch `Target.value`.
"""

from __future__ import annotations

import idna
import polars as pl

from backfill.checks.checked import Steps, trimmed

__all__ = ["check_email"]

_ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_LAST = "[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_FORM = f"^{_ATOM}(?:[.]{_ATOM})*@(?:{_LABEL}[.])+{_LAST}$"
_ENCODED = "@(?:.*[.])?[A-Za-z0-9][A-Za-z0-9-]--"  # a label that says it is encoded, as xn-- does
_LONGEST = 254  # RFC 5321: a path has 256 characters, two of which are its brackets
_LONGEST_LOCAL = 64  # RFC 5321, 4.5.3.1.1


def check_email() -> Steps:
    """The address as it stands, but for white space around it. Rule: `email`.

    Accepted are a local part of dot-separated atoms and a domain with at least one dot whose
    last label begins with a letter, in ASCII. So `user@localhost`, quoted local parts, address
    literals and names beside the address are refused, and so are addresses beyond ASCII:
    `format: email` does not know them. A label of the domain with `--` as its third and fourth
    character says that it is encoded (RFC 5890, 2.3.1, and RFC 5891, 4.2.3.1), and only `xn--`
    ones are: they must be right, in lower case, since validators disagree about capitals there.
    """
    inner, good = pl.field("value"), pl.field("good")
    formed = (
        inner.str.contains(_FORM)
        & (inner.str.len_bytes() <= _LONGEST)
        & (inner.str.find("@", literal=True) <= _LONGEST_LOCAL)
    )
    encoded = pl.when(good & inner.str.contains(_ENCODED)).then(inner)
    misspelt = encoded.map_batches(_misspelt, return_dtype=pl.Boolean, is_elementwise=True)
    return Steps(
        ({"value": trimmed(pl.field("text"))}, {"good": formed}, {"email": ~good | misspelt}),
        ("email",),
    )


def _misspelt(addresses: pl.Series) -> pl.Series:
    """Whether the domain claims to be encoded and is not; false for nulls.

    Such domains are rare and repeat themselves, so each is read once.
    """
    domains = addresses.str.extract("@(.*)$")
    wrong = [each for each in domains.drop_nulls().unique() if not _decodes(each)]
    return domains.is_in(wrong).fill_null(value=False)


def _decodes(domain: str) -> bool:
    try:
        return domain.islower() and idna.decode(domain, strict=True) != domain
    except (idna.IDNAError, UnicodeError):
        return False
