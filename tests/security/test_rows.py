"""What each caller is shown where a query forgets its filter, through the roles that serve."""

import random
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from uuid import UUID

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from app.database.engine import make_engine
from app.database.roles import APP, PUBLIC
from app.database.session import session_factory, transaction
from app.security.actors import ANONYMOUS, Actor
from app.security.rows import bind, system, whole_ledger
from tests.conftest import Databases
from tests.security.rows_world import DEMAND, LEDGER, Tenant, counted, settle_all, staff

TABLES = (*DEMAND, *LEDGER)


@pytest.fixture(scope="module")
def world_engine(databases: Databases, empty_template: str) -> Iterator[Engine]:
    """A database of the module's own, as the superuser."""
    name = databases.create(empty_template)
    engine = make_engine(databases.url(name), pool_size=2)
    yield engine
    engine.dispose()
    databases.drop(name)


@pytest.fixture(scope="module")
def tenants(world_engine: Engine) -> list[Tenant]:
    """Three firms, each in a park of its own, with a row in every table."""
    return settle_all(world_engine, 3)


def serving(world_engine: Engine, role: str, pool_size: int = 1) -> Engine:
    url = world_engine.url.render_as_string(hide_password=False)
    return make_engine(url, pool_size=pool_size, role=role)


@pytest.fixture
def sessions(world_engine: Engine, tenants: list[Tenant]) -> Iterator[sessionmaker[Session]]:
    """Sessions of known callers, over one connection."""
    engine = serving(world_engine, APP)
    yield session_factory(engine)
    engine.dispose()


def shown(session: Session) -> dict[str, int]:
    return {table: counted(session, table) for table in TABLES}


def test_a_firm_is_shown_its_own(
    world_engine: Engine, sessions: sessionmaker[Session], tenants: list[Tenant]
) -> None:
    with Session(world_engine) as session:
        everything = shown(session)
    assert min(everything.values()) == 3  # of each firm one, or two
    for tenant in tenants:
        with sessions() as session:
            bind(session, tenant.actor)
            assert shown(session) == {table: rows // 3 for table, rows in everything.items()}
            for table in ("companies", "claims", "rights", "queue_entries", "credentials"):
                column = "id" if table == "companies" else "company_id"
                found = session.scalars(text(f"SELECT DISTINCT {column} FROM {table}"))  # noqa: S608
                assert set(found) == {tenant.company_id}, table
            assert counted(session, "idempotent_answers") == 1


def test_without_a_word_nothing_is_shown(sessions: sessionmaker[Session]) -> None:
    with sessions() as session:
        assert set(shown(session).values()) == {0}
    with sessions() as session:
        bind(session, ANONYMOUS)
        assert set(shown(session).values()) == {0}


def test_staff_of_a_park_see_its_ledger_and_all_demand(
    world_engine: Engine, sessions: sessionmaker[Session], tenants: list[Tenant]
) -> None:
    with Session(world_engine) as session:
        everything = shown(session)
    expected = {
        "every park": everything,
        "one park": {
            table: rows // (3 if table in LEDGER else 1) for table, rows in everything.items()
        },
        "no park": {table: 0 if table in LEDGER else rows for table, rows in everything.items()},
    }
    callers = {"every park": staff(), "one park": tenants[1].park_staff, "no park": staff(set())}
    for who, actor in callers.items():
        with sessions() as session:
            bind(session, actor)
            assert shown(session) == expected[who], who
    with sessions() as session:
        bind(session, tenants[1].park_staff)
        assert set(session.scalars(text("SELECT park_id FROM claims"))) == {tenants[1].park_id}


def test_what_is_taken_is_known_to_all_and_by_whom_to_none(
    world_engine: Engine, sessions: sessionmaker[Session], tenants: list[Tenant]
) -> None:
    with sessions() as session:
        bind(session, tenants[0].actor)
        assert counted(session, "occupancy") == 3
    public = serving(world_engine, PUBLIC)
    with Session(public) as session:
        taken = session.scalars(text("SELECT unit_id FROM occupancy WHERE live @> now()")).all()
        assert len(taken) == 3
        free = "free_days(id, capacity, usable, valid, capacity, now())"
        let = session.scalars(text(f"SELECT {free} = datemultirange(usable) FROM units")).all()  # noqa: S608
        assert let == [False] * 3
    for hidden in ("claims", "companies", "credentials", "right_notices", "staff_accounts"):
        with Session(public) as session, pytest.raises(DBAPIError, match="permission denied"):
            counted(session, hidden)
    with Session(public) as session, pytest.raises(DBAPIError, match="permission denied"):
        session.execute(text("SELECT commitment_id FROM occupancy"))
    with Session(public) as session, pytest.raises(DBAPIError, match="permission denied"):
        session.execute(text("UPDATE units SET version = version"))
    public.dispose()


def test_a_firm_writes_nothing_of_another(
    sessions: sessionmaker[Session], tenants: list[Tenant]
) -> None:
    mine, theirs = tenants[:2]
    with sessions() as session:
        bind(session, mine.actor)
        for table in ("claims", "space_requests", "rights"):
            column = "closed_by" if table != "space_requests" else "state"
            done = session.execute(
                text(f"UPDATE {table} SET {column} = {column} WHERE company_id = :firm"),  # noqa: S608
                {"firm": theirs.company_id},
            )
            assert done.rowcount == 0  # type: ignore[attr-defined]
        put = text(
            "INSERT INTO pipeline_assets (company_id, name, modality, source, confidence)"
            " VALUES (:firm, 'SR-2', 'car_t', 'tests', 'assumption')"
        )
        session.execute(put, {"firm": mine.company_id})
        with pytest.raises(DBAPIError, match="row-level security"):
            session.execute(put, {"firm": theirs.company_id})


def test_staff_of_a_park_write_in_no_other_ledger(
    sessions: sessionmaker[Session], tenants: list[Tenant]
) -> None:
    grant = text(
        "INSERT INTO rights (id, park_id, kind, company_id, rank, binds, notice_days, known,"
        " recorded_by) VALUES (gen_random_uuid(), :park, 'renewal', :firm, 9,"
        " '[2030-01-01,2031-01-01)', 10, tstzrange(now(), NULL), 'tests')"
    )
    with sessions() as session:
        bind(session, tenants[0].park_staff)
        firm = tenants[2].company_id
        session.execute(grant, {"park": tenants[0].park_id, "firm": firm})
        with pytest.raises(DBAPIError, match="row-level security"):
            session.execute(grant, {"park": tenants[1].park_id, "firm": firm})


@pytest.mark.parametrize(
    "dropped",
    [
        "ALTER TABLE claims DISABLE ROW LEVEL SECURITY",
        "ALTER POLICY claims_rows ON claims USING (true)",
    ],
)
def test_without_its_policy_a_firm_is_shown_more(
    world_engine: Engine, tenants: list[Tenant], dropped: str
) -> None:
    """The proofs above have power: what they look for is there to be found."""
    with closing(Session(world_engine)) as session:
        for weaken in ("SELECT 1", dropped):
            session.execute(text(weaken))
            session.execute(text(f"SET LOCAL ROLE {APP}"))
            bind(session, tenants[0].actor)
            assert counted(session, "claims") == (3 if weaken == dropped else 1)
            session.execute(text("RESET ROLE"))
        session.rollback()


def test_the_whole_ledger_is_shown_for_a_while_only(
    sessions: sessionmaker[Session], tenants: list[Tenant]
) -> None:
    with sessions() as session:
        bind(session, tenants[0].park_staff)
        with whole_ledger(session):
            assert counted(session, "claims") == 3
            with whole_ledger(session):
                assert counted(session, "claims") == 3
            assert counted(session, "claims") == 3
        assert counted(session, "claims") == 1
        with suppress(DBAPIError), session.begin_nested(), whole_ledger(session):
            session.execute(text("SELECT 1 / 0"))
        assert counted(session, "claims") == 1
        with suppress(KeyError), whole_ledger(session):
            raise KeyError
        assert counted(session, "claims") == 1
        with suppress(DBAPIError), transaction(session), whole_ledger(session):
            session.execute(text("SELECT 1 / 0"))
        assert counted(session, "claims") == 1
        with transaction(session), whole_ledger(session):
            assert counted(session, "claims") == 3
        assert counted(session, "claims") == 1


def test_a_savepoint_that_comes_first_goes_back_to_the_callers_rows(
    sessions: sessionmaker[Session], tenants: list[Tenant]
) -> None:
    with sessions() as session:
        bind(session, tenants[0].actor)
        with suppress(KeyError), session.begin_nested(), whole_ledger(session):
            assert counted(session, "claims") == 3
            raise KeyError
        assert counted(session, "claims") == 1


def test_whose_rows_are_shown_is_said_before_any_savepoint(
    sessions: sessionmaker[Session], tenants: list[Tenant]
) -> None:
    with sessions() as session, session.begin_nested():
        with pytest.raises(RuntimeError):
            bind(session, tenants[0].actor)
        with pytest.raises(RuntimeError):
            system(session)


def test_statements_of_firms_end_sooner(world_engine: Engine, tenants: list[Tenant]) -> None:
    engine = serving(world_engine, APP)
    sessions = session_factory(engine, firm_statement_timeout_ms=5_000)
    asked: dict[Actor, str] = {}
    for actor in (tenants[0].actor, staff(), tenants[0].actor):
        with sessions() as session:
            bind(session, actor)
            asked[actor] = session.execute(text("SHOW statement_timeout")).scalar_one()
    engine.dispose()
    assert list(asked.values()) == ["5s", "15s"]


def bind_for_good(session: Session, actor: Actor) -> None:
    """As one would at first: the pool's roll-back does not take it back."""
    session.execute(
        text(
            "SELECT set_config('app.audience', 'firm', false),"
            " set_config('app.firm_id', :firm, false)"
        ),
        {"firm": str(actor.company_id)},
    )
    session.commit()


class _OursError(Exception):
    """What goes wrong in our own code."""


class Calls:
    """What calls do with a session, and how many rows of others they were shown meanwhile."""

    def __init__(self, own: UUID | None) -> None:
        self.own, self.foreign = own, 0

    def look(self, session: Session) -> None:
        found = session.scalars(
            text("SELECT company_id FROM claims UNION ALL SELECT company_id FROM space_requests")
        )
        rows = list(found)
        self.foreign += sum(row != self.own for row in rows)
        if self.own is not None:
            assert rows.count(self.own) == 2

    def take_back(self, session: Session) -> None:
        with suppress(_OursError), session.begin_nested():
            with whole_ledger(session):
                session.execute(text("SELECT count(*) FROM claims"))
            raise _OursError
        self.look(session)

    def fail(self, session: Session) -> None:
        with suppress(DBAPIError), whole_ledger(session):
            session.execute(text("SELECT 1 / 0"))
        session.rollback()
        self.look(session)

    def be_cancelled(self, session: Session) -> None:
        with suppress(DBAPIError), session.begin_nested():
            session.execute(text("SET LOCAL statement_timeout = 1"))
            session.execute(text("SELECT pg_sleep(1)"))
        self.look(session)

    def commit(self, session: Session) -> None:
        with transaction(session):
            session.execute(text("UPDATE space_requests SET state = state"))
        self.look(session)

    def roll_back(self, session: Session) -> None:
        session.rollback()

    def give_up(self, session: Session) -> None:
        session.execute(text("SELECT 1"))
        raise _OursError


_STEPS = {
    Calls.look: 4,
    Calls.take_back: 2,
    Calls.fail: 2,
    Calls.be_cancelled: 1,
    Calls.commit: 2,
    Calls.roll_back: 2,
    Calls.give_up: 1,
}


def foreign_rows(
    sessions: sessionmaker[Session],
    tenants: list[Tenant],
    rounds: int,
    bind: Callable[[Session, Actor], None],
) -> int:
    """How many rows of others were shown in so many calls, of any firm or of nobody."""
    chance, foreign = random.Random(20261122), 0  # noqa: S311
    for _ in range(rounds):
        tenant = chance.choice([*tenants, None])
        calls = Calls(None if tenant is None else tenant.company_id)
        with suppress(_OursError), sessions() as session:
            if tenant is not None:
                bind(session, tenant.actor)
            for step in chance.choices(list(_STEPS), list(_STEPS.values()), k=chance.randint(1, 3)):
                step(calls, session)
        foreign += calls.foreign
    return foreign


@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param(300, id="short"),
        pytest.param(10_000, id="long", marks=[pytest.mark.long, pytest.mark.timeout(900)]),
    ],
)
def test_no_connection_carries_one_callers_rows_to_the_next(
    sessions: sessionmaker[Session], tenants: list[Tenant], rounds: int
) -> None:
    assert foreign_rows(sessions, tenants, rounds, bind) == 0


def test_a_setting_of_the_connection_would(world_engine: Engine, tenants: list[Tenant]) -> None:
    engine = serving(world_engine, APP)
    assert foreign_rows(session_factory(engine), tenants, 100, bind_for_good) > 0
    engine.dispose()
