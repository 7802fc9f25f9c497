"""Whose phone, email or language a column holds, as far as its name says: the contact's or somebody
else's.

In an export the company's own side is the fuller one: what a customer leaves empty a system fills
in for its agent. So neither the values nor how many there are tell the two apart.
"""

from __future__ import annotations

from enum import IntEnum

from backfill.discover.names.spellings import EMAILS, PHONES, words_in, words_of

__all__ = ["Whose", "whose"]


class Whose(IntEnum):
    """What a column's name says, the less the lower."""

    ANOTHERS = 0  # driver_phone
    UNCLEAR = 1  # depot_phone, x7
    CONTACTS = 2  # phone, home_phone, customer_phone


_ADDRESS = words_in(" ".join((*PHONES, *EMAILS)))
_OTHERS = words_in(
    """advisor adviser agency agent branch chauffeur company consignee consultant courier
    dealer delivery dispatcher doctor driver emergency employee employer fax gift guardian helpdesk
    host landlord manager merchant operator owner parent partner provider receiver recipient
    recruiter referral referrer relative rep representative reseller salesperson seller sender
    shipping shop sponsor spouse staff store supplier support teacher vendor
    ansprechpartner berater betreuer empfänger fahrer filiale händler lieferung makler notfall
    notfallkontakt verkäufer vermittler versand
    agence conseiller conseillère destinataire employeur livraison livreur magasin urgence vendeur
    asesor agente conductor destinatario emergencia emergencias envío tienda vendedor"""
)
_OWN = words_in(
    """billing business buyer cell client contact contacts customer
    daytime default direct e164 evening first full guest home international intl invoice lead login
    main member mobile new normalized office passenger patient person personal player
    preferred primary private profile prospect registered shopper signup sms
    student subscriber target tenant user verified work
    dienstlich geschäftlich kunde kunden mobil privat rechnung
    client cliente fixe portable domicile"""
)


_ADDRESS_OR_LANGUAGE = _ADDRESS | words_in(
    """app browser code communication correspondence device idioma interface iso lang language
    langue locale mother native speaks spoken sprache ui website"""
)


def whose(name: str, identity: str = "", *, language: bool = False) -> Whose:
    """What a column's name says; `identity` is that of the column of the contacts' ids, whose
    words are the contact's own: beside `driver_id` the drivers are the contacts. `language` says
    that it holds languages.
    """
    words = set(words_of(name))
    wanted = _ADDRESS_OR_LANGUAGE if language else _ADDRESS
    rest = words - wanted - {"1"}  # a second one is not the first choice
    own = _OWN | set(words_of(identity))
    if rest & _OTHERS - own:
        return Whose.ANOTHERS
    known = words & (wanted | own) and not rest - own
    return Whose.CONTACTS if known else Whose.UNCLEAR
