"""One value of one field: its canonical form, or the rule that it breaks."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

import idna

from tests.reference.phones import phone
from tests.reference.values import Broken, Cell, stripped, text_of

__all__ = ["CONFIDENCES", "FEEDBACKS", "TARGETS", "checked", "is_email"]

CONFIDENCES = ("maximum", "high", "neutral", "low", "minimum")
TARGETS = ("phone_number", "email_address")
FEEDBACKS = ("verification.started", "verification.completed")

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_QUANTITY = re.compile(r"-?[0-9]+\.0+|-?[0-9]+([.,][0-9]+)?[eE]\+[0-9]+")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = re.compile(rf"(?P<local>{_ATOM}(?:\.{_ATOM})*)@(?:{_LABEL}\.)+(?P<last>{_LABEL})")
_LANGUAGES = frozenset(
    "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy "
    "da de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht "
    "hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky "
    "la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny "
    "oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss "
    "st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo "
    "za zh zu".split()
)


def is_email(text: str) -> bool:
    """Whether a text is an address, in ASCII, with a dot in its domain."""
    found = _EMAIL.fullmatch(text)
    domain = text.rpartition("@")[2]
    encoded = re.search(r"(^|\.)[A-Za-z0-9]{2}--", domain)
    return bool(
        found
        and len(text) <= 254
        and len(found["local"]) <= 64
        and found["last"][0].isalpha()
        and (not encoded or _is_encoded(domain))
    )


def _is_encoded(domain: str) -> bool:
    """Whether a domain that says so is the `xn--` form of another one."""
    try:
        return domain.islower() and idna.decode(domain, strict=True) != domain
    except (idna.IDNAError, UnicodeError):
        return False


def checked(
    kind: str, value: Cell, rules: Mapping[str, Any], zone: str | None, region: str | None = None
) -> str | None:
    """The canonical form of a value of a field of this kind, None where it is missing."""
    if kind == "phone" and isinstance(value, float):
        text_of(value, zone)
        raise Broken("float")
    if kind == "id" and isinstance(value, float) and not abs(value) < 2**53:
        text_of(value, zone)
        raise Broken("float")
    text = text_of(value, zone)
    if text is None:
        return None
    if kind == "text":
        return text
    if kind == "label":
        return text if stripped(text) else None
    if kind == "custom":
        if len(text) > rules.get("custom_value_max", 50):
            raise Broken("max_length")
        return text
    if kind == "correlation":
        if len(text) > 80:
            raise Broken("max_length")
        return text
    if kind == "phone":
        return phone(text, level=rules.get("phone", "e164"), region=region)
    return _code(kind, stripped(text), rules)


def _code(kind: str, text: str, rules: Mapping[str, Any]) -> str | None:
    if not text:
        return None
    if kind == "id":
        return _id(text, rules)
    if kind == "email":
        if not is_email(text):
            raise Broken("email")
        return text
    if kind == "language":
        if not text.isascii() or text.lower() not in _LANGUAGES:
            raise Broken("language")
        return text.lower()
    if kind == "type":
        if "event_types" in rules and text not in rules["event_types"]:
            raise Broken("allowed")
        return text
    choices = {"target": TARGETS, "confidence": CONFIDENCES, "feedback": FEEDBACKS}[kind]
    if text not in choices:
        raise Broken("choice")
    return text


def _id(text: str, rules: Mapping[str, Any]) -> str:
    if _UUID.fullmatch(text):
        return text.lower()
    if _QUANTITY.fullmatch(text):
        raise Broken("float")
    if "contact_id" in rules:
        return str(uuid.uuid5(uuid.UUID(rules["contact_id"]["namespace"]), text))
    raise Broken("uuid")
