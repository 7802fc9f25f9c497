"""Random cells: mostly what an export holds, and now and then what goes wrong in one."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import phonenumbers
import polars as pl

from tests.reference.checks import CONFIDENCES, FEEDBACKS, TARGETS

__all__ = ["KEYS", "PARQUET_TYPES", "WHO", "Chance", "json_cell", "text_cell", "typed_cell", "who"]


class Chance(random.Random):
    """Chance with a seed; `odd` is the share of cells that hold what they should not."""

    def __init__(self, seed: int | str) -> None:
        super().__init__(seed)
        self.odd = self.choice([0.01, 0.05, 0.2])


# Ids of contacts, in forms that differ in case alone where they are UUIDs.
KEYS = [
    "6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
    "0b2c4d6e-1a3b-4c5d-8e7f-9a0b1c2d3e4f",
    "3e1f5a77-42c6-4d0b-9c1e-7b8a9d0e1f22",
    "00000000-0000-0000-0000-000000000000",
    "abcdefab-cdef-1bcd-efab-cdefabcdefab",
]
_ODD_KEYS = [
    "CUST-7", "7", "007", "cust-7", "123.0", "1e5", "12,5", "1,234", "{" + KEYS[0] + "}",
    KEYS[0].replace("-", ""), KEYS[0] + "0", "urn:uuid:" + KEYS[1], "٧", "noa@example.com",
]  # fmt: skip
_PHONES = [
    "+12025550143", "+12025550144", "+447700900101", "+442079460018", "+972540000188",
    "+33199005501", "+61491570156", "+4915255501234",
]  # fmt: skip
_PHONE_SHAPES = [
    "+1 202 555 0143", "+1 (202) 555-0143", "+1.202.555.0144", "+44 20 7946-0018",
    "020 7946 0018", "(020) 7946 0018", "442079460018", "44 20 7946 0018", "0012025550143",
    "00 1 202 555 0143", "12025550143", "2025550143", "054-000-0188", "0540000188", "540000188",
    "07700 900101", "7700900101", "202-555-0143",
]  # fmt: skip
_ODD_PHONES = [
    "972540000188.0", "+12025550143.50", "540000188,0", "9.7254E+11", "1e10", "972,540,000,188",
    "+1 202 555 0143 x12", "+12025550143;ext=4", "054-0000188 (5)", "+12025550143,,44",
    "+1 202 555 0143 ext. 5", "+12025550143#4", "+12025550143, +12025550144", "054-0000188/9",
    "+12025550143;+12025550144", "+44 (0)20 7946 0018", "+0123456789", "+1", "+12", "+1234567",
    "+123456789012345", "+1234567890123456", "12", "0", "+", "none", "1-800-FLOWERS",
    "+٤٤٢٠٧٩٤٦٠٠١٨", "++12025550143", "+30123456789", "+99912345678", "+8001234567",
    "tel:+12025550143", "+1202555014", "(+44) 20 7946 0018", "+44 2079460018 ",
    "\u00a0+12025550143",
    "+1\u00a0202\u00a0555\u00a00143", "+1 202 555 0143", "+39 06 1234 5678", "+390612345678",
    "+39612345678", "+3906123456789012", "+1–202–555–0143", "+5491112345678", "+5411151234567",
]  # fmt: skip
_MAILS = ["noa@example.com", "liam@example.org", "Zoe@Example.com", "zoe@example.com"]
_ODD_MAILS = [
    "noa@example", "noa", "@example.com", "noa@", "noa@@example.com", "n oa@example.com",
    "noa.@example.com", ".noa@example.com", "no..a@example.com", "noa@example..com",
    "noa@-example.com", "noa@example-.com", "noa@exa_mple.com", "noa@example.c", "noa@example.123",
    "Noa <noa@example.com>", "noa+tag@example.com", '"noa"@example.com', "noa@[127.0.0.1]",
    "noä@example.com", "noa@exämple.com", "noa@xn--exmple-cua.com", "o'brien@example.com",
    "noa@example.com.", "noa@example.com, liam@example.org", "a" * 64 + "@example.com",
    "a" * 65 + "@example.com", "noa@" + "a" * 63 + ".com", "noa@" + "a" * 64 + ".com",
    "noa@EXAMPLE.xn--p1ai", "mailto:noa@example.com",
]  # fmt: skip
_LANGUAGES = ["en", "he", "de", "fr", "EN", "He", "en-US", "eng", "iw", "xx", "sh", "bh", "e", "mo"]
_LANGUAGES += ["yi", "nb", "no", "zh", "in", "ji", "tl", "cnr", " en", "en_GB", "hr"]
_LANGUAGES += ["sr", "\u212aa"]
_TIMES = [
    "2024-03-01T09:15:00Z", "2024-03-01 09:15:00+02:00", "2024-03-01t09:15:00.250z",
    "2024-03-01T09:15", "2024-03-01 09:15:00", "2024-03-01T09:15:00.123456Z",
    "2024-03-01T09:15:00.123457Z", "2024-03-01 09:15:00 UTC", "2024-03-01 09:15:00 GMT",
    "2024-03-01 09:15:00 +0200", "2024-03-01 09:15:00 +02", "2024-03-01 09:15:00+0200",
    "2024-03-01", "1709284500", "1709284500000", "1709284500000000", "1709284500000000000",
    "2024-02-29T23:59:59.999Z", "2023-06-05T04:03:02Z", "2023-06-05 04:03:02",
]  # fmt: skip
_ODD_TIMES = [
    "2024-03-29 02:30:00", "2024-10-27 01:30:00", "2024-03-10 02:30:00", "2024-11-03 01:30:00",
    "2024-03-31 02:30:00", "2024-10-27 02:30:00", "2024-10-27 01:30", "2018-11-04 00:00:00",
    "2018-11-04", "2011-12-30", "2011-12-30 12:00:00",
    "2023-02-29T09:15:00Z", "2024-13-01", "2024-03-01T24:00:00Z", "2024-03-01T23:59:60Z",
    "2024-03-01T09:60:00Z", "2030-01-01T00:00:00Z", "9999-12-31", "9999-12-31T23:59:59-01:00",
    "0001-01-01T00:00:00+01:00", "0001-01-01", "0000-01-01", "20240131", "99999999", "100000000",
    "01/03/2024", "March 1, 2024", "31.12.2023 14:05", "1.2.2024 9:05", "31.12.23",
    "31.12.2023 24:00", "31.12.2023 14:05 Uhr", "12/31/2023 02:05 PM", "1709284500.5",
    "1709284500.123456789", "1709284500123.7", "-1709284500", "1.7092845e9", "+1709284500",
    "99999999999", "100000000000", "2024-3-1", "2024-03-01T9:15:00Z", "2024-03-01T09:15:00,5Z",
    "2024-03-01T09:15:00.Z", "2024-03-01T09:15:00.1234567891Z", "2024-03-01T09:15:00 Z",
    "2024-03-01T09:15Z", "2024-03-01T09Z", "2024-03-01Z", "2024-03-01  09:15:00", "now", "-",
    "2024-03-01T09:15:00-00:00", "2024-03-01T09:15:00+24:00", "2024-03-01T09:15:00+23:59",
    "2024-03-01 09:15:00 utc", "2024-03-01T09:15:00 +02:00", "٢٠٢٤-03-01", "2024-W09-5",
    "2024-03-01T09:15:00.000999Z", "2024-03-01T09:15:00+02:60", " 2024-03-01T09:15:00Z ",
    "2024-03-01T09:15:00[UTC]", "12024-03-01T09:15:00Z", "17092845000", "1709284500.",
]  # fmt: skip
_WORDS = ["signup", "purchase", "login", "refund", "test", "Signup", "p1", "p2", "true", "5"]
_NOTES = [
    "plain", 'say "hi"', "a, b; c | d", "two\nlines", "two\r\nlines", "naïve ☕ 𝒳", "\u200bx",
    "007",
    "1.50", "x" * 49, "x" * 50, "x" * 51, "é" * 50, "𝒳" * 50, "x" * 80, "x" * 81, "x" * 255,
    "x" * 256, "tab\there", "null", "n/a", "=1+1", "\\", "\x7f", "\x01", "<b>", "שלום", "'", "-",
    "\u2028", "/", "e\u0301",
]  # fmt: skip
_NUMBERS = ["49.90", "12", "0", "-3", "1e3", "1000.0", "0.10", "", "abc", "100"]
_REGIONS = ["IL", "GB", "US", "gb", "il", "XX", "", "Israel", " GB ", "001"]
_AROUND = [" ", "\t", "\u00a0", "\u2003", "\u3000", "\u200b", "\ufeff", "\x1c", "\x85", "\x0b"]
_COUNTRIES = ["IL", "GB", "US", "DE", "AR", "IT", "BR", "MX", "AU", "RU", "SG", "FR", "HU", "CI"]

# The wanted values of each column, and the odd ones.
_POOLS: Mapping[str, tuple[list[str], list[str]]] = {
    "user": (KEYS + [key.upper() for key in KEYS[:2]], _ODD_KEYS),
    "id": (KEYS + [key.upper() for key in KEYS[:2]], _ODD_KEYS),
    "phone": (_PHONES, _PHONE_SHAPES + _ODD_PHONES),
    "mail": (_MAILS, _ODD_MAILS),
    "target": (_PHONES + _MAILS[:1], _PHONE_SHAPES + _ODD_PHONES + _ODD_MAILS),
    "kind": ([TARGETS[0]] * 4 + [TARGETS[1]], [*TARGETS, "phone", "PHONE_NUMBER", " phone_number"]),
    "lang": (["en", "he"], _LANGUAGES),
    "at": (_TIMES[:8] + _ODD_TIMES[:1], _TIMES + _ODD_TIMES),
    "label": (_WORDS[:4], _WORDS + _NOTES),
    "trust": (list(CONFIDENCES), [*CONFIDENCES, "High", "very high", " low "]),
    "step": (list(FEEDBACKS), [*FEEDBACKS, "verification.failed", "started"]),
    "note": (_NOTES[:3], _NOTES),
    "amount": (_NUMBERS, _NOTES),
    "tx": (["t1", "t2", "t3", "t4"], ["T1", " t1", "t1 ", "t1\u00a0", "5"]),
    "plan": (["p1", "p2"], ["P1", " p1", "p3", "1", "true"]),
    "country": (_REGIONS[:3], _REGIONS),
    "date": (["2024-03-01", "2024-03-02"], ["01.03.2024", "2024-13-01"]),
    "hour": (["09:15", "10:15:30"], ["25:00", "9:15"]),
}

_INSTANTS = [
    datetime(2024, 3, 29, 2), datetime(2024, 10, 27, 1), datetime(2024, 3, 10, 2),
    datetime(2024, 11, 3, 1), datetime(2024, 3, 31, 1), datetime(2018, 11, 4),
    datetime(2011, 12, 30),
    datetime(1999, 12, 31, 23), datetime(2024, 2, 29, 12), datetime(1973, 3, 3, 9, 46),
]  # fmt: skip
_WAYS = [
    "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%dT%H:%M", "%d.%m.%Y %H:%M", "%d/%m/%Y",
    "%m/%d/%Y %I:%M %p", "%d.%m.%y", "%d %b %Y %H:%M:%S", "%Y-%m-%d",
]  # fmt: skip
_FORMS = [
    phonenumbers.PhoneNumberFormat.INTERNATIONAL,
    phonenumbers.PhoneNumberFormat.NATIONAL,
    phonenumbers.PhoneNumberFormat.E164,
]


def _written_moment(chance: Chance) -> str:
    """A moment near one at which clocks or calendars do something, in some form."""
    moment = chance.choice(_INSTANTS) + timedelta(minutes=chance.randrange(-90, 150))
    zone = chance.choice(["", "", "Z", "+02:00", " -0330", "+05", " UTC"])
    way = chance.choice(_WAYS)
    if way == "%Y-%m-%dT%H:%M:%S.%f":
        moment += timedelta(microseconds=chance.randrange(10**6))
    return moment.strftime(way) + (zone if "%d" in way and "%H" in way and "T" in way else "")


def _number(chance: Chance) -> str:
    """A number of some country in some form, now and then with a digit too many, or another."""
    example = phonenumbers.example_number(chance.choice(_COUNTRIES))
    assert example is not None
    written = phonenumbers.format_number(example, chance.choice(_FORMS))
    throw = chance.random()
    if throw < 0.15:
        return written + chance.choice("0123456789")
    if throw < 0.25:
        return written[:-1]
    if throw < 0.4:
        at = chance.randrange(len(written))
        return written[:at] + chance.choice("0123456789 -.") + written[at + 1 :]
    return written.replace("+", "00 ") if throw < 0.45 else written


def text_cell(chance: Chance, column: str) -> str | None:
    """A cell of text, None where it is empty."""
    usual, odd = _POOLS[column]
    throw = chance.random()
    if throw < chance.odd / 3:
        return None
    text = chance.choice(odd if throw < 1.4 * chance.odd else usual)
    if column == "at" and 0.3 <= throw < 0.3 + chance.odd:
        text = _written_moment(chance)
    if column in ("phone", "target") and 0.3 <= throw < 0.3 + 2 * chance.odd:
        text = _number(chance)
    if chance.random() < 0.05:
        text = chance.choice(_AROUND) * chance.randint(0, 2) + text + chance.choice(_AROUND)
    if chance.random() < chance.odd / 20:
        text = chance.choice(_AROUND)
    return text


def who(chance: Chance) -> dict[str, Any] | None:
    """What a nested column holds: an object with a text and a list."""
    if chance.random() < 0.1:
        return None
    tags = chance.choice([None, [], ["p1"], ["p2", "p1"], ["x"]])
    return {"mail": text_cell(chance, "mail"), "tags": tags}


def json_cell(chance: Chance, column: str) -> Any:
    """A cell of NDJSON: a text as a rule, in some columns a number, a list and so on."""
    throw = chance.random()
    typed = 0.5 if column == "amount" else chance.odd
    if throw > typed or column not in ("amount", "at", "phone", "user"):
        return text_cell(chance, column) if throw < 0.98 else ""
    if column == "at":
        return chance.choice([1709284500, 1709284500.5, 1709284500000, 20240131, True, [1], -1])
    if column == "phone":
        return chance.choice([972540000188, 972540000188.0, 12025550143, 1e12, True, ["+1"]])
    if column == "user":
        return chance.choice([7, 7.0, 1.5, 123, True, {"a": 1}])
    many = [5, -5, 0.1, 1000.0, 1e3, 1e21, 1e-7, -0.0, 12345678901234567890, True, False, [], {}]
    return chance.choice([*many, [1, 2], {"a": "b"}, None, 1e22, 123456789.125, 2**63, -(2**63)])


_FLOATS = [1.5, -0.0, 0.0, 1e21, 1e-7, 5.0, float("nan"), float("inf"), 0.1, 1 / 3, 1e300, 123.0]
_INTS = [0, 5, -5, 2**53 + 1, 2**63 - 1, -(2**63), 1000]


def _moment(chance: Chance) -> datetime:
    rare = [datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59), datetime(2024, 3, 29, 2, 30)]
    rare += [datetime(2024, 10, 27, 1, 30), datetime(2030, 1, 1), datetime(2024, 3, 10, 2, 30)]
    if chance.random() < chance.odd:
        return chance.choice(rare)
    fraction = chance.choice([0, 0, 250_000, 123_456, 123_999, 999])
    return datetime(2024, 3, chance.randint(1, 3), 9, 15, microsecond=fraction)


def _aware(chance: Chance) -> datetime:
    return max(_moment(chance), datetime(1, 1, 3)).replace(tzinfo=UTC)


PARQUET_TYPES: Mapping[str, Mapping[str, tuple[Any, Callable[[Chance], Any]]]] = {
    "at": {
        "seconds": (pl.Int64, lambda c: c.choice([1709284500, 1709284501, 20240131, -1, 10**18])),
        "fractions": (pl.Float64, lambda c: c.choice([1709284500.0, 1709284500.25, 1e12, 5.0])),
        "naive": (pl.Datetime("us"), _moment),
        "millis": (pl.Datetime("ms"), lambda c: _moment(c).replace(microsecond=0)),
        "aware": (pl.Datetime("us", "UTC"), _aware),
        "there": (pl.Datetime("us", "Asia/Jerusalem"), _aware),
        "day": (pl.Date, lambda c: _moment(c).date()),
    },
    "phone": {
        "whole": (pl.Int64, lambda c: c.choice([972540000188, 12025550143, 540000188, 2025550143])),
        "float": (pl.Float64, lambda c: c.choice([972540000188.0, 540000188.0])),
    },
    "user": {
        "whole": (pl.Int64, lambda c: c.choice([7, 123, 5])),
        "float": (pl.Float64, lambda c: c.choice([7.0, 123.0, 1.5, 2.0**53])),
    },
    "amount": {
        "whole": (pl.Int64, lambda c: c.choice(_INTS)),
        "float": (pl.Float64, lambda c: c.choice(_FLOATS)),
        "decimal": (pl.Decimal(12, 2), lambda c: c.choice([Decimal("5.00"), Decimal("-0.50")])),
        "truth": (pl.Boolean, lambda c: c.choice([True, False])),
        "day": (pl.Date, lambda c: c.choice([date(2024, 3, 1), date(1, 1, 1), date(9999, 12, 31)])),
        "naive": (pl.Datetime("us"), _moment),
        "aware": (pl.Datetime("us", "UTC"), _aware),
        "list": (pl.List(pl.Int64), lambda c: c.choice([[], [1], [1, 2]])),
        "struct": (pl.Struct({"a": pl.Int64}), lambda c: {"a": c.choice([1, None])}),
        "bytes": (pl.Binary, lambda c: c.choice([b"x", b""])),
        "duration": (pl.Duration("us"), lambda c: timedelta(seconds=c.randint(0, 5))),
    },
}


WHO = pl.Struct({"mail": pl.String, "tags": pl.List(pl.String)})


def typed_cell(chance: Chance, column: str, kind: str) -> Any:
    """A cell of a typed column of Parquet."""
    return None if chance.random() < 0.08 else PARQUET_TYPES[column][kind][1](chance)
