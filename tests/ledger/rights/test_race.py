"""A right and a hold that race for one ground: never both, unless one was granted knowingly."""

from collections import Counter
from collections.abc import Callable
from datetime import date
from uuid import UUID

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from app.database.session import transaction, with_retries
from app.kernel.errors import SpaceRelayError
from app.kernel.period import Period
from app.ledger.leases import sign_lease
from app.ledger.orders import LockedUnit, Order, Wanted
from app.ledger.rights import granting
from app.ledger.rights.errors import RightConflictError, RightNotClearedError
from app.ledger.rights.granting import grant_right
from app.models.claim import Claim
from app.models.right import Right, RightFootprint
from app.models.space import Unit
from tests import factories as make
from tests.ledger.racing import at_once, deadlocks, rounds
from tests.ledger.rights.world import MANAGER, disorders, offences, simple_grant

WINDOW = Period(date(2028, 1, 1), date(2030, 1, 1))
Job = Callable[[], str]


def job(engine: Engine, work: Callable[[Session], object], done: str) -> Job:
    """``work`` in a transaction of its own: what became of it."""

    def run() -> str:
        with Session(engine) as session:

            def once() -> str:
                try:
                    with transaction(session):
                        work(session)
                except (RightConflictError, RightNotClearedError) as refused:
                    return refused.slug
                return done

            return with_retries(once)

    return run


def prepare(engine: Engine, floors: int) -> tuple[list[list[Unit]], list[UUID]]:
    """Floors with two units each, and companies."""
    with Session(engine, expire_on_commit=False) as session:
        house = make.make_building(session)
        units = [
            [make.make_unit(session, floor=floor, slot=slot, slots=2) for slot in (0, 1)]
            for floor in (
                make.make_floor(session, building=house, level_index=level)
                for level in range(floors)
            )
        ]
        companies = [make.make_company(session).id for _ in range(6)]
        session.commit()
    return units, companies


def granting_job(engine: Engine, company_id: UUID, units: list[Unit]) -> Job:
    wanted = simple_grant(company_id, units, WINDOW)
    return job(engine, lambda session: grant_right(session, MANAGER, wanted), "granted")


def leasing_job(engine: Engine, company_id: UUID, units: list[Unit]) -> Job:
    order = Order([Wanted(unit.id) for unit in units], WINDOW, company_id)
    return job(engine, lambda session: sign_lease(session, MANAGER, order), "leased")


def both(engine: Engine, units: list[Unit]) -> bool:
    """Whether a right and a promise of another stand on the same units."""
    with Session(engine) as session:
        claimed = session.scalar(
            select(func.count())
            .select_from(Claim)
            .where(Claim.unit_id.in_([unit.id for unit in units]))
        )
        floor_id = units[0].floor_id
        granted = session.scalar(
            select(func.count())
            .select_from(Right)
            .where(
                Right.id.in_(
                    select(RightFootprint.right_id).where(RightFootprint.floor_id == floor_id)
                )
            )
        )
    return bool(claimed and granted)


@rounds(4, long=200)
def test_a_grant_and_a_lease_of_one_ground_never_both_go_through(
    own_engine: Engine, rounds: int
) -> None:
    floors, companies = prepare(own_engine, rounds)
    seen: Counter[tuple[str, ...]] = Counter()

    for units in floors:
        # The grant names its units the other way round: the locks have one order all the same.
        done = at_once(
            [
                granting_job(own_engine, companies[0], units[::-1]),
                leasing_job(own_engine, companies[1], units),
            ]
        )
        seen[tuple(done)] += 1
        assert not both(own_engine, units)

    assert set(seen) <= {("granted", "right-not-cleared"), ("right-conflict", "leased")}, seen
    with Session(own_engine) as session:
        assert offences(session) == []
    assert deadlocks(own_engine) == 0


@rounds(3, long=100)
def test_of_rights_granted_at_once_on_one_ground_one_stands(
    own_engine: Engine, rounds: int
) -> None:
    floors, companies = prepare(own_engine, rounds)

    for units in floors:
        done = at_once(
            [
                granting_job(own_engine, company_id, units[place % 2 :])
                for place, company_id in enumerate(companies)
            ]
        )
        counted = Counter(done)
        # The whole floor, or its second unit: any two of them meet.
        assert counted == {"granted": 1, "right-conflict": len(companies) - 1}

    with Session(own_engine) as session:
        assert list(disorders(session)) == []
    assert deadlocks(own_engine) == 0


def test_without_the_locks_of_the_units_both_go_through(
    own_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: a grant that locks no units looks, and misses the lease that is being signed."""
    floors, companies = prepare(own_engine, 1)
    (units,) = floors
    monkeypatch.setattr(granting, "lock", lambda *_: list[LockedUnit]())
    order = Order([Wanted(unit.id) for unit in units], WINDOW, companies[1])

    with Session(own_engine) as signing, transaction(signing):
        sign_lease(signing, MANAGER, order)
        # The lease is written and not yet committed.
        done = granting_job(own_engine, companies[0], units)()

    assert done == "granted"
    assert both(own_engine, units)


def test_with_the_locks_the_grant_waits_for_the_lease_that_is_being_signed(
    own_engine: Engine,
) -> None:
    floors, companies = prepare(own_engine, 1)
    (units,) = floors
    order = Order([Wanted(unit.id) for unit in units], WINDOW, companies[1])
    wanted = simple_grant(companies[0], units, WINDOW)

    with Session(own_engine) as signing, Session(own_engine) as other:
        sign_lease(signing, MANAGER, order)
        other.connection().exec_driver_sql("SET LOCAL lock_timeout = '200ms'")
        with pytest.raises(SpaceRelayError) as waited, transaction(other):
            grant_right(other, MANAGER, wanted)
        assert waited.value.slug == "busy"
        with transaction(signing):
            pass
    with Session(own_engine) as again, pytest.raises(RightConflictError), transaction(again):
        grant_right(again, MANAGER, wanted)
