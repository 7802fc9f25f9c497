"""An online shop of invented people: who they are and what they did, faults included."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

__all__ = ["FIRST", "LAST", "ZONE", "Contact", "Event", "Shop", "make_shop"]

FIRST, LAST = datetime(2023, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Jerusalem")
NAMES = {
    "IL": (
        "נועה תמר יעל מאיה שירה איתי דוד אורי יונתן עומר",
        "כהן לוי מזרחי פרץ ביטון אברהם פרידמן אזולאי",
        ("he", "he", "he", "ru", "ar", "en"),
    ),
    "GB": (
        "Olivia Amelia Zoë Isla Siân Noah Oliver Arthur Rhys Theo",
        "Smith Jones Evans Patel O'Brien Taylor Hughes Begum",
        ("en", "en", "en", "cy"),
    ),
    "US": (
        "Emma Sofía José Liam Ava Mia Renée Ethan Jayden Chloé",
        "Johnson García Nguyen Müller Williams Brown Núñez Lee",
        ("en", "en", "en", "es"),
    ),
    "FR": (
        "Élodie Anaïs Camille Hélène Léa François Jérôme Loïc Noé Benoît",
        "Martin Lefèvre Durand Müller Bézier Gauthier D'Arcy Moreau",
        ("fr", "fr", "fr", "br"),
    ),
}
AREA_CODES = (202, 206, 212, 213, 214, 303, 305, 312, 404, 415, 503, 512, 602, 615, 617, 702)
EVENTS = {  # name: how often
    "login": 45,
    "purchase": 24,
    "cart_abandoned": 11,
    "signup": 8,
    "password_reset": 5,
    "refund": 4,
    "account_blocked": 3,
}
UNTABLED = "chargeback_dispute"  # the label to which the configuration gives no confidence
NOTES = ("gift wrap, please", "leave at reception", "השאירו ליד הדלת", "sonner deux fois", "🎁")
LONG_NOTE = "Customer asked twice whether the parcel could wait until after the holidays. "


@dataclass(frozen=True)
class Contact:
    id: str
    country: str
    first_name: str
    last_name: str
    email: str
    mobile: str
    language: str
    plan: str
    notes: str = ""
    faults: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Event:
    user: str
    contact: Contact | None
    name: str | None
    at: datetime | None  # local time without a zone, as the shop's database has it
    amount: Decimal | None = None
    items: int | None = None
    first_order: bool | None = None
    channel: str | None = None
    note: str | None = None
    faults: frozenset[str] = frozenset()
    copy: bool = False


@dataclass
class Shop:
    """`outdated` are earlier rows of some of the contacts."""

    contacts: list[Contact] = field(default_factory=list)
    outdated: list[Contact] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


def make_shop(chance: random.Random) -> Shop:
    """A shop whose every value is drawn from `chance`."""
    shop = Shop()
    _contacts(chance, shop)
    _events(chance, shop)
    return shop


# --- contacts ------------------------------------------------------------------------------

PLANTED_CONTACTS = {  # fault: contacts that have it, one fault each
    "legacy_id": 12,
    "unreachable": 15,
    "no_phone": 70,
    "bad_phone": 20,
    "bad_email": 10,
    "old_plan": 14,
    "bad_language": 120,
    "upper_case": 60,  # no fault, once the ids are in one form
    "spaced_phone": 25,  # nor is a number in groups
}


def _numbers(chance: random.Random) -> dict[str, Iterator[str]]:
    """Numbers of each country from the ranges reserved for fiction, none twice.

    Israel reserves none: those here have eleven digits after the calling code, too many.
    """
    ranges = {
        "US": [f"+1{area}555{n:04}" for area in AREA_CODES for n in range(100, 200)],
        "GB": [f"+447700900{n:03}" for n in range(1000)],
        "FR": [f"+3363998{n:04}" for n in range(0, 10_000, 7)],
        "IL": [f"+97255500{n:06}" for n in range(0, 5_000, 11)],
    }
    for numbers in ranges.values():
        chance.shuffle(numbers)
    return {country: iter(numbers) for country, numbers in ranges.items()}


def _contacts(chance: random.Random, shop: Shop) -> None:
    numbers = _numbers(chance)
    for number in range(2_000):
        country = chance.choices(("IL", "GB", "US", "FR"), (12, 30, 35, 23))[0]
        firsts, lasts, languages = NAMES[country]
        domain = chance.choice(("example.com", "example.org", "example.net"))
        shop.contacts.append(
            Contact(
                id=str(uuid.UUID(int=chance.getrandbits(128), version=4)),
                country=country,
                first_name=chance.choice(firsts.split()),
                last_name=chance.choice(lasts.split()),
                email=f"customer{number:04}@{domain}",
                mobile=next(numbers[country]),
                language=chance.choice(languages),
                plan=chance.choices(("free", "p1", "p2"), (6, 3, 1))[0],
                notes=chance.choice(NOTES) if number % 40 == 0 else "",
            )
        )
    chosen = iter(chance.sample(range(2_000), 2_000))
    for fault, count in PLANTED_CONTACTS.items():
        for number in range(count):
            index = next(chosen)
            shop.contacts[index] = _spoilt(shop.contacts[index], fault, number)
    for number in range(20):  # couples share a phone: one ordering key, two contacts
        first, second = (shop.contacts[next(chosen)] for _ in range(2))
        shop.contacts[shop.contacts.index(second)] = replace(second, mobile=first.mobile)
        if number < 6:  # a cell that goes on over three lines
            index = shop.contacts.index(first)
            shop.contacts[index] = replace(first, notes='called:\n"ring, then wait"\n- done')
    # Earlier rows of the same contacts, faulty where the later ones are right.
    for number in range(45):
        good = shop.contacts[next(chosen)]
        shop.outdated.append(
            (
                replace(good, mobile="n/a"),
                replace(good, plan="beta"),
                replace(good, email="unknown"),
            )[number % 3]
        )


def _spoilt(contact: Contact, fault: str, number: int) -> Contact:
    marked = replace(contact, faults=frozenset({fault}))
    match fault:
        case "legacy_id":
            return replace(marked, id=f"CUST-{number + 1:05}")
        case "unreachable":
            return replace(marked, email="", mobile="")
        case "no_phone":
            return replace(marked, mobile="")
        case "bad_phone":
            bad = ("n/a", "07700 900461", "(202) 555-0143", "+44 (0)7700 900461", "12025550143")
            return replace(marked, mobile=bad[number % 5])
        case "bad_email":
            bad = ("unknown", "ask at desk", "no@", "a@b@example.com", "@example.org")
            return replace(marked, email=bad[number % 5])
        case "old_plan":
            return replace(marked, plan=("beta", "P1 (old)")[number % 2])
        case "bad_language":
            return replace(marked, language=("en-US", "eng", "Hebrew")[number % 3])
        case "upper_case":
            return replace(marked, id=contact.id.upper())
    head, tail = contact.mobile[:-4], contact.mobile[-4:]
    return replace(marked, mobile=f"{head[:3]} {head[3:]} {tail}")


# --- events --------------------------------------------------------------------------------

PLANTED_EVENTS = {  # fault: events that have it
    "unknown_contact": 40,
    "future": 25,
    "no_time": 30,
    "skipped_time": 9,
    "long_note": 35,
    "no_name": 8,
    "untabled": 50,
    "future+long_note": 5,
}
COPIES = 150
SKIPPED = (datetime(2023, 3, 24, 2), datetime(2024, 3, 29, 2))  # noqa: DTZ001 - local hours that never were


def _moments(chance: random.Random) -> Iterator[datetime]:
    """Local times, none twice, none in an hour that clocks showed twice."""
    span = int((LAST - FIRST).total_seconds())
    for second in chance.sample(range(span), 40_000):
        local = (FIRST + timedelta(seconds=second)).astimezone(ZONE)
        again = (local + timedelta(hours=1)).utcoffset() != local.utcoffset()
        if not local.fold and not again:
            yield local.replace(tzinfo=None)


def _events(chance: random.Random, shop: Shop) -> None:
    moments = _moments(chance)
    weights = [1 / (1 + rank) ** 0.4 for rank in range(len(shop.contacts))]
    order = chance.sample(shop.contacts, len(shop.contacts))
    chosen = chance.choices(order, weights, k=20_000 - COPIES - len(order))
    for contact in (*order, *chosen):
        name = chance.choices(list(EVENTS), list(EVENTS.values()))[0]
        bought = name in ("purchase", "refund")
        shop.events.append(
            Event(
                user=contact.id,
                contact=contact,
                name=name,
                at=next(moments),
                amount=Decimal(chance.randrange(490, 45_000)) / 100 if bought else None,
                items=chance.randrange(1, 9) if name == "purchase" else None,
                first_order=chance.random() < 0.2 if name == "purchase" else None,
                channel=chance.choices(("app", "web", "store", None), (5, 4, 1, 1))[0],
                note=chance.choice(NOTES) if bought and chance.random() < 0.2 else None,
            )
        )
    spots = iter(chance.sample(range(len(shop.events)), len(shop.events)))
    for faults, count in PLANTED_EVENTS.items():
        for number in range(count):
            index = next(spots)
            for fault in faults.split("+"):
                shop.events[index] = _broken(shop.events[index], fault, number, chance)
    clean = [e for e in shop.events if not e.faults and e.contact and not _hard(e.contact)]
    shop.events += [replace(event, copy=True) for event in chance.sample(clean, COPIES)]
    chance.shuffle(shop.events)


def _hard(contact: Contact) -> bool:
    return bool(contact.faults - {"upper_case", "spaced_phone"})


def _broken(event: Event, fault: str, number: int, chance: random.Random) -> Event:
    marked = replace(event, faults=event.faults | {fault})
    match fault:
        case "unknown_contact":
            stranger = str(uuid.UUID(int=chance.getrandbits(128), version=4))
            return replace(marked, user=stranger, contact=None)
        case "future":
            return replace(marked, at=datetime(2099, 12, 31) + timedelta(minutes=number))  # noqa: DTZ001 - local
        case "no_time":
            return replace(marked, at=None)
        case "skipped_time":
            return replace(marked, at=SKIPPED[number % 2] + timedelta(minutes=5 * number + 1))
        case "long_note":
            return replace(marked, note=LONG_NOTE[: 51 + number % 20])
        case "no_name":
            return replace(marked, name=None)
    return replace(marked, name=UNTABLED)
