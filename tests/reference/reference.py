"""What a plan must hold, row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.reference.checks import TARGETS, checked
from tests.reference.contacts import contacts_by_key, join_key, read_from
from tests.reference.jobs import Job
from tests.reference.readers import MALFORMED, Row
from tests.reference.times import moment_of, written_moment
from tests.reference.values import Broken, Cell, stripped, text_of, utc_text

__all__ = ["KINDS", "Earlier", "Outcome", "Place", "expected", "identity"]

Place = tuple[str, int]

KINDS: dict[str, dict[str, str]] = {
    "pristo-events": {
        "contact.id": "id",
        "contact.email": "email",
        "contact.phone": "phone",
        "contact.language": "language",
        "contact.name": "text",
        "contact.lastName": "text",
        "type": "type",
    },
    "watch-events": {
        "target.type": "target",
        "target.value": "target value",
        "label": "label",
        "confidence": "confidence",
    },
    "watch-feedbacks": {
        "target.type": "target",
        "target.value": "target value",
        "type": "feedback",
        "metadata.correlation_id": "correlation",
    },
}
_REQUIRED = {
    "pristo-events": ("contact.id", "type"),
    "watch-events": ("target.value", "label", "confidence"),
    "watch-feedbacks": ("target.value", "type"),
}
_IDENTIFIERS = ("contact.id", "contact.email", "contact.phone")


@dataclass
class Outcome:
    """What became of one row."""

    state: str = "pending"
    reasons: set[str] = field(default_factory=set)
    kept: Place | None = None
    by_earlier: bool = False  # whether an earlier job has the kept one
    no_record: bool = False  # whether the row, which an earlier job sent, would be rejected now
    values: dict[str, str] = field(default_factory=dict)
    time: datetime | None = None
    body: dict[str, Any] | None = None


@dataclass(frozen=True)
class Earlier:
    """What earlier jobs have delivered.

    `places` are rows of the job whose rest this one is; `identities` are of records that the jobs
    in `delivered_by` delivered, with the row that they have there.
    """

    places: Sequence[Place] = ()
    identities: dict[object, Place] = field(default_factory=dict)


class _ExcludedError(Exception):
    """The table of a field leaves the record out."""


def expected(job: Job, now: datetime, earlier: Earlier | None = None) -> dict[Place, Outcome]:
    """What becomes of each row of the job's events, after earlier jobs."""
    contacts = {}
    if job.contacts:
        section = job.config["contacts"]
        rows = [row for file in job.contacts for row in file.rows(section)]
        contacts = contacts_by_key(
            rows, section["key"], section.get("keep", "last"), job.expressions
        )
    outcomes = {
        (file.name, number): _Record(job, row, contacts, now).outcome()
        for file in job.events
        for number, row in enumerate(file.rows(job.config["events"]), 1)
    }
    _find_duplicates(job, outcomes, earlier or Earlier())
    for outcome in outcomes.values():
        if outcome.state == "pending":
            outcome.body = _body(outcome)
    return outcomes


class _Record:
    """One row on its way."""

    def __init__(self, job: Job, row: Row, contacts: Mapping[str, Row], now: datetime) -> None:
        self.job, self.row, self.now = job, row, now
        self.events = job.config["events"]
        self.rules = job.config.get("rules", {})
        self.zone = self.events.get("timezone")
        self.pristo = job.destination == "pristo-events"
        self.time_field = "occurredAt" if self.pristo else "time"
        self.result = Outcome()
        self.is_email: bool | None = None  # of a target's value, None where there is none
        self.dropped: set[str] = set()  # what drop_invalid leaves out
        self.contact: Row = {}
        if contacts and row is not MALFORMED:
            key = join_key(read_from(row, self.events["contact_key"], job.expressions))
            self.contact = contacts.get(key or "", {})

    def outcome(self) -> Outcome:
        if self.row is MALFORMED:
            return Outcome("rejected", {"row|malformed"})
        out = set()
        if "where" in self.events:
            condition = self.job.expressions[self.events["where"]]
            if condition.value(self.row) is not True:
                out.add("row|where")
        out |= self._look_at_time()
        out |= self._look_at_fields()
        if out:
            return Outcome("excluded", out)
        if self.result.reasons:
            # A value that alone would only have been left out is named beside the others.
            self.result.state = "rejected"
            self.result.reasons |= self.dropped
        return self.result

    def _look_at_time(self) -> set[str]:
        """Read the time. Returns why the row is out of the wanted span."""
        source = self.events.get("time")
        if source is None:
            return set()
        form = self.events.get("time_format", [])
        formats = [form] if isinstance(form, str) else form
        spanned = "since" in self.events or "until" in self.events
        try:
            value = read_from(self.row, source, self.job.expressions)
            time = moment_of(value, self.zone, formats)
            if time is None and (self.pristo or spanned):
                raise Broken("required")
            if time is not None and time > self.now and not self._out_of_span(time):
                raise Broken("future")
        except Broken as broken:
            self.result.reasons.add(f"{self.time_field}|{broken.rule}")
            return set()
        self.result.time = time
        return set() if time is None else self._out_of_span(time)

    def _out_of_span(self, time: datetime) -> set[str]:
        bounds = {
            name: written_moment(self.events[name], self.zone or "UTC", [])
            for name in ("since", "until")
            if name in self.events
        }
        out = set()
        if "since" in bounds and time < bounds["since"]:
            out.add("row|since")
        if "until" in bounds and time >= bounds["until"]:
            out.add("row|until")
        return out

    def _look_at_fields(self) -> set[str]:
        """Read the fields. Returns those whose table leaves the row out."""
        out = set()
        for name in self.job.config["fields"]:
            details = name.startswith("contact.") and name not in _IDENTIFIERS
            if details and self.rules.get("contact") == "identifiers":
                continue  # not sent
            try:
                self._look_at(name)
            except _ExcludedError:
                out.add(f"{name}|otherwise")
        self._look_at_all()
        return out

    def _look_at_all(self) -> None:
        """The rules of what is missing, and those between fields."""
        if self.pristo:
            self._look_at_reachable()
        elif not self._broken("target.type") and "target.type" not in self.result.values:
            if "target.type" in self.job.config["fields"]:
                self.result.reasons.add("target.type|required")
            else:
                self.result.values["target.type"] = TARGETS[0]
        for name in _REQUIRED[self.job.destination]:
            if name not in self.result.values and not self._broken(name):
                self.result.reasons.add(f"{name}|required")
        if not self.pristo:
            self._look_at_target()

    def _broken(self, name: str) -> bool:
        return any(reason.startswith(f"{name}|") for reason in self.result.reasons)

    def _look_at(self, name: str) -> None:
        kind = KINDS[self.job.destination].get(name, "custom")
        try:
            value = self._mapped(self.job.config["fields"][name])
            if kind == "target value":
                found = self._target(value)
            else:
                found = checked(kind, value, self.rules, self.zone, self._region(name))
        except Broken as broken:
            dropped = name in self.rules.get("drop_invalid", [])
            reasons = self.dropped if dropped else self.result.reasons
            reasons.add(f"{name}|{broken.rule}")
            return
        if found is not None:
            self.result.values[name] = found

    def _mapped(self, source: Any) -> Cell:
        """The raw value of a field."""
        if isinstance(source, str):
            source = {"column": source}
        if "column" not in source and "sql" not in source:
            return source["value"]
        side = source.get("from", "events")
        if "sql" in source:
            value = self.job.expressions[source["sql"]].value(self._side(side))
        else:
            prefix, _, rest = source["column"].partition(".")
            if prefix in ("events", "contacts"):
                side, way = prefix, rest
            else:
                way = source["column"]
            value = read_from(self._side(side), way, {})
        return self._translated(value, source) if "values" in source else value

    def _translated(self, value: Cell, source: Mapping[str, Any]) -> Cell:
        text = text_of(value, self.zone)
        if text is None:
            return None
        if text in source["values"]:
            return source["values"][text]
        otherwise = source.get("otherwise", "reject")
        if otherwise == "exclude":
            raise _ExcludedError
        if otherwise == "reject":
            raise Broken("unmapped")
        if otherwise == "omit":
            return None
        return value if otherwise == "keep" else otherwise["value"]

    def _side(self, side: str) -> Row:
        return self.row if side == "events" else self.contact

    def _region(self, name: str) -> str | None:
        region = self.rules.get("phone_region")
        if not isinstance(region, Mapping):
            return None if region is None else str(region)
        source = self.job.config["fields"][name]
        written = source if isinstance(source, str) else f"{source.get('from')}."
        side = "contacts" if written.startswith("contacts.") else "events"
        text = text_of(self._side(side).get(region["column"]), None)
        return stripped(text or "").upper() or None

    def _target(self, value: Cell) -> str | None:
        """A phone number, or what holds an `@` and so must be an email address."""
        text = text_of(value, self.zone)
        if text is None or not stripped(text):
            return None
        self.is_email = "@" in text
        if self.is_email:
            return checked("email", value, self.rules, self.zone)
        return checked("phone", value, self.rules, self.zone, self._region("target.value"))

    def _look_at_target(self) -> None:
        target = self.result.values.get("target.type")
        allowed = self.rules.get("allow_email_targets")
        if target == "email_address" and not allowed:
            self.result.reasons.add("target.type|phone_only")
        if self.is_email is True and target == "phone_number":
            self.result.reasons.add("target.value|agrees")
        if self.is_email is False and target == "email_address" and allowed:
            self.result.reasons.add("target.value|agrees")

    def _look_at_reachable(self) -> None:
        if self.rules.get("reachable") == "known":
            return
        ways = ("contact.phone", "contact.email")
        if not any(way in self.result.values or self._broken(way) for way in ways):
            self.result.reasons.add("contact|reachable")


def _find_duplicates(job: Job, outcomes: Mapping[Place, Outcome], earlier: Earlier) -> None:
    delivered = dict(earlier.identities)
    for place in earlier.places:
        outcome = outcomes[place]
        if outcome.state == "pending":
            delivered.setdefault(identity(job, outcome), place)
        else:
            outcome.no_record, outcome.reasons = True, set()
        _is_duplicate(outcome, place, by_earlier=True)
    pending = [place for place, outcome in outcomes.items() if outcome.state == "pending"]
    section = job.config.get("dedupe", {})
    if section.get("keep") == "last":
        pending.reverse()
    kept: dict[object, Place] = {}
    for place in pending:
        own = identity(job, outcomes[place])
        if own in delivered:
            _is_duplicate(outcomes[place], delivered[own], by_earlier=True)
        elif own in kept:
            _is_duplicate(outcomes[place], kept[own], by_earlier=False)
        else:
            kept[own] = place


def _is_duplicate(outcome: Outcome, kept: Place, *, by_earlier: bool) -> None:
    outcome.state, outcome.kept, outcome.by_earlier = "duplicate", kept, by_earlier


def identity(job: Job, outcome: Outcome) -> object:
    """What two records share that are the same one."""
    key = job.config.get("dedupe", {}).get("key")
    pristo = job.destination == "pristo-events"
    time = outcome.time and (utc_text(outcome.time) if pristo else outcome.time.isoformat())
    whole = {**outcome.values, **({} if time is None else {"time": time})}
    names = [key] if isinstance(key, str) else key
    if names is not None:
        values = {**outcome.values, **({"occurredAt" if pristo else "time": time} if time else {})}
        telling = [name for name in names if not _is_constant(job, name)]
        if any(name in values for name in telling):
            return ("key", *(values.get(name) for name in names))
    return ("whole", tuple(sorted(whole.items())))


def _is_constant(job: Job, name: str) -> bool:
    source = job.config["fields"].get(name)
    if source is None:
        return name == "target.type"
    return isinstance(source, Mapping) and "column" not in source and "sql" not in source


def order_of(job: Job, outcome: Outcome) -> tuple[object, ...]:
    """What the records of one key are sorted by, before their place in the source."""
    last = datetime.max.replace(tzinfo=UTC)
    step = 0
    if job.destination == "watch-feedbacks":
        step = ["verification.started", "verification.completed"].index(outcome.values["type"])
    return (outcome.time is None, outcome.time or last, step)


def _body(outcome: Outcome) -> dict[str, Any]:
    """The body of one record, or one item of it."""
    body: dict[str, Any] = {}
    values = dict(outcome.values)
    if "contact.id" in values and outcome.time:
        values["occurredAt"] = utc_text(outcome.time)
    for name, value in values.items():
        part = body
        *ways, last = _path(name)
        for way in ways:
            part = part.setdefault(way, {})
        part[last] = value
    return body


def _path(name: str) -> list[str]:
    for prefix in (["contact", "customFields"], ["customFields"]):
        start = ".".join(prefix) + "."
        if name.startswith(start):
            return [*prefix, name[len(start) :]]
    return name.split(".")
