"""Phone numbers at three levels, held against the library whose judgement they repeat."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Sequence

import phonenumbers
import polars as pl
import pytest
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata, PhoneNumberFormat

from backfill.checks.checked import Steps
from backfill.checks.phone.check import Level, check_phone
from backfill.checks.phone.national import from_national
from tests.checks.judged import judged_values

# Numbers drawn beside the examples of every region; a longer look is one variable away.
DRAWN = int(os.environ.get("BACKFILL_PHONE_SAMPLE", "12000"))
SEED = 20240501


def judged(
    numbers: Sequence[str | None], level: Level, region: str | None = None
) -> list[tuple[str | None, str]]:
    """(canonical number, the one rule it broke or "") for each number."""
    steps = check_phone(level, pl.lit(region) if region else None)
    whole = Steps(({"text": pl.field("raw")}, *steps.stages), steps.rules)
    return judged_values(pl.Series(numbers, dtype=pl.String), whole).rows()


def judged_in(dialled: Sequence[tuple[str, str, object]]) -> list[tuple[str | None, str]]:
    """What `judged` says of (region, number, ...) at the level e164."""
    rows = [each[:2] for each in dialled]
    raw = pl.DataFrame(rows, schema=["region", "number"], orient="row").to_struct()
    steps = check_phone("e164", pl.field("raw").struct.field("region"))
    text = {"text": pl.field("raw").struct.field("number")}
    return judged_values(raw, Steps((text, *steps.stages), steps.rules)).rows()


def examples() -> list[str]:
    """The library's example number of every type of every region, and of every code without one."""
    found = [
        phonenumbers.example_number_for_type(region, kind)
        for region in phonenumbers.SUPPORTED_REGIONS
        for kind in phonenumbers.PhoneNumberType.values()
    ]
    found += [
        phonenumbers.example_number_for_non_geo_entity(code)
        for code, regions in COUNTRY_CODE_TO_REGION_CODE.items()
        if regions == ("001",)
    ]
    texts = {phonenumbers.format_number(each, PhoneNumberFormat.E164) for each in found if each}
    return sorted(text for text in texts if len(text) <= 16)


def drawn(count: int, seed: int) -> list[str]:
    """E.164 by syntax: noise, noise under real codes, misdialled prefixes, and near misses."""
    rng = random.Random(seed)
    codes, known = sorted(COUNTRY_CODE_TO_REGION_CODE), examples()

    def digits(length: int) -> str:
        return "".join(rng.choices("0123456789", k=max(length, 0)))

    def noise() -> str:
        return f"+{rng.randint(1, 9)}{digits(rng.randint(1, 14))}"

    def coded() -> str:
        return f"+{rng.choice(codes)}{digits(rng.randint(1, 13))}"

    def prefixed() -> str:
        code = rng.choice(codes)
        plan = PhoneMetadata.metadata_for_region_or_calling_code(
            code, COUNTRY_CODE_TO_REGION_CODE[code][0]
        )
        assert plan is not None
        assert plan.general_desc is not None
        prefix = rng.choice([plan.national_prefix or "0", "0", "8", "1", "15", "9", "06", "80"])
        length = rng.choice(plan.general_desc.possible_length) + rng.randint(-2, 1)
        return f"+{code}{prefix}{digits(length)}"

    def near() -> str:
        text = list(rng.choice(known))
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(1, len(text))
            match rng.randrange(4):
                case 0:
                    text.insert(place, digits(1))
                case 1 if len(text) > 4:
                    del text[place]
                case _:
                    text[place] = digits(1)
        return "".join(text)

    made = [rng.choice((noise, coded, prefixed, near, near))() for _ in range(count)]
    return sorted({each for each in made if 3 <= len(each) <= 16 and each[1] != "0"})


def library(number: str) -> str:
    """What the library says of the number as it stands, in our rules' names."""
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return "possible"
    if phonenumbers.format_number(parsed, PhoneNumberFormat.E164) != number:
        return "rewritten"
    if not phonenumbers.is_possible_number(parsed):
        return "possible"
    return "" if phonenumbers.is_valid_number(parsed) else "valid"


@pytest.fixture(scope="module")
def sample() -> dict[str, str]:
    numbers = {*examples(), *drawn(DRAWN, SEED)}
    return {number: library(number) for number in sorted(numbers)}


def test_valid_is_the_librarys_judgement_of_the_number_as_it_stands(sample):
    answers = judged(list(sample), "valid")
    assert answers == list(sample.items())


def test_possible_is_the_librarys_judgement_of_the_number_as_it_stands(sample):
    expected = [(number, "" if rule == "valid" else rule) for number, rule in sample.items()]
    assert judged(list(sample), "possible") == expected


def test_the_sample_holds_every_kind_of_answer(sample):
    answers = list(sample.values())
    assert min(answers.count(rule) for rule in ("", "valid", "possible", "rewritten")) > 300


def test_e164_asks_for_syntax_alone():
    numbers = ["+12", "+123456789012345", "+999999999999999", "+30123456789"]
    assert judged(numbers, "e164") == [(number, "") for number in numbers]


@pytest.mark.parametrize("level", ["e164", "possible", "valid"])
def test_what_is_not_e164_breaks_that_rule_alone_and_is_not_mended(level):
    numbers = [
        "+",
        "+1",
        "+1234567890123456",
        "+0123456789",
        "12025550123",
        "0012025550123",
        "++12025550123",
        "+1202555012x",
        "tel:+12025550123",
        "+١٢٠٢٥٥٥٠١٢٣",
        "\uff0b12025550123",  # a full-width plus
        "+1202555\u0660123",
        "+44 (0) 20 7946 0123",
        "+44(0)2079460123",
        "+44 (020) 7946 0123",
        "+972 055-500-0123",
        "+1/202/555/0123",
        "+1--202",
    ]
    assert judged(numbers, level) == [(number, "e164") for number in numbers]


def test_separators_are_left_out_and_the_digits_stay():
    numbers = {
        " +12025550123\t": "+12025550123",
        "\u200e+12025550123\u200f": "+12025550123",
        "\u061c+12025550123": "+12025550123",
        "+1 202 555 0123": "+12025550123",
        "+1-202-555-0123": "+12025550123",
        "+1 (202) 555-0123": "+12025550123",
        "+1.202.555.0123": "+12025550123",
        "+1\u00a0202\u2013555\u20130123": "+12025550123",
        "+44 7700 900123": "+447700900123",
        "+39 (06) 698 12345": "+390669812345",
        "+972 55-500-0123": "+972555000123",
    }
    assert judged(list(numbers), "e164") == [(number, "") for number in numbers.values()]
    for written, number in numbers.items():
        parsed = phonenumbers.parse(written, None)
        assert number == phonenumbers.format_number(parsed, PhoneNumberFormat.E164)


def test_missing_breaks_nothing():
    assert judged(["", " "], "valid") == [(None, ""), (None, "")]


def test_national_forms_become_e164():
    dialled = [
        ("GB", "020 7946 0018", "+442079460018"),
        ("GB", "(020) 7946-0123", "+442079460123"),
        ("GB", "2079460018", "+442079460018"),
        ("GB", "00 44 20 7946 0018", "+442079460018"),
        ("GB", "44 20 7946 0018", "+442079460018"),
        ("GB", "44 (0)20 7946 0018", "+442079460018"),
        ("GB", "00 1 202 555 0123", "+12025550123"),
        ("DE", "030/23125 123", "+493023125123"),
        ("DE", "030 - 23125 - 123", "+493023125123"),
        ("FR", "01.99.00.12.34", "+33199001234"),
        ("AU", "0491 570 006", "+61491570006"),
        ("IL", "972-55-500-0123", "+972555000123"),
        ("US", "202-555-0123", "+12025550123"),
        ("US", "1 202 555 0123", "+12025550123"),
        ("IL", "055-500 0123", "+972555000123"),
    ]
    assert judged_in(dialled) == [(number, "") for _, _, number in dialled]


def test_what_is_no_valid_number_of_the_region_stays_as_it_is_and_breaks_e164():
    texts = [
        *("12", "0207946001845678901", "call 020 7946", "*1234", "٠٢٠٧٩٤٦٠٠١٨"),
        "07700 900123",  # the range for fiction, which the library calls invalid
        "12025550143",
        "020 7946 001",
        "020 7946 00189",
        "020--7946 0018",
        "(020 7946 0018",
        "=020 7946 0018",
    ]
    assert judged(texts, "e164", "GB") == [(text, "e164") for text in texts]


def test_a_number_with_a_plus_is_never_changed_by_the_region():
    assert judged(["+4407700900123"], "e164", "GB") == [("+4407700900123", "")]
    assert judged(["+4407700900123"], "possible", "GB") == [("+4407700900123", "rewritten")]


def test_national_forms_are_read_as_the_library_reads_them():
    """Every region's examples as they are dialled there, whole and misspelt."""
    rng = random.Random(SEED)
    rows: list[tuple[str, str]] = []
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        written = set()
        for kind in (0, 1, 3, 6):
            example = phonenumbers.example_number_for_type(region, kind)
            if example is None:
                continue
            dialled = phonenumbers.format_number(example, PhoneNumberFormat.NATIONAL)
            abroad = phonenumbers.format_number(example, PhoneNumberFormat.INTERNATIONAL)
            digits = "".join(filter(str.isdigit, dialled))
            place = rng.randrange(len(digits))
            written |= {dialled, abroad[1:], "00" + abroad[1:], digits[1:], digits[:-1]}
            written.add(digits[:place] + rng.choice("0123456789") + digits[place + 1 :])
        texts = sorted(each for each in written if each and (each[0].isdigit() or each[0] == "("))
        rows += [(text, region) for text in texts]
    frame = pl.DataFrame(rows, schema=["text", "region"], orient="row").lazy()
    found = frame.select(from_national(pl.col("text"), pl.col("region"))).collect().to_series()
    expected = [_dialled(text, region) for text, region in rows]
    assert dict(zip(rows, found, strict=True)) == dict(zip(rows, expected, strict=True))


def test_a_number_that_lost_its_plus_or_its_zero_is_not_guessed():
    dialled = [
        ("DE", "447400123456", None),  # a British mobile, or a German landline without its 0
        ("DE", "15123456789", None),  # a German mobile without its 0, or a Texan
        ("AT", "12025550179", None),
        ("DE", "015123456789", "+4915123456789"),
        ("DE", "1711234567", "+491711234567"),  # no number with a plus in front
        ("DE", "493023125123", "+493023125123"),
        ("DE", "491711234567", None),  # the library puts one more 49 in front
        ("CN", "13035550195", "+8613035550195"),  # mobiles are written without a 0 there
        ("US", "2025550123", "+12025550123"),
    ]
    assert judged_in(dialled) == [
        (number, "") if number else (written, "ambiguous") for _, written, number in dialled
    ]


def test_what_may_have_lost_its_plus_is_what_the_library_writes_with_a_prefix():
    written = {
        (str(number.national_number), region)
        for region in phonenumbers.SUPPORTED_REGIONS
        for kind in (0, 1)
        if (number := phonenumbers.example_number_for_type(region, kind)) is not None
    }
    rows = sorted(written)
    found = [rule for _, rule in judged_in([(region, text, None) for text, region in rows])]
    clear = [row for row in zip(rows, found, strict=True) if row[1] in ("", "ambiguous")]
    assert len(clear) > 200, "most examples are numbers of their region"
    may = [row for row, rule in clear if rule == "ambiguous"]
    assert may == [row for row, _ in clear if _may_have_lost_its_plus(*row)]


def _may_have_lost_its_plus(digits: str, region: str) -> bool:
    number = phonenumbers.parse(digits, region)
    at_home = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
    try:
        abroad = phonenumbers.parse(f"+{digits}")
    except phonenumbers.NumberParseException:
        return False
    same = str(number.national_number) == digits
    prefixed = re.sub("[^0-9]", "", at_home) != digits
    kept = phonenumbers.format_number(abroad, PhoneNumberFormat.E164) == f"+{digits}"
    return same and prefixed and kept and phonenumbers.is_valid_number(abroad)


def _dialled(text: str, region: str) -> str | None:
    """What the library makes of it, where that is valid and adds no digit."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    dialled = "".join(filter(str.isdigit, text))
    if not dialled.endswith(phonenumbers.national_significant_number(number)):
        return None
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


@pytest.mark.parametrize("level", ["e164", "possible", "valid"])
def test_a_zero_after_the_calling_code_is_not_read_out_of_separators(level):
    written = ["+490123456", "+49 0123456", "+49.0123456", "+4. 30 123456", "+49 (0123456)"]
    as_it_stands = "" if level == "e164" else "rewritten"
    assert [rule for _, rule in judged(written, level)] == [as_it_stands, *["e164"] * 4]
