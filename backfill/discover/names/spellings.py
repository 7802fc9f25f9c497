"""How people name the columns that hold what a destination's fields want.

The order is that of preference: the first spelling is the clearest. Names are compared without
regard to case, separators and camel case, so `userId`, `USER_ID` and `user-id` are one name.
"""

from __future__ import annotations

import re
from functools import cache
from unicodedata import combining, normalize

from backfill.destination import Field, Kind

__all__ = [
    "EMAILS",
    "JOIN_KEYS",
    "LAST_NAMES",
    "LATER",
    "PHONES",
    "TIMES",
    "closeness",
    "spellings_of",
    "words_in",
    "words_of",
]


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split())


JOIN_KEYS = _listed(
    """contact_id user_id customer_id client_id member_id person_id subscriber_id player_id
    patient_id profile_id account_id contact user customer client member subscriber uid
    user_uuid customer_uuid contact_uuid user_key customer_key cust_id usr_id acct_id cust_uuid
    usr_uuid customer_no cust_no user_no cust usr kundennummer kundennr
    kunden_id kunde cliente cliente_id id_cliente buyer buyer_id guest guest_id shopper_id
    student_id passenger_id external_id uuid guid id
    """
)
TIMES = _listed(
    """occurred_at occurred event_time event_at event_timestamp event_datetime happened_at
    timestamp ts time at datetime date created_at created created_on event_date when logged_at
    started_at recorded_at sent_at received_at inserted_at updated_at zeitpunkt zeitstempel
    datum fecha horodatage
    """
)
EMAILS = _listed(
    """email email_address mail e_mail_address mail_address email_addr eml mailadresse courriel
    correo correo_electronico correo_electrónico
    """
)
PHONES = _listed(
    """phone phone_number msisdn mobile mobile_number mobile_phone cell cell_phone cellphone tel
    telephone telephone_number phone_no mobile_no tel_no phone_num mobile_num tel_num cell_no
    telefon telefono teléfono téléphone handy mobil mobilnummer rufnummer telefonnummer handynummer
    celular number whatsapp telefone телефон טלפון 電話番号 手机号 mob ph
    """
)
LAST_NAMES = _listed("last_name surname family_name lname nachname apellido last")
_NAMES = _listed("event event_name event_type type action activity label name kind")

_BY_FIELD: dict[str, tuple[str, ...]] = {
    "contact.id": JOIN_KEYS,
    "contact.name": _listed(
        "first_name given_name forename vorname prenom fname first name full_name display_name"
    ),
    "contact.lastName": LAST_NAMES,
    "label": ("label", *_NAMES),
    "confidence": ("confidence", "confidence_level", "trust", "trust_level"),
    "type": ("type", "status", *_NAMES, "state", "step", "outcome", "result"),
    "target.type": ("target_type", "type", "channel"),
    "metadata.correlation_id": (
        *("correlation_id", "correlation", "corr_id", "corr"),
        *("verification_id", "request_id", "session_id"),
        *("trace_id", "attempt_id", "transaction_id", "reference", "external_id"),
    ),
}
_BY_KIND: dict[Kind, tuple[str, ...]] = {
    Kind.EMAIL: EMAILS,
    Kind.PHONE: PHONES,
    Kind.TARGET: ("target", "target_value", *PHONES),
    Kind.LANGUAGE: ("language", "lang", "locale", "language_code", "preferred_language"),
    Kind.EVENT_TYPE: _NAMES,
    Kind.TIME: TIMES,
}
# Words that say too little to be recognised as a part of a longer name.
_ALONE = frozenset(
    _listed(
        """id name type at date time when number user uuid kind event state cust usr corr mob ph
        eml correo contact customer client member subscriber
        """
    )
)


def spellings_of(field: Field) -> tuple[str, ...]:
    """The names under which a field's column is looked for, best first."""
    own = () if field.family else (field.name, field.name.rpartition(".")[2])
    if field.kind in _BY_KIND:
        return _BY_KIND[field.kind]
    return _BY_FIELD.get(field.name, own)


def closeness(name: str, spellings: tuple[str, ...]) -> float:
    """How well a column's name fits: about 1 for a spelling, about 0.6 where one is its ending
    or its beginning (`home_phone`, `email_work`), else 0.
    """
    words = words_of(name)
    compact = "".join(words)
    for rank, spelling in enumerate(spellings):
        if compact == "".join(words_of(spelling)):
            return 1 - 0.015 * rank
    for rank, spelling in enumerate(spellings):
        part = words_of(spelling)
        if spelling in _ALONE or len(part) >= len(words):
            continue
        if words[-len(part) :] == part or words[: len(part)] == part:
            return 0.6 - 0.01 * rank
    return 0.0


@cache
def words_of(name: str) -> tuple[str, ...]:
    """The words of a column's name in lower case and without accents: `MailingCountryCode` has
    three.
    """
    plain = "".join(each for each in normalize("NFD", name) if not combining(each))
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_]+", normalize("NFC", plain))
    return tuple(part.lower() for part in parts)


def words_in(text: str) -> frozenset[str]:
    """The words of all names in a text, which has white space between them."""
    return frozenset(word for name in text.split() for word in words_of(name))


LATER = words_in(
    """airbyte changed downloaded dump etl export exported extract extracted fivetran import
    imported ingest ingested ingestion load loaded modified printed processed refreshed report
    snapshot stitch sync synced updated
    birth birthday birthdate dob due end ends expires expiry expiration last valid
    geändert aktualisiert geboren geburt geburtsdatum modifié actualizacion actualización
    nacimiento naissance"""
)
"""Words of times at which a row was loaded or changed, something ends, or one was born."""
