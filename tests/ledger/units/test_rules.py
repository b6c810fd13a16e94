"""Units change: what follows, what blocks, and what the database says of it."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from geoalchemy2.shape import to_shape
from shapely import box
from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.database.session import transaction
from app.kernel.errors import InvalidInputError
from app.kernel.terms import ClaimKind
from app.ledger.commitments import read_commitment
from app.ledger.errors import LedgerMovedOnError
from app.ledger.holds import confirm_hold
from app.ledger.units.changing import Change, change_terms, remeasure
from app.ledger.units.errors import (
    DuplicateUnitCodeError,
    NotAPartitionError,
    UnitChangesLaterError,
    UnitClaimsBlockError,
    UnitRetiredError,
    UnitsDoNotMergeError,
)
from app.ledger.units.merging import Merger, merge_units
from app.ledger.units.splitting import Part, Split, split_unit
from app.models.claim import Claim
from app.models.space import Unit, unit_terms
from app.models.unit_event import UnitEvent, UnitEventUnit
from app.security.actors import Actor, ActorKind, NotAllowedError, Role
from tests import factories as make

MANAGER = Actor(kind=ActorKind.STAFF, label="manager", role=Role.MANAGER)
DAY = date(2027, 1, 1)
LATER = date(2028, 1, 1)


def pieces(session: Session, unit_id: UUID, *names: str) -> list[Any]:
    """What is believed of a unit now: first day, end and the named facts, by days."""
    terms = unit_terms.c
    return [
        (row.valid.lower, row.valid.upper, *row[1:])
        for row in session.execute(
            select(terms.valid, *(terms[name] for name in names))
            .where(terms.id == unit_id, terms.known_until.is_(None))
            .order_by(func.lower(terms.valid).nulls_first())
        )
    ]


def live_claims(session: Session, unit_id: UUID) -> list[Any]:
    """The claims of a unit believed now: days, quantity, whole and kind."""
    return [
        (row.period.lower, row.period.upper, row.quantity, row.whole, row.kind)
        for row in session.execute(
            select(Claim.period, Claim.quantity, Claim.whole, Claim.kind)
            .where(Claim.unit_id == unit_id, Claim.live.contains(func.clock_timestamp()))
            .order_by(func.lower(Claim.period), Claim.quantity)
        )
    ]


def unit_id(session: Session, code: str) -> UUID:
    found: UUID = session.execute(select(Unit.id).where(Unit.code == code)).scalar_one()
    return found


def halves(**values: Any) -> Split:
    """A split in two by area."""
    code = f"part-{make.number()}"
    order: dict[str, Any] = {
        "effective_on": DAY,
        "parts": [Part(f"{code}-1"), Part(f"{code}-2")],
        "shares": [0.6, 0.4],
    }
    return Split(**(order | values))


def measured(leasable: str, internal: str, day: date = DAY, **values: Any) -> Change:
    changes = {"leasable_area_m2": Decimal(leasable), "internal_area_m2": Decimal(internal)}
    return Change(day, {**changes, "area_method": "实测"}, **values)


def test_terms_hold_for_their_days_only(session: Session) -> None:
    unit = make.make_unit(session)
    change = Change(DAY, {"rent_cny_per_m2_day": Decimal("4.5")}, until=LATER)

    done = change_terms(session, MANAGER, unit.code, change)

    assert done.event is not None
    assert pieces(session, unit.id, "rent_cny_per_m2_day") == [
        (None, DAY, Decimal("3.0000")),
        (DAY, LATER, Decimal("4.5000")),
        (LATER, None, Decimal("3.0000")),
    ]
    told = session.execute(select(UnitEvent.changes)).scalar_one()
    assert told == {
        "until": "2028-01-01",
        "values": {"rent_cny_per_m2_day": {"before": "3.0000", "after": "4.5"}},
    }
    with pytest.raises(InvalidInputError, match="nothing would change"):
        change_terms(session, MANAGER, unit.code, change)
    back = Change(DAY, {"rent_cny_per_m2_day": Decimal("3.0")}, until=LATER)
    change_terms(session, MANAGER, unit.code, back)
    assert pieces(session, unit.id) == [(None, None)]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"min_part": Decimal(2001)}, "/changes/min_part"),
        ({"min_term_months": 12, "max_term_months": 6}, "/changes/max_term_months"),
    ],
)
def test_terms_must_not_contradict_each_other(
    session: Session, changes: dict[str, Any], pointer: str
) -> None:
    unit = make.make_unit(session)
    with pytest.raises(InvalidInputError) as refused:
        change_terms(session, MANAGER, unit.code, Change(DAY, changes))
    assert [fault.pointer for fault in refused.value.faults] == [pointer]


def test_the_whole_follows_a_new_measurement(session: Session) -> None:
    unit = make.make_unit(session)
    lease = make.make_claim(session, unit, date(2026, 6, 1), date(2030, 1, 1))

    done = remeasure(session, MANAGER, unit.code, measured("1980.50", "1600.00"))

    assert pieces(session, unit.id, "capacity", "leasable_area_m2", "area_method") == [
        (None, DAY, Decimal(2000), Decimal(2000), "tests"),
        (DAY, None, Decimal("1980.50"), Decimal("1980.50"), "实测"),
    ]
    assert live_claims(session, unit.id) == [
        (date(2026, 6, 1), DAY, Decimal(2000), True, "lease"),
        (DAY, date(2030, 1, 1), Decimal("1980.50"), True, "lease"),
    ]
    assert {one.commitment_id for one in done.moved} == {lease.commitment_id}
    lines = read_commitment(session, lease.commitment_id).lines
    assert [line.quantity for line in lines] == [Decimal(2000), Decimal("1980.50")]


def test_a_measurement_that_leaves_too_little_names_the_parts(session: Session) -> None:
    unit = make.make_unit(session, divisible=True, min_part=Decimal(100))
    kept = make.make_claim(session, unit, DAY, LATER, quantity=Decimal(900))
    first = make.make_claim(session, unit, LATER, None, quantity=Decimal(1200))
    second = make.make_claim(session, unit, LATER, None, quantity=Decimal(700))

    with pytest.raises(UnitClaimsBlockError) as refused:
        remeasure(session, MANAGER, unit.code, measured("1899.99", "1500"))

    blockers: Any = refused.value.facts["blockers"]
    named = {blocker["commitment_id"] for blocker in blockers}
    assert named == {first.commitment_id, second.commitment_id}
    assert kept.commitment_id not in named
    done = remeasure(session, MANAGER, unit.code, measured("1900.00", "1500"))
    assert done.blockers == ()
    # Rows that span the change are cut, and keep what they had.
    assert [row[2] for row in live_claims(session, unit.id)] == [900, 700, 1200]


def test_a_hold_survives_a_cut_and_becomes_one_lease(session: Session) -> None:
    unit = make.make_unit(session)
    expiry = session.execute(text("SELECT clock_timestamp() + interval '1 day'")).scalar_one()
    begun = session.execute(text("SELECT clock_timestamp() - interval '1 hour'")).scalar_one()
    hold = make.make_claim(
        session, unit, date(2026, 1, 1), LATER, kind="hold", live=Range(begun, expiry)
    )

    remeasure(session, MANAGER, unit.code, measured("1900", "1500"))
    split_unit(session, MANAGER, unit.code, halves(effective_on=date(2027, 6, 1)))
    held = read_commitment(session, hold.commitment_id)
    assert {line.live.upper for line in held.lines} == {expiry}
    leased = confirm_hold(session, MANAGER, hold.commitment_id)

    assert [line.quantity for line in leased.lines] == [1140, 760, 2000, 1900]
    assert {line.kind for line in leased.lines} == {ClaimKind.LEASE.value}


def test_an_outline_may_not_come_to_lie_on_a_neighbour(session: Session) -> None:
    floor = make.make_floor(session)
    unit = make.make_unit(session, floor=floor, slot=0, slots=2)
    neighbour = make.make_unit(session, floor=floor, slot=1, slots=2)
    both = to_shape(unit.geom).union(to_shape(neighbour.geom)).envelope
    change = measured("1900", "1500")
    wide = Change(DAY, {**change.changes, "geom": both})
    with pytest.raises(InvalidInputError, match=neighbour.code):
        remeasure(session, MANAGER, unit.code, wide)
    smaller = to_shape(unit.geom).buffer(-0.00001)
    done = remeasure(session, MANAGER, unit.code, Change(DAY, {**change.changes, "geom": smaller}))
    assert done.event is not None


def test_a_split_hands_everything_on(session: Session) -> None:
    unit = make.make_unit(
        session, power_kva=Decimal("100.1"), min_part=Decimal(900), divisible=True
    )
    lease = make.make_claim(session, unit, date(2026, 6, 1), None)
    order = halves()
    one, two = (part.code for part in order.parts)

    done = split_unit(session, MANAGER, unit.code, order)

    names = ("usable", "leasable_area_m2", "internal_area_m2", "power_kva", "min_part")
    assert pieces(session, unit.id, *names) == [
        (None, DAY, Range(date(2020, 1, 1), DAY), 2000, 1640, Decimal("100.1"), 900)
    ]
    usable = Range(DAY, None)
    first, second = unit_id(session, one), unit_id(session, two)
    assert pieces(session, first, *names) == [(DAY, None, usable, 1200, 984, Decimal("60.1"), 900)]
    assert pieces(session, second, *names) == [(DAY, None, usable, 800, 656, Decimal("40.0"), None)]
    assert live_claims(session, unit.id) == [(date(2026, 6, 1), DAY, 2000, True, "lease")]
    assert live_claims(session, first) == [(DAY, None, 1200, True, "lease")]
    assert live_claims(session, second) == [(DAY, None, 800, True, "lease")]
    standing = read_commitment(session, lease.commitment_id)
    assert [line.unit_code for line in standing.lines] == [one, two, unit.code]
    lineage = session.execute(
        select(UnitEventUnit.unit_id, UnitEventUnit.part).order_by(UnitEventUnit.part)
    ).all()
    assert set(lineage) == {(unit.id, "parent"), (first, "child"), (second, "child")}
    assert done.event is not None


def test_parts_taken_block_a_split_until_a_child_takes_them(session: Session) -> None:
    unit = make.make_unit(session, divisible=True, min_part=Decimal(100))
    over = make.make_claim(session, unit, date(2026, 1, 1), DAY, quantity=Decimal(900))
    some = make.make_claim(session, unit, date(2026, 6, 1), LATER, quantity=Decimal(800))
    more = make.make_claim(session, unit, LATER, None, quantity=Decimal(300))
    order = halves()
    one, two = (part.code for part in order.parts)

    with pytest.raises(UnitClaimsBlockError) as refused:
        split_unit(session, MANAGER, unit.code, order)
    blockers: Any = refused.value.facts["blockers"]
    assert {blocker["commitment_id"] for blocker in blockers} == {
        some.commitment_id,
        more.commitment_id,
    }
    assert over.commitment_id not in {blocker["commitment_id"] for blocker in blockers}
    assert all(blocker["company_name_zh"] for blocker in blockers)
    # 800 m² is all of the second part; the 300 m² come after it.
    done = split_unit(
        session,
        MANAGER,
        unit.code,
        halves(parts=order.parts, assign={some.commitment_id: two, more.commitment_id: two}),
    )
    assert done.event is not None
    assert live_claims(session, unit_id(session, two)) == [
        (DAY, LATER, 800, True, "lease"),
        (LATER, None, 300, False, "lease"),
    ]
    assert live_claims(session, unit_id(session, one)) == []


def test_what_does_not_fit_a_child_blocks_too(session: Session) -> None:
    unit = make.make_unit(session, divisible=True, min_part=Decimal(100))
    claim = make.make_claim(session, unit, DAY, None, quantity=Decimal(801))
    order = halves()
    for assign, error in (
        ({claim.commitment_id: order.parts[1].code}, UnitClaimsBlockError),
        ({claim.commitment_id: "no-such"}, InvalidInputError),
        ({uuid4(): order.parts[1].code}, InvalidInputError),
    ):
        with pytest.raises(error):
            split_unit(session, MANAGER, unit.code, halves(parts=order.parts, assign=assign))


def test_a_dry_run_tells_and_writes_nothing(session: Session) -> None:
    unit = make.make_unit(session, divisible=True, min_part=Decimal(100))
    make.make_claim(session, unit, DAY, LATER)
    count = select(func.count()).select_from(Claim)
    before = session.execute(count).scalar_one()
    rehearsal = split_unit(session, MANAGER, unit.code, halves(dry_run=True))
    assert (len(rehearsal.moved), rehearsal.event) == (2, None)
    assert [one.id for one in rehearsal.units if one.part == "child"] == [None, None]
    assert session.execute(count).scalar_one() == before
    assert session.scalars(select(UnitEvent.id)).all() == []
    assert pieces(session, unit.id) == [(None, None)]

    make.make_claim(session, unit, LATER, None, quantity=Decimal(500))
    blocked = split_unit(session, MANAGER, unit.code, halves(dry_run=True))
    assert (len(blocked.blockers), blocked.moved) == (1, ())


def test_what_has_ended_names_what_came_of_it(session: Session) -> None:
    unit = make.make_unit(session)
    order = halves()
    split_unit(session, MANAGER, unit.code, order)
    attempts: list[Callable[[], object]] = [
        lambda: split_unit(session, MANAGER, unit.code, halves(effective_on=LATER)),
        lambda: remeasure(session, MANAGER, unit.code, measured("1900", "1500", date(2026, 1, 1))),
        lambda: change_terms(session, MANAGER, unit.code, Change(DAY, {"min_term_months": 3})),
    ]
    for attempt in attempts:
        with pytest.raises(UnitRetiredError) as refused:
            attempt()
        successors: Any = refused.value.facts["successors"]
        assert [one["code"] for one in successors] == [part.code for part in order.parts]
    # Terms of the days before may still be put right.
    early = Change(date(2026, 1, 1), {"rent_cny_per_m2_day": Decimal(2)})
    change_terms(session, MANAGER, unit.code, early)
    assert pieces(session, unit.id, "rent_cny_per_m2_day")[-1] == (date(2026, 1, 1), DAY, 2)


def test_codes_are_never_used_again(session: Session) -> None:
    unit, other = make.make_unit(session), make.make_unit(session)
    for parts in ([Part("same"), Part("same")], [Part("new"), Part(other.code)]):
        with pytest.raises(DuplicateUnitCodeError) as refused:
            split_unit(session, MANAGER, unit.code, halves(parts=parts))
        assert [fault.pointer for fault in refused.value.faults] == ["/children/1/code"]


def test_parts_must_make_up_the_whole(session: Session) -> None:
    unit = make.make_unit(session)
    shape: Any = to_shape(unit.geom)
    west, south, east, north = shape.bounds
    middle = (west + east) / 2
    left, right = box(west, south, middle, north), box(middle, south, east, north)
    short = box(middle, south, east - 0.00001, north)
    cases: list[tuple[list[Part], set[str]]] = [
        ([Part("a", shape=left), Part("b", shape=short)], {"uncovered"}),
        ([Part("a", shape=left), Part("b", shape=shape)], {"overlap"}),
        (
            [
                Part("a", shape=left, leasable_m2=Decimal(1000), internal_m2=Decimal(820)),
                Part("b", shape=right, leasable_m2=Decimal("1000.03"), internal_m2=Decimal(820)),
            ],
            {"leasable_area"},
        ),
    ]
    for parts, expected in cases:
        with pytest.raises(NotAPartitionError) as refused:
            split_unit(session, MANAGER, unit.code, halves(parts=parts, shares=None))
        found: Any = refused.value.facts["misfits"]
        assert {one["what"] for one in found} == expected


def test_a_planned_change_of_size_comes_first(session: Session) -> None:
    unit = make.make_unit(session)
    change_terms(session, MANAGER, unit.code, Change(LATER, {"rent_cny_per_m2_day": Decimal(4)}))
    order = halves()
    split_unit(session, MANAGER, unit.code, order)
    rents = pieces(session, unit_id(session, order.parts[0].code), "rent_cny_per_m2_day")
    assert rents == [(DAY, LATER, 3), (LATER, None, 4)]
    other = make.make_unit(session)
    remeasure(session, MANAGER, other.code, measured("1900", "1500", LATER))
    with pytest.raises(UnitChangesLaterError):
        split_unit(session, MANAGER, other.code, halves())
    assert split_unit(session, MANAGER, other.code, halves(effective_on=LATER)).event


@pytest.fixture
def strip(session: Session) -> list[Unit]:
    """Three units side by side."""
    floor = make.make_floor(session)
    return [make.make_unit(session, floor=floor, slot=slot, slots=3) for slot in range(3)]


def test_units_merge_with_one_promise_of_all(session: Session, strip: list[Unit]) -> None:
    one, two, _ = strip
    commitment, company = uuid4(), make.make_company(session)
    for unit, start in ((one, date(2026, 1, 1)), (two, DAY)):
        make.make_claim(
            session, unit, start, LATER, commitment_id=commitment, company_id=company.id
        )
    order = Merger(DAY, [one.code, two.code], "both")

    done = merge_units(session, MANAGER, order)

    both = unit_id(session, "both")
    assert pieces(session, both, "leasable_area_m2", "usable") == [
        (DAY, None, 4000, Range(DAY, None))
    ]
    assert live_claims(session, both) == [(DAY, LATER, 4000, True, "lease")]
    assert live_claims(session, one.id) == [(date(2026, 1, 1), DAY, 2000, True, "lease")]
    assert live_claims(session, two.id) == []
    assert done.event is not None
    standing = read_commitment(session, commitment)
    assert [line.unit_code for line in standing.lines] == ["both", one.code]


def test_units_that_do_not_touch_or_share_a_floor_do_not_merge(
    session: Session, strip: list[Unit]
) -> None:
    elsewhere = make.make_unit(session)
    for other, why in (
        (strip[2].code, "edge"),
        (elsewhere.code, "floor"),
        (str(strip[0].id), "twice"),
    ):
        with pytest.raises(UnitsDoNotMergeError, match=why):
            merge_units(session, MANAGER, Merger(DAY, [strip[0].code, other], "both"))
    whole = merge_units(session, MANAGER, Merger(DAY, [unit.code for unit in strip], "all"))
    assert whole.event is not None


@pytest.mark.parametrize(
    "claims",
    [
        [(0, DAY, LATER, True)],
        [(0, DAY, LATER, True), (1, DAY, date(2028, 1, 2), True)],
        [(0, DAY, LATER, False), (1, DAY, LATER, False)],
    ],
)
def test_any_other_promise_blocks_a_merger(
    session: Session, strip: list[Unit], claims: list[tuple[int, date, date, bool]]
) -> None:
    one_for_all, company = uuid4(), make.make_company(session)
    for place, start, end, same in claims:
        make.make_claim(
            session,
            strip[place],
            start,
            end,
            commitment_id=one_for_all if same else uuid4(),
            company_id=company.id,
        )
    with pytest.raises(UnitClaimsBlockError) as refused:
        merge_units(session, MANAGER, Merger(DAY, [strip[0].code, strip[1].code], "both"))
    blockers: Any = refused.value.facts["blockers"]
    assert {blocker["unit_code"] for blocker in blockers} == {
        strip[place].code for place, *_ in claims
    }


def test_merged_units_agree_or_somebody_decides(session: Session) -> None:
    floor = make.make_floor(session)
    one = make.make_unit(
        session, floor=floor, slot=0, slots=2, floor_load_kn_m2=Decimal(5), power_kva=Decimal(10)
    )
    two = make.make_unit(
        session,
        floor=floor,
        slot=1,
        slots=2,
        rent_cny_per_m2_day=Decimal(9),
        power_kva=Decimal("5.5"),
        steam=True,
    )
    order = Merger(DAY, [str(one.id), two.code], "both")
    with pytest.raises(InvalidInputError) as refused:
        merge_units(session, MANAGER, order)
    assert [fault.pointer for fault in refused.value.faults] == ["/facts/rent_cny_per_m2_day"]
    facts = {"rent_cny_per_m2_day": Decimal(5)}
    merge_units(session, MANAGER, Merger(DAY, order.units, "both", facts=facts))
    names = ("floor_load_kn_m2", "power_kva", "steam", "rent_cny_per_m2_day")
    assert pieces(session, unit_id(session, "both"), *names) == [
        (DAY, None, 5, Decimal("15.5"), None, 5)
    ]


def test_only_managers_of_the_park_change_areas(session: Session) -> None:
    unit = make.make_unit(session)
    agent = Actor(kind=ActorKind.STAFF, label="agent", role=Role.AGENT)
    elsewhere = Actor(
        kind=ActorKind.STAFF, label="other", role=Role.MANAGER, park_ids=frozenset([uuid4()])
    )
    for actor in (agent, elsewhere):
        with pytest.raises(NotAllowedError):
            split_unit(session, actor, unit.code, halves())
        with pytest.raises(NotAllowedError):
            remeasure(session, actor, unit.code, measured("1900", "1500"))
    assert change_terms(session, agent, unit.code, Change(DAY, {"min_term_months": 6})).event


def test_the_database_refuses_what_gets_past_the_service(session: Session) -> None:
    unit = make.make_unit(session)
    make.make_claim(session, unit, DAY, None)
    session.commit()
    small: dict[str, Any] = {"capacity": 10, "leasable_area_m2": 10, "internal_area_m2": 5}
    with pytest.raises(UnitClaimsBlockError), transaction(session):
        session.execute(update(Unit).where(Unit.id == unit.id).values(**small))
    with pytest.raises(DuplicateUnitCodeError), transaction(session):
        make.make_unit(session, code=unit.code)
    remeasure(session, MANAGER, unit.code, measured("1900", "1500"))
    session.commit()
    attempts: list[Callable[[], object]] = [
        lambda: session.execute(
            update(Unit).values(known_from=Unit.known_from - timedelta(days=1))
        ),
        lambda: session.execute(update(Unit).values(valid=Range(date(2026, 1, 1), None))),
        lambda: session.execute(text("UPDATE unit_versions SET name_zh = 'x'")),
        lambda: make.make_claim(session, unit, date(2026, 1, 1), LATER),
    ]  # fmt: skip
    for attempt in attempts:
        with pytest.raises(LedgerMovedOnError), transaction(session):
            attempt()
