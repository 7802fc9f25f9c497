"""One email address or phone under several contacts: the sign of an id that is no contact's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import groupby
from pathlib import Path

import polars as pl

from backfill.destination import Kind
from backfill.prepare.mapping.inputs import Input

__all__ = ["note_of_shared_addresses"]

_LOOKED_AT = 100_000  # records
_MANY = 0.1  # the share of addresses that families and offices hardly reach


def note_of_shared_addresses(
    ready: Sequence[Path], inputs: Sequence[Input], ordering_field: str, *, by_contact: bool
) -> str | None:
    """A note where many addresses of ready records stand under several ids. Looks at the first
    records of each bucket; at one for each id where it is `by_contact`, that is, by its id alone,
    that a record finds its contact. None for destinations whose contacts have no id of their own.
    """
    ids = next((each for each in inputs if each.name == ordering_field), None)
    address = [each for each in inputs if each.side and each.field.kind in (Kind.EMAIL, Kind.PHONE)]
    if ids is None or ids.field.kind is not Kind.UUID or not address or not ready:
        return None
    most = max(1, _LOOKED_AT // len(ready))
    bodies = pl.concat(
        pl.scan_parquet(each, glob=False).select("key", "body").head(most) for each in ready
    )
    if by_contact and all(each.side == "contacts" for each in address):
        bodies = bodies.unique("key")
    # Read once for all addresses, and of each body no more than these.
    objects = pl.col("body").str.json_decode(_objects([each.path for each in address]))
    rows = bodies.select("key", objects).collect(engine="streaming")
    for each in address:
        value = reduce(lambda outer, name: outer.struct.field(name), each.path, pl.col("body"))
        counts = (
            rows.select("key", address=value)
            .drop_nulls()
            .group_by("address")
            .agg(ids=pl.col("key").n_unique())
        )
        several = counts.filter(pl.col("ids") > 1)
        if several.height > max(1, _MANY * counts.height):
            most_ids = several.sort("ids", "address", descending=[True, False]).row(0)
            return (
                f"{several.height:,} of {counts.height:,} values of {each.name} stand under several"
                f" ids of contacts; {most_ids[0]!r} under {most_ids[1]:,}. Is {ids.name} the id of"
                " an order, a ticket or a session? Each id becomes a contact"
            )
    return None


def _objects(paths: Sequence[tuple[str, ...]]) -> pl.Struct:
    """The type of objects that hold a text at the end of each path, and nothing else."""
    fields: dict[str, pl.DataType] = {}
    for name, inside in groupby(sorted(paths), lambda path: path[0]):
        rests = [path[1:] for path in inside]
        fields[name] = _objects(rests) if all(rests) else pl.String()
    return pl.Struct(fields)
