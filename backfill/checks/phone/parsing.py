"""Phone numbers as libphonenumber judges them, a column at a time.

The judgement is that of the `phonenumbers` library for the number as it stands, and tests hold
it against the library. A number is `+`, calling code and national number.
"""

from __future__ import annotations

import polars as pl

from backfill.checks.phone import numbering_plans

__all__ = ["is_possible", "is_rewritten", "is_valid", "parsed"]


def is_possible(number: pl.Expr) -> pl.Expr:
    """Whether the calling code exists and its main region has numbers of this length.

    Lengths of numbers without an area code count, as they do in `is_possible_number`.
    """
    return number.str.contains(numbering_plans.world().possible)


def is_valid(number: pl.Expr, validity: numbering_plans.Validity | None = None) -> pl.Expr:
    """Whether a region of the calling code has a type of number with these digits.

    The library first chooses one region, by leading digits, and asks that one alone. A test
    proves over the metadata's automata that this refuses no number which another one has.
    `validity` is that of certain calling codes, else of all.
    """
    patterns = validity or numbering_plans.world().validity
    return number.str.contains(patterns.typed) & number.str.contains(patterns.general)


def is_rewritten(number: pl.Expr) -> pl.Expr:
    """Whether `phonenumbers.parse` would take this for another number.

    It drops what looks like a national prefix or a carrier's code after the calling code
    (+44 0 20… becomes +44 20…), and in a few countries puts an area code in front, unless that
    makes a good number bad or leaves one that is too short.
    """

    def differs(numbers: pl.Series) -> pl.Series:
        if numbers.null_count() == numbers.len():  # no need to read the world's metadata
            return pl.repeat(value=False, n=numbers.len(), dtype=pl.Boolean, eager=True)
        return (parsed(numbers, numbering_plans.world().prefixes) != numbers).fill_null(value=False)

    return number.map_batches(differs, return_dtype=pl.Boolean, is_elementwise=True)


def parsed(numbers: pl.Series, prefixes: numbering_plans.Prefixes) -> pl.Series:
    """The numbers as parsing would have them; the few with a national prefix change at most."""
    suspects = numbers.str.contains(prefixes.prefixed).fill_null(value=False).arg_true()
    if suspects.is_empty():
        return numbers
    number, prefix, result = pl.col("number"), pl.col("prefix"), pl.col("result")
    instead = pl.coalesce(*(_in_place(rule, number) for rule in prefixes.transforms), pl.lit(""))
    worse = number.str.contains(prefixes.viable) & ~result.str.contains(prefixes.viable)
    parsed = (
        pl.DataFrame({"number": numbers.gather(suspects)})
        .with_columns(number.str.extract(prefixes.prefixed).alias("prefix"))
        .with_columns(
            (number.str.extract(prefixes.code) + instead + number.str.strip_prefix(prefix)).alias(
                "result"
            )
        )
        .select(
            pl.when(result.str.contains(prefixes.long_enough) & ~worse)
            .then(result)
            .otherwise(number)
        )
        .to_series()
    )
    return numbers.clone().scatter(suspects, parsed)


def _in_place(rule: numbering_plans.Transform, number: pl.Expr) -> pl.Expr:
    """What stands in the prefix's place, or null where this rule does not apply."""
    kept = number.str.extract(rule.pattern, rule.kept_group)
    if rule.kept_group != rule.last_group:
        took_part = number.str.extract(rule.pattern, rule.last_group).is_not_null()
        kept = pl.when(took_part).then(kept)
    return rule.before + kept if rule.before else kept
