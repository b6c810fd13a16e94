"""Many callers want the same space at the same instant: over HTTP, through real sessions."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, insert, select, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.ledger import orders
from app.ledger.orders import LockedUnit
from app.models.claim import Claim
from app.models.space import Unit
from tests import factories as make
from tests.ledger.racing import RACERS, Call, Reply, at_once, deadlocks, race, serving, slowest

HOLDS = "/api/v1/holds"
#: Far more than a race takes; a storm of deadlocks and retries would take longer.
SECONDS_A_RACE_MAX = 20.0

rounds = pytest.mark.parametrize(
    "rounds",
    [
        pytest.param(2, id="short"),
        pytest.param(500, id="long", marks=[pytest.mark.long, pytest.mark.timeout(3600)]),
    ],
)


def prepare(
    engine: Engine, units: int = 1, **terms: object
) -> tuple[list[UUID], list[dict[str, str]]]:
    """Units on one floor, and the headers of as many firms as there are racers."""
    with Session(engine, expire_on_commit=False) as session:
        floor = make.make_floor(session)
        made = [
            make.make_unit(session, floor=floor, slot=slot, slots=units, **terms).id
            for slot in range(units)
        ]
        firms = [make.firm_headers(session, make.make_company(session)) for _ in range(RACERS)]
        session.commit()
    return made, firms


def year(number: int) -> dict[str, str]:
    """A period of its own for each round, so that one unit serves them all."""
    return {"from": f"{2030 + number}-01-01", "until": f"{2031 + number}-01-01"}


def run(port: int, rounds: int, calls: Callable[[int], Sequence[Call]]) -> list[list[Reply]]:
    return [race(port, calls(number)) for number in range(rounds)]


def overbooked_days(engine: Engine) -> int:
    """Unit-days promised beyond the capacity, counted without the functions under test."""
    with engine.connect() as connection:
        found = connection.scalar(
            text(
                # A peak is reached on a day on which some claim begins.
                "SELECT count(*) FROM (SELECT DISTINCT unit_id, lower(period) AS day FROM claims"
                " WHERE live @> clock_timestamp()) d"
                " JOIN units u ON u.id = d.unit_id WHERE u.capacity < ("
                "SELECT sum(c.quantity) FROM claims c WHERE c.unit_id = d.unit_id"
                " AND c.period @> d.day AND c.live @> clock_timestamp())"
            )
        )
    return int(found or 0)


def check_losers(replies: Sequence[Reply], unit: UUID, period: dict[str, str]) -> None:
    for reply in replies:
        if reply.status == 201:
            continue
        assert reply.status == 409, reply.body
        assert reply.content_type == "application/problem+json"
        problem = reply.json()
        assert problem["type"] == "/problems/unit-occupied"
        (conflict,) = problem["conflicts"]
        assert conflict["unit_id"] == str(unit)
        assert [(one["from"], one["until"]) for one in conflict["periods"]] == [
            (period["from"], period["until"])
        ]


@rounds
def test_of_32_racing_holds_exactly_one_wins_and_the_rest_learn_which_days(
    own_engine: Engine, rounds: int, record_testsuite_property: Callable[[str, object], None]
) -> None:
    (unit,), firms = prepare(own_engine)

    def calls(number: int) -> list[Call]:
        body = {"units": [{"unit_id": str(unit)}], **year(number % 900)}
        return [Call(HOLDS, body, firm) for firm in firms]

    with serving(own_engine, held_units_per_company_max=10_000) as port:
        replies = run(port, rounds, calls)

    for number, answers in enumerate(replies):
        assert Counter(reply.status for reply in answers) == {201: 1, 409: RACERS - 1}
        check_losers(answers, unit, year(number))
        assert slowest(answers, 1) < SECONDS_A_RACE_MAX
    record_testsuite_property(
        "whole_holds_p99_seconds", slowest([one for answers in replies for one in answers])
    )
    assert overbooked_days(own_engine) == 0
    assert deadlocks(own_engine) == 0


@rounds
def test_32_racing_parts_fill_a_divisible_unit_and_no_more(
    own_engine: Engine, rounds: int, record_testsuite_property: Callable[[str, object], None]
) -> None:
    (unit,), firms = prepare(own_engine, divisible=True, min_part=Decimal(100))

    def calls(number: int) -> list[Call]:
        body = {"units": [{"unit_id": str(unit), "quantity": 400}], **year(number)}
        return [Call(HOLDS, body, firm) for firm in firms]

    with serving(own_engine, held_units_per_company_max=10_000) as port:
        replies = run(port, rounds, calls)

    for number, answers in enumerate(replies):
        assert Counter(reply.status for reply in answers) == {201: 5, 409: RACERS - 5}
        check_losers(answers, unit, year(number))
        assert slowest(answers, 1) < SECONDS_A_RACE_MAX
    record_testsuite_property(
        "partial_holds_p99_seconds", slowest([one for answers in replies for one in answers])
    )
    assert overbooked_days(own_engine) == 0
    assert deadlocks(own_engine) == 0


@rounds
def test_bundles_in_any_order_are_whole_and_never_deadlock(own_engine: Engine, rounds: int) -> None:
    units, firms = prepare(own_engine, units=12)
    chance = random.Random(4)  # noqa: S311

    def calls(number: int) -> list[Call]:
        return [
            Call(
                HOLDS,
                {
                    "units": [{"unit_id": str(one)} for one in chance.sample(units, 4)],
                    **year(number),
                },
                firm,
            )
            for firm in firms
        ]

    with serving(own_engine, held_units_per_company_max=10_000) as port:
        replies = run(port, rounds, calls)

    won = 0
    for answers in replies:
        statuses = Counter(reply.status for reply in answers)
        assert set(statuses) == {201, 409}
        assert 1 <= statuses[201] <= 3
        won += statuses[201]
        assert slowest(answers, 1) < SECONDS_A_RACE_MAX
    with own_engine.connect() as connection:
        sizes = connection.execute(
            text("SELECT count(*) FROM claims GROUP BY commitment_id")
        ).scalars()
        assert list(sizes) == [4] * won
    assert overbooked_days(own_engine) == 0
    assert deadlocks(own_engine) == 0


def naive_lock(session: Session, unit_ids: Sequence[UUID]) -> list[LockedUnit]:
    """Reads the units, and locks nothing."""
    columns = [Unit.__table__.c[name] for name in LockedUnit._fields]
    return [
        LockedUnit(*row) for row in session.execute(select(*columns).where(Unit.id.in_(unit_ids)))
    ]


def test_locks_in_the_order_of_the_caller_do_deadlock(own_engine: Engine) -> None:
    """The control of the test before: a deadlock would be counted, and unsorted locks make one."""
    units, _ = prepare(own_engine, units=2)
    both_have_one = threading.Barrier(2)

    def lock_in_order(named: Sequence[UUID]) -> bool:
        with own_engine.connect() as connection:
            connection.execute(text("SET LOCAL deadlock_timeout = '50ms'"))
            try:
                for one in named:
                    connection.execute(select(Unit.id).where(Unit.id == one).with_for_update())
                    if one == named[0]:
                        both_have_one.wait()
            except DBAPIError:
                return False
            return True

    finished = at_once([lambda: lock_in_order(units), lambda: lock_in_order(units[::-1])])

    assert sorted(finished) == [False, True]
    assert deadlocks(own_engine) == 1


def drop_guards(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("DROP TRIGGER claims_checked ON claims"))
        connection.execute(text("ALTER TABLE claims DROP CONSTRAINT ex_claims_whole_unit"))


@pytest.mark.parametrize(
    ("locks", "guards", "safe"),
    [
        pytest.param(True, False, True, id="locks-alone-are-enough"),
        pytest.param(False, True, True, id="guards-alone-are-enough"),
        pytest.param(False, False, False, id="check-then-insert-overbooks"),
    ],
)
def test_each_belt_holds_alone_and_without_both_the_race_is_lost(
    own_engine: Engine, monkeypatch: pytest.MonkeyPatch, *, locks: bool, guards: bool, safe: bool
) -> None:
    """The last case is the control: the same race against a naive ledger does overbook."""
    (unit,), firms = prepare(own_engine)
    if not locks:
        monkeypatch.setattr(orders, "lock", naive_lock)
    if not guards:
        drop_guards(own_engine)

    def calls(number: int) -> list[Call]:
        body = {"units": [{"unit_id": str(unit)}], **year(number)}
        return [Call(HOLDS, body, firm) for firm in firms]

    with serving(own_engine) as port:
        replies = run(port, 3, calls)

    winners = [sum(reply.status == 201 for reply in answers) for answers in replies]
    assert all(reply.status in {201, 409} for answers in replies for reply in answers), Counter(
        reply.status for answers in replies for reply in answers
    )
    if safe:
        assert winners == [1] * 3
        assert overbooked_days(own_engine) == 0
    else:
        assert max(winners) > 1
        assert overbooked_days(own_engine) > 0


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_plain_inserts_from_32_sessions_cannot_overbook_at_any_isolation(
    own_engine: Engine, isolation: str
) -> None:
    (unit,), _ = prepare(own_engine, divisible=True, min_part=Decimal(100))
    with Session(own_engine) as session:
        company, park = make.make_company(session).id, session.get_one(Unit, unit).park_id
        session.commit()

    def place() -> bool:
        values = {
            "commitment_id": uuid4(),
            "park_id": park,
            "unit_id": unit,
            "company_id": company,
            "kind": "lease",
            "quantity": Decimal(400),
            "whole": False,
            "period": Range(date(2030, 1, 1), date(2031, 1, 1)),
            "placed_by": "race",
        }
        with own_engine.connect().execution_options(isolation_level=isolation) as connection:
            try:
                connection.execute(text("SELECT count(*) FROM claims"))  # takes the snapshot
                connection.execute(
                    insert(Claim).values(**values, live=text("tstzrange(clock_timestamp(), NULL)"))
                )
                connection.commit()
            except DBAPIError:
                connection.rollback()
                return False
            return True

    accepted = sum(at_once([place] * RACERS))

    assert 1 <= accepted <= 5
    assert isolation != "READ COMMITTED" or accepted == 5
    assert overbooked_days(own_engine) == 0
