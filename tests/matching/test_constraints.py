"""The constraint table: two definitions of each rule agree, and every rule can speak."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.matching.load import CANDIDATES, load_units, parameters
from app.matching.snapshot import COLUMNS, Kind
from app.matching.special import PlacesNeed, Window
from app.matching.table import BITS, BY_KEY, CONSTRAINTS
from tests.factories import (
    make_building,
    make_claim,
    make_floor,
    make_parcel,
    make_park,
    make_unit,
    make_zone,
)
from tests.matching.worlds import (
    DAY,
    make_demand,
    make_need,
    make_world,
    satisfies,
    seeded,
    units_of,
    with_hard,
)

SQL_TYPES = {Kind.NUMBER: "float8", Kind.RANK: "text", Kind.FLAG: "boolean", Kind.DAY: "date"}
RECORD = ", ".join(
    [
        "code text",
        "land_use_code text",
        "park_codes text[]",
        "zone_codes text[]",
        *(f"{name} {SQL_TYPES[column.kind]}" for name, column in COLUMNS.items()),
    ]
)


def twins_over(source: str, needs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A statement that evaluates the SQL of each constraint over rows ``c``, and its values."""
    verdicts = ", ".join(f"coalesce({BY_KEY[key].sql}, false) AS v_{key}" for key in needs)
    values: dict[str, Any] = {}
    for key, need in needs.items():
        values |= BY_KEY[key].params(need)
    return f"SELECT c.code, {verdicts} FROM {source} ORDER BY c.code", values  # noqa: S608


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32))
def test_predicate_sql_and_oracle_agree_on_every_constraint(session: Session, seed: int) -> None:
    rows = make_world(seed)
    units = units_of(rows)
    rng = seeded(seed)
    needs = {key: make_need(rng, key) for key in BY_KEY}

    statement, values = twins_over(
        f"jsonb_to_recordset(CAST(:rows AS jsonb)) AS c({RECORD})", needs
    )
    statement = statement.replace(") c ORDER", ") ORDER")
    answers = (
        session.execute(text(statement), values | {"rows": json.dumps(rows, default=str)})
        .mappings()
        .all()
    )

    for key, need in needs.items():
        judged = list(BY_KEY[key].holds(units, need))
        assert judged == [answer[f"v_{key}"] for answer in answers], key
        assert judged == [satisfies(row, key, need) for row in rows], key


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32))
def test_the_loaded_columns_and_the_database_agree_on_every_constraint(
    session: Session, seed: int
) -> None:
    _build_some_units(session, seeded(seed))
    as_of = datetime(2026, 11, 1, tzinfo=UTC)
    rng = seeded(seed)
    demand = make_demand(seed, hard=0, soft=0)
    needs = {key: make_need(rng, key) for key in BY_KEY}
    needs["availability"] = demand.window
    everything = type(demand)(
        hard=needs,
        soft={},
        window=demand.window,
        terms=demand.terms,
        rules_version="tests",
    )

    units = load_units(session, everything, as_of)
    statement, values = twins_over(f"({CANDIDATES}) AS c", needs)
    values |= parameters(everything, as_of)
    answers = session.execute(text(statement), values).mappings().all()
    session.rollback()

    assert [answer["code"] for answer in answers] == list(units.codes)
    for key, need in needs.items():
        judged = list(BY_KEY[key].holds(units, need))
        assert judged == [answer[f"v_{key}"] for answer in answers], key


def _build_some_units(session: Session, rng: Random) -> None:
    zone = make_zone(session)
    outer = make_park(session, zone_id=zone.id, special_goods_import_pilot=rng.random() < 0.5)
    inner = make_park(session, zone_id=zone.id, parent_park_id=outer.id)
    for place, park in enumerate((outer, inner)):
        parcel = make_parcel(
            session, park_id=park.id, land_use_code=rng.choice(("M1", "M2", "C65+C8"))
        )
        building = make_building(
            session,
            parcel=parcel,
            height_m=rng.choice((None, Decimal("20.00"), Decimal("30.00"))),
            steam=rng.choice((None, True, False)),
            freight_lift_t=rng.choice((None, Decimal("2.00"))),
        )
        floor = make_floor(session, building=building, level_index=rng.choice((-1, 0, 2)))
        for slot in range(3):
            unit = make_unit(
                session,
                floor=floor,
                slot=slot,
                slots=3,
                area_m2=rng.choice(("100.00", "1500.00", "5000.00")),
                unit_type=rng.choice(("pilot", "production")),
                power_density_w_m2=rng.choice((None, Decimal("100.0"))),
                power_kva=rng.choice((None, Decimal("75.0"))),
                cleanroom_grade=rng.choice((None, "D", "B")),
                biosafety_level=rng.choice((None, 1, 2, 3)),
                fire_hazard_class=rng.choice((None, "bing", "jia")),
                vibration_class=rng.choice((None, "VC-B")),
                steam=rng.choice((None, True, False)),
                floor_load_kn_m2=rng.choice((None, Decimal("3.43"), Decimal("7.50"))),
                max_term_months=rng.choice((None, 24)),
                rent_cny_per_m2_day=rng.choice((None, Decimal("3.1234"))),
            )
            if rng.random() < 0.5 and place == 0:
                start = rng.choice((date(2026, 6, 1), date(2027, 2, 1)))
                make_claim(session, unit, start, rng.choice((None, date(2027, 4, 1))))


def test_a_window_is_the_first_free_stretch_that_holds_the_whole_term(session: Session) -> None:
    unit = make_unit(session)
    make_claim(session, unit, date(2026, 1, 1), date(2027, 2, 1))
    make_claim(session, unit, date(2027, 8, 1), date(2028, 1, 1))
    demand = make_demand(1, hard=0)
    as_of = datetime(2026, 11, 1, tzinfo=UTC)

    def stretch(months: int) -> tuple[Any, Any]:
        window = Window(date(2027, 1, 1), date(2029, 1, 1), months)
        asked = type(demand)(
            hard={}, soft={}, window=window, terms=demand.terms, rules_version="tests"
        )
        units = load_units(session, asked, as_of)
        return units.value("free_from", 0), units.value("free_until", 0)

    assert stretch(6) == (date(2027, 2, 1), date(2027, 8, 1))
    assert stretch(7) == (date(2028, 1, 1), None)


def test_places_have_their_share_of_the_room(session: Session) -> None:
    room = make_unit(
        session,
        unit_type="incubation",
        capacity_measure="place",
        capacity=Decimal(20),
        divisible=True,
        min_part=Decimal(1),
        area_m2="233.00",
        rent_cny_per_m2_day=None,
        rent_cny_per_place_month=Decimal("1682.00"),
        power_kva=Decimal("60.0"),
        cold_storage_m2=Decimal("10.00"),
        waste_water_t_per_day=Decimal("5.00"),
    )
    demand = make_demand(1, hard=0)

    def of(places: int | None) -> dict[str, Any]:
        hard = {} if places is None else {"places": places, "max_rent_cny_per_year": 40_368.0}
        asked = with_hard(demand, hard)
        units = load_units(session, asked, datetime(2026, 11, 1, tzinfo=UTC))
        assert units.ids == (str(room.id),)
        if places is not None:
            fits = bool(BY_KEY["max_rent_cny_per_year"].holds(units, 40_368.0)[0])
            statement, values = twins_over(f"({CANDIDATES}) AS c", dict(hard))
            values |= parameters(asked, datetime(2026, 11, 1, tzinfo=UTC))
            answer = session.execute(text(statement), values).mappings().one()
            assert fits == answer["v_max_rent_cny_per_year"] == (places <= 2)
        return {name: units.value(name, 0) for name in SHARED}

    assert of(2) == dict(zip(SHARED, (40_368.0, 6.0, 1.0, 0.5), strict=True))
    assert of(20) == of(None) == dict(zip(SHARED, (403_680.0, 60.0, 10.0, 5.0), strict=True))
    assert of(3)["rent_cny_per_year"] == 60_552.0


SHARED = ("rent_cny_per_year", "power_kva", "cold_storage_m2", "waste_water_t_per_day")


def test_a_unit_that_no_longer_exists_is_not_judged(session: Session) -> None:
    make_unit(session, usable=Range(date(2020, 1, 1), date(2026, 1, 1)))
    kept = make_unit(session)

    units = load_units(session, make_demand(1, hard=0), datetime(2026, 11, 1, tzinfo=UTC))

    assert units.codes == (kept.code,)


def test_what_is_not_recorded_satisfies_no_need() -> None:
    rows = make_world(7, size=3, known=0.0)
    units = units_of(rows)
    # Everything else is never unknown: it comes from keys, geometry or the landlord's limits.
    always_known = {"unit_type", "min_area_m2", "max_area_m2", "places", "term_months", "land_use"}
    always_known |= {"zones", "parks", "ground_floor", "special_goods_import_pilot", "fire_storey"}
    for key in set(BY_KEY) - always_known:
        assert not BY_KEY[key].holds(units, make_need(seeded(1), key)).any(), key


@pytest.mark.parametrize("key", list(BY_KEY))
def test_every_constraint_speaks_both_languages(key: str) -> None:
    constraint, rng = BY_KEY[key], seeded(3)
    units = units_of(make_world(3, size=12))
    need = make_need(rng, key)
    for row in range(len(units)):
        have = constraint.have(units, row)
        for fits in (True, False):
            zh, en = constraint.says(have, need, fits)
            assert any("\u4e00" <= character <= "\u9fff" for character in zh)
            assert en
            assert "None" not in zh + en
        if have is not None:
            margin = constraint.margin(have, need)
            fits = bool(constraint.holds(units, need)[row])
            assert margin is None or (margin >= 0) == fits
    assert constraint.name_zh
    assert constraint.source
    assert constraint.relax_cost > 0


def test_bits_are_places_in_the_table_and_fit_a_word() -> None:
    assert [BITS[one.key] for one in CONSTRAINTS] == list(range(len(CONSTRAINTS)))
    assert len(CONSTRAINTS) < 63
    assert {"fire_hazard_class", "biosafety_level", "land_use", "isotope_class"} <= {
        one.key for one in CONSTRAINTS if one.never_relax
    }


def test_gene_island_upper_floors_are_refused_for_their_load() -> None:
    row = make_world(1, size=1)[0] | {"floor_load_kn_m2": 3.43}
    constraint = BY_KEY["min_floor_load_kn_m2"]
    units = units_of([row])

    assert not constraint.holds(units, 7.5)[0]
    assert constraint.margin(3.43, 7.5) == -4.07
    assert constraint.says(3.43, 7.5, False) == (
        "楼面荷载 3.43 kN/m²，要求不低于 7.5 kN/m²，相差 4.07 kN/m²",
        "floor load is 3.43 kN/m²; at least 7.5 kN/m² is needed: short by 4.07 kN/m²",
    )


@pytest.mark.parametrize(
    ("key", "have", "need", "fits", "zh", "en"),
    [
        (
            "unit_type",
            "hq_rd",
            "pilot",
            False,
            "空间类型为总部+研发，需要中试",
            "this is HQ + R&D space; pilot-scale space is needed",
        ),
        (
            "biosafety_level",
            1.0,
            3,
            False,
            "生物安全等级 1，要求不低于 3，相差 2",
            "biosafety level (BSL) is 1; at least 3 is needed: short by 2",
        ),
        (
            "max_rent_cny_per_m2_day",
            4.5,
            4.0,
            False,
            "租金 4.5 元/㎡·天，要求不高于 4 元/㎡·天，超出 0.5 元/㎡·天",
            "rent is 4.5 CNY/m²·day; at most 4 CNY/m²·day is needed: over by 0.5 CNY/m²·day",
        ),
        (
            "fire_storey",
            "1F / 24.5 m",
            "bing",
            True,
            "丙类生产可设于本层（1F，建筑高度 24.5 m）",
            "production of class C (bing) may stand on this floor (1F, building height 24.5 m)",
        ),
        (
            "zones",
            "core, x",
            PlacesNeed(("core",), {"core": ("张江", "Zhangjiang")}),
            True,
            "所在区域（张江、x）属于意向区域：张江",
            "it lies in Zhangjiang, x, within the zones wanted: Zhangjiang",
        ),
        (
            "places",
            20.0,
            2,
            True,
            "共有工位 20 个，需要 2 个",
            "20 places in all, 2 needed",
        ),
        (
            "availability",
            date(2027, 1, 1),
            Window(DAY, date(2027, 6, 1), 12),
            True,
            "2027-01-01 起可用，最晚起租日 2027-06-01，租期 12 个月可满足",
            "free from 2027-01-01, in time for the latest start, 2027-06-01, for 12 months",
        ),
    ],
)
def test_the_words_are_those_of_people(
    key: str, have: Any, need: Any, *, fits: bool, zh: str, en: str
) -> None:
    assert BY_KEY[key].says(have, need, fits) == (zh, en)


def test_the_window_of_the_strategies_starts_where_the_units_do() -> None:
    assert make_demand(5).window.start == DAY
