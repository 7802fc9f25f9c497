"""Whose a phone or an email is, by the name of its column."""

from __future__ import annotations

import pytest

from backfill.discover.names.addressees import Whose, whose


@pytest.mark.parametrize(
    "name",
    [
        "phone",
        "Telefon",
        "Téléphone",
        "E-Mail",
        "home_phone",
        "customer_phone",
        "buyerEmail",
        "Mobile 1",
        "телефон",
        "billing.email",
        "user.phone_number",
        "client_phone",
        "contact",
    ],
)
def test_plain_names_and_words_for_customers_are_the_contacts(name):
    assert whose(name) is Whose.CONTACTS


@pytest.mark.parametrize(
    "name",
    [
        "driver_phone",
        "Shipping Phone",
        "Notfallkontakt Telefon",
        "Téléphone urgence",
        "Courriel conseiller",
        "Fax",
        "AccountOwnerEmail",
        "seller_email",
        "Emergency Contact Phone",
        "branch.phone",
    ],
)
def test_words_for_others_are_not(name):
    assert whose(name) is Whose.ANOTHERS


@pytest.mark.parametrize(
    "name", ["x7", "depot_phone", "whatever", "email_hash", "phone2", "From", "To", "account_phone"]
)
def test_words_that_nobody_knows_say_nothing(name):
    assert whose(name) is Whose.UNCLEAR


def test_beside_their_ids_the_drivers_are_the_contacts():
    assert whose("driver_phone", "driver_id") is Whose.CONTACTS
    assert whose("seller_phone", "driver_id") is Whose.ANOTHERS
