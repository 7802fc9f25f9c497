"""How fast and in how much memory sources become ready buckets.

    python -m benchmarks.prepare --events 10_000_000 --contacts 1_000_000

Generates invented data, prepares it from Parquet, CSV and NDJSON, packed and not, lets DuckDB do
the same work in SQL (join, validate, drop duplicates, encode, Parquet out), each in a process of
its own, and prints times, peak memory and ratios as Markdown. Ratios carry over to other machines.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median

POPULATION = "5b0c7d1e-9a34-4c58-8f21-6d3e0a9b7c42"
NOW = datetime(2026, 1, 1, tzinfo=UTC)

CONFIG = {
    "destination": "pristo-events",
    "population": POPULATION,
    "fields": {
        "contact.id": "events.user_id",
        "contact.email": "contacts.email",
        "contact.phone": "contacts.phone",
        "contact.language": "contacts.language",
        "contact.name": "contacts.name",
        "contact.customFields.plan": "contacts.plan",
        "type": "event",
        "customFields.channel": "channel",
        "customFields.amount": "amount",
        "customFields.transactionId": "transaction",
    },
}

_JOINED = r"""
  SELECT lower(trim(e.user_id)) AS id, e.*, c.email, c.phone, c.language, c.name, c.plan
  FROM read_parquet('{events}', file_row_number = true) e LEFT JOIN (
    SELECT * FROM read_parquet('{contacts}', file_row_number = true)
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY file_row_number DESC) = 1
  ) c ON trim(e.user_id) = trim(c.id)
"""

_REASONS = r"""concat_ws(';',
  CASE WHEN id IS NULL THEN 'contact.id|required'
       WHEN NOT regexp_full_match(id, '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')
       THEN 'contact.id|uuid' END,
  CASE WHEN NOT regexp_full_match(phone, '\+[1-9][0-9]{1,14}') THEN 'contact.phone|e164' END,
  CASE WHEN NOT regexp_full_match(email, '[^@\s]+@[^@\s]+\.[^@\s]+')
       THEN 'contact.email|email' END,
  CASE WHEN phone IS NULL AND email IS NULL THEN 'contact|reachable' END,
  CASE WHEN NOT regexp_full_match(language, '[a-z]{2}') THEN 'contact.language|language' END,
  CASE WHEN event IS NULL THEN 'type|required' END,
  CASE WHEN "at" IS NULL THEN 'occurredAt|required'
       WHEN "at" > TIMESTAMPTZ '2026-01-01T00:00:00Z' THEN 'occurredAt|future' END,
  CASE WHEN length(plan) > 50 THEN 'contact.customFields.plan|max_length' END,
  CASE WHEN length(channel) > 50 THEN 'customFields.channel|max_length' END,
  CASE WHEN length(transaction) > 50 THEN 'customFields.transactionId|max_length' END)"""

_IDENTITY = """id, email, phone, language, name, plan, event, "at", channel, amount, transaction"""

_BODY = r"""'{' || concat_ws(',',
  '"contact":{' || concat_ws(',',
      '"id":' || to_json(id)::VARCHAR,
      '"email":' || to_json(email)::VARCHAR,
      '"phone":' || to_json(phone)::VARCHAR,
      '"language":' || to_json(language)::VARCHAR,
      '"name":' || to_json(name)::VARCHAR,
      '"customFields":{"plan":' || to_json(plan)::VARCHAR || '}') || '}',
  '"type":' || to_json(event)::VARCHAR,
  '"occurredAt":"' || strftime("at" AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%gZ') || '"',
  '"customFields":{' || concat_ws(',',
      '"channel":' || to_json(channel)::VARCHAR,
      '"amount":' || to_json(amount::VARCHAR)::VARCHAR,
      '"transactionId":' || to_json(transaction)::VARCHAR) || '}') || '}'"""

_OWN = 'user_id, event, "at", channel, amount, transaction'

_PARQUET = "(FORMAT parquet, COMPRESSION lz4)"

# Only what must be done: bodies of good records, in any order; what was left out is not told.
BARE = [
    """COPY (SELECT id AS key, "at" AS time, {body} AS body, {own} FROM (
      SELECT DISTINCT ON ({identity}) * FROM ({joined}) WHERE {reasons} = ''
    )) TO '{target}/ready.parquet' {parquet}"""
]

# What `prepare` leaves behind: rejected rows with every reason, duplicates with the row that is
# kept, a stable key for each record, ready records in lanes and the order of delivery.
WHOLE = [
    "CREATE TEMP TABLE judged AS SELECT *, {reasons} AS reason FROM ({joined})",
    """COPY (SELECT file_row_number, reason, {own} FROM judged WHERE reason <> '')
    TO '{target}/rejected.parquet' {parquet}""",
    """CREATE TEMP TABLE kept AS SELECT *, first_value(file_row_number) OVER same AS kept
    FROM judged WHERE reason = ''
    WINDOW same AS (PARTITION BY {identity} ORDER BY file_row_number)""",
    """COPY (SELECT file_row_number, kept, {own} FROM kept WHERE kept <> file_row_number)
    TO '{target}/duplicates.parquet' {parquet}""",
    """COPY (SELECT hash(id) % 6000 AS lane, file_row_number AS row, "at" AS time, id AS key,
      md5(concat_ws('|', {identity})) AS record, {body} AS body, {own}
      FROM kept WHERE kept = file_row_number ORDER BY lane, time, row)
    TO '{target}/ready.parquet' {parquet}""",
]


# --- data ----------------------------------------------------------------------------------


def generate(directory: Path, events: int, contacts: int, *, one_key: bool = False) -> None:
    """Write events and contacts as Parquet; about 1% of the rows break a rule.

    With `one_key` all events are those of one contact.
    """
    import polars as pl  # noqa: PLC0415 - each measured process imports only what it measures
    import polars_hash as plh  # noqa: PLC0415

    def uuid_of(number: pl.Expr) -> pl.Expr:
        return plh.UUIDHashNameSpace(number.cast(pl.String)).uuid5(POPULATION)

    def chosen(number: pl.Expr, seed: int, words: list[str | None]) -> pl.Expr:
        table = pl.Series(words, dtype=pl.String)
        return pl.lit(table).gather((number.hash(seed) % len(words)).cast(pl.UInt32))

    row = pl.col("n")
    people = pl.DataFrame({"n": pl.int_range(contacts, eager=True)}).select(
        id=uuid_of(row),
        email=pl.when(row.hash(1) % 10 > 0).then(
            pl.concat_str(pl.lit("customer"), row, pl.lit("@example.com"))
        ),
        phone=pl.when(row.hash(2) % 200 > 0)
        .then(pl.concat_str(pl.lit("+1202555"), (row % 10_000).cast(pl.String).str.zfill(4)))
        .otherwise(pl.lit("none")),
        language=chosen(row, 3, ["en", "he", "de", None]),
        name=chosen(row, 4, ["Mia", "Noa", "Zoë", "José", 'Ann "A." Lee', "דנה", None]),
        plan=chosen(row, 5, ["free", "gold", "platinum"]),
    )
    people.write_parquet(directory / "contacts.parquet")
    # A share of 1 in 200 stands twice, far apart, so that no neighbour gives it away.
    index = pl.col("index").cast(pl.Int64)
    one = pl.when(index % 200 == 199).then(index // 2).otherwise(index).alias("n")
    rows = pl.LazyFrame({"index": pl.int_range(events, eager=True)}).select(one)
    moment = row.hash(6) % (2 * 365 * 86_400_000)
    lines = rows.select(
        user_id=uuid_of(pl.lit(0) if one_key else row.hash(7) % contacts),
        event=pl.when(row.hash(8) % 500 > 0).then(
            chosen(row, 8, ["purchase", "signup", "login", "cart_abandoned", "refund"])
        ),
        at=(pl.lit(1_650_000_000_000) + moment).cast(pl.Int64).cast(pl.Datetime("ms", "UTC")),
        channel=chosen(row, 9, ["web", "app", "store", "e-mail", None]),
        amount=(row.hash(10) % 100_000).cast(pl.Float64) / 100,
        transaction=pl.concat_str(pl.lit("T-"), row),
    )
    lines.sink_parquet(directory / "events.parquet")


def write_as(ending: str, directory: Path) -> None:
    """Write the same events and contacts as text, where they are not there yet."""
    import polars as pl  # noqa: PLC0415
    import polars.selectors as cs  # noqa: PLC0415

    for name in ("contacts", "events"):
        target = directory / f"{name}.{ending}"
        if target.exists():
            continue
        if ending.endswith(".gz"):
            write_as(ending.removesuffix(".gz"), directory)
            with target.with_suffix("").open("rb") as plain, gzip.open(target, "wb", 6) as packed:
                shutil.copyfileobj(plain, packed, 1 << 20)
            continue
        rows = pl.scan_parquet(directory / f"{name}.parquet")
        form = "%Y-%m-%dT%H:%M:%S%.3fZ"
        if ending == "csv":
            rows.sink_csv(target, datetime_format=form)
        else:
            rows.with_columns(cs.datetime().dt.to_string(form)).sink_ndjson(target)


# --- what is measured, each in a process of its own -----------------------------------------


def backfill(directory: Path, ending: str) -> None:
    """Prepare a whole job: content hashes, every rule, ready buckets in the order of delivery."""
    from backfill.config import config_from_mapping  # noqa: PLC0415
    from backfill.destinations import destination  # noqa: PLC0415
    from backfill.prepare.pipeline import prepare  # noqa: PLC0415

    config = config_from_mapping(
        {
            **CONFIG,
            "events": {"files": f"events.{ending}", "contact_key": "user_id", "time": "at"},
            "contacts": {"files": f"contacts.{ending}", "key": "id"},
        },
        directory=directory,
    )
    into = directory / "job"
    into.mkdir()
    started = time.perf_counter()
    phases: dict[str, float] = {}

    def note(phase: str, done: int, total: int | None) -> None:
        del done, total
        phases[phase] = time.perf_counter() - started

    manifest = prepare(config, destination(config.destination), into, now=NOW, progress=note)
    _tell(started, manifest.ready, {name: round(at, 1) for name, at in phases.items()})


def duckdb(directory: Path, statements: list[str]) -> None:
    """The same in SQL, with a limit of 4 GB."""
    import duckdb as duck  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415

    target = directory / "job"
    target.mkdir()
    started = time.perf_counter()
    connection = duck.connect(config={"memory_limit": "4GB", "threads": os.cpu_count() or 2})
    connection.execute(f"SET temp_directory = '{directory / 'spill'}'")
    connection.execute("SET preserve_insertion_order = false")
    for statement in statements:
        connection.execute(_filled(statement, directory, target))
    count = connection.execute(
        f"SELECT count(*) FROM read_parquet('{target / 'ready.parquet'}')"  # noqa: S608 - our file
    ).fetchone()
    _tell(started, count[0] if count else 0, {})


def _filled(statement: str, directory: Path, target: Path) -> str:
    for name, text in (
        ("{joined}", _JOINED),
        ("{reasons}", _REASONS),
        ("{identity}", _IDENTITY),
        ("{body}", _BODY),
        ("{own}", _OWN),
        ("{parquet}", _PARQUET),
        ("{events}", str(directory / "events.parquet")),
        ("{contacts}", str(directory / "contacts.parquet")),
        ("{target}", str(target)),
    ):
        statement = statement.replace(name, text)
    return statement


TEXTS = {
    "backfill, CSV": "csv",
    "backfill, CSV in gzip": "csv.gz",
    "backfill, NDJSON": "ndjson",
    "backfill, NDJSON in gzip": "ndjson.gz",
}

MEASURED: dict[str, Callable[[Path], None]] = {
    "backfill, Parquet": lambda directory: backfill(directory, "parquet"),
    **{
        name: partial(lambda ending, directory: backfill(directory, ending), ending)
        for name, ending in TEXTS.items()
    },
    "DuckDB, bodies alone": lambda directory: duckdb(directory, BARE),
    "DuckDB, the same outputs": lambda directory: duckdb(directory, WHOLE),
}


RATIOS: list[tuple[str, str, float | None]] = [
    ("backfill, Parquet", "DuckDB, the same outputs", 0.5),
    ("backfill, Parquet", "DuckDB, bodies alone", None),
    ("backfill, CSV", "backfill, Parquet", 1.3),
    *((name, "backfill, Parquet", None) for name in list(TEXTS)[1:]),
]


def _tell(started: float, ready: int, phases: dict[str, float]) -> None:
    seconds = time.perf_counter() - started
    found = {
        "seconds": seconds,
        "cpu": time.process_time(),
        "peak": _peak(),
        "ready": ready,
        "phases": phases,
    }
    print(json.dumps(found))


def _peak() -> int:
    """The most memory that this process held, in bytes."""
    # Not getrusage: its figure includes what the parent held when it started this process.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


# --- the table -----------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--contacts", type=int, default=200_000)
    parser.add_argument("--one-key", action="store_true", help="all events are of one contact")
    parser.add_argument("--rounds", type=int, default=3, help="in turns; their median counts")
    parser.add_argument("--only", nargs="*", choices=list(MEASURED), default=list(MEASURED))
    parser.add_argument("--directory", type=Path, help="where the data lies, or is put for later")
    parser.add_argument("--measure", choices=list(MEASURED), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        MEASURED[arguments.measure](arguments.directory)
        return
    with tempfile.TemporaryDirectory() as temporary:
        directory = (arguments.directory or Path(temporary)).absolute()
        directory.mkdir(parents=True, exist_ok=True)
        if not (directory / "events.parquet").exists():
            generate(directory, arguments.events, arguments.contacts, one_key=arguments.one_key)
        for name, ending in TEXTS.items():
            if name in arguments.only:
                write_as(ending, directory)
        # In turns, so that what else the machine does falls on all alike.
        rounds = [
            {name: _measured(name, directory) for name in arguments.only}
            for _ in range(arguments.rounds)
        ]
        _print({name: _median([each[name] for each in rounds]) for name in rounds[0]}, directory)


def _measured(name: str, directory: Path) -> dict[str, float]:
    for left in ("job", "spill"):
        shutil.rmtree(directory / left, ignore_errors=True)
    command = [sys.executable, "-m", "benchmarks.prepare", "--measure", name]
    done = subprocess.run(
        [*command, "--directory", str(directory)], check=True, stdout=subprocess.PIPE, text=True
    )
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(f"{name}: {result}", file=sys.stderr)
    for left in ("job", "spill"):
        shutil.rmtree(directory / left, ignore_errors=True)
    return result


def _median(results: list[dict[str, float]]) -> dict[str, float]:
    return {
        kind: median(each[kind] for each in results) for kind in ("seconds", "cpu", "peak", "ready")
    }


def _rows(path: Path) -> int:
    import polars as pl  # noqa: PLC0415 - each measured process imports only what it measures

    count: int = pl.scan_parquet(path).select(pl.len()).collect().item()
    return count


def _print(results: dict[str, dict[str, float]], directory: Path) -> None:
    events, contacts = (_rows(directory / f"{name}.parquet") for name in ("events", "contacts"))
    print(f"{events:,} events, {contacts:,} contacts, {os.cpu_count()} cores\n")
    print("| way | seconds | CPU seconds | peak memory | ready |")
    print("|---|---:|---:|---:|---:|")
    for name, each in results.items():
        used = f"{each['seconds']:.1f} | {each['cpu']:.1f} | {each['peak'] / 1e9:.2f} GB"
        print(f"| {name} | {used} | {each['ready']:,.0f} |")
    print("\n| ratio | of the seconds | of the CPU seconds | wanted |")
    print("|---|---:|---:|---:|")
    for one, other, wanted in RATIOS:
        if one in results and other in results:
            found = [results[one][kind] / results[other][kind] for kind in ("seconds", "cpu")]
            said = "" if wanted is None else f"at most {wanted}{_short(found[0], wanted)}"
            print(f"| {one} to {other} | {found[0]:.2f} | {found[1]:.2f} | {said} |")


def _short(found: float, most: float) -> str:
    return ": **falls short**" if found > most else ""


if __name__ == "__main__":
    main()
