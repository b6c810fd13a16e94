"""A request's needs become one demand: what is implied, what is carried, what nobody checks."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from app.demand.derive import Ask, derive_needs
from app.demand.needs import NEEDS, Hardness, Need, Origin
from app.demand.rules import load_rules
from app.kernel.errors import InvalidInputError
from app.kernel.terms import Modality, PipelineStage
from app.matching.rules.compile import compile_demand
from app.matching.rules.described import digest
from app.matching.rules.ground import AreaNeed, PlacesNeed
from app.matching.rules.own import PowerNeed
from app.matching.rules.special import IsoNeed, StoreyNeed

RULES = load_rules(Path(__file__).resolve().parents[3] / "data")
TODAY = date(2026, 11, 1)
BASE: dict[str, Any] = {
    "unit_type": "pilot",
    "from": "2027-01-01",
    "latest_from": "2027-07-01",
    "term_months": 36,
}
TRIANGLE = {
    "type": "Polygon",
    "coordinates": [[[121.5, 31.2], [121.6, 31.2], [121.6, 31.3], [121.5, 31.2]]],
}


def needs_of(hard: dict[str, Any], soft: dict[str, Any] | None = None) -> list[Need]:
    def made(key: str, value: Any, hardness: Hardness) -> Need:
        return Need(key, value, hardness, Origin.STATED, "", "n1", "tests", "stated")

    return [made(key, value, Hardness.HARD) for key, value in hard.items()] + [
        made(key, value, Hardness.SOFT) for key, value in (soft or {}).items()
    ]


def test_hard_needs_imply_the_rules_that_no_need_is_called_after() -> None:
    hard = BASE | {
        "process": "chemical_synthesis",
        "fire_hazard_class": "jia",
        "min_power_density_w_m2": 150,
    }
    demand = compile_demand(needs_of(hard), RULES, TODAY)

    assert demand.hard["fire_storey"] == StoreyNeed("jia", 2, 24.0, 1)
    assert demand.hard["power_left"] == PowerNeed(None, 150)
    assert demand.hard["land_use"].codes == {"M2", "M3"}
    assert demand.hard["land_use"].only_parks == {"jinshan_bay_area"}
    assert demand.hard["availability"] == demand.window
    assert demand.unchecked == ()
    assert not {"process", "from", "latest_from"} & demand.hard.keys()


def test_wishes_imply_nothing() -> None:
    demand = compile_demand(needs_of(BASE, {"min_power_kva": 100}), RULES, TODAY)
    assert set(demand.hard) == {"unit_type", "term_months", "availability"}
    assert demand.soft == {"min_power_kva": 100}


def test_a_window_that_began_begins_today() -> None:
    demand = compile_demand(needs_of(BASE), RULES, date(2027, 3, 1))
    assert (demand.window.start, demand.window.latest) == (date(2027, 3, 1), date(2027, 7, 1))


def test_places_areas_and_iso_classes_are_read_hard_or_soft() -> None:
    names = {"zones": {"core": ("张江", "Zhangjiang")}}
    wishes = {"zones": ["core"], "within": TRIANGLE, "cleanroom_iso_class": 7}
    for demand, values in (
        (found := compile_demand(needs_of(BASE | wishes), RULES, TODAY, names), found.hard),
        (found := compile_demand(needs_of(BASE, wishes), RULES, TODAY, names), found.soft),
    ):
        assert demand.unchecked == ()
        assert values["zones"] == PlacesNeed(("core",), names["zones"])
        assert values["cleanroom_iso_class"] == IsoNeed(7, "C")
        assert isinstance(values["within"], AreaNeed)
        assert values["within"].shape.bounds == (121.5, 31.2, 121.6, 31.3)


def test_what_no_column_answers_is_named() -> None:
    soft = {"tenure": "lease", "remarks": "安静", "target_area_m2": 800.0}
    demand = compile_demand(needs_of(BASE | {"min_cleanroom_area_m2": 50}, soft), RULES, TODAY)
    assert demand.unchecked == ("min_cleanroom_area_m2", "remarks", "tenure")
    assert demand.target_area_m2 == 800.0


def test_the_demand_cites_every_table_that_had_a_say() -> None:
    cited = compile_demand(needs_of(BASE), RULES, TODAY).rules_version
    for version in (RULES.version, RULES.land.version, RULES.building.version, digest()):
        assert version in cited
    newer = replace(RULES, building=replace(RULES.building, version="9"))
    assert compile_demand(needs_of(BASE), newer, TODAY).rules_version != cited


@pytest.mark.parametrize("modality", list(Modality))
@pytest.mark.parametrize("stage", list(PipelineStage))
def test_whatever_is_derived_compiles(modality: Modality, stage: PipelineStage) -> None:
    needs = derive_needs(Ask({}, TODAY, modality=modality, stage=stage), RULES)
    demand = compile_demand(needs, RULES, TODAY)
    assert {"unit_type", "availability", "land_use", "fire_storey"} <= demand.hard.keys()


def test_an_area_is_spoken_of_by_its_size() -> None:
    zh, en = NEEDS["within"].words(TRIANGLE)
    assert (zh, en) == ("所画范围：52.83 km²", "inside the area drawn: 52.83 km²")


@pytest.mark.parametrize(
    ("area", "pointer"),
    [
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [2, 0], [0, 0]]]}, "/within"),
        (
            {
                "type": "Polygon",
                "coordinates": [[[121, 31], [122, 32], [122, 31], [121, 32], [121, 31]]],
            },
            "/within/coordinates",
        ),
        (
            {
                "type": "Polygon",
                "coordinates": [[[118, 28], [124, 28], [124, 34], [118, 34], [118, 28]]],
            },
            "/within/coordinates",
        ),
        (
            {
                "type": "Polygon",
                "coordinates": [
                    [*([121 + place / 1e4, 31.0] for place in range(1001)), [121.05, 32], [121, 31]]
                ],
            },
            "/within/coordinates",
        ),
    ],
)
def test_an_area_must_be_a_sound_one_of_a_bounded_size(area: Any, pointer: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        derive_needs(Ask({"unit_type": "pilot", "within": area}, TODAY), RULES)
    assert refused.value.faults[0].pointer.startswith(pointer)
    assert refused.value.faults[0].detail_zh
