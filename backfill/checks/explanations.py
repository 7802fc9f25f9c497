"""What a rule or a state means, why it exists, and what helps."""

from __future__ import annotations

from collections.abc import Collection, Container
from dataclasses import dataclass

from backfill.checks.rules import RULES, rule_named, rules_of
from backfill.core.errors import ConfigError, did_you_mean
from backfill.core.model import State
from backfill.destination import Destination
from backfill.destinations import installed_destinations

__all__ = ["Explanation", "explain"]

_STATES = {
    State.EXCLUDED: (
        "So that what you left out on purpose is not mistaken for a fault.",
        "Nothing is wrong. `where`, `since`, `until` and `otherwise` decide it.",
    ),
    State.REJECTED: (
        "Nothing doubtful is sent: what the API would refuse, or misunderstand, is told before.",
        "`backfill records JOB --state rejected -o FILE` gives the rows with every rule that they"
        " broke. Fixed, they can be fed in again.",
    ),
    State.DUPLICATE: (
        "Neither API recognises a record that it has, so each copy would be stored once more.",
        "Nothing is lost: `_kept_file` and `_kept_row` say where the kept one stands. What makes"
        " two records the same one is `key` under [dedupe].",
    ),
    State.PENDING: (
        "It was never sent, or the server said that it did nothing.",
        "`backfill run JOB` sends it.",
    ),
    State.DELIVERED: (
        "The destination confirmed it in the form that its API document gives for success.",
        "Nothing is left to do.",
    ),
    State.FAILED: (
        "The destination refused this record, and would refuse it again.",
        "`backfill show JOB ROW` has the server's words. Where the cause was not in the record,"
        " `backfill retry JOB` makes it pending again.",
    ),
    State.UNKNOWN: (
        "The answer was lost: a timeout, a broken connection, a 500, a crash. Neither API has an"
        " idempotency key, so to send it again could store it twice.",
        "Ask the destination, by the request ids that `backfill records JOB --state unknown`"
        " lists, then `backfill resolve JOB` with --delivered, --failed or --resend.",
    ),
}
_CHOSEN = ("where", "since", "until")  # under [events]: rows of these are `row|where` and so on


@dataclass(frozen=True, slots=True)
class Explanation:
    """`name` is as it was asked for. `applies` lists `field|rule` for each destination."""

    name: str
    meaning: str
    why: str
    helps: str
    applies: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [
            self.name,
            f"  {self.meaning}",
            f"  Why: {self.why}",
            f"  What helps: {self.helps}",
        ]
        lines += [f"  Applies to: {each}" for each in self.applies]
        return "\n".join(lines)


def explain(name: str) -> Explanation:
    """Explain a state (`unknown`), a rule (`uuid`), or a rule of a field (`contact.id|uuid`).

    Raises ConfigError, with the nearest name, for one that does not exist.
    """
    if not isinstance(name, str):
        raise ConfigError(
            f"a rule or a state is named by a text, and not by {name!r}",
            hint='Such as "unknown", or "contact.id|uuid".',
        )
    wanted = name.strip()
    if wanted in _STATES:
        state = State(wanted)
        why, helps = _STATES[state]
        return Explanation(wanted, f"Records that are {state}: {state.meaning}.", why, helps)
    destinations = installed_destinations().values()
    broken = dict.fromkeys(each.name for known in destinations for each in rules_of(known))
    field, _, name = wanted.rpartition("|")
    if not any(name == rule.name for rule in RULES) or (
        field and not _exists(wanted, broken, destinations)
    ):
        names = [*_STATES, *(rule.name for rule in RULES), *broken]
        raise ConfigError(
            f"there is no rule and no state {wanted!r}",
            hint=did_you_mean(wanted, names) or "`backfill plan` and `backfill status` name them.",
        )
    rule = rule_named(wanted)
    applies = () if field else tuple(each for each in broken if each.endswith(f"|{rule.name}"))
    return Explanation(wanted, rule.meaning, rule.why, rule.remedy, applies)


def _exists(wanted: str, broken: Container[str], destinations: Collection[Destination]) -> bool:
    """Whether a record can break `field|rule`, where `field` may be one of a family, or can be
    excluded by it.
    """
    field, _, rule = wanted.rpartition("|")
    if rule in _CHOSEN:
        return field == "row" or wanted == "contact|where"
    families = {
        declared.name for known in destinations if (declared := known.field_for(field)) is not None
    }
    return any(f"{each}|{rule}" in broken for each in {field, *families}) or (
        rule == "otherwise" and bool(families)
    )
