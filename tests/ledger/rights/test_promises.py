"""Random rights, notices and offers: the service says what brute force says, and keeps proof."""

import random
from collections import Counter
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.kernel.period import Period
from app.kernel.terms import RightKind
from app.ledger import writing
from app.ledger.errors import UnitOccupiedError
from app.ledger.holds import HoldLimits, hold_units
from app.ledger.leases import sign_lease
from app.ledger.orders import Order, Wanted
from app.ledger.rights import granting
from app.ledger.rights.clearing import Offer
from app.ledger.rights.errors import RightNotClearedError
from app.ledger.rights.service import check_offer, end_right
from app.models.right import Right, RightNotice
from tests import factories as make
from tests.ledger.racing import rounds
from tests.ledger.rights.world import (
    MANAGER,
    World,
    add_notice,
    binding_days,
    clearing_notice,
    disorders,
    grant_knowingly,
    make_world,
    offences,
    promised,
    read_pieces,
    read_rights,
    simple_grant,
)

LIMITS = HoldLimits(72, 1_000, 10_000, 10_000, 10_000, 10_000)


def some_period(chance: random.Random, halves_max: int = 10) -> Period:
    """Half-years from 2027 on; some without an end, unless they are to be short."""
    first = chance.randrange(8)
    ends: list[int | None] = [*range(first + 1, min(first + halves_max, 9) + 1)]
    last = chance.choice(ends if halves_max < 10 else [None, *ends])
    return Period(half_year(first), None if last is None else half_year(last))


def half_year(number: int) -> date:
    return date(2027 + number // 2, 1 + number % 2 * 6, 1)


def grant_some(session: Session, world: World, chance: random.Random) -> list[UUID]:
    made = []
    for _ in range(chance.randint(2, 5)):
        window = some_period(chance)
        on = [
            unit
            for unit in chance.sample(world.units, chance.randint(1, 3))
            if (unit.valid.lower or date.min) <= window.start
            and (unit.valid.upper is None or window.start < unit.valid.upper)
        ]
        if not on:
            continue
        kind, company_id = chance.choice(list(RightKind)), chance.choice(world.companies)
        notice_days = chance.randint(0, 20)
        grant = simple_grant(company_id, on, window, kind=kind, notice_days=notice_days)
        right_id = grant_knowingly(session, grant)
        if right_id is not None:
            made.append(right_id)
    return made


def say_something(
    session: Session, world: World, rights: list[UUID], chance: random.Random
) -> None:
    minutes = list(range(100))
    chance.shuffle(minutes)
    for right_id in rights:
        for _ in range(chance.choice([0, 1, 2, 3])):
            period = some_period(chance)
            wide = chance.random() < 0.8
            add_notice(
                session,
                right_id,
                Range(date(2027, 1, 1), None) if wide else Range(period.start, period.end),
                company_id=chance.choice([*[None] * 4, *world.companies]),
                due_in_days=chance.choice([-3, -1, 0, 4]),
                answer=chance.choice([None, None, "waived", "waived", "exercised"]),
                minutes_ago=minutes.pop(),
            )


def offer_some(session: Session, world: World, chance: random.Random, seen: Counter[str]) -> None:
    """Try an offer, and hold what comes back to what brute force expects."""
    company_id, period = chance.choice(world.companies), some_period(chance, halves_max=2)
    days = Range(period.start, period.end)
    there = [unit for unit in world.units if unit.usable.contains(days)]
    units = chance.sample(there, chance.randint(1, 2))
    order = Order([Wanted(unit.id) for unit in units], period, company_id)
    session.expire_all()
    rights = [one for one in read_rights(session) if one.right.closed_by is None]
    wanted = [(unit.id, days) for unit in units]
    bound = binding_days(rights, read_pieces(session), company_id, wanted)
    notices, now = session.scalars(select(RightNotice)).all(), datetime.now(UTC)
    expected = [
        ground.right.id
        for ground in rights
        if ground.right.id in bound
        and not clearing_notice(notices, ground.right.id, company_id, bound[ground.right.id], now)
    ]
    offer = Offer(company_id, [unit.id for unit in units], period)
    dry = check_offer(session, MANAGER, offer)
    assert [ask.right.id for ask in dry.ask] == expected
    assert {one.right.id for one in dry.cleared} == bound.keys() - set(expected)
    try:
        if chance.random() < 0.5:
            sign_lease(session, MANAGER, order)
        else:
            hold_units(session, MANAGER, order, LIMITS)
    except RightNotClearedError as refused:
        asks: Any = refused.facts["ask"]
        assert [UUID(ask["right_id"]) for ask in asks] == expected
        seen["refused"] += 1
    except UnitOccupiedError:
        seen["taken"] += 1
    else:
        assert expected == []
        seen["cleared" if bound else "unbound"] += 1


def run(session: Session, rounds: int, seen: Counter[str]) -> None:
    """So many floors of one house, each with a life of its own."""
    house = make.make_building(session)
    for seed in range(rounds):
        live(session, make_world(session, house, seed), random.Random(seed), seen)  # noqa: S311


def live(session: Session, world: World, chance: random.Random, seen: Counter[str]) -> None:
    rights = grant_some(session, world, chance)
    say_something(session, world, rights, chance)
    for _ in range(6):
        offer_some(session, world, chance, seen)
    if rights and chance.random() < 0.5:
        end_right(session, MANAGER, chance.choice(rights))
    # Rights that come after promises: those were named, and are not bound.
    say_something(session, world, grant_some(session, world, chance), chance)
    for _ in range(4):
        offer_some(session, world, chance, seen)


@rounds(5, long=60)
def test_every_promise_that_met_a_senior_right_keeps_the_proof(
    session: Session, rounds: int
) -> None:
    seen: Counter[str] = Counter()

    run(session, rounds, seen)

    assert offences(session) == []
    assert list(disorders(session)) == []
    # The worlds are worth the while: every way an offer can go was gone.
    assert all(seen[way] >= rounds // 2 for way in ("refused", "cleared", "unbound")), seen
    assert len(promised(session)) == seen["cleared"] + seen["unbound"]


def test_without_the_hook_the_checker_finds_promises_without_proof(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the same worlds, and nobody looks at rights before a promise."""
    monkeypatch.setattr(writing, "clear_rights", lambda *_: [])
    seen: Counter[str] = Counter()

    with pytest.raises(AssertionError):
        run(session, 12, seen)

    found = Counter(what for what, *_ in offences(session))
    assert found["without proof"] > 0


def test_without_the_record_the_checker_finds_promises_without_proof(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: rights are looked at, and the proofs are thrown away."""
    monkeypatch.setattr(writing, "record_clearances", lambda *_: None)
    seen: Counter[str] = Counter()

    run(session, 6, seen)

    found = Counter(what for what, *_ in offences(session))
    assert found["without proof"] >= seen["cleared"] > 0


def test_without_the_look_for_conflicts_rights_are_without_order(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: grants that look at nothing leave rights that nobody put in order."""
    monkeypatch.setattr(granting, "conflicts", lambda *_: [])
    monkeypatch.setattr(granting, "rank_behind", lambda _: 1)

    house = make.make_building(session)
    for seed in range(6):
        chance = random.Random(seed)  # noqa: S311
        grant_some(session, make_world(session, house, seed), chance)

    assert list(disorders(session)) != []
    ranks = session.scalars(select(Right.rank)).all()
    assert set(ranks) == {1}
