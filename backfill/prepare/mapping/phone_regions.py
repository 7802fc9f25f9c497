"""The country in which each row's phone is dialled, where `phone_region` names a column."""

from __future__ import annotations

import polars as pl

from backfill.checks.checked import trimmed
from backfill.checks.phone.numbering_plans import region
from backfill.checks.text import as_text
from backfill.config import Column, Config, Lookup, Sql
from backfill.core.errors import ConfigError
from backfill.destination import Kind
from backfill.prepare.mapping.columns import Columns
from backfill.prepare.mapping.inputs import Input

__all__ = ["region_of"]

_WHERE = "[rules] phone_region"


def region_of(phone: Input, config: Config, columns: Columns) -> pl.Expr | None:
    """ISO 3166 codes as the rows of the phone's side give them, null where the cell is empty.

    None for other fields, for constants, and where one region or none holds for all rows. Raises
    ConfigError where the phone's side has no such column, and for a code that no region has.
    """
    spec = config.rules.phone_region
    if phone.field.kind not in (Kind.PHONE, Kind.TARGET) or phone.side is None:
        return None
    if spec is None or isinstance(spec, str):
        return None
    side = spec.column.side if isinstance(spec, Lookup) else spec.side
    if side not in (None, phone.side):
        raise ConfigError(
            f"the country comes from the {side}, and {phone.name} from the {phone.side}",
            where=_WHERE,
            hint=f"Name a column of the {phone.side}.",
        )
    if isinstance(spec, Sql):
        raw, dtype = columns.expression(spec, _WHERE)
    else:
        name = spec.column.name if isinstance(spec, Lookup) else spec.name
        _, raw, dtype = columns.value(Column(name, phone.side), _WHERE)
    text = trimmed(as_text(raw, dtype, timezone=config.events.timezone).value)
    if isinstance(spec, Lookup):
        codes: dict[str, str] = {}
        for written, code in spec.values:
            region(str(code))  # one that has no phones is refused
            name = written.strip()
            if codes.setdefault(name, str(code)) != str(code):
                raise ConfigError(
                    f"{name!r} stands for {codes[name]} and for {code}",
                    where=f"{_WHERE} values",
                    hint="White space around a name does not count. Keep one of them.",
                )
        text = text.replace(list(codes), list(codes.values()))
    return text
