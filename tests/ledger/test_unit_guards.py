"""What is known of units, held by the database itself against whoever writes plain SQL."""

import threading
from collections.abc import Callable
from datetime import date
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, Executable, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.models.space import UnitVersion
from tests import factories as make

_COLUMNS = ", ".join(
    column.name
    for column in UnitVersion.__table__.columns
    if column.name not in {"terms_id", "known", "geometric_area_m2"}
)
_PIECE = text(f"""
    INSERT INTO unit_versions ({_COLUMNS}, known)
    SELECT {
    _COLUMNS.replace("capacity,", ":size,")
    .replace("leasable_area_m2", ":size")
    .replace("internal_area_m2", "least(internal_area_m2, :size)")
    .replace("valid", "CAST(:days AS daterange)")
},
        tstzrange(clock_timestamp(), NULL)
    FROM units WHERE id = :unit""")  # noqa: S608  (our own columns)
_CLAIM = text("""
    INSERT INTO claims (commitment_id, park_id, unit_id, company_id, kind, quantity, whole, period,
        live, placed_by)
    SELECT gen_random_uuid(), park_id, id, :company, 'lease', 1500, false,
        '[2027-01-01,2027-06-01)', tstzrange(clock_timestamp(), NULL), 'tests'
    FROM units WHERE id = :unit""")
_LOCK = "UPDATE units SET version = version + 1 WHERE id = NEW.id;"
_CLOSE = text("""
    UPDATE unit_versions SET known = tstzrange(lower(known), clock_timestamp())
    WHERE id = :unit AND upper_inf(known)""")


def cut_in_two(engine: Engine) -> tuple[UUID, UUID]:
    """A unit of 2,000 m², known apart for the days before 2028 and from then on; and a company."""
    with Session(engine) as session:
        unit = make.make_unit(session, divisible=True, min_part=100).id
        company = make.make_company(session).id
        session.commit()
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE units SET valid = '[2028-01-01,)' WHERE id = :unit"), {"unit": unit}
        )
        add_piece(connection, unit, 2000)
    return unit, company


def add_piece(connection: Connection, unit: UUID, size: int) -> None:
    connection.execute(_PIECE, {"unit": unit, "size": size, "days": "(,2028-01-01)"})


def beside(
    engine: Engine, isolation: str, first: Callable[[Connection], None], then: Executable
) -> None:
    """One session works and stays open while another tries; then the first commits."""

    def second() -> None:
        with engine.connect().execution_options(isolation_level=isolation) as connection:
            try:
                connection.execute(then)
                connection.commit()
            except DBAPIError:
                connection.rollback()

    with engine.connect().execution_options(isolation_level=isolation) as connection:
        first(connection)
        other = threading.Thread(target=second)
        other.start()
        other.join(0.5)
        connection.commit()
        other.join(20)


def overpromised(engine: Engine, unit: UUID) -> tuple[int, bool]:
    """How many truths there are of one day, and whether more is promised than any of them has."""
    with engine.connect() as connection:
        row = connection.execute(
            text(
                "SELECT count(*), coalesce(min(capacity) < (SELECT sum(quantity) FROM claims"
                " WHERE unit_id = :unit AND live @> clock_timestamp()"
                " AND period @> DATE '2027-02-01'), false)"
                " FROM unit_terms WHERE id = :unit AND known_until IS NULL"
                " AND valid @> DATE '2027-02-01'"
            ),
            {"unit": unit},
        ).one()
        return row[0], row[1]


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ"])
@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "without-the-lock"])
def test_a_claim_and_a_smaller_piece_do_not_pass_each_other(
    own_engine: Engine, isolation: str, *, guarded: bool
) -> None:
    unit, company = cut_in_two(own_engine)
    if not guarded:
        unlock_pieces(own_engine)

    def shrink(connection: Connection) -> None:
        connection.execute(_CLOSE, {"unit": unit})
        add_piece(connection, unit, 500)

    claim = _CLAIM.bindparams(unit=unit, company=company)
    beside(own_engine, isolation, shrink, claim)

    truths, broken = overpromised(own_engine, unit)
    assert truths == 1
    assert broken is not guarded


@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "without-the-lock"])
def test_one_day_has_one_truth_whoever_races(own_engine: Engine, *, guarded: bool) -> None:
    unit, _ = cut_in_two(own_engine)
    with own_engine.begin() as connection:
        connection.execute(_CLOSE, {"unit": unit})
    if not guarded:
        unlock_pieces(own_engine)

    beside(
        own_engine,
        "READ COMMITTED",
        lambda connection: add_piece(connection, unit, 500),
        text("UPDATE units SET valid = '(,)' WHERE id = :unit").bindparams(unit=unit),
    )

    truths, _ = overpromised(own_engine, unit)
    assert truths == (1 if guarded else 2)


def unlock_pieces(engine: Engine) -> None:
    """Take the lock out of the trigger that checks pieces."""
    with engine.begin() as connection:
        source = connection.scalar(
            text("SELECT pg_get_functiondef('before_unit_version()'::regprocedure)")
        )
        assert source is not None
        assert _LOCK in source
        connection.exec_driver_sql(source.replace(_LOCK, "NULL;").replace("%", "%%"))


@pytest.mark.parametrize(
    "edit",
    [
        "capacity = 'NaN', leasable_area_m2 = 'NaN'",
        "usable = '[2020-01-01,infinity)'",
        "usable = '[-infinity,)'",
        "code = 'another'",
        "fid = fid + 1000",
        "known_from = '2001-01-01'",
    ],
)
def test_what_no_unit_can_be_is_refused(session: Session, edit: str) -> None:
    unit = make.make_unit(session, divisible=True, min_part=100)

    with pytest.raises(DBAPIError), session.begin_nested():
        session.execute(
            text(f"UPDATE units SET {edit} WHERE id = :unit"),  # noqa: S608
            {"unit": unit.id},
        )


def test_a_claim_ends_on_a_day_or_never(session: Session) -> None:
    unit = make.make_unit(session)
    claim = make.make_claim(session, make.make_unit(session), date(2027, 1, 1), None)

    with pytest.raises(DBAPIError, match="period_finite"), session.begin_nested():
        session.execute(
            text(
                "INSERT INTO claims (commitment_id, park_id, unit_id, company_id, kind, quantity,"
                " whole, period, live, placed_by) SELECT gen_random_uuid(), park_id, id, :company,"
                " 'lease', capacity, true, '[2027-01-01,infinity)',"
                " tstzrange(clock_timestamp(), NULL), 'tests' FROM units WHERE id = :unit"
            ),
            {"unit": unit.id, "company": claim.company_id},
        )
