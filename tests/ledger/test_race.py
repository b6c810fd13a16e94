"""Many callers want the same space at the same instant: over HTTP, through real sessions."""

from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from app.ledger import orders
from app.ledger.orders import LockedUnit
from app.models.space import Unit
from tests.ledger.racing import (
    HOLDS,
    RACERS,
    SECONDS_A_RACE_MAX,
    Call,
    Reply,
    deadlocks,
    overbooked_days,
    prepare,
    race,
    rounds,
    serving,
    slowest,
    year,
)


def run(port: int, rounds: int, calls: Callable[[int], Sequence[Call]]) -> list[list[Reply]]:
    return [race(port, calls(number)) for number in range(rounds)]


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


@rounds(2)
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


@rounds(2)
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


def naive_lock(session: Session, unit_ids: Sequence[UUID]) -> list[LockedUnit]:
    """Reads the units, and locks nothing."""
    columns = [Unit.__table__.c[name] for name in LockedUnit._fields]
    return [
        LockedUnit(*row) for row in session.execute(select(*columns).where(Unit.id.in_(unit_ids)))
    ]


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
