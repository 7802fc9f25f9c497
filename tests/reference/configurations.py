"""Random configurations over random files."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

from tests.reference.cells import Chance
from tests.reference.chains import Chain, Link
from tests.reference.checks import CONFIDENCES, FEEDBACKS
from tests.reference.expressions import (
    Expression,
    coalesce,
    column,
    differs,
    either,
    joined,
    larger,
    upper,
)
from tests.reference.jobs import File, Job, random_files

__all__ = ["random_chain", "random_job"]

_POPULATION = "5b0c7d1e-9a34-4c58-8f21-6d3e0a9b7c42"
_NAMESPACE = "d1a3c5e7-0f2b-4a6c-8e1d-3b5f7a9c0e24"
_EVENT_COLUMNS = (
    "user phone mail target kind lang at label trust step note amount tx plan country date hour who"
).split()
_CONTACT_COLUMNS = "id phone mail target kind lang plan note country".split()
_ZONES = ["Asia/Jerusalem", "America/New_York", "Europe/London", "UTC", "America/Sao_Paulo"]
_ZONES += ["Pacific/Apia", "Asia/Kolkata"]


def random_job(seed: int) -> Job:
    """The job of a seed."""
    return _Draft(Chance(seed)).job(seed)


def random_chain(seed: int) -> Chain:
    """Two or three jobs, each of which comes after what the ones before it delivered."""
    chance = Chance(seed)
    draft = _Draft(chance, sizes=[chance.randint(1, 20) for _ in range(3)])
    whole = draft.job(seed)
    number = chance.choice([2, 3])
    if chance.random() < 0.5:
        mended = [Link(draft.mended(whole), rest_of=before) for before in range(number - 1)]
        return Chain(seed, (Link(whole), *mended))
    links = [Link(draft.of_some_files(whole))]
    for before in range(number - 1):
        earlier = (before,) if chance.random() < 0.3 else tuple(range(before + 1))
        links.append(Link(draft.of_some_files(whole), delivered_by=earlier))
    return Chain(seed, tuple(links))


class _Draft:
    """A configuration in the making."""

    def __init__(self, chance: Chance, sizes: list[int] | None = None) -> None:
        self.chance = chance
        self.sizes = sizes
        self.expressions: dict[str, Expression] = {}
        self.with_contacts = chance.random() < 0.5
        self.config: dict[str, Any] = {}

    def often(self, share: float) -> bool:
        return self.chance.random() < share

    def sql(self, expression: Expression) -> str:
        self.expressions[expression.sql] = expression
        return expression.sql

    def job(self, seed: int) -> Job:
        chance = self.chance
        destination = chance.choice(["pristo-events", "watch-events", "watch-feedbacks"])
        self.config["destination"] = destination
        if destination == "pristo-events":
            self.config["population"] = _POPULATION
        sizes = self.sizes or self._sizes(30)
        events, self.config["events"] = random_files(chance, "events", _EVENT_COLUMNS, sizes)
        contacts: list[File] = []
        if self.with_contacts:
            contacts, section = random_files(chance, "contacts", _CONTACT_COLUMNS, self._sizes(6))
            section["key"] = "id"
            if self.often(0.6):
                section["keep"] = chance.choice(["first", "last", "fill"])
            self.config["contacts"] = section
            self.config["events"]["contact_key"] = "user"
            if self.often(0.15):
                section["key"] = {"sql": self.sql(upper(column("plan")))}
                self.config["events"]["contact_key"] = {"sql": self.sql(upper(column("plan")))}
        self._events(destination)
        self._mapping()
        return Job(seed, self.config, events, contacts, self.expressions)

    def mended(self, job: Job) -> Job:
        """The same rows under another configuration."""
        self.config = deepcopy(dict(job.config))
        for name in ("time", "timezone", "time_format", "where", "since", "until"):
            self.config["events"].pop(name, None)
        self._events(job.destination)
        self._mapping()
        return replace(job, config=self.config, expressions=self.expressions)

    def of_some_files(self, job: Job) -> Job:
        """A job over some of the files, which may choose other rows and keep other duplicates."""
        self.config = deepcopy(dict(job.config))
        chance, events = self.chance, self.config["events"]
        files = chance.sample(list(job.events), chance.randint(1, len(job.events)))
        if events.get("hive"):
            files = [each for each in job.events if each in files]  # by name
        else:
            events["files"] = [file.name for file in files]
        for name in ("where", "since", "until"):
            events.pop(name, None)
        self._chosen_rows()
        section = self.config.setdefault("dedupe", {})
        section["keep"] = chance.choice(["first", "last"])
        return replace(job, config=self.config, events=files, expressions=self.expressions)

    def _mapping(self) -> None:
        destination = self.config["destination"]
        self.config["rules"] = self._rules(destination)
        if destination == "pristo-events":
            self.config["fields"] = self._pristo()
        else:
            self.config["fields"] = self._watch(destination)
        self._drop_invalid()
        self._dedupe()

    def _sizes(self, most: int) -> list[int]:
        return [self.chance.randint(1, most) for _ in range(self.chance.choice([1, 1, 2, 3]))]

    def _events(self, destination: str) -> None:
        events, chance = self.config["events"], self.chance
        if destination == "pristo-events" or self.often(0.85):
            events["time"] = "at"
            if self.often(0.12):
                events["time"] = {"sql": self.sql(joined(column("date"), " ", column("hour")))}
        if self.often(0.7):
            events["timezone"] = chance.choice(_ZONES)
        if "time" in events and self.often(0.2):
            forms = ["%d.%m.%Y %H:%M", "%d/%m/%Y", "%m/%d/%Y %I:%M %p", "%d.%m.%y"]
            forms += ["%d %b %Y %H:%M:%S", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M %z"]
            size = chance.randint(1, 4)
            events["time_format"] = forms[0] if size == 1 else chance.sample(forms, size)
        self._chosen_rows()

    def _chosen_rows(self) -> None:
        events, chance = self.config["events"], self.chance
        if self.often(0.2):
            events["where"] = self.sql(
                chance.choice(
                    [
                        differs(column("label"), "test"),
                        larger(column("tx"), 3),
                        either(differs(column("label"), "signup"), differs(column("tx"), "t1")),
                    ]
                )
            )
        if "time" in events and self.often(0.15):
            events["since"] = chance.choice(["2024-03-01", "2024-03-01T09:15:00", "2023-12-31"])
        if "time" in events and self.often(0.15) and events.get("since") != "2024-03-01T09:15:00":
            events["until"] = chance.choice(["2024-03-02", "2024-03-01 11:15:00+02:00"])

    def _rules(self, destination: str) -> dict[str, Any]:
        chance = self.chance
        rules: dict[str, Any] = {}
        if self.often(0.6):
            rules["phone"] = chance.choice(["e164", "possible", "valid"])
        if self.often(0.5):
            rules["phone_region"] = chance.choice(
                ["IL", "GB", "US", "AR", "IT", "DE", {"column": "country"}]
            )
        if destination == "pristo-events":
            if self.often(0.2):
                rules["custom_value_max"] = chance.choice([10, 255])
            if self.often(0.1):
                rules["event_types"] = ["signup", "purchase", "login"]
            if self.often(0.3):
                rules["contact_id"] = {"namespace": _NAMESPACE}
            if self.often(0.2):
                rules["contact"] = chance.choice(["full", "identifiers"])
            if self.often(0.3):
                rules["reachable"] = chance.choice(["required", "known"])
        elif self.often(0.3):
            rules["allow_email_targets"] = True
        return rules

    def _from(self, name: str, *, side: str | None = None) -> Any:
        """A column of one side, or of the one that has it."""
        on_both = name in _EVENT_COLUMNS and name in _CONTACT_COLUMNS and self.with_contacts
        if side is None:
            side = "events"
            if name in _CONTACT_COLUMNS and self.with_contacts and self.often(0.5):
                side = "contacts"
        if not on_both and self.often(0.5):
            return name
        return self.chance.choice([f"{side}.{name}", {"column": name, "from": side}])

    def _table(self, name: str, values: Sequence[str], targets: Sequence[str]) -> dict[str, Any]:
        table: dict[str, Any] = {
            "column": name,
            "from": "events",
            "values": {value: self.chance.choice(list(targets)) for value in values},
        }
        otherwise = self.chance.choice([None, "reject", "omit", "keep", "exclude", "value"])
        if otherwise is not None:
            value = {"value": targets[0]}
            table["otherwise"] = value if otherwise == "value" else otherwise
        return table

    def _custom(self) -> Any:
        """Where the value of a free field comes from."""
        throw = self.chance.randrange(5)
        if throw == 0:
            return {"value": self.chance.choice(["import", 5, True, 1.5])}
        if throw == 1:
            return self._table("plan", ["p1", "p2", "1"], ["gold", "silver"])
        if throw == 2:
            made = [upper(column("note")), joined(column("label"), "-", column("tx"))]
            return {"sql": self.sql(self.chance.choice([*made, coalesce(*_either_text())]))}
        name = self.chance.choice(["amount", "note", "at", "tx", "who", "who.tags[0]", "who.mail"])
        return self._from(name, side="events")

    def _pristo(self) -> dict[str, Any]:
        fields: dict[str, Any] = {"contact.id": self._from("user", side="events")}
        for name, source in (("contact.email", "mail"), ("contact.phone", "phone")):
            if self.often(0.7):
                fields[name] = self._from(source)
        if self.often(0.1):
            fields["contact.email"] = "who.mail"
        for name, source in (("contact.language", "lang"), ("contact.name", "note")):
            if self.often(0.4):
                fields[name] = self._from(source)
        fields["type"] = self._from("label")
        if self.often(0.2):
            fields["type"] = self._table("label", ["signup", "purchase"], ["signup", "login"])
        for name in ("customFields.a", "contact.customFields.b", "customFields.tx"):
            if self.often(0.5):
                fields[name] = self._custom()
        if self.often(0.7):
            fields["customFields.amount"] = self._from("amount")
        if not any(each in fields for each in ("contact.email", "contact.phone")):
            self.config["rules"]["reachable"] = "known"
        return fields

    def _watch(self, destination: str) -> dict[str, Any]:
        column_ = self.chance.choice(["target", "phone"])
        fields: dict[str, Any] = {"target.value": self._from(column_)}
        if self.often(0.3):
            fields["target.type"] = self._from("kind")
        if destination == "watch-feedbacks":
            fields["type"] = self._from("step")
            if self.often(0.3):
                fields["type"] = self._table("step", ["started", FEEDBACKS[0]], FEEDBACKS)
            if self.often(0.5):
                fields["metadata.correlation_id"] = self._from("note")
            return fields
        fields["label"] = self._from("label")
        fields["confidence"] = self.chance.choice(
            [
                {"value": "neutral"},
                self._from("trust"),
                self._table("label", ["signup", "purchase", "login"], CONFIDENCES),
            ]
        )
        return fields

    def _drop_invalid(self) -> None:
        needed = ("contact.id", "type", "target.value", "label", "confidence", "target.type")
        left = (*needed, *self._unsent())
        optional = [name for name in self.config["fields"] if name not in left]
        if optional and self.often(0.3):
            drop = self.chance.sample(optional, self.chance.randint(1, len(optional)))
            self.config["rules"]["drop_invalid"] = drop

    def _unsent(self) -> tuple[str, ...]:
        """Fields that are mapped in vain."""
        if self.config["rules"].get("contact") != "identifiers":
            return ()
        return ("contact.language", "contact.name", "contact.customFields.b")

    def _tells(self, name: str) -> bool:
        """Whether a field is no constant."""
        source = self.config["fields"][name]
        return isinstance(source, str) or "column" in source or "sql" in source

    def _dedupe(self) -> None:
        section: dict[str, Any] = {}
        self.config.pop("dedupe", None)
        if self.often(0.5):
            names = [name for name in self.config["fields"] if name not in self._unsent()]
            if "time" in self.config["events"]:
                pristo = self.config["destination"] == "pristo-events"
                names.append("occurredAt" if pristo else "time")
            key = self.chance.sample(names, self.chance.randint(1, min(3, len(names))))
            if any(name not in self.config["fields"] or self._tells(name) for name in key):
                section["key"] = key
        if self.often(0.5):
            section["keep"] = self.chance.choice(["first", "last"])
        if section:
            self.config["dedupe"] = section


def _either_text() -> tuple[Expression, Expression]:
    return column("note"), column("label")
