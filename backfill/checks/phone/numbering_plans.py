"""The world's numbering plans as regular expressions, compiled from libphonenumber's metadata.

libphonenumber judges one number at a time, in Python some 20 microseconds for each. Here its
metadata becomes a handful of patterns, each a union over all country calling codes (no code is
the beginning of another, so at most one branch applies), which Polars' linear-time engine
tries on a whole column. A number is `+`, calling code and national number, without separators.

"Main" is the region that stands for a calling code which several regions share, as the United
States do for +1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata
from phonenumbers.phonemetadata import PhoneNumberDesc

from backfill.core.errors import ConfigError

__all__ = ["Prefixes", "Region", "Transform", "Validity", "World", "is_region", "region", "world"]

_TYPES = (
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
_NOTHING = "[^\\s\\S]"  # matches no text
_LONGEST_NATIONAL = 14  # digits: of the 15 in all, one at least is the calling code's


@dataclass(frozen=True)
class Transform:
    """A national prefix that is not dropped but replaced, where its last group took part.

    What stands in its place afterwards is `before` and the digits of `kept_group`.
    """

    pattern: str
    last_group: int
    kept_group: int
    before: str


@dataclass(frozen=True)
class Prefixes:
    """What parsing does to a number with a national prefix, by calling code."""

    code: str  # the calling code, captured
    prefixed: str  # calling code and what parsing takes for a national prefix, captured
    viable: str  # digits that the country has at all
    long_enough: str  # a length at which parsing lets a number without its prefix stand
    transforms: tuple[Transform, ...]


@dataclass(frozen=True)
class Validity:
    """What a valid number matches both of."""

    typed: str  # some region has a type with these digits
    general: str  # some region has numbers with these digits at all


@dataclass(frozen=True)
class World:
    """Patterns over whole numbers, for the world."""

    possible: str  # a length that the main region of the calling code has
    validity: Validity
    prefixes: Prefixes  # of the main regions


@dataclass(frozen=True)
class Region:
    """What parsing needs to know of the region in which a number is dialled.

    Whole numbers are those of its calling code, which it may share with other regions.
    """

    code: int
    international: str  # what is dialled before a calling code, at the beginning of digits
    longest: int  # digits of a national number
    validity: Validity
    prefixes: Prefixes
    main_prefixes: Prefixes  # of the main region
    written: tuple[tuple[str, bool], ...]
    """Patterns of whole numbers, of which the first one counts that fits, and whether such a number
    is written with a national prefix at home, as 030 123456 is and 131 2345 6789 is not.
    """


@cache
def world() -> World:
    """The patterns of all calling codes. The first call reads the metadata of all regions."""
    regions = {
        code: tuple(_metadata(code, name) for name in names)
        for code, names in COUNTRY_CODE_TO_REGION_CODE.items()
    }
    main = {code: plans[0] for code, plans in regions.items()}
    return World(
        possible=_union({code: _lengths(_possible(plan)) for code, plan in main.items()}),
        validity=_validity(regions),
        prefixes=_prefixes(main),
    )


@cache
def region(name: str) -> Region:
    """What is dialled in one region, by its ISO 3166 code. Raises ConfigError for others."""
    code = phonenumbers.country_code_for_region(name)
    if not code:
        raise ConfigError(
            f"{name!r} is no region that has phone numbers",
            where="rules.phone_region",
            hint='Regions are written as ISO 3166 does, such as "IL" or "GB".',
        )
    plan = _metadata(code, name)
    plans = tuple(_metadata(code, each) for each in COUNTRY_CODE_TO_REGION_CODE[code])
    prefix = plan.international_prefix
    return Region(
        code=code,
        international=f"^(?:{_ascii(prefix)})" if prefix else _NOTHING,
        longest=max(_general(plan).possible_length),
        validity=_validity({code: plans}),
        prefixes=_prefixes({code: plan}),
        main_prefixes=_prefixes({code: plans[0]}),
        written=tuple(_written(code, plans[0])),
    )


def _written(code: int, plan: PhoneMetadata) -> Iterator[tuple[str, bool]]:
    """The formats of a calling code, which its main region alone has."""
    for each in plan.number_format:
        begin = each.leading_digits_pattern[-1] if each.leading_digits_pattern else ""
        rule = each.national_prefix_formatting_rule or ""
        prefix = plan.national_prefix
        prefixed = prefix is not None and prefix in rule.replace("\\1", "")
        optional = bool(each.national_prefix_optional_when_formatting)
        if begin:
            yield f"^[+]{code}(?:{_ascii(begin)})", prefixed and not optional
        else:
            yield f"^[+]{code}(?:{_ascii(each.pattern or '')})$", prefixed and not optional


def is_region(name: str) -> bool:
    """Whether libphonenumber knows numbers of a region, by its ISO 3166 code in capitals."""
    return name in phonenumbers.SUPPORTED_REGIONS


def _validity(regions: Mapping[int, Iterable[PhoneMetadata]]) -> Validity:
    return Validity(
        typed=_union(
            {
                code: "|".join(
                    _digits(desc)
                    for plan in plans
                    for desc in (getattr(plan, name) for name in _TYPES)
                    if desc is not None and desc.national_number_pattern
                )
                for code, plans in regions.items()
            }
        ),
        general=_union(
            {
                code: "|".join(_digits(_general(plan)) for plan in plans)
                for code, plans in regions.items()
            }
        ),
    )


def _prefixes(plans: Mapping[int, PhoneMetadata]) -> Prefixes:
    known = {
        code: plan.national_prefix_for_parsing
        for code, plan in plans.items()
        if plan.national_prefix_for_parsing
    }
    return Prefixes(
        code=f"^([+](?:{'|'.join(str(code) for code in plans)}))",
        prefixed=_union({code: _ascii(prefix) for code, prefix in known.items()}, whole=False)
        if known
        else _NOTHING,
        viable=_union({code: _digits(_general(plan)) for code, plan in plans.items()}),
        long_enough=_union({code: _lengths(_unstripped(plan)) for code, plan in plans.items()}),
        transforms=tuple(
            _transform(code, prefix, rule)
            for code, prefix in known.items()
            if (rule := plans[code].national_prefix_transform_rule)
        ),
    )


def _metadata(code: int, name: str) -> PhoneMetadata:
    found = PhoneMetadata.metadata_for_region_or_calling_code(code, name)
    if found is None:
        raise LookupError(f"libphonenumber has no metadata for +{code} {name}")
    return found


def _union(branches: Mapping[int, str], *, whole: bool = True) -> str:
    """One pattern from a pattern of national digits for each calling code.

    Codes with the same pattern share a branch, which keeps the automaton small. `whole` ends
    it at the end of the number; otherwise what was matched is captured.
    """
    shared: dict[str, list[int]] = {}
    for code, pattern in branches.items():
        shared.setdefault(pattern, []).append(code)
    text = "|".join(
        f"(?:{'|'.join(str(code) for code in codes)})(?:{pattern})"
        for pattern, codes in shared.items()
    )
    return f"^[+](?:{text})$" if whole else f"^([+](?:{text}))"


def _ascii(pattern: str, *, groups: bool = False) -> str:
    """A pattern of the metadata with ASCII digits, and with groups that capture nothing."""
    text = pattern.replace("\\d", "[0-9]")
    return text if groups else re.sub(r"\((?!\?)", "(?:", text)


def _digits(desc: PhoneNumberDesc) -> str:
    return f"(?:{_ascii(desc.national_number_pattern or '')})"


def _general(plan: PhoneMetadata) -> PhoneNumberDesc:
    if plan.general_desc is None:
        raise LookupError(f"libphonenumber has no general pattern for {plan.id}")
    return plan.general_desc


def _possible(plan: PhoneMetadata) -> set[int]:
    desc = _general(plan)
    return {*desc.possible_length, *desc.possible_length_local_only}


def _complete(plan: PhoneMetadata) -> set[int]:
    desc = _general(plan)
    return set(desc.possible_length) - set(desc.possible_length_local_only)


def _unstripped(plan: PhoneMetadata) -> set[int]:
    """Lengths that are possible with an area code, or longer than all that are."""
    return _complete(plan) | set(
        range(max(_general(plan).possible_length) + 1, _LONGEST_NATIONAL + 1)
    )


def _lengths(lengths: Iterable[int]) -> str:
    return "|".join(f"[0-9]{{{length}}}" for length in sorted(lengths))


def _transform(code: int, prefix: str, rule: str) -> Transform:
    parts = re.fullmatch(r"([0-9]*)\\([0-9])", rule)
    if parts is None:
        raise LookupError(f"libphonenumber's rule {rule!r} for +{code} is of an unknown form")
    return Transform(
        pattern=f"^[+]{code}(?:{_ascii(prefix, groups=True)})",
        last_group=re.compile(prefix).groups,
        kept_group=int(parts[2]),
        before=parts[1],
    )
