"""What the patterns of all regions take for granted about libphonenumber's metadata, proved."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata
from phonenumbers.phonemetadata import PhoneNumberDesc

from backfill.checks.phone.numbering_plans import region, world
from tests.checks.regular import DIGITS, Automaton, States

TYPES = (
    "premium_rate",
    "toll_free",
    "shared_cost",
    "voip",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
    "fixed_line",
    "mobile",
)


@dataclass(frozen=True)
class Plan:
    """One region's numbers: of any type, of its general form, and by its leading digits."""

    typed: Automaton
    general: Automaton
    leading: Automaton | None

    @property
    def start(self) -> tuple[States, States, States]:
        none: States = frozenset()
        return (
            self.typed.start,
            self.general.start,
            self.leading.start if self.leading else none,
        )

    def step(self, at: tuple[States, States, States], digit: str) -> tuple[States, States, States]:
        leading = self.leading.step(at[2], digit) if self.leading else at[2]
        return self.typed.step(at[0], digit), self.general.step(at[1], digit), leading


def descriptions(plan: PhoneMetadata) -> list[PhoneNumberDesc]:
    found = [getattr(plan, name) for name in TYPES]
    return [each for each in found if each is not None and each.national_number_pattern]


def plan_of(code: int, name: str) -> Plan:
    plan = PhoneMetadata.metadata_for_region_or_calling_code(code, name)
    assert plan is not None
    assert plan.general_desc is not None
    return Plan(
        typed=Automaton("|".join(f"(?:{d.national_number_pattern})" for d in descriptions(plan))),
        general=Automaton(plan.general_desc.national_number_pattern or ""),
        leading=Automaton(rf"(?:{plan.leading_digits})\d{{0,17}}") if plan.leading_digits else None,
    )


@pytest.mark.parametrize(
    "code", [code for code, names in COUNTRY_CODE_TO_REGION_CODE.items() if len(names) > 1]
)
def test_a_number_of_some_region_is_valid_whichever_region_its_digits_choose(code):
    """libphonenumber chooses one region first; a union over all regions has the same numbers."""
    plans = [plan_of(code, name) for name in COUNTRY_CODE_TO_REGION_CODE[code]]
    first = tuple(plan.start for plan in plans)
    seen, todo = {first}, [(first, "")]
    while todo:
        at, digits = todo.pop()
        in_union = any(p.typed.accepts(t) for p, (t, _, _) in zip(plans, at, strict=True)) and any(
            p.general.accepts(g) for p, (_, g, _) in zip(plans, at, strict=True)
        )
        assert in_union == chosen(plans, at), f"+{code}{digits}"
        for digit in DIGITS:
            to = tuple(plan.step(each, digit) for plan, each in zip(plans, at, strict=True))
            if any(typed for typed, _, _ in to) and to not in seen:
                seen.add(to)
                todo.append((to, digits + digit))


def chosen(plans: list[Plan], at: tuple[tuple[States, States, States], ...]) -> bool:
    """As `region_code_for_number` and `is_valid_number_for_region` decide together."""
    for plan, (typed, general, leading) in zip(plans, at, strict=True):
        good = plan.typed.accepts(typed) and plan.general.accepts(general)
        if plan.leading is None:
            if good:
                return True
        elif plan.leading.accepts(leading):
            return good
    return False


def test_a_types_pattern_yields_no_length_that_the_type_does_not_have():
    """So lengths need not be asked for where the pattern is."""
    for code, names in COUNTRY_CODE_TO_REGION_CODE.items():
        for name in names:
            plan = PhoneMetadata.metadata_for_region_or_calling_code(code, name)
            assert plan is not None
            assert plan.general_desc is not None
            for each in descriptions(plan):
                allowed = {*each.possible_length} & {*plan.general_desc.possible_length}
                assert lengths(each.national_number_pattern or "") <= allowed, name


def lengths(pattern: str) -> set[int]:
    automaton = Automaton(pattern)
    found: set[int] = set()
    states, length = {automaton.start}, 0
    while states:
        if any(automaton.accepts(each) for each in states):
            found.add(length)
        states = {automaton.step(each, digit) for each in states for digit in DIGITS} - {
            frozenset()
        }
        length += 1
    return found


def test_no_calling_code_is_the_beginning_of_another():
    codes = sorted(str(code) for code in COUNTRY_CODE_TO_REGION_CODE)
    assert not any(b.startswith(a) for a in codes for b in codes if a != b)


def test_the_patterns_know_no_digits_but_ascii_and_stand_for_every_code():
    patterns = world()
    for pattern in (
        patterns.possible,
        patterns.validity.typed,
        patterns.validity.general,
        patterns.prefixes.viable,
    ):
        assert "\\d" not in pattern
    assert region("GB").code == 44
    assert region("KZ").code == 7
