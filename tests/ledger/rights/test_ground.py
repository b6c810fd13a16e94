"""Rights lie on ground: they follow splits and merges, and stop at walls."""

from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.kernel.period import Period
from app.ledger.leases import sign_lease
from app.ledger.orders import Order, Wanted, database_now
from app.ledger.rights import ground
from app.ledger.rights.clearing import Offer
from app.ledger.rights.errors import RightConflictError
from app.ledger.rights.granting import grant_right
from app.ledger.rights.ground import rights_on_units
from app.ledger.rights.service import check_offer, end_right
from app.models.space import Floor, Unit
from tests import factories as make
from tests.ledger.rights.world import MANAGER, simple_grant, split

WINDOW = Period(date(2027, 1, 1), date(2032, 1, 1))
LATER = Period(date(2030, 1, 1), date(2031, 1, 1))
ON = date(2029, 1, 1)


def bound(session: Session, unit: Unit, period: Period) -> int:
    """How many rights an offer of a unit to a newcomer must clear."""
    offer = Offer(make.make_company(session).id, [unit.id], period)
    return len(check_offer(session, MANAGER, offer).ask)


def test_both_parts_of_a_unit_that_was_split_are_bound(session: Session) -> None:
    unit = make.make_unit(session)
    holder = make.make_company(session)
    right_id = grant_right(session, MANAGER, simple_grant(holder.id, [unit], WINDOW))

    parts = split(session, unit, ON)

    assert [bound(session, part, LATER) for part in parts] == [1, 1]
    assert bound(session, unit, Period(date(2028, 1, 1), ON)) == 1
    found = rights_on_units(session, [unit.id, *(part.id for part in parts)], Range(ON, None))
    assert found.keys() == {part.id for part in parts}
    assert {one.right_id for each in found.values() for one in each} == {right_id}
    whole = sum(one.overlap_m2 for each in found.values() for one in each)
    assert whole == pytest.approx(unit.geometric_area_m2, abs=0.02)


def test_a_unit_merged_of_bound_and_unbound_ground_is_bound(session: Session) -> None:
    floor = make.make_floor(session)
    left, right = (make.make_unit(session, floor=floor, slot=slot, slots=2) for slot in (0, 1))
    grant_right(session, MANAGER, simple_grant(make.make_company(session).id, [left], WINDOW))
    session.execute(
        text(
            "UPDATE units SET valid = daterange(NULL, :on), usable = usable * daterange(NULL, :on)"
        ),
        {"on": ON},
    )

    merged = make.make_unit(session, floor=floor, usable=Range(ON, None), valid=Range(ON, None))

    assert bound(session, merged, LATER) == 1
    assert bound(session, right, Period(date(2028, 1, 1), ON)) == 0


def test_a_shared_wall_and_another_floor_are_no_meeting(session: Session) -> None:
    building = make.make_building(session)
    floors = [make.make_floor(session, building=building, level_index=level) for level in (0, 1)]
    first, second = (make.make_unit(session, floor=floors[0], slot=n, slots=2) for n in (0, 1))
    above = make.make_unit(session, floor=floors[1])
    one, two, three = (make.make_company(session).id for _ in range(3))

    grant_right(session, MANAGER, simple_grant(one, [first], WINDOW))

    assert [bound(session, unit, LATER) for unit in (first, second, above)] == [1, 0, 0]
    # Nobody has to be named, for nothing meets.
    grant_right(session, MANAGER, simple_grant(two, [second], WINDOW))
    grant_right(session, MANAGER, simple_grant(three, [above], WINDOW))


def test_a_right_over_walls_meets_each_unit_and_every_right_on_it(session: Session) -> None:
    floor = make.make_floor(session)
    units = [make.make_unit(session, floor=floor, slot=slot, slots=3) for slot in range(3)]
    grant_right(session, MANAGER, simple_grant(make.make_company(session).id, units, WINDOW))

    assert [bound(session, unit, LATER) for unit in units] == [1, 1, 1]
    with pytest.raises(RightConflictError):
        grant_right(
            session, MANAGER, simple_grant(make.make_company(session).id, units[1:2], WINDOW)
        )


def test_a_right_of_ones_own_on_a_part_does_not_shield_the_rest(session: Session) -> None:
    unit = make.make_unit(session)
    parts = split(session, unit, ON)
    mine, other = make.make_company(session).id, make.make_company(session).id
    after = Period(ON, date(2032, 1, 1))
    own = grant_right(session, MANAGER, simple_grant(mine, parts[:1], after))
    behind = simple_grant(other, parts, after)
    with pytest.raises(RightConflictError) as refused:
        grant_right(session, MANAGER, behind)
    assert [one["right_id"] for one in refused.value.facts["rights"]] == [str(own)]  # type: ignore[attr-defined]
    merged_on = date(2030, 1, 1)
    session.execute(
        text(
            "UPDATE units SET valid = valid * daterange(NULL, :on),"
            " usable = usable * daterange(NULL, :on) WHERE id = ANY(:ids)"
        ),
        {"on": merged_on, "ids": [part.id for part in parts]},
    )
    days = Range(merged_on, None)
    merged = make.make_unit(
        session, floor=session.get_one(Floor, unit.floor_id), usable=days, valid=days
    )
    grant_right(session, MANAGER, replace(behind, behind=[own]))

    offer = Offer(mine, [parts[0].id], Period(ON, merged_on))
    assert check_offer(session, MANAGER, offer).ask == ()
    over_both = Offer(mine, [merged.id], LATER)
    assert [ask.right.holder for ask in check_offer(session, MANAGER, over_both).ask] == [other]


def test_rights_on_units_are_as_they_were_known(session: Session) -> None:
    unit = make.make_unit(session)
    holder = make.make_company(session)
    before = database_now(session)
    right_id = grant_right(session, MANAGER, simple_grant(holder.id, [unit], WINDOW))
    between = database_now(session)
    end_right(session, MANAGER, right_id)
    days = Range(LATER.start, LATER.end)

    known = [rights_on_units(session, [unit.id], days, at) for at in (before, between, None)]

    assert [len(found.get(unit.id, [])) for found in known] == [0, 1, 0]
    (shown,) = known[1][unit.id]
    assert (shown.right_id, shown.company_name_zh) == (right_id, holder.name_zh)
    assert (shown.rank, shown.notice_days, shown.window) == (1, 10, WINDOW)
    early = Range(date(2026, 1, 1), WINDOW.start)
    assert rights_on_units(session, [unit.id], early, between) == {}
    assert rights_on_units(session, [], days) == {}


def test_a_right_that_were_bound_to_unit_numbers_would_be_lost(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: asked by unit number alone, the parts of a split unit are free of it."""
    unit = make.make_unit(session)
    grant_right(session, MANAGER, simple_grant(make.make_company(session).id, [unit], WINDOW))
    parts = split(session, unit, ON)
    by_number = str(ground._MEETINGS).replace("u.id = ANY", "u.code = :code AND u.id = ANY")
    monkeypatch.setattr(ground, "_MEETINGS", ground._sql(by_number).bindparams(code=unit.code))

    assert [bound(session, part, LATER) for part in parts] == [0, 0]
    tenant = make.make_company(session).id
    sign_lease(session, MANAGER, Order([Wanted(parts[0].id)], LATER, tenant))
