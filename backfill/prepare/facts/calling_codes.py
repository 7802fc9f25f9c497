"""Phones whose calling code stands in a column of its own, as forms and CRMs keep them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import polars as pl

from backfill.checks.phone.parsing import is_possible, is_valid
from backfill.config.toml_strings import sql_text
from backfill.destination import Kind
from backfill.prepare.facts.id_spellings import sql_of
from backfill.prepare.mapping.binding import Binding
from backfill.sources.scan import Source

__all__ = ["calling_code_beside", "notes_of_calling_codes"]

_LOOKED_AT = 2_000  # rows
_CODE = r"^(?:[+]|00)?[1-9][0-9]{0,2}$"
_NATIONAL = r"^[0-9(][0-9() ./-]{4,16}[0-9]$"
_NAMED = re.compile(
    r"(?i)(country|calling|call|dial|dialing|dialling|phone|mobile|intl|international|area)"
    r"[ _-]?(code|prefix)|(^|[ _.-])(isd|idd|cc|prefix|ddi|indicatif|vorwahl|prefijo)($|[ _.-])"
)
_MOST = 0.9  # the share of phones that are national, and of codes that are codes
_POSSIBLE, _VALID = 0.8, 0.3  # shares of the numbers that both give, as of those without a plus


def calling_code_beside(rows: pl.DataFrame, phone: str) -> tuple[str, str] | None:
    """The column that holds the calling codes of the phones in the column `phone`, and SQL that
    gives both as one number. None where the phones have one, and where no column gives them one.
    """
    numbers = _texts(rows[phone])
    if numbers is None or not _all(numbers, _NATIONAL):
        return None
    for code in rows.get_columns():
        codes = _texts(code) if code.name != phone and _NAMED.search(code.name) else None
        if codes is None or not _all(codes, _CODE):
            continue
        for sql in _sqls(code, rows[phone]):
            whole = rows.select(pl.sql_expr(sql).alias("number")).drop_nulls()
            number = pl.col("number").str.replace_all(r"[^0-9+]", "")
            possible, valid = whole.select(
                is_possible(number).mean(), v=is_valid(number).mean()
            ).row(0)
            if (possible or 0) >= _POSSIBLE and (valid or 0) >= _VALID:
                return code.name, sql
    return None


def notes_of_calling_codes(
    binding: Binding, events: Source, contacts: Source | None
) -> Iterator[str]:
    """A note for each mapped column of phones whose calling codes stand in another column."""
    for each in binding.inputs:
        source = contacts if each.side == "contacts" else events
        if each.field.kind not in (Kind.PHONE, Kind.TARGET) or source is None:
            continue
        phone = each.raw.meta.output_name() if each.raw.meta.is_column() else None
        if phone not in source.columns:
            continue
        names = [name for name in source.columns if name == phone or _NAMED.search(name)]
        rows = source.scan().filter(pl.col("__raw").is_null()).select(names).head(_LOOKED_AT)
        found = calling_code_beside(rows.collect(), phone) if len(names) > 1 else None
        if found is not None:
            code, sql = found
            side = ', from = "contacts"' if each.side == "contacts" else ""
            yield (
                f"the phones in {phone!r} have no calling code, and {code!r} holds some: does it"
                f' hold theirs? Then write "{each.name}" = {{ sql = {sql_text(sql)}{side} }}'
            )


def _texts(column: pl.Series) -> pl.Series | None:
    """The values as text, of whole numbers, too; None for a column of something else."""
    if column.dtype.is_float():
        column = column.cast(pl.Int64, strict=False)
    if not (column.dtype == pl.String or column.dtype.is_integer()):
        return None
    texts = column.drop_nulls().cast(pl.String).str.strip_chars()
    return texts.filter(texts != "")


def _all(texts: pl.Series, pattern: str) -> bool:
    matching = int(texts.str.contains(pattern).sum())
    return matching > 0 and matching >= _MOST * len(texts)


def _sqls(code: pl.Series, phone: pl.Series) -> Iterator[str]:
    """SQL that puts them together: with the phone as it stands, and without its leading zero,
    which is dialled inside a country only, and in Italy belongs to the number."""
    first, rest = _sql(code), _sql(phone)
    if code.dtype == pl.String:
        first = f"LTRIM({first}, '+0')"
    yield f"'+' || {first} || {rest}"
    if phone.dtype == pl.String:
        yield f"'+' || {first} || LTRIM({rest}, '0')"


def _sql(column: pl.Series) -> str:
    name = sql_of(column.name, pl.String())
    if column.dtype == pl.String:
        return f"TRIM({name})"
    return f"TRY_CAST({name} AS BIGINT)" if column.dtype.is_float() else name
