"""What is dialled inside a country, as E.164.

Source: the configuration's `phone_region`; without it a number without `+` is refused.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from backfill.checks.phone import numbering_plans
from backfill.checks.phone.parsing import is_valid, parsed
from backfill.checks.phone.shapes import digits_of, is_national

__all__ = ["from_national", "lost_its_prefix"]


def from_national(text: pl.Expr, region: pl.Expr) -> pl.Expr:
    """What is dialled in a region, as E.164: "055-500 0123" in IL becomes +972555000123.

    `region` holds ISO 3166 codes. The result is what `parse(text, region)` gives where the library
    calls that valid, formatted as E.164, and where its national number is the end of the digits
    that came in: what is left out before it is a trunk prefix, a carrier's code, an international
    prefix or the calling code. Null everywhere else, so also where the library puts digits in
    (an area code that was left out, the 9 of Argentina's mobiles) and where the region is none.
    """
    digits = pl.when(is_national(text)).then(digits_of(text))
    return pl.struct(digits.alias("digits"), region.alias("region")).map_batches(
        _read, return_dtype=pl.String, is_elementwise=True
    )


def lost_its_prefix(text: pl.Expr, number: pl.Expr, region: pl.Expr) -> pl.Expr:
    """Whether what was read as `number` in a region may have lost a `+` as well as its 0.

    447700900123 in DE is +49447700900123 to the library; with a plus in front it is valid in
    Britain. Where a country writes its national prefix with such numbers, and it is not there,
    nobody can say which of the two was lost. Where numbers are written without one, as mobiles in
    CN are, nothing is missing.
    """
    digits = pl.when(number.is_not_null()).then(digits_of(text))
    return pl.struct(
        digits.alias("digits"), number.alias("number"), region.alias("region")
    ).map_batches(_doubtful, return_dtype=pl.Boolean, is_elementwise=True)


def _doubtful(rows: pl.Series) -> pl.Series:
    frame = rows.struct.unnest()
    found = pl.repeat(value=False, n=frame.height, dtype=pl.Boolean, eager=True)
    for name, at in _by_region(frame):
        plan = numbering_plans.region(name)
        part = frame[at]
        whole = part.select(pl.format("+{}{}", pl.lit(plan.code), "digits")).to_series()
        bare = (part["number"] == whole).arg_true()
        if bare.is_empty():
            continue
        number, digits = part["number"].gather(bare), part["digits"].gather(bare)
        prefixed = pl.lit(value=False)
        for pattern, written_so in reversed(plan.written):
            fits = pl.col("number").str.contains(pattern)
            prefixed = pl.when(fits).then(pl.lit(written_so)).otherwise(prefixed)
        abroad = is_valid("+" + pl.col("digits"))
        doubtful = pl.DataFrame({"number": number, "digits": digits}).select(prefixed & abroad)
        found = found.scatter(at.gather(bare), doubtful.to_series())
    return found


def _by_region(frame: pl.DataFrame) -> Iterator[tuple[str, pl.Series]]:
    """Each region of rows with digits, and where its rows are; there are some 250 at most."""
    dialled = frame["digits"].is_not_null() & frame["region"].is_not_null()
    for name in frame["region"].filter(dialled).unique():
        if numbering_plans.is_region(name):
            yield name, (dialled & (frame["region"] == name)).arg_true()


def _read(rows: pl.Series) -> pl.Series:
    frame = rows.struct.unnest()
    found = pl.repeat(None, frame.height, dtype=pl.String, eager=True)
    for name, at in _by_region(frame):
        found = found.scatter(at, _in_region(frame["digits"].gather(at), name))
    return found


def _in_region(digits: pl.Series, name: str) -> pl.Series:
    """Digits dialled in one region as E.164, as the library's parsing decides."""
    plan = numbering_plans.region(name)
    after = digits.str.replace(plan.international, "")
    abroad = (after != digits) & ~after.str.starts_with("0")
    here = _checked(_at_home(digits.set(abroad, None), plan), digits, plan)
    if not abroad.any():
        return here
    world = numbering_plans.world()
    elsewhere = parsed("+" + after.set(~abroad, None), world.prefixes)
    return here.zip_with(~abroad, _checked(elsewhere, digits, world))


def _at_home(digits: pl.Series, plan: numbering_plans.Region) -> pl.Series:
    """Digits without an international prefix, with or without the region's own calling code.

    What begins with the calling code is taken for it where only then it is a number that the
    region has, or where it is too long for one.
    """
    code = f"+{plan.code}"
    whole = code + digits
    coded = digits.str.starts_with(str(plan.code))
    if coded.any():
        short = parsed("+" + digits.set(~coded, None), plan.prefixes)
        viable = plan.prefixes.viable
        better = ~whole.str.contains(viable) & short.str.contains(viable)
        longer = digits.str.len_bytes() > plan.longest
        better = (coded & (better | longer)).fill_null(value=False)
        without = parsed(short.set(~better, None), plan.main_prefixes)
        return parsed(whole.set(better, None), plan.prefixes).zip_with(~better, without)
    return parsed(whole, plan.prefixes)


def _checked(
    numbers: pl.Series, digits: pl.Series, plan: numbering_plans.Region | numbering_plans.World
) -> pl.Series:
    """The numbers that are valid, and that say what was dialled."""
    number, dialled = pl.col("number"), pl.col("digits")
    national = number.str.replace(plan.prefixes.code, "")
    said = is_valid(number, plan.validity) & dialled.str.ends_with(national)
    frame = pl.DataFrame({"number": numbers, "digits": digits})
    return frame.select(pl.when(said).then(number)).to_series()
