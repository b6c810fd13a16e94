"""The table itself: whole, in step with its page and the firm's form, and able to speak."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.demand.needs import NEEDS
from app.demand.request_schemas import NeedsIn
from app.demand.rules import BuildingRules, StoreyRule, load_rules
from app.matching.forms import Ground, Interval
from app.matching.rules.compile import CARRIED, IMPLIED, UNCHECKED
from app.matching.rules.constraint import Combining
from app.matching.rules.demand import Window
from app.matching.rules.described import described, digest, reference_page
from app.matching.rules.ground import PlacesNeed
from app.matching.rules.own import PowerNeed
from app.matching.rules.special import IsoNeed, StoreyNeed, storey_class, storey_need
from app.matching.rules.table import BITS, BY_KEY, CONSTRAINTS
from tests.matching.rules.worlds import DAY, make_need, make_world, satisfies, seeded

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "reference" / "constraints.md"
#: The bits that were given before; a bit keeps its meaning.
FIRST_BITS = (
    *("unit_type", "min_area_m2", "max_area_m2", "places", "availability", "term_months"),
    *("land_use", "fire_hazard_class", "fire_storey", "min_floor_load_kn_m2"),
    *("min_clear_height_m", "min_power_density_w_m2", "min_power_kva", "cleanroom_grade"),
    *("biosafety_level", "animal_facility", "min_cold_storage_m2", "min_waste_water_t_per_day"),
    *("min_freight_lift_t", "hoist_opening", "ground_floor", "steam", "gas", "purified_water"),
    *("dual_power_feed", "isotope_class", "vibration_class", "special_goods_import_pilot"),
    *("zones", "parks", "near", "max_bsl_lab_distance_m", "max_cdmo_line_distance_m"),
    *("max_biobank_distance_m", "max_animal_facility_distance_m"),
    *("max_isotope_waste_distance_m", "max_hospital_distance_m", "max_metro_station_distance_m"),
    *("max_rent_cny_per_m2_day", "max_rent_cny_per_year", "whole_floor", "whole_building"),
    *("within", "power_left", "physical_state", "cleanroom_iso_class"),
)
LAW = {"land_use", "fire_hazard_class", "fire_storey", "biosafety_level", "isotope_class"}
#: What there is by rules with a kernel of their own is said by the judge.
JUDGED: dict[str, set[Any]] = {
    "availability": {DAY},
    "whole_floor": {1, 4},
    "whole_building": {1, 4},
    "power_left": {2.5},
    "max_rent_cny_per_year": {2.5},
}
NEVER_UNKNOWN = {"unit_type", "land_use", "special_goods_import_pilot", "term_months", "within"}
RULES = BuildingRules(
    "1", "", "", 24.0, 1, {"jia": StoreyRule(False, False), "yi": StoreyRule(False, True)}, {}
)


def test_the_page_is_made_from_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference_page(), (
        "write it anew: python -c 'from app.matching.rules.described import reference_page;"
        ' print(reference_page(), end="")\' > docs/reference/constraints.md'
    )


def test_bits_are_places_in_the_table_keep_their_meaning_and_fit_a_word() -> None:
    assert tuple(one.key for one in CONSTRAINTS) == FIRST_BITS
    assert [BITS[one.key] for one in CONSTRAINTS] == list(range(len(CONSTRAINTS)))
    assert len(CONSTRAINTS) < 63
    assert {one.key for one in CONSTRAINTS if one.never_relax} == LAW


def test_every_need_of_the_form_is_a_constraint_or_declared_to_be_none() -> None:
    aside = {"programmes", "soft", "hard"}
    asked = {field.alias or name for name, field in NeedsIn.model_fields.items()} - aside
    assert asked == set(NEEDS)
    assert {need for need in asked if need not in BY_KEY} == CARRIED | UNCHECKED
    assert set(BY_KEY) - asked == IMPLIED
    assert not CARRIED & UNCHECKED


def test_every_rule_cites_its_source_and_how_sure_it_is() -> None:
    for one in described():
        assert one["source"]
        assert one["confidence"] in {"published", "derived", "assumption"}
        assert one["relax_cost"] > 0
        assert not (one["never_relax"] and one["by_amount"])
        if one["never_relax"]:
            assert one["confidence"] == "assumption", "check the clause"


def test_the_digest_tells_tables_apart() -> None:
    strict = replace(BY_KEY["min_area_m2"], sql="c.leasable_area_m2 > :min_area_m2")
    others = [
        tuple(strict if one.key == "min_area_m2" else one for one in CONSTRAINTS),
        CONSTRAINTS[:-1],
        (replace(CONSTRAINTS[0], relax_cost=1), *CONSTRAINTS[1:]),
    ]
    assert digest() == digest(tuple(CONSTRAINTS))
    assert len({digest(), *map(digest, others)}) == 4


@pytest.mark.parametrize("key", list(BY_KEY))
def test_every_constraint_speaks_both_languages(key: str) -> None:
    constraint, world = BY_KEY[key], make_world(3)
    need = make_need(seeded(3), key)
    samples: set[Any] = {constraint.has(world.segment, row, need) for row in world.at} | {None}
    samples |= JUDGED.get(key, set())
    if key in NEVER_UNKNOWN:
        samples -= {None}
    for have in samples:
        for fits in (True, False):
            zh, en = constraint.says(have, need, fits)
            assert any("\u4e00" <= character <= "\u9fff" for character in zh)
            assert en
            assert "None" not in zh + en
    assert constraint.name_zh
    assert constraint.name_en


@pytest.mark.parametrize("key", list(BY_KEY))
def test_margins_tell_the_verdict(key: str) -> None:
    constraint = BY_KEY[key]
    for seed in range(6):
        world, need = make_world(seed), make_need(seeded(seed), key)
        for row, at in zip(world.rows, world.at, strict=True):
            have = constraint.has(world.segment, at, need)
            margin = None if have is None else constraint.margin(have, need)
            assert margin is None or (margin >= 0) == satisfies(row, key, need)


@pytest.mark.parametrize("key", [one.key for one in CONSTRAINTS if one.give is not None])
def test_what_is_given_accepts_what_there_is_and_all_that_was_accepted(key: str) -> None:
    constraint = BY_KEY[key]
    assert constraint.give is not None
    moved = 0
    for seed in range(8):
        world, need = make_world(seed), make_need(seeded(seed), key)
        for row, at in zip(world.rows, world.at, strict=True):
            have = constraint.has(world.segment, at, need)
            have = {"availability": row["free_from"], "max_rent_cny_per_year": None}.get(key, have)
            if key == "max_rent_cny_per_year":
                have = row["rent_cny_per_year"]
            if have is None:
                continue
            given = constraint.give(need, have)
            assert satisfies(row, key, given), (need, have, given)
            assert given == need or not satisfies(row, key, need)
            assert all(
                satisfies(one, key, given) for one in world.rows if satisfies(one, key, need)
            )
            moved += given != need
    assert moved


@pytest.mark.parametrize("key", [one.key for one in CONSTRAINTS if one.beyond is not None])
def test_how_far_buildings_miss_is_what_the_margin_says(key: str) -> None:
    constraint, world = BY_KEY[key], make_world(4)
    assert constraint.beyond is not None
    need = make_need(seeded(4), key)
    places = np.array([world.segment.building_of(at) for at in world.at])
    missing = constraint.beyond(world.segment, need, places)
    for at, miss in zip(world.at, missing, strict=True):
        have = constraint.has(world.segment, at, need)
        if have is None:
            assert np.isnan(miss)
        else:
            assert miss == pytest.approx(max(0.0, -(constraint.margin(have, need) or 0)), abs=0.001)


def test_needs_finer_than_the_grain_are_never_rounded_to_the_firms_harm() -> None:
    world = make_world(1)
    load, rent = BY_KEY["min_floor_load_kn_m2"], BY_KEY["max_rent_cny_per_m2_day"]
    asked = load.form(world.segment, 7.850001), rent.form(world.segment, 3.99999)
    assert all(isinstance(one, Interval) for one in asked)
    assert (asked[0].low, asked[1].high) == (786, 39_999)  # type: ignore[union-attr]
    metro = BY_KEY["max_metro_station_distance_m"]
    distances = np.full_like(world.segment.buildings.distances, 100_001)
    buildings = replace(world.segment.buildings, distances=distances)
    segment = replace(world.segment, buildings=buildings)
    for need, fits in ((1000.01, True), (1000.009, False), (1000.02, True)):
        form = metro.form(segment, need)
        assert isinstance(form, Ground)
        assert form.ok.all() == fits


def test_several_units_add_up_where_the_rule_is_on_a_sum() -> None:
    summed = {one.key for one in CONSTRAINTS if one.combining is Combining.SUM}
    anywhere = {one.key for one in CONSTRAINTS if one.combining is Combining.ANY}
    assert anywhere == {"min_freight_lift_t", "hoist_opening", "ground_floor"}
    assert summed == {
        *("min_area_m2", "max_area_m2", "places", "min_power_kva", "min_cold_storage_m2"),
        *("min_waste_water_t_per_day", "max_rent_cny_per_year", "whole_floor", "whole_building"),
        "power_left",
    }


def test_gene_island_upper_floors_are_refused_for_their_load() -> None:
    constraint = BY_KEY["min_floor_load_kn_m2"]
    form = constraint.form(make_world(1).segment, 7.5)

    assert isinstance(form, Interval)
    assert not form.low <= 343 <= form.high
    assert constraint.margin(3.43, 7.5) == -4.07
    assert constraint.says(3.43, 7.5, False) == (
        "楼面荷载 3.43 kN/m²，要求不低于 7.5 kN/m²，相差 4.07 kN/m²",
        "floor load is 3.43 kN/m²; at least 7.5 kN/m² is needed: short by 4.07 kN/m²",
    )


@pytest.mark.parametrize(
    ("level", "floors", "height_m", "expected"),
    [
        (-1, 1, 5.0, 0),
        (0, 1, 40.0, 2),
        (0, 1, np.nan, 2),
        (3, 4, 24.0, 2),
        (3, 4, 24.01, 1),
        (0, 8, 40.0, 1),
        (3, 4, np.nan, 1),
    ],
)
def test_storeys_are_told_apart_by_the_rules(
    level: int, floors: int, height_m: float, expected: int
) -> None:
    found = storey_class(np.array([level]), np.array([floors]), np.array([height_m]), RULES)
    assert found.tolist() == [expected]
    assert found.dtype == np.int8


def test_what_is_high_rise_and_what_may_stand_where_is_data() -> None:
    needs = {fire: storey_need(fire, RULES).least for fire in ("jia", "yi", "bing", "wu")}
    assert needs == {"jia": 2, "yi": 1, "bing": 0, "wu": 0}
    lower = replace(RULES, high_rise_above_m=20.0, storeys={"bing": StoreyRule(False, False)})
    assert storey_need("bing", lower) == StoreyNeed("bing", 2, 20.0, 1)
    at = np.array([3]), np.array([4]), np.array([22.0])
    assert (storey_class(*at, RULES)[0], storey_class(*at, lower)[0]) == (2, 1)


def test_the_rules_for_buildings_are_read_and_checked(tmp_path: Path) -> None:
    rules = load_rules(ROOT / "data").building
    assert (rules.high_rise_above_m, rules.high_rise_above_floors) == (24.0, 1)
    assert rules.gmp_grade_of_iso == {5: "B", 6: "B", 7: "C", 8: "D"}
    assert {fire: storey_need(fire, rules).least for fire in ("jia", "yi", "bing")} == {
        "jia": 2,
        "yi": 1,
        "bing": 0,
    }
    (tmp_path / "needs").mkdir()
    for path in (ROOT / "data" / "needs").iterdir():
        said = path.read_text("utf-8")
        if path.name == "building_rules.toml":
            said = said.replace("below_ground = false", "below_ground = true", 1)
        (tmp_path / "needs" / path.name).write_text(said, "utf-8")
    with pytest.raises(ValueError, match="below ground"):
        load_rules(tmp_path)


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
            StoreyNeed("bing", 0, 24.0, 1),
            True,
            "丙类生产可设于本层（1F，建筑高度 24.5 m）",
            "production of class C (bing) may stand on this floor (1F, building height 24.5 m)",
        ),
        (
            "fire_storey",
            "3F / 24.5 m",
            StoreyNeed("jia", 2, 24.0, 1),
            False,
            "甲类生产不得设于地下，也不得设于高层厂房（本层 3F，建筑高度 24.5 m）",
            (
                "production of class A (jia) must not stand below ground, nor in a high-rise plant"
                " (here: 3F, building height 24.5 m)"
            ),
        ),
        (
            "zones",
            "core, x",
            PlacesNeed(("core",), {"core": ("张江", "Zhangjiang")}),
            True,
            "所在区域（张江、x）属于意向区域：张江",
            "it lies in Zhangjiang, x, within the zones wanted: Zhangjiang",
        ),
        ("places", 20.0, 2, True, "共有工位 20 个，需要 2 个", "20 places in all, 2 needed"),
        (
            "availability",
            date(2027, 1, 1),
            Window(DAY, date(2027, 6, 1), 12),
            True,
            "2027-01-01 起可用，最晚起租日 2027-06-01，租期 12 个月可满足",
            "free from 2027-01-01, in time for the latest start, 2027-06-01, for 12 months",
        ),
        (
            "power_left",
            380.0,
            PowerNeed(500.0, None),
            False,
            "楼宇剩余配电 380 kVA，不足以承担所需的500 kVA",
            "power left in the building is 380 kVA, too little for the 500 kVA needed",
        ),
        (
            "cleanroom_iso_class",
            "D",
            IsoNeed(7, "C"),
            False,
            "洁净等级为 GMP D级，达不到所需的 ISO 7级（相当于 GMP C级，静态）",
            "cleanroom grade is GMP D, which falls short of the ISO 7 (GMP C at rest) needed",
        ),
    ],
)
def test_the_words_are_those_of_people(
    key: str, have: Any, need: Any, *, fits: bool, zh: str, en: str
) -> None:
    assert BY_KEY[key].says(have, need, fits) == (zh, en)
