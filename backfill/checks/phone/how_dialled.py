"""Why a national number did not become E.164: for a person who looks at one record."""

from __future__ import annotations

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat

from backfill.checks.phone import numbering_plans

__all__ = ["how_dialled", "stray_mark"]


def stray_mark(phone: str) -> str | None:
    """What stands before a number that is no part of it."""
    if phone.strip().startswith("'"):
        return "a spreadsheet's apostrophe stands before it: LTRIM(…, '''') takes it away"
    if phone.strip().startswith('="'):
        return "a spreadsheet's formula stands around it: TRIM(BOTH '=\"' FROM …) takes it away"
    return None


def how_dialled(phone: str, region: str | None) -> str | None:
    """How a refused number was read in the country of its row; None where it names its own."""
    if phone.strip().startswith("+"):
        return None
    code = (region or "").strip()
    if not code:
        return "its row names no country"
    if not (code.isascii() and numbering_plans.is_region(code.upper())):
        return f"{code!r} is no code of a country that has phones"
    try:
        number = phonenumbers.parse(phone, code.upper())
    except NumberParseException:
        return f"no number that is dialled in {code.upper()}"
    whole = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    if not phonenumbers.is_valid_number(number):
        return (
            f"dialled in {code.upper()} it would be {whole}, which lies in no range that"
            " libphonenumber knows to be in use; written so, with its +, it is sent"
        )
    return f"dialled in {code.upper()} it might be {whole}, which has other digits"
