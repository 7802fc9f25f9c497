"""Every rule by name: what it means, what to do about it, and to which fields it applies.

A broken rule is written `field|rule`. The documentation's list is made from this table, and a
test holds it against the checks themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from backfill.checks.phone.rules import PHONE_RULES, PHONES
from backfill.checks.rule import Rule
from backfill.destination import AnyOf, Destination, Field, Kind, TargetAgrees

__all__ = ["RULES", "BrokenRule", "rule_brief", "rule_named", "rules_of"]


@dataclass(frozen=True)
class BrokenRule:
    """A rule of one field. `source` is the element of the API's schema that it comes from."""

    name: str  # `field|rule`
    rule: Rule
    source: str


_ALL = frozenset(Kind)
_WORDS = _ALL - {Kind.TIME}
_TIMES = frozenset({Kind.TIME})

RULES: tuple[Rule, ...] = (
    Rule(
        "malformed",
        "cannot be read; mend the file",
        "The row cannot be read: a broken quote, too many cells, bytes in another encoding, more"
        " than 8 MiB in a CSV.",
        "Fix the file; its raw text is in the rejected rows.",
        why="Guessing where a cell ends would send somebody's data under another's name.",
    ),
    Rule(
        "required",
        "missing or empty; fill it, or map another column",
        "The field must be there, and an empty text (for codes, ids and labels also one of white"
        " space alone) counts as missing.",
        "Fill the column, or map the field to another one.",
        why="The API refuses a record without it, and an empty text is no value.",
    ),
    Rule(
        "unmapped",
        "in no row of its table; add one, or `otherwise`",
        "The value is in no row of the field's `values` table.",
        "Add a row, or say with `otherwise` what becomes of other values.",
        _ALL,
        why="A value that you did not foresee is not passed on in its own spelling.",
    ),
    Rule(
        "nested",
        "a list or an object; take one part with `sql`",
        "The value is a list, a struct or a map, and the API takes a single text.",
        "Take one part of it with `sql`.",
        _WORDS,
        why="The APIs take texts; a text made of a whole object would mean nothing to them.",
    ),
    Rule(
        "type",
        "has no text form; convert it with `sql`",
        "The value is of a type that has no one text form: bytes, a duration, an object.",
        "Convert it with `sql`.",
        _WORDS,
        why="Any text chosen for it would be an invention.",
    ),
    Rule(
        "finite",
        "infinite or no number; leave the cell empty",
        "The number is infinite or not a number.",
        "Leave the cell empty where there is no value.",
        _WORDS,
        why="JSON has no such number, and its name as a text is no value.",
    ),
    Rule(
        "uuid",
        "no UUID; `contact_id` can make one of any id",
        "The id is no UUID of 36 characters, such as 6f9619ff-8b86-4d01-b42d-00cf4fc964ff.",
        "A UUID in braces, without dashes or behind `urn:uuid:` is written plainly with `sql`: the"
        " notes of `plan` say how. With `contact_id = { namespace = … }` other ids become UUIDs by"
        " name (version 5).",
        frozenset({Kind.UUID}),
        why="Pristo knows a contact by a UUID; another id would be refused, or make another"
        " contact.",
    ),
    Rule(
        "float",
        "a spreadsheet's number; export it as text",
        "A spreadsheet or a frame has turned the number into a quantity: a decimal point or comma,"
        " an exponent, thousands, or a column of floating-point numbers (for ids such values that"
        " may be rounded).",
        "Export the column as text. Where the whole numbers are exact,"
        ' `{ sql = "CAST(CAST(phone AS DOUBLE) AS BIGINT)" }` reads them.',
        PHONES | {Kind.UUID},
        why="Its digits are no longer certain: a cell may have been rounded, or have lost a zero.",
    ),
    *PHONE_RULES,
    Rule(
        "email",
        "not name@domain.tld and nothing else",
        "Not an address of the form name@domain.tld in ASCII letters.",
        "Only the address may stand there, no name beside it. A domain beyond ASCII is written"
        " in its `xn--` form; no other part of one has `--` as its third and fourth character.",
        frozenset({Kind.EMAIL, Kind.TARGET}),
        why="The API refuses it, or writes to nobody.",
    ),
    Rule(
        "language",
        "no code of ISO 639-1; write `en`, not English",
        "Not a two-letter code of ISO 639-1.",
        "Write `en` for `en-US`, `eng` or English; `he` for the withdrawn `iw`.",
        frozenset({Kind.LANGUAGE}),
        why="The schema names ISO 639-1; other codes are refused or understood as another"
        " language.",
    ),
    Rule(
        "choice",
        "no word of the API; translate it by a table",
        "Not one of the words that the API knows, letter by letter.",
        "Translate your own words with a `values` table.",
        frozenset({Kind.CHOICE}),
        why="The API compares letter by letter and refuses anything else.",
    ),
    Rule(
        "allowed",
        "not in `event_types`; add it where it is right",
        "The event type is not in the configuration's `event_types`.",
        "Add it there once it is defined in Pristo.",
        frozenset({Kind.EVENT_TYPE}),
        why="A type that Pristo does not know is refused, and it cannot be asked which it knows.",
    ),
    Rule(
        "max_length",
        "too long, and never cut; shorten it with `sql`",
        "The text has more characters than the API takes; it is never cut.",
        "Shorten it with `sql`. For custom fields, `custom_value_max = 255` follows the schema"
        " where the prose says 50.",
        why="A text that was cut would say something else than your data.",
    ),
    Rule(
        "format",
        "no known form; `time_format` names another",
        "Not a time in any known form.",
        "Known are RFC 3339, a space for the T, a date alone, and epochs in seconds to"
        " nanoseconds from 1973 on. `time_format` in [events] names another form, for example"
        ' "%d.%m.%Y %H:%M". Days of a spreadsheet, such as 45352.385, are read by'
        ' `{ sql = "CAST(ROUND((CAST(at AS DOUBLE) - 25569) * 86400000000) AS TIMESTAMP)" }`.',
        _TIMES,
        why="A time that has to be guessed puts events into another order.",
    ),
    Rule(
        "timezone",
        "has no zone; set `timezone` in [events]",
        "The time has no zone, and the configuration names none.",
        'Set `timezone` in [events], for example "Asia/Jerusalem".',
        _ALL,
        why="Without a zone it may be any of some twenty-six hours.",
    ),
    Rule(
        "nonexistent",
        "a clock that was put forward skipped it",
        "Clocks were put forward over this local time, so it never was.",
        "Export times in UTC or with their offset.",
        _ALL,
        why="Any hour chosen instead would be invented.",
    ),
    Rule(
        "range",
        "outside the years 1 to 9999; leave it empty",
        "The time lies outside the years 1 to 9999.",
        "Such times stand for a missing one as a rule; leave the cell empty.",
        _ALL,
        why="RFC 3339 has four digits for the year.",
    ),
    Rule(
        "future",
        "later than now; check zone and unit",
        "The time is later than the moment of planning.",
        "Check `timezone`, and the unit of epochs.",
        _TIMES,
        why="A history has happened; a later time is a wrong zone or a wrong unit as a rule.",
    ),
    Rule(
        "reachable",
        "neither phone nor email; map one of them",
        "The contact has neither a phone nor an email address; its first report needs one.",
        "Map `contact.phone` or `contact.email`. Contacts that Pristo has already may go by their"
        ' id alone: `reachable = "known"`.',
        why="Pristo makes a contact from the first report of it, and needs a way to reach it.",
    ),
    Rule(
        "phone_only",
        "an email address; the API takes phones for now",
        "The target is an email address, and the API supports phone numbers only for now.",
        "`allow_email_targets = true` sends them all the same.",
        why="The API document says so, although its schema names the word.",
    ),
    Rule(
        "agrees",
        "not what its type says; map both from one source",
        "The target's value is not what its type says: an email address for a phone number, or"
        " the reverse.",
        "Map the type from the same source as the value. Where all values are email addresses,"
        ' `"target.type" = { value = "email_address" }` says so, and `allow_email_targets = true`'
        " sends them.",
        why="The API would keep an address under the kind of another.",
    ),
    Rule(
        "where",
        "`where` is not true for it",
        "The row is excluded: the condition under [events] is not true for it, or the one under"
        " [contacts] for its contact; or it has no value.",
        "Nothing is wrong. Change `where` to have it sent.",
        why="You chose what goes.",
    ),
    Rule(
        "since",
        "earlier than `since`",
        "The row is excluded: its time is earlier than `since` under [events].",
        "Nothing is wrong. Change `since` to have it sent.",
        why="You chose what goes.",
    ),
    Rule(
        "until",
        "not earlier than `until`",
        "The row is excluded: its time is not earlier than `until` under [events].",
        "Nothing is wrong. Change `until` to have it sent.",
        why="You chose what goes.",
    ),
    Rule(
        "otherwise",
        "in no row of its table",
        "The row is excluded: the value is in no row of the field's table, whose `otherwise` is"
        ' "exclude".',
        "Nothing is wrong. Add a row to the table to have it sent.",
        why="You chose what goes.",
    ),
)
"""Every rule, in the order in which a reader meets them."""

_BY_NAME = {rule.name: rule for rule in RULES}


def rule_named(broken: str) -> Rule:
    """The rule behind `field|rule`, or what excluded a row. Raises KeyError for any other name."""
    return _BY_NAME[broken.rpartition("|")[2]]


def rule_brief(broken: str) -> str:
    """What a rule means in a few words; nothing for a rule of another version."""
    rule = _BY_NAME.get(broken.rpartition("|")[2])
    return rule.brief if rule is not None else ""


def rules_of(destination: Destination) -> tuple[BrokenRule, ...]:
    """Everything that a record for this destination can be rejected for, field by field.

    A destination whose body has no time still orders by one: its rules are named `time|…`.
    """
    fields = destination.fields
    if destination.time_field is None:
        fields = (*fields, Field("time", Kind.TIME, source="the order of the records"))
    return (
        BrokenRule("row|malformed", _BY_NAME["malformed"], ""),
        *(
            BrokenRule(f"{field.name}|{rule.name}", rule, field.source)
            for field in fields
            for rule in RULES
            if _applies(rule, field)
        ),
        *(each for check in destination.checks for each in _between(check)),
    )


def _applies(rule: Rule, field: Field) -> bool:
    match rule.name:
        case "required":
            return field.required
        case "max_length":
            return field.max_chars is not None
    return field.kind in rule.kinds


def _between(check: AnyOf | TargetAgrees) -> Iterator[BrokenRule]:
    """The rules between fields."""
    if isinstance(check, AnyOf):
        yield BrokenRule(check.name, rule_named(check.name), check.source)
        return
    yield BrokenRule(f"{check.type_field}|phone_only", _BY_NAME["phone_only"], check.source)
    yield BrokenRule(f"{check.value_field}|agrees", _BY_NAME["agrees"], check.source)
