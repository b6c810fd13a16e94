"""What takes the units that fit: counted for all, named for staff of the park, blind for firms."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.matching.answers.blocking import Blocking, find_blocking
from app.matching.rules.demand import Demand, Window
from app.matching.snapshots.load import load_segment, load_snapshot
from app.models.claim import Claim
from app.models.company import Company
from app.models.space import Unit
from app.security.actors import Actor, ActorKind, Role
from tests.factories import make_building, make_claim, make_company, make_floor, make_unit
from tests.matching.whynot.worlds import TERMS, refusals_of

NOW = datetime.now(UTC)
STAFF = Actor(ActorKind.STAFF, "tests", role=Role.VIEWER)
FIRM = Actor(ActorKind.FIRM, "tests", company_id=uuid4())
START = date(2027, 1, 1)


def demand(**hard: Any) -> Demand:
    window = Window(START, date(2027, 3, 1), 12)
    needs = {"unit_type": "pilot", "availability": window, **hard}
    return Demand(hard=needs, soft={}, window=window, terms=TERMS, rules_version="tests")


def ask(session: Session, actor: Actor, asked: Demand | None = None) -> Blocking:
    segment = load_segment(session)
    found = find_blocking(
        session, actor, refusals_of([segment], asked or demand()), as_of=NOW, count=3
    )
    assert found is not None
    return found


@pytest.fixture
def units(session: Session) -> list[Unit]:
    """Three units of a floor: two let, one for good, and one that is free."""
    floor = make_floor(session, building=make_building(session))
    made = [make_unit(session, floor=floor, slot=slot, slots=4) for slot in range(4)]
    make_claim(session, made[0], date(2026, 1, 1), date(2027, 9, 1))
    make_claim(session, made[1], date(2026, 1, 1), date(2028, 1, 1))
    make_claim(session, made[2], date(2026, 6, 1), None, kind="works", company_id=None)
    return made


def test_units_that_fit_but_are_taken_are_counted_and_the_soonest_come_first(
    session: Session, units: list[Unit]
) -> None:
    found = ask(session, STAFF)

    assert (found.units, found.never) == (3, 1)
    assert [(one.first_day, one.units) for one in found.by_day] == [
        (date(2027, 9, 1), 1),
        (date(2028, 1, 1), 1),
    ]
    assert [(one.unit_code, one.first_day) for one in found.soonest] == [
        (units[0].code, date(2027, 9, 1)),
        (units[1].code, date(2028, 1, 1)),
        (units[2].code, None),
    ]
    assert found.words_zh == (
        "3 个单元其他条件均符合，但所需时间内已被占用；最早的自 2027-09-01 起可用；"
        "其中 1 个没有足够长的空档"
    )
    assert found.words_en == (
        "3 units fit but are taken in the days asked for; the first is free from 2027-09-01;"
        " of 1 no free stretch is long enough"
    )


def test_what_breaks_anything_else_is_not_counted(session: Session, units: list[Unit]) -> None:
    make_change_of_rent(session, units[1])
    found = ask(session, STAFF, demand(max_rent_cny_per_m2_day=3.0))
    assert [one.unit_code for one in found.soonest] == [units[0].code, units[2].code]


def make_change_of_rent(session: Session, unit: Unit) -> None:
    unit.rent_cny_per_m2_day = Decimal("3.5")
    session.flush()


def test_staff_are_told_whose_commitments_they_are(session: Session, units: list[Unit]) -> None:
    first, _, works = ask(session, STAFF).soonest
    claim = session.query(Claim).filter_by(unit_id=units[0].id).one()
    company = session.get_one(Company, claim.company_id)

    assert first.commitments is not None
    (told,) = first.commitments
    assert (told.commitment_id, told.kind) == (claim.commitment_id, "lease")
    assert (told.company_name_zh, told.company_name_en) == (company.name_zh, company.name_en)
    assert (told.first_day, told.until, told.quantity) == (
        date(2026, 1, 1),
        date(2027, 9, 1),
        Decimal("2000.00"),
    )
    assert told.words_zh == (
        f"租约：{company.name_zh}，2026-01-01 至 2027-09-01（不含当日），2,000 m²"
    )
    assert works.commitments is not None
    assert [one.kind for one in works.commitments] == ["works"]


def test_what_is_over_before_or_begins_after_the_window_is_in_nobody_s_way(
    session: Session, units: list[Unit]
) -> None:
    make_claim(session, units[0], date(2025, 1, 1), date(2026, 1, 1))
    make_claim(session, units[0], date(2029, 1, 1), date(2030, 1, 1))
    told = ask(session, STAFF).soonest[0]
    assert told.commitments is not None
    assert [one.until for one in told.commitments] == [date(2027, 9, 1)]


def test_claims_believed_no_longer_are_not_named(session: Session, units: list[Unit]) -> None:
    lapsed = Range(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
    make_claim(session, units[3], START, date(2028, 1, 1), live=lapsed, kind="hold")
    assert ask(session, STAFF).units == 3


def test_staff_of_other_parks_are_told_what_everyone_is(
    session: Session, units: list[Unit]
) -> None:
    theirs = Actor(ActorKind.STAFF, "tests", role=Role.ADMIN, park_ids=frozenset({uuid4()}))
    of_the_park = Actor(
        ActorKind.STAFF, "tests", role=Role.VIEWER, park_ids=frozenset({units[0].park_id})
    )
    assert ask(session, theirs) == ask(session, FIRM)
    assert ask(session, of_the_park) == ask(session, STAFF)


def test_a_unit_let_in_parts_says_how_much_is_taken_when(session: Session) -> None:
    unit = make_unit(session, divisible=True, min_part=Decimal(500))
    make_claim(session, unit, date(2026, 1, 1), date(2027, 6, 1), quantity=Decimal(700))
    make_claim(session, unit, date(2026, 1, 1), date(2028, 6, 1), quantity=Decimal(800))
    (told,) = ask(session, FIRM, demand(min_area_m2=1200)).soonest

    assert (told.quantity, told.first_day) == (Decimal(1200), date(2027, 6, 1))
    assert [(one.first_day, one.until, one.taken_quantity) for one in told.spells] == [
        (START, date(2027, 6, 1), Decimal(1500))
    ]
    assert told.spells[0].words_en == "1,500 m² taken from 2027-01-01 until 2027-06-01"


# ---- firms learn nothing of each other -----------------------------------------------------------


def secrets(session: Session) -> list[str]:
    """Everything in the ledger that says who or what has the space."""
    rows = session.execute(
        text(
            "SELECT c.id, c.commitment_id, c.company_id, c.kind, k.name_zh, k.name_en,"
            " k.unified_social_credit_code"
            " FROM claims c LEFT JOIN companies k ON k.id = c.company_id"
        )
    ).all()
    return [str(value) for row in rows for value in row if value is not None]


def test_a_firm_s_answer_names_nobody(session: Session, units: list[Unit]) -> None:
    said = repr(asdict(ask(session, FIRM)))
    assert not [one for one in secrets(session) if one in said]
    assert all(one.commitments is None for one in ask(session, FIRM).soonest)
    # The same search finds everything in what staff are told.
    for_staff = repr(asdict(ask(session, STAFF)))
    assert [one for one in secrets(session) if one in for_staff]


def differs(session: Session, units: list[Unit], answer: Callable[[Actor], object]) -> bool:
    """Whether a firm's answer changes when the space is another firm's, of another kind, or its."""
    answers = []
    claims = session.query(Claim).filter(Claim.unit_id == units[0].id).all()
    for company_id, kind in ((claims[0].company_id, "lease"), (FIRM_ID, "hold")):
        session.execute(text("SET LOCAL session_replication_role = replica"))
        session.execute(
            text(
                "UPDATE claims SET company_id = :company, kind = :kind, commitment_id = :other,"
                " live = tstzrange(lower(live), '2100-01-01') WHERE unit_id = :unit"
            ),
            {"company": company_id, "kind": kind, "other": uuid4(), "unit": units[0].id},
        )
        answers.append(answer(FIRM))
    return answers[0] != answers[1]


FIRM_ID = uuid4()


def test_a_firm_s_answer_does_not_depend_on_who_has_the_space(
    session: Session, units: list[Unit], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_company(session, id=FIRM_ID)
    assert not differs(session, units, lambda actor: ask(session, actor))

    # An answer that lets anything through is found out.
    monkeypatch.setattr(Actor, "is_staff", True)
    assert differs(session, units, lambda actor: ask(session, actor))


def test_nothing_is_said_where_nothing_waits(session: Session, units: list[Unit]) -> None:
    refusals = refusals_of([load_segment(session)], demand(max_rent_cny_per_m2_day=1.0))
    assert find_blocking(session, STAFF, refusals, as_of=NOW) is None


def test_claims_are_those_that_the_snapshot_saw(own_engine: Engine) -> None:
    with Session(own_engine) as session:
        unit = make_unit(session)
        make_claim(session, unit, date(2026, 1, 1), date(2027, 9, 1))
        session.commit()
        snapshot = load_snapshot(session)
        session.rollback()
        make_claim(session, unit, date(2027, 9, 1), date(2027, 12, 1))
        session.commit()

        refusals = refusals_of(snapshot.segments, demand())
        now = datetime.now(UTC)
        told = [
            find_blocking(session, STAFF, refusals, as_of=now, version=version)
            for version in (snapshot.version, None)
        ]
        assert [len(one.soonest[0].commitments or ()) for one in told if one] == [1, 2]
