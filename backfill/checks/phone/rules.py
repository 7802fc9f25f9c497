"""The rules of phone numbers, in the order in which they are looked at: one is broken at most.

`float` comes before them, and belongs to ids as well.
"""

from __future__ import annotations

from backfill.checks.rule import Rule
from backfill.destination import Kind

__all__ = ["PHONES", "PHONE_RULES"]

PHONES = frozenset({Kind.PHONE, Kind.TARGET})
"""Kinds of field that may hold a phone number."""

PHONE_RULES = (
    Rule(
        "several",
        "more than one number; leave one of them",
        "More than one number stands in the cell.",
        "Choose one with `sql`, or leave one in the file.",
        PHONES,
        why="Which of them is meant stands nowhere.",
    ),
    Rule(
        "extension",
        "has an extension; leave it out if you know",
        "An extension follows the number: `x`, `ext.`, `#`, `;ext=`, a pause, digits in brackets at"
        " the end.",
        "Leave the extension out where the number itself is the contact's; no program can know.",
        PHONES,
        why="Appended to the number, its digits would make the number of somebody else.",
    ),
    Rule(
        "ambiguous",
        "a + or a 0 was lost in front; put it back by `sql`",
        "The digits are a number of `phone_region` without the 0 that is written there, and with a"
        " `+` in front they are another number.",
        "Put back what was lost: `{ sql = \"'+' || phone\" }`, or `{ sql = \"'0' || phone\" }`.",
        PHONES,
        why="One of the two is somebody else's number.",
    ),
    Rule(
        "e164",
        "not + and digits; `phone_region` may convert it",
        "The number is not `+` and 2 to 15 digits, the first of which is not 0.",
        "With `phone_region` national numbers become E.164 where that gives a valid number. A zero"
        " in brackets and letters are never taken away. A spreadsheet's apostrophe before it goes"
        " with `LTRIM(phone, '''')`, and `=\"…\"` around it with `TRIM(BOTH '=\"' FROM phone)`."
        " Whole numbers that lack their plus alone want"
        " `'+' || phone`, and no region.",
        PHONES,
        why="The APIs take E.164 alone, and a number that is nearly right belongs to somebody"
        " else.",
    ),
    Rule(
        "rewritten",
        "write it as it is dialled from abroad",
        "libphonenumber would read the number as another one, for example without a zero after"
        " the country's calling code.",
        "Write the number as it is dialled from abroad.",
        PHONES,
        why="What is sent is what came in; a number with other digits may be another person's.",
    ),
    Rule(
        "possible",
        "no number of this length; look for a lost digit",
        "No such calling code, or no number of this length under it, says libphonenumber.",
        "Look for missing or doubled digits.",
        PHONES,
        why="No such number can be dialled.",
    ),
    Rule(
        "valid",
        'in no range in use; "possible" asks for less',
        "The number lies in no range that is in use, says libphonenumber.",
        'Numbering plans change; `phone = "possible"` asks for the length only.',
        PHONES,
        why="You asked for numbers that libphonenumber knows to be in use.",
    ),
)
