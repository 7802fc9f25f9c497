"""Whose phone or email a column holds, as far as its name says: the contact's or somebody else's.

In an export the company's own side is the fuller one: what a customer leaves empty a system fills
in for its agent. So neither the values nor how many there are tell the two apart.
"""

from __future__ import annotations

from enum import IntEnum

from backfill.discover.names.spellings import EMAILS, PHONES, words_of

__all__ = ["Whose", "whose"]


class Whose(IntEnum):
    """What the name of a column of phones or emails says, the less the lower."""

    ANOTHERS = 0  # driver_phone
    UNCLEAR = 1  # depot_phone, x7
    CONTACTS = 2  # phone, home_phone, customer_phone


def _words(text: str) -> frozenset[str]:
    return frozenset(word for each in text.split() for word in words_of(each))


_ADDRESS = _words(" ".join((*PHONES, *EMAILS)))
_OTHERS = _words(
    """advisor adviser agency agent branch caller chauffeur company consultant courier dealer
    dispatcher doctor driver emergency employee employer fax from guardian helpdesk host landlord
    manager merchant operator owner parent partner provider recruiter referral referrer relative rep
    representative reseller salesperson seller sender shop sponsor spouse staff store supplier
    support teacher vendor
    ansprechpartner berater betreuer fahrer filiale händler makler notfall notfallkontakt verkäufer
    vermittler
    agence conseiller conseillère employeur livreur magasin urgence vendeur
    asesor agente conductor emergencia emergencias tienda vendedor"""
)
_OWN = _words(
    """account alternate alternative billing business buyer cell client contact contacts customer
    daytime default delivery direct e164 evening first full guest home international intl invoice
    lead login main member mobile new normalized office other passenger patient person personal
    player preferred primary private profile prospect recipient registered second secondary shipping
    shopper signup sms student subscriber target tenant to user verified work
    dienstlich geschäftlich kunde kunden mobil privat rechnung
    client cliente fixe portable domicile"""
)


def whose(name: str, identity: str = "") -> Whose:
    """What a column's name says; `identity` is that of the column of the contacts' ids, whose
    words are the contact's own: beside `driver_id` the drivers are the contacts.
    """
    words = set(words_of(name))
    rest = {each for each in words - _ADDRESS if not each.isdigit()}
    own = _OWN | set(words_of(identity))
    if rest & _OTHERS - own:
        return Whose.ANOTHERS
    known = words & (_ADDRESS | own) and not rest - own
    return Whose.CONTACTS if known else Whose.UNCLEAR
