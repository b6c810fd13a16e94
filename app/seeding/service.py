"""Loads the Shanghai reference once, and generates parks of any size for benchmarks."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psycopg import Connection, Cursor, sql
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb
from sqlalchemy.orm import Session

from app.database.session import transaction
from app.kernel.errors import InvalidInputError, Kind, SpaceRelayError
from app.seeding.bulk_load import write_bulk
from app.seeding.bulk_plan import LET_PCT, plan_parks
from app.seeding.bulk_plan import VERSION as BULK_VERSION
from app.seeding.check import faults
from app.seeding.copying import copy_rows
from app.seeding.dataset import Dataset, Progress, make_dataset, row_count, silent
from app.seeding.files import ReferenceDataError, content_sha256, read_reference
from app.seeding.space import VERSION
from app.seeding.totals import read_totals, row_counts

_NAME = "shanghai"
#: Any number, as long as all installations use the same: one load at a time.
_LOAD_LOCK = 7_325_537_333
_SHOWN_FAULTS = 5


class ReferenceConflictError(SpaceRelayError):
    """The database holds other reference data than the files."""

    slug, title = "reference-conflict", "Other reference data is loaded"
    title_zh = "已加载不同的基础数据"
    kind = Kind.CONFLICT


@dataclass(frozen=True, slots=True)
class SeedReport:
    """What a load did.

    ``loaded`` is False when the same data was there already. ``rows`` counts rows written per
    table, ``totals`` are sums read back from the database, areas in m².
    """

    name: str
    loaded: bool
    seed: int
    content_sha256: str
    rows: Mapping[str, int] = field(default_factory=dict)
    totals: Mapping[str, Any] = field(default_factory=dict)


def seed(
    session: Session, data_dir: Path, *, seed: int = 20261101, progress: Progress = silent
) -> SeedReport:
    """Load the reference data, once.

    Loading the same files with the same seed again changes nothing.

    Args:
        session: used for one transaction, which is committed.
        data_dir: the folder that holds ``shanghai/``.
        seed: decides every generated row.
        progress: called with a step, how much of it is done, and how much there is.

    Raises:
        ReferenceDataError: a file is wrong, or the rows made from it do not add up.
        ReferenceConflictError: other data is loaded already; nothing was changed.
    """
    digest = hashlib.sha256(
        f"{content_sha256(data_dir)} generator {VERSION} seed {seed}".encode()
    ).hexdigest()
    with transaction(session):
        cursor = _cursor(session)
        known = _loaded(cursor, _NAME)
        if known is not None and known[0] == digest:
            return SeedReport(
                _NAME, loaded=False, seed=seed, content_sha256=digest, totals=known[1]
            )
        _refuse_unless_empty(cursor, changed=known is not None)
        reference = read_reference(data_dir)
        dataset = make_dataset(reference, seed, progress)
        wrong = list(faults(dataset, reference))
        if wrong:
            shown = "; ".join(wrong[:_SHOWN_FAULTS])
            raise ReferenceDataError(f"{len(wrong)} generated rows do not fit: {shown}")
        rows = _write(cursor, dataset, progress)
        totals = read_totals(cursor)
        _record(cursor, _NAME, digest, seed, totals)
        return SeedReport(_NAME, True, seed, digest, rows, totals)


def generate_park(
    session: Session,
    *,
    units: int,
    seed: int,
    let_pct: int = LET_PCT,
    progress: Progress = silent,
) -> SeedReport:
    """Add a made-up zone with as many parks as hold this many units, for benchmarks.

    The parks lie over the sea, inside Shanghai's bounds, away from real ones. About ``let_pct`` of
    a hundred units are let today. The same arguments add something only once.

    Raises:
        ReferenceConflictError: the seed was used before with another number of units or share let.
        InvalidInputError: ``units`` is not positive, or more than there is room for.
    """
    digest = hashlib.sha256(
        f"bulk {BULK_VERSION} units {units} seed {seed} let {let_pct}".encode()
    ).hexdigest()
    with transaction(session):
        cursor = _cursor(session)
        cursor.execute("SELECT count(*) FROM parks WHERE code ^@ 'bench_'")
        taken = cursor.fetchone()
        try:
            plan = plan_parks(units, seed, taken[0] if taken else 0, let_pct=let_pct)
        except ValueError as error:
            raise InvalidInputError(str(error)) from error
        known = _loaded(cursor, plan.name)
        if known is not None:
            if known[0] != digest:
                raise ReferenceConflictError(
                    f"seed {seed} was used for another number of units or share let;"
                    " choose another seed"
                )
            return SeedReport(
                plan.name, loaded=False, seed=seed, content_sha256=digest, totals=known[1]
            )
        rows = write_bulk(cursor, plan, progress)
        totals = {"units": units, "parks": len(plan.park_ids)}
        _record(cursor, plan.name, digest, seed, totals)
        return SeedReport(plan.name, True, seed, digest, rows, totals)


def _cursor(session: Session) -> Cursor[TupleRow]:
    """A driver cursor inside the session's transaction, without time limits, one load at a time."""
    driver = session.connection().connection.driver_connection
    if not isinstance(driver, Connection):
        raise TypeError("seeding needs the psycopg driver")
    cursor: Cursor[TupleRow] = driver.cursor()
    cursor.execute("SET LOCAL statement_timeout = 0")
    cursor.execute("SET LOCAL lock_timeout = 0")
    cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_LOAD_LOCK,))
    return cursor


def _loaded(cursor: Cursor[TupleRow], name: str) -> tuple[str, dict[str, Any]] | None:
    cursor.execute("SELECT content_sha256, totals FROM reference_loads WHERE name = %s", (name,))
    row = cursor.fetchone()
    return None if row is None else (row[0], row[1])


def _refuse_unless_empty(cursor: Cursor[TupleRow], *, changed: bool) -> None:
    cursor.execute("SELECT EXISTS (SELECT FROM zones WHERE NOT code ^@ 'bench_')")
    row = cursor.fetchone()
    if row is None or not row[0]:
        return
    if changed:
        raise ReferenceConflictError(
            "the reference data in the database was made from other files, another seed or another "
            "version of the generator. Nothing was changed: leases may rest on it. Load the new "
            "data into an empty database, or put the files and the seed back as they were"
        )
    raise ReferenceConflictError(
        "the database holds zones that this loader did not write. Nothing was changed: load the "
        "reference data into an empty database"
    )


def _write(cursor: Cursor[TupleRow], dataset: Dataset, progress: Progress) -> dict[str, int]:
    total = row_count(dataset)
    done = 0
    for name, rows in dataset.tables.items():
        before = done

        def report(sent: int, before: int = before) -> None:
            progress("loading rows", before + sent, total)

        copy_rows(cursor, rows, report)
        done += len(rows)
        # Fresh statistics, so that the rules checked by the next table use the indexes.
        cursor.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(name)))
    return row_counts(dataset)


def _record(
    cursor: Cursor[TupleRow], name: str, digest: str, seed: int, totals: Mapping[str, Any]
) -> None:
    cursor.execute(
        "INSERT INTO reference_loads (name, content_sha256, seed, totals) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (name) DO UPDATE SET content_sha256 = excluded.content_sha256,"
        " seed = excluded.seed, totals = excluded.totals, loaded_at = now()",
        (name, digest, seed, Jsonb(dict(totals))),
    )
