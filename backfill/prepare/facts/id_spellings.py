"""One id written in two ways: what two files do to it, and SQL that undoes it.

A spreadsheet takes the zeros from `007`, a frame makes `7.0` of `7`, and a tool puts an apostrophe
before it, or writes `="007"`. Such ids meet no contact until one side is read in another way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from backfill.config import Config, Sql
from backfill.config.toml_strings import sql_text
from backfill.prepare.facts.uuid_spellings import UUID_FORMS

if TYPE_CHECKING:
    from backfill.prepare.mapping.binding import Binding
    from backfill.prepare.mapping.fields import FieldMapping
    from backfill.prepare.mapping.inputs import Key
    from backfill.sources.scan import Source

__all__ = [
    "FORMULA",
    "UNWRAPPED",
    "Respelling",
    "how_ids_would_meet",
    "note_of_two_spellings",
    "respelling",
    "sql_of",
]

FORMULA = '^="([^"]*)"$'
"""A text as a formula, `="007"`: so a spreadsheet, and who writes for one, keep its zeros."""

UNWRAPPED = "CASE WHEN {0} LIKE '=\"%\"' THEN SUBSTR({0}, 3, LENGTH({0}) - 3) ELSE {0} END"
"""SQL that takes what stands inside of such a formula, and leaves other texts as they are."""

_MOST = 100  # contacts' ids that are compared with some of the events'


@dataclass(frozen=True)
class Respelling:
    """How ids of the two sides become the same.

    `example` is an event's id and the contact's, `found` the number of ids that meet then. `events`
    and `contacts` are SQL with `{0}` for the column, None where that side stays as it is.
    """

    what: str
    example: tuple[str, str]
    found: int
    events: str | None
    contacts: str | None


@dataclass(frozen=True)
class _Spelling:
    """A difference, what an id is without it (null where it has none to lose), and that as SQL,
    which leaves ids of another kind as they are: two of them must not become one.

    `distinct` matches ids of which two that differ by this alone may be those of two people.
    """

    what: str
    core: Callable[[pl.Expr], pl.Expr]
    sql: str
    distinct: str | None = None


_ZEROS = "leading zeros"
_ENDS = "three characters at the end"
_PADDED = (  # LPAD alone would cut longer ids, and make zeros of what has no digits
    "CASE WHEN LENGTH({{0}}) < {width} AND REGEXP_LIKE({{0}}, '^0*[1-9][0-9]*$')"
    " THEN LPAD({{0}}, {width}, '0') ELSE {{0}} END"
)
_SPELLINGS = (
    _Spelling(
        _ZEROS,
        lambda text: pl.when(text.str.contains("^0*[1-9][0-9]*$")).then(
            text.str.strip_chars_start("0")
        ),
        "CASE WHEN REGEXP_LIKE({0}, '^0+[1-9][0-9]*$') THEN LTRIM({0}, '0') ELSE {0} END",
        distinct="",
    ),
    _Spelling(
        "a decimal point",
        lambda text: text.str.extract("^([0-9]+)(?:[.]0+)?$"),
        "CASE WHEN REGEXP_LIKE({0}, '^[0-9]+[.]0+$') THEN SPLIT_PART({0}, '.', 1) ELSE {0} END",
    ),
    _Spelling("an apostrophe", lambda text: text.str.strip_chars_start("'"), "LTRIM({}, '''')"),
    _Spelling('="…" around it', lambda text: text.str.replace(FORMULA, "$1"), UNWRAPPED),
    _Spelling(
        "upper and lower case",
        lambda text: text.str.to_lowercase(),
        "LOWER({})",
        distinct="^[^@]*$",  # all but email addresses
    ),
    _Spelling(
        _ENDS,  # of the ids of Salesforce, which a report cuts off
        lambda text: text.str.extract("^([A-Za-z0-9]{15})(?:[A-Z0-5]{3})?$"),
        "CASE WHEN REGEXP_LIKE({0}, '^[A-Za-z0-9]{{15}}[A-Z0-5]{{3}}$') THEN LEFT({0}, 15)"
        " ELSE {0} END",
    ),
    *(_Spelling(f"UUIDs {each.what}", each.plain, each.sql) for each in UUID_FORMS),
)


def respelling(
    events: pl.Series,
    contacts: pl.Series,
    *,
    meeting: pl.Series | None = None,
    widths: tuple[int, int] | None = None,
) -> Respelling | None:
    """What makes ids of the events meet those of the contacts, which no one of them does now.

    Both are distinct texts. `meeting` are ids of the events that meet one already and have to go
    on doing so, None where they are not known. `widths` are the fewest and the most characters of
    the contacts' ids, where `contacts` are some of them. None where nothing helps, where an id
    would meet two, or where two contacts would become one.
    """
    if events.is_empty():
        return None
    found = (_respelled(each, events, contacts, meeting, widths) for each in _SPELLINGS)
    return max(filter(None, found), key=lambda each: each.found, default=None)


def _respelled(
    spelling: _Spelling,
    events: pl.Series,
    contacts: pl.Series,
    meeting: pl.Series | None,
    widths: tuple[int, int] | None,
) -> Respelling | None:
    ours = events.to_frame("event").select("event", core=spelling.core(pl.col("event")))
    theirs = contacts.to_frame("contact").select("contact", core=spelling.core(pl.col("contact")))
    met = ours.drop_nulls().join(theirs.drop_nulls(), on="core")
    if met.is_empty() or met["event"].n_unique() < met.height:
        return None
    first = met.sort("event").row(0, named=True)
    changed = {side: bool((met[side] != met["core"]).any()) for side in ("event", "contact")}
    sql = {side: spelling.sql if changed[side] else None for side in changed}
    least, most = widths or _widths(contacts)
    if spelling.what == _ZEROS and sql["event"] is None and least == most:
        sql = {"event": _PADDED.format(width=most), "contact": None}  # puts back what was lost
    elif _changes(spelling, meeting):  # these would meet no more if one side alone were changed
        sql = dict.fromkeys(sql, spelling.sql)
    if sql["contact"] is not None and _makes_one_of_two(spelling, contacts.to_frame("id").lazy()):
        return None
    return Respelling(
        spelling.what,
        (first["event"], first["contact"]),
        met.height,
        sql["event"],
        sql["contact"],
    )


def _changes(spelling: _Spelling, ids: pl.Series | None) -> bool:
    """Whether ids are others without the difference; they may be where they are not known."""
    if ids is None:
        return True
    core = ids.to_frame("id").select(spelling.core(pl.col("id"))).to_series()
    return bool((core != ids).any())


def _makes_one_of_two(spelling: _Spelling, ids: pl.LazyFrame) -> bool:
    """Whether two people may have `id`s that are one without the difference."""
    if spelling.distinct is None:
        return False
    doubtful = ids.filter(pl.col("id").str.contains(spelling.distinct)).unique()
    cores = doubtful.select(core=spelling.core(pl.col("id"))).drop_nulls()
    twice = cores.group_by("core").len().filter(pl.col("len") > 1)
    return bool(twice.head(1).collect(engine="streaming").height)


def note_of_two_spellings(name: str, ids: pl.Series) -> str | None:
    """A note where one column writes ids in two ways, each of which becomes a contact.

    The ends that Salesforce adds may say that two ids are two, unless one of them has none.
    """
    known = ids.drop_nulls().unique().to_frame("id")
    for each in _SPELLINGS:
        found = (
            known.select("id", core=each.core(pl.col("id")))
            .drop_nulls()
            .filter(pl.col("core") != "")
            .group_by("core")
            .agg(pl.col("id").sort())
            .filter(pl.col("id").list.len() > 1)
            .filter((pl.col("core") == pl.col("id").list.first()) | (each.what != _ENDS))
            .sort("core")
        )
        if found.height:
            first, second, *_ = found["id"][0]
            ids_stand = "1 id stands" if found.height == 1 else f"{found.height:,} ids stand"
            return (
                f"{ids_stand} in {name} in two spellings that differ by {each.what}, such as"
                f" {first!r} and {second!r}: each becomes a contact of its own. SQL makes them one,"
                f" such as {each.sql.format('…')}"
            )
    return None


def _widths(texts: pl.Series) -> tuple[int, int]:
    lengths = texts.str.len_chars()
    return int(lengths.min() or 0), int(lengths.max() or 0)  # type: ignore[arg-type]


def how_ids_would_meet(
    names: Sequence[str | None],
    config: Config,
    binding: Binding,
    mapping: FieldMapping,
    contacts: Source | None,
) -> str | None:
    """What to change where `names`, ids of events that met no contact, differ from some contact's
    by their spelling alone. None where that is not so.
    """
    known = pl.Series("event", [each for each in names if each], dtype=pl.String).unique()
    if contacts is None or config.contacts is None or mapping.join is None or known.is_empty():
        return None
    keys = contacts.scan().select(mapping.join.contacts.alias("id")).drop_nulls()
    cores = [(each, pl.select(each.core(pl.lit(known))).to_series()) for each in _SPELLINGS]
    alike = [each.core(pl.col("id")).is_in(core.drop_nulls().implode()) for each, core in cores]
    some = keys.filter(pl.any_horizontal(alike)).unique().head(_MOST)
    length = pl.col("id").str.len_chars()
    widths = keys.select(least=length.min(), most=length.max())
    near, extent = pl.collect_all([some, widths], engine="streaming")
    if near.is_empty():
        return None
    found = respelling(known, near["id"], widths=extent.row(0))
    if found is None:
        return None
    spelling = next(each for each in _SPELLINGS if each.what == found.what)
    if found.contacts is not None and _makes_one_of_two(spelling, keys):
        return None
    return _in_words(found, config, binding)


def _in_words(found: Respelling, config: Config, binding: Binding) -> str:
    changes = []
    contact_key, key = binding.contact_key, binding.contacts_key
    if found.events and contact_key is not None:
        sql = found.events.format(_column(config.events.contact_key, contact_key))
        changes.append(f"contact_key = {{ sql = {sql_text(sql)} }} under [events]")
    if found.contacts and key is not None and config.contacts is not None:
        sql = found.contacts.format(_column(config.contacts.key, key))
        changes.append(f"key = {{ sql = {sql_text(sql)} }} under [contacts]")
    own, other = found.example
    return (
        f"ids of the two files differ by {found.what}: {own!r} of the events is {other!r} among the"
        f" contacts. They meet with {' and '.join(changes)}; a contact.id that comes from the same"
        " column needs the same SQL"
    )


def _column(spec: str | Sql | None, key: Key) -> str:
    if isinstance(spec, Sql):
        return f"({spec.text})"
    return sql_of(str(spec), key.dtype)


def sql_of(name: str, dtype: pl.DataType) -> str:
    """A column as text, in SQL."""
    column = '"' + name.replace('"', '""') + '"'
    return column if dtype == pl.String else f"CAST({column} AS VARCHAR)"
