"""Many units in one promise: all of them or none, and no two bundles ever wait for each other."""

import random
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, date, datetime
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.ledger import orders, writing
from app.ledger.orders import LockedUnit
from app.models.space import Unit
from tests import factories as make
from tests.ledger.racing import (
    HOLDS,
    RACERS,
    SECONDS_A_RACE_MAX,
    Call,
    Caller,
    Reply,
    at_once,
    deadlocks,
    overbooked_days,
    prepare,
    race,
    rounds,
    serving,
    slowest,
    year,
)

UNITS, BUNDLE = 12, 4


def bundle(
    units: Sequence[UUID], period: dict[str, str], chance: random.Random
) -> dict[str, object]:
    """An order of some of the units, in no order."""
    chosen = chance.sample(list(units), BUNDLE)
    return {"units": [{"unit_id": str(one)} for one in chosen], **period}


def require_whole(engine: Engine, placed: int) -> None:
    """There are so many bundles, each with all its units, and closed all at once or not at all."""
    with engine.connect() as connection:
        sizes = connection.execute(
            text(
                "SELECT count(*), count(DISTINCT unit_id), count(closed_by) IN (0, count(*)),"
                " count(DISTINCT live) FROM claims GROUP BY commitment_id"
            )
        ).all()
    assert [tuple(row) for row in sizes] == [(BUNDLE, BUNDLE, True, 1)] * placed


@rounds(2)
def test_bundles_in_any_order_are_whole_and_never_deadlock(own_engine: Engine, rounds: int) -> None:
    units, firms = prepare(own_engine, units=UNITS)
    chance = random.Random(4)  # noqa: S311
    won = 0

    with serving(own_engine, held_units_per_company_max=10_000) as port:
        for number in range(rounds):
            calls = [Call(HOLDS, bundle(units, year(number), chance), firm) for firm in firms]
            answers = race(port, calls)
            statuses = Counter(reply.status for reply in answers)
            assert set(statuses) == {201, 409}
            assert 1 <= statuses[201] <= UNITS // BUNDLE
            won += statuses[201]
            assert slowest(answers, 1) < SECONDS_A_RACE_MAX

    require_whole(own_engine, won)
    assert overbooked_days(own_engine) == 0
    assert deadlocks(own_engine) == 0


def come_and_go(
    port: int, units: Sequence[UUID], firms: Sequence[dict[str, str]], rounds: int
) -> list[tuple[str, Reply]]:
    """Each firm places a bundle in each period, and gives half of what it gets back at once.

    Nobody waits for anybody: one places while another releases and a third is a period ahead.
    """

    def one(place: int) -> list[tuple[str, Reply]]:
        chance = random.Random(place)  # noqa: S311
        replies = []
        with closing(Caller(port)) as caller:
            for number in range(rounds):
                reply = caller.post(Call(HOLDS, bundle(units, year(number), chance), firms[place]))
                replies.append(("place", reply))
                if reply.status == 201 and chance.random() < 0.5:
                    path = f"{HOLDS}/{reply.json()['id']}/release"
                    replies.append(("release", caller.post(Call(path, {}, firms[place]))))
        return replies

    return [done for each in at_once([partial(one, n) for n in range(len(firms))]) for done in each]


@rounds(4, long=200)
def test_bundles_that_come_and_go_are_whole_and_never_deadlock(
    own_engine: Engine, rounds: int
) -> None:
    units, firms = prepare(own_engine, units=UNITS)

    with serving(own_engine, held_units_per_company_max=10_000) as port:
        replies = come_and_go(port, units, firms, rounds)

    placed = Counter(reply.status for what, reply in replies if what == "place")
    released = Counter(reply.status for what, reply in replies if what == "release")
    assert set(placed) == {201, 409}
    assert sum(placed.values()) == RACERS * rounds
    # What is given back is placed anew: without releases, at most three fit into a period.
    assert placed[201] > released[200] > 0
    assert set(released) == {200}
    assert placed[201] - released[200] <= rounds * UNITS // BUNDLE
    assert slowest([reply for _, reply in replies], 1) < SECONDS_A_RACE_MAX
    require_whole(own_engine, placed[201])
    assert overbooked_days(own_engine) == 0
    assert deadlocks(own_engine) == 0


def lock_in_any_order(session: Session, unit_ids: Sequence[UUID]) -> list[LockedUnit]:
    """Locks each unit as it is named."""
    columns = [Unit.__table__.c[name] for name in LockedUnit._fields]
    return [
        LockedUnit(
            *session.execute(
                select(*columns).where(Unit.id == one).with_for_update(key_share=True)
            ).one()
        )
        for one in unit_ids
    ]


def test_bundles_locked_in_the_order_of_the_caller_do_deadlock(
    own_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the same coming and going, without the sort, makes rings that are counted."""
    units, firms = prepare(own_engine, units=UNITS)
    with own_engine.begin() as connection:
        # Rings are found soon. Only a superuser may say so, and who serves is none.
        name = connection.scalar(text("SELECT current_database()"))
        connection.execute(text(f"ALTER DATABASE {name} SET deadlock_timeout = '20ms'"))
    for module in (orders, writing):
        monkeypatch.setattr(module, "lock", lock_in_any_order)

    with serving(own_engine, held_units_per_company_max=10_000) as port:
        come_and_go(port, units, firms, 3)

    assert deadlocks(own_engine) > 0


def test_two_locks_taken_crosswise_are_one_deadlock(own_engine: Engine) -> None:
    """The counter counts: one ring of two is one."""
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


def test_what_was_promised_twice_in_the_past_is_counted_too(own_engine: Engine) -> None:
    """The control of the count: two holds that lapsed met on days to come, for a day long gone."""
    with own_engine.begin() as connection:
        connection.execute(text("ALTER TABLE claims DISABLE TRIGGER claims_checked"))
        connection.execute(text("ALTER TABLE claims DROP CONSTRAINT ex_claims_whole_unit"))
    lapsed = Range(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 4, tzinfo=UTC))
    later = Range(datetime(2026, 1, 3, tzinfo=UTC), datetime(2026, 1, 6, tzinfo=UTC))
    with Session(own_engine) as session:
        unit = make.make_unit(session)
        make.make_claim(session, unit, date(2027, 1, 1), date(2027, 3, 1), kind="hold", live=lapsed)
        session.commit()
        assert overbooked_days(own_engine) == 0
        make.make_claim(session, unit, date(2027, 2, 1), None, kind="hold", live=later)
        session.commit()

    assert overbooked_days(own_engine) == 1
