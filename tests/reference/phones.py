"""Phone numbers, one at a time, with the phonenumbers library itself."""

from __future__ import annotations

import re

import phonenumbers

from tests.reference.values import Broken, stripped

__all__ = ["phone"]

_FLOAT = re.compile(
    r"-?[0-9]+[.,][0-9]{1,2}|\+?[0-9]{7,}[.,][0-9]*"
    r"|[+(]?[0-9][0-9 \u00a0()\u2010-\u2014\u2212-]*[.,](?:[0-9]{1,2}|0+)"
    r"|\+?[0-9][0-9.\u2010-\u2014 ()-]*\.[0-9]"
    r"|[+-]?[0-9]+([.,][0-9]+)?[eE][+-]?[0-9]+"
    r"|[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?"
)
_EXTENSION = re.compile(
    r".*[0-9][\s]*(x|ext\.?|#|;ext=|,,)[\s]*[0-9]+|.*[0-9]\s*\([0-9]+\)", re.IGNORECASE
)
_SEVERAL = re.compile(r"[^,/;]*[0-9]\s*[,/;]\s*[+0-9][^,/;]*")
_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_SPACES, _DASHES = " \u00a0\u2009\u202f", "\u2010\u2011\u2012\u2013\u2014\u2212.-"
_GAP = rf"[{_SPACES}]{{0,2}}[{_DASHES}]?[{_SPACES}]{{0,2}}"
_GROUPS = rf"[0-9]+(?:{_GAP}[0-9]+)*"
_IN_GROUPS = re.compile(
    rf"\+?[{_SPACES}]?(?:{_GROUPS}"
    rf"|(?:{_GROUPS}{_GAP})?\([{_SPACES}]?{_GROUPS}[{_SPACES}]?\)(?:{_GAP}{_GROUPS})?)"
)
_ZERO_IN_BRACKETS = re.compile(r"\+.*\(\s*0")


def phone(text: str, *, level: str, region: str | None) -> str | None:
    """The number in E.164, None where the cell is empty."""
    text = stripped(text)
    if not text:
        return None
    if _FLOAT.fullmatch(text) or _is_signed_decimal(text):
        raise Broken("float")
    if _EXTENSION.fullmatch(text):
        raise Broken("extension")
    if _SEVERAL.fullmatch(text):
        raise Broken("several")
    number = _without_separators(text)
    if not number.startswith("+"):
        number = _from_abroad(number, region)
    elif not _E164.fullmatch(number):
        raise Broken("e164")
    elif number != text and _rewritten(number):
        raise Broken("e164")  # what its zero is for, the spaces say and the digits do not
    return _judged(number, level)


def _is_signed_decimal(text: str) -> bool:
    """A plus, and digits around one point that does not stand behind a calling code."""
    if not re.fullmatch(r"\+[0-9]+\.[0-9]+", text):
        return False
    code = int(text[1 : text.index(".")])
    digits = len(text) - len("+.")
    return code not in phonenumbers.COUNTRY_CODE_TO_REGION_CODE or digits < 8


def _without_separators(text: str) -> str:
    if _ZERO_IN_BRACKETS.match(text) or not _IN_GROUPS.fullmatch(text):
        raise Broken("e164")
    return re.sub(r"[^+0-9]", "", text)


def _from_abroad(digits: str, region: str | None) -> str:
    """A national number as the world dials it."""
    if not re.fullmatch("[0-9]+", digits) or region is None:
        raise Broken("e164")
    try:
        parsed = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        raise Broken("e164") from None
    whole = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    national = phonenumbers.national_significant_number(parsed)
    if not phonenumbers.is_valid_number(parsed) or not digits.endswith(national):
        raise Broken("e164")
    if digits == national and _may_have_lost_its_plus(digits, parsed):
        raise Broken("ambiguous")
    return whole


def _may_have_lost_its_plus(digits: str, here: phonenumbers.PhoneNumber) -> bool:
    """The country writes more in front of such numbers, and behind a plus it is one as well."""
    written = phonenumbers.format_number(here, phonenumbers.PhoneNumberFormat.NATIONAL)
    if re.sub("[^0-9]", "", written) == digits:
        return False
    try:
        abroad = phonenumbers.parse(f"+{digits}", None)
    except phonenumbers.NumberParseException:
        return False
    whole = phonenumbers.format_number(abroad, phonenumbers.PhoneNumberFormat.E164)
    return whole == f"+{digits}" and phonenumbers.is_valid_number(abroad)


def _judged(number: str, level: str) -> str:
    if level == "e164":
        return number
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        raise Broken("possible") from None
    if _rewritten(number):
        raise Broken("rewritten")
    if not phonenumbers.is_possible_number(parsed):
        raise Broken("possible")
    if level == "valid" and not phonenumbers.is_valid_number(parsed):
        raise Broken("valid")
    return number


def _rewritten(number: str) -> bool:
    """Whether the library reads a number of the world as another one."""
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) != number
