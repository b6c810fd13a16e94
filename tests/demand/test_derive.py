"""Derivation: the firm's word wins, and nothing needed later is needed sooner."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.demand.derive import Ask, derive_needs
from app.demand.needs import NEEDS, Hardness, Need, Origin, from_json, named
from app.demand.rules import load_rules
from app.kernel.errors import InvalidInputError
from app.kernel.period import months_after
from app.kernel.terms import PIPELINE_LADDER, Modality, PipelineStage, UnitType

RULES = load_rules(Path(__file__).resolve().parents[2] / "data")
TODAY = date(2026, 11, 1)
MODALITIES, STAGES = st.sampled_from(list(Modality)), st.sampled_from(PIPELINE_LADDER)
#: A value that no rule derives, for each need a firm may state freely.
STATED: dict[str, Any] = {
    "min_area_m2": 1_234.0,
    "max_area_m2": 4_321.0,
    "min_floor_load_kn_m2": 6.6,
    "min_clear_height_m": 5.5,
    "cleanroom_grade": "A",
    "biosafety_level": 4,
    "min_freight_lift_t": 1.5,
    "steam": True,
    "term_months": 41,
    "from": "2027-02-03",
    "latest_from": "2031-01-01",
    "max_rent_cny_per_m2_day": 3.21,
    "zones": ["core"],
    "process": "pharma_gmp",
    "remarks": "近医院",
}


def derive(
    modality: Modality | None = Modality.CAR_T,
    stage: PipelineStage | None = PipelineStage.PHASE_1,
    stated: dict[str, Any] | None = None,
    **rest: Any,
) -> tuple[Need, ...]:
    ask = Ask(stated=stated or {}, today=TODAY, modality=modality, stage=stage, **rest)
    return derive_needs(ask, RULES)


def hard(needs: tuple[Need, ...]) -> dict[str, Any]:
    return {need.key: need.value for need in needs if need.hardness is Hardness.HARD}


def test_a_car_t_firm_entering_phase_1_needs_a_pilot_space() -> None:
    needs = derive(stated={"from": "2027-01-01"})

    assert hard(needs) == {
        "unit_type": "pilot",
        "min_area_m2": 1500,
        "max_area_m2": 5000,
        "from": "2027-01-01",
        "latest_from": "2027-07-01",
        "term_months": 36,
        "process": "pilot_low_emission",
        "fire_hazard_class": "bing",
        "min_floor_load_kn_m2": 7.5,
        "min_clear_height_m": 4.0,
        "cleanroom_grade": "C",
        "biosafety_level": 2,
    }
    soft = {need.key: need.value for need in needs if need.hardness is Hardness.SOFT}
    assert soft["cleanroom_grade"] == "B"
    assert soft["target_area_m2"] == 3000
    assert soft["max_hospital_distance_m"] == 15000


@given(MODALITIES, STAGES)
def test_every_derived_value_says_where_it_comes_from(
    modality: Modality, stage: PipelineStage
) -> None:
    for need in derive(modality, stage):
        shown = need.as_json()
        assert shown["origin"] == "derived"
        assert shown["rules_version"] == RULES.version
        assert shown["source"]
        assert shown["confidence"] == "assumption"
        assert shown["rule"].startswith("stage_needs")
        assert shown["words_zh"]
        assert shown["words_en"]
        assert from_json(shown) == need


@given(
    MODALITIES,
    STAGES,
    st.dictionaries(st.sampled_from(sorted(STATED)), st.none(), max_size=8).map(sorted),
)
def test_what_the_firm_states_always_wins(
    modality: Modality, stage: PipelineStage, keys: list[str]
) -> None:
    stated = {key: STATED[key] for key in keys}

    needs = derive(modality, stage, stated)

    for key, value in stated.items():
        found = [need for need in needs if need.key == key]
        assert [need.value for need in found] == [value]
        assert found[0].origin is Origin.STATED
    for need in needs:
        assert (need.origin is Origin.STATED) == (need.key in stated)


@given(MODALITIES, STAGES)
def test_null_takes_a_derived_need_away(modality: Modality, stage: PipelineStage) -> None:
    always = {"unit_type", "from", "latest_from", "term_months"}
    for key in {need.key for need in derive(modality, stage)}:
        left = {need.key for need in derive(modality, stage, {key: None})}
        assert (key in left) == (key in always)


@given(MODALITIES, STAGES, STAGES)
def test_a_more_advanced_stage_never_needs_a_smaller_kind_of_space(
    modality: Modality, one: PipelineStage, other: PipelineStage
) -> None:
    rank = {unit_type.value: place for place, unit_type in enumerate(UnitType)}
    early, late = sorted((one, other), key=PIPELINE_LADDER.index)

    assert (
        rank[hard(derive(modality, early))["unit_type"]]
        <= rank[hard(derive(modality, late))["unit_type"]]
    )


@given(MODALITIES, STAGES, st.integers(-400, 4000), st.integers(0, 2000))
def test_a_later_stage_date_never_makes_the_need_earlier(
    modality: Modality, stage: PipelineStage, days: int, later: int
) -> None:
    day = TODAY + timedelta(days=days)
    one = hard(derive(modality, stage, stage_on=day))
    other = hard(derive(modality, stage, stage_on=day + timedelta(days=later)))

    assert one["from"] <= other["from"]
    assert one["latest_from"] <= other["latest_from"]
    assert date.fromisoformat(one["from"]) >= TODAY
    assert one["from"] <= one["latest_from"]


def test_lead_times_are_counted_back_from_the_stage() -> None:
    needs = hard(derive(stage_on=date(2029, 3, 31)))

    # 15 to 12 months before.
    assert needs["from"] == "2027-12-31"
    assert needs["latest_from"] == "2028-03-31"
    for stage_on in (date(2030, 1, 1), date(2029, 3, 31), date(2028, 1, 1)):
        latest = date.fromisoformat(hard(derive(stage_on=stage_on))["latest_from"])
        assert latest == months_after(stage_on, -12)


def test_a_lead_time_that_has_run_out_is_said_to_have() -> None:
    found = {need.key: need for need in derive(stage_on=date(2027, 3, 1))}

    assert found["from"].value == found["latest_from"].value == TODAY.isoformat()
    assert "2025-12-01 has passed, so from today" in found["from"].rule
    assert "2026-03-01 has passed" in found["latest_from"].rule


def test_a_stated_day_bounds_the_derived_one() -> None:
    earlier = derive(stage_on=date(2030, 1, 1), stated={"latest_from": "2028-01-01"})
    later = hard(derive(stage_on=date(2030, 1, 1), stated={"from": "2029-06-01"}))
    soon = hard(derive(stage_on=date(2030, 1, 1), stated={"from": "2027-01-01"}))

    assert hard(earlier)["from"] == hard(earlier)["latest_from"] == "2028-01-01"
    rule = next(need.rule for need in earlier if need.key == "from")
    assert rule.endswith("not after the latest start stated")
    assert later["latest_from"] == "2029-06-01"
    assert soon["latest_from"] == "2027-07-01"


def test_slack_is_counted_from_today_when_the_first_wished_day_has_passed() -> None:
    needs = hard(derive(stated={"from": "2020-01-01"}))

    assert needs["from"] == "2020-01-01"
    assert needs["latest_from"] == "2027-05-01"


def test_a_stated_latest_start_that_has_passed_is_refused_where_it_stands() -> None:
    with pytest.raises(InvalidInputError) as refused:
        derive(stated={"latest_from": "2026-10-31"})
    assert [fault.pointer for fault in refused.value.faults] == ["/latest_from"]


@given(MODALITIES, STAGES, st.integers(1, 10))
def test_further_programmes_need_more_but_less_than_their_own_space(
    modality: Modality, stage: PipelineStage, programmes: int
) -> None:
    one, many = hard(derive(modality, stage)), hard(derive(modality, stage, programmes=programmes))

    assert one["min_area_m2"] <= many["min_area_m2"] <= one["min_area_m2"] * programmes
    assert one["max_area_m2"] <= many["max_area_m2"] <= one["max_area_m2"] * programmes


def test_a_stated_area_beyond_the_table_drops_the_bound_it_contradicts() -> None:
    needs = hard(derive(stated={"min_area_m2": 9000.0}))

    assert needs["min_area_m2"] == 9000
    assert "max_area_m2" not in needs


def test_places_take_the_place_of_an_area() -> None:
    keys = {need.key for need in derive(stated={"places": 4.0, "unit_type": "incubation"})}

    assert "places" in keys
    assert not keys & {"min_area_m2", "max_area_m2", "target_area_m2"}


def test_another_kind_of_space_takes_its_own_row() -> None:
    needs = hard(derive(stage=PipelineStage.PHASE_2, stated={"unit_type": "hq_rd"}))

    assert (needs["unit_type"], needs["min_area_m2"]) == ("hq_rd", 2000)
    assert "biosafety_level" not in needs


def test_a_kind_of_space_alone_is_enough_and_nothing_at_all_is_not() -> None:
    needs = derive(None, None, {"unit_type": "pilot"})

    assert set(hard(needs)) == {"unit_type", "from", "latest_from", "term_months"}
    with pytest.raises(InvalidInputError, match="cannot be told") as refused:
        derive(None, None)
    assert refused.value.faults[0].pointer == "/unit_type"


def test_soft_and_hard_change_how_a_need_counts() -> None:
    needs = derive(
        soft=frozenset({"cleanroom_grade", "biosafety_level"}), hard=frozenset({"purified_water"})
    )
    found = [(need.key, need.value, need.hardness.value) for need in needs]

    assert ("cleanroom_grade", "B", "soft") in found
    assert ("biosafety_level", 2, "soft") in found
    assert ("purified_water", True, "hard") in found
    assert sum(key == "cleanroom_grade" for key, *_ in found) == 1


@pytest.mark.parametrize(
    ("soft", "hard_keys", "says"),
    [
        ({"isotope_class"}, set(), "neither stated nor derived"),
        ({"unit_type"}, set(), "always hard"),
        (set(), {"target_area_m2"}, "always soft"),
        ({"biosafety_level"}, {"biosafety_level"}, "in both lists"),
    ],
)
def test_lists_that_make_no_sense_are_refused(
    soft: set[str], hard_keys: set[str], says: str
) -> None:
    with pytest.raises(InvalidInputError) as refused:
        derive(soft=frozenset(soft), hard=frozenset(hard_keys))
    assert says in refused.value.faults[0].detail


@pytest.mark.parametrize(
    ("stated", "pointer"),
    [
        ({"min_area_m2": 3000.0, "max_area_m2": 2000.0}, "/max_area_m2"),
        ({"from": "2027-05-01", "latest_from": "2027-04-30"}, "/latest_from"),
    ],
)
def test_a_request_that_contradicts_itself_is_refused(stated: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        derive(stated=stated)
    assert refused.value.faults[0].pointer == pointer


@given(st.dates(date(2000, 1, 1), date(2060, 1, 1)), st.integers(-400, 400))
def test_months_go_back_and_forth_without_passing_the_month(day: date, months: int) -> None:
    moved = months_after(day, months)

    assert (moved.year * 12 + moved.month) - (day.year * 12 + day.month) == months
    assert moved.day <= day.day
    assert abs((months_after(moved, -months) - day).days) <= 3


def test_the_words_of_the_tables_are_the_words_of_the_form() -> None:
    assert set(UnitType) == set(RULES.spaces)
    assert named(UnitType, "pilot") is UnitType.PILOT
    with pytest.raises(ValueError, match="no UnitType"):
        named(UnitType, "castle")
    for kind in NEEDS.values():
        assert kind.zh
        assert kind.en


def test_land_use_allows_what_the_table_says() -> None:
    land = RULES.land
    assert land.codes_for("pharma_gmp", "jia", "production") == ["M2", "M3"]
    assert land.codes_for("pilot_low_emission", "bing", "pilot") == ["C65", "M1", "M2", "M3", "M4"]
    assert land.codes_for("laboratory", None, "hq_rd") == ["C65", "M4"]
