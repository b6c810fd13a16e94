"""Key figures across a split and a new measurement that the ledger itself carried out."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal

from sqlalchemy.orm import Session

from app.kpis.asked import KpiSearch
from app.kpis.compute import Value, key_figures
from app.ledger.units.changing import Change, change_terms, remeasure
from app.ledger.units.splitting import Part, Split, split_unit
from app.security.actors import Actor, ActorKind, Role
from tests import factories as make

MANAGER = Actor(kind=ActorKind.STAFF, label="manager", role=Role.MANAGER)
DAY = date(2027, 1, 1)


def quarters(session: Session) -> tuple[Mapping[str, Value], ...]:
    """The last quarter of 2026 and the first of 2027, as known now."""
    search = KpiSearch(start=date(2026, 10, 1), until=date(2027, 4, 1))
    [group] = key_figures(session, MANAGER, search, datetime.now(UTC)).groups
    return group.values


def test_a_lease_that_follows_a_split_neither_ends_nor_begins(session: Session) -> None:
    unit = make.make_unit(session)
    make.make_claim(session, unit, date(2026, 1, 1), date(2028, 1, 1))
    session.commit()
    before = quarters(session)

    parts = [Part(f"{unit.code}-1"), Part(f"{unit.code}-2")]
    split_unit(session, MANAGER, unit.code, Split(DAY, parts=parts, shares=[0.6, 0.4]))
    after = quarters(session)

    for quarter in (0, 1):
        for code in (
            *("lettable_m2", "leased_m2", "occupancy_m2", "gross_absorption_m2", "move_outs_m2"),
            *("remeasured_m2", "walt_m2", "take_up_to_date_m2", "relay_rate", "renewal_rate"),
            *("void_completed", "void_running"),
        ):
            assert after[quarter][code].value == before[quarter][code].value, code
    assert after[1]["leased_m2"].value == 2000
    assert after[1]["take_up_to_date_m2"].denominator == 2000
    # On 31 December 2026 that day and all of 2027 are left.
    assert after[0]["walt_m2"].numerator == 2000 * 366


def test_a_new_measurement_is_no_absorption(session: Session) -> None:
    unit = make.make_unit(session)
    make.make_claim(session, unit, date(2026, 1, 1), date(2028, 1, 1))
    session.commit()
    areas = {"leasable_area_m2": Decimal(2010), "internal_area_m2": Decimal(1700)}
    remeasure(session, MANAGER, unit.code, Change(DAY, {**areas, "area_method": "survey"}))

    last, first = quarters(session)
    assert [quarter["leased_m2"].value for quarter in (last, first)] == [2000, 2010]
    assert [quarter["occupancy_m2"].value for quarter in (last, first)] == [100, 100]
    assert first["net_absorption_m2"].value == first["gross_absorption_m2"].value == 0
    assert first["remeasured_m2"].value == 10
    assert last["walt_m2"].numerator == 2000 * 366


def test_a_new_rent_changes_nothing(session: Session) -> None:
    unit = make.make_unit(session)
    make.make_claim(session, unit, date(2026, 1, 1), date(2027, 2, 1))
    session.commit()
    before = quarters(session)
    change_terms(session, MANAGER, unit.code, Change(DAY, {"rent_cny_per_m2_day": Decimal("4.5")}))
    assert quarters(session) == before
    assert before[0]["available_m2"].value == 2000
