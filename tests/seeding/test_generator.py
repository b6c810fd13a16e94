from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import cast

import numpy as np
import pytest
import shapely

from app.demand.credit_code import checked_credit_code
from app.kernel.ids import reference_id
from app.kernel.terms import PIPELINE_LADDER, Modality, PipelineStage
from app.matching.engine.candidates import BundleShape as Shape
from app.matching.engine.candidates import CandidateKind as Kind
from app.matching.rules.table import BY_KEY
from app.seeding.check import faults, programme_areas, started_in
from app.seeding.dataset import Dataset, make_dataset, rows_of
from app.seeding.files import Reference, towards
from app.seeding.firms import credit_code
from app.seeding.records import (
    Claim,
    Company,
    PipelineAsset,
    Placed,
    Record,
    Sourced,
    SpaceRequest,
    StageEntry,
    Unit,
)
from tests.seeding.conftest import SEED


def _standard_plants(reference: Reference) -> list[str]:
    return [site.code for site in reference.sites if "standard_plants" in towards(reference, site)]


def test_the_generated_rows_have_no_fault(dataset: Dataset, reference: Reference) -> None:
    assert list(faults(dataset, reference)) == []


@pytest.mark.parametrize(
    ("programme", "area_m2"),
    [
        ("standard_plants", 5_000_000),
        ("cell_gene_park", 1_000_000),
        ("gene_island", 160_000),
        ("newdrug_b03c02", 64_100),
        ("baoshan_yaogu", 320_000),
        ("qingpu_newtown", 183_000),
        ("lingang_life_science", 280_000),
        ("simz_rnd_base", 86_451),
        ("guangsheng_hq", 42_148),
    ],
)
def test_floors_sum_to_the_published_area_exactly(
    dataset: Dataset, programme: str, area_m2: int
) -> None:
    assert programme_areas(dataset)[reference_id("programmes", programme)] == area_m2 * 100


def test_a_million_and_eight_hundred_thousand_were_started_in_2023(dataset: Dataset) -> None:
    assert started_in(dataset, 2023) == 1_800_000_00


def test_the_published_lettable_area_is_let_to_the_square_metre(dataset: Dataset) -> None:
    units = dataset.space.site_units["qingpu_newtown"]

    assert sum(unit.leasable_area_m2 for unit in units) == Decimal(157_000)


def test_standard_plants_have_the_size_of_the_calibration(
    dataset: Dataset, reference: Reference
) -> None:
    sites = _standard_plants(reference)
    buildings = [row for code in sites for row in dataset.space.site_buildings[code]]
    units = [row for code in sites for row in dataset.space.site_units[code]]
    inside = {row.id for row in buildings}
    floors = [row for row in dataset.space.floors if row.building_id in inside]
    leasable = sum(unit.leasable_area_m2 for unit in units)

    assert 590 <= len(buildings) <= 650
    assert 2_700 <= len(floors) <= 2_900
    assert 2_900 <= len(units) <= 4_300
    assert Decimal("0.85") <= leasable / 5_000_000 <= Decimal("0.87")


@pytest.mark.parametrize(
    ("programme", "count"),
    [("newdrug_b03k03", 5), ("baoshan_yaogu_plot_1", 9), ("qingpu_newtown", 21),
     ("lingang_life_science", 39), ("jingong_b4", 5), ("guangsheng_hq", 2)],
)  # fmt: skip
def test_named_projects_have_their_published_number_of_buildings(
    dataset: Dataset, reference: Reference, programme: str, count: int
) -> None:
    assert reference.programmes[programme].published_building_count == count
    sites = [site.code for site in reference.sites if programme in towards(reference, site)]

    assert sum(len(dataset.space.site_buildings[code]) for code in sites) == count


def test_show_space_of_no_published_number_of_buildings_is_modelled_as_one(
    dataset: Dataset, reference: Reference
) -> None:
    # Two towers and nineteen workshops are published; of the show space only its area is.
    assert reference.programmes["simz_rnd_base"].published_building_count is None
    sites = [site.code for site in reference.sites if "simz_rnd_base" in towards(reference, site)]

    assert sum(len(dataset.space.site_buildings[code]) for code in sites) == 2 + 19 + 1


def test_gene_island_has_its_published_floors(dataset: Dataset) -> None:
    for site, heights in (("gene_island_1", ("6.0", "5.5")), ("gene_island_2", ("5.2", "5.0"))):
        for building in dataset.space.site_buildings[site]:
            floors = [row for row in dataset.space.floors if row.building_id == building.id]

            assert 4 <= building.floors_above <= 6
            assert 2_300 <= building.gross_floor_area_m2 <= 12_600
            for floor in floors:
                is_ground = floor.level_index == 0
                assert floor.published_floor_load_kg_m2 == (800 if is_ground else 350)
                assert floor.floor_load_kn_m2 == Decimal("7.85" if is_ground else "3.43")
                assert floor.storey_height_m == Decimal(heights[0 if is_ground else 1])
                assert 1_000 <= floor.gross_floor_area_m2 <= 2_500


def test_drawn_floors_have_the_area_they_claim(dataset: Dataset) -> None:
    shapes = shapely.from_wkb([row.geom for row in dataset.space.floors])
    middle = shapely.centroid(shapes)
    # A local equal-area scale is enough to notice a wrong projection (Web Mercator: +36 %).
    metres = 110_900 * 111_320 * np.cos(np.radians(shapely.get_y(middle)))
    drawn = shapely.area(shapes) * metres

    for floor, area in zip(dataset.space.floors, drawn, strict=True):
        assert abs(area / float(floor.gross_floor_area_m2) - 1) < 0.01, floor.code


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(
    dataset: Dataset, reference: Reference
) -> None:
    again = make_dataset(reference, SEED)
    other = make_dataset(reference, SEED + 1)

    assert again.sha256() == dataset.sha256()
    assert other.sha256() != dataset.sha256()
    assert list(faults(other, reference)) == []


@pytest.mark.parametrize("seed", [0, 7, 1234])
def test_totals_hold_for_any_seed(reference: Reference, seed: int) -> None:
    assert list(faults(make_dataset(reference, seed), reference)) == []


def test_every_generated_row_says_so(dataset: Dataset) -> None:
    for table in ("parcels", "buildings", "floors", "units", "companies", "pipeline_assets"):
        for row in cast("list[Sourced]", dataset.tables[table]):
            assert row.synthetic
            assert row.source.startswith(f"generator v2, seed {SEED}")


def test_every_row_that_has_a_source_column_fills_it(dataset: Dataset) -> None:
    sourced = [row for row in rows_of(dataset) if isinstance(row, Sourced)]

    assert len(sourced) > 10_000
    assert all(row.source and row.confidence for row in sourced)
    assert all(row.geometry_quality for row in sourced if isinstance(row, Placed))


def test_all_five_relay_stages_exist_and_benches_are_counted_in_places(dataset: Dataset) -> None:
    areas: dict[str, Decimal] = defaultdict(Decimal)
    for unit in dataset.space.units:
        areas[unit.unit_type] += unit.leasable_area_m2
    halls = [unit for unit in dataset.space.units if unit.capacity_measure == "place"]

    assert set(areas) == {"incubation", "acceleration", "pilot", "hq_rd", "production"}
    assert min(areas.values()) > 200_000
    assert len(halls) > 100
    assert all(hall.divisible and hall.min_part == 1 for hall in halls)
    assert {unit.carrier_type for unit in halls} >= {"maker_space", "incubator"}


def test_a_car_t_firm_finds_pilot_space_in_zhangjiang_free_and_let(
    dataset: Dataset, reference: Reference
) -> None:
    parks = {
        reference_id("parks", code)
        for code, park in reference.parks.items()
        if park.zone == "core_zhangjiang"
    }
    let = {claim.unit_id for claim in dataset.tables["claims"]}  # type: ignore[attr-defined]
    fitting = [unit for unit in dataset.space.units if unit.park_id in parks and _suits_car_t(unit)]

    assert sum(unit.id not in let for unit in fitting) >= 5
    assert sum(unit.id in let for unit in fitting) >= 5


def _suits_car_t(unit: Unit) -> bool:
    return (
        unit.unit_type == "pilot"
        and 1_500 <= unit.leasable_area_m2 <= 5_000
        and unit.biosafety_level == 2
        and unit.cleanroom_grade in {"B", "C"}
        and unit.floor_load_kn_m2 >= Decimal("7.5")
        and unit.usable.start <= date(2027, 1, 1)
    )


def test_unit_types_stand_on_land_that_allows_them(dataset: Dataset) -> None:
    parcels = {row.id: row for row in dataset.space.parcels}
    uses = {row.id: parcels[row.parcel_id].land_use_code for row in dataset.space.buildings}
    for unit in dataset.space.units:
        parts = set(uses[unit.building_id].replace("+", "/").split("/"))
        if unit.unit_type == "production":
            assert parts & {"M1", "M2", "M3"}, unit.code
        if unit.unit_type == "hq_rd":
            assert parts & {"M4", "C65", "C8"}, unit.code
        if unit.fire_hazard_class in {"jia", "yi"}:
            assert parts & {"M2", "M3"}, unit.code


def test_firms_are_obviously_made_up_and_their_codes_hold(dataset: Dataset) -> None:
    firms = cast("list[Company]", dataset.tables["companies"])

    assert len(firms) == len({firm.unified_social_credit_code for firm in firms}) == 1400
    for firm in firms:
        assert firm.name_zh.endswith("（合成）")
        assert checked_credit_code(firm.unified_social_credit_code).startswith("91999999DEM")


def test_a_changed_digit_breaks_a_code() -> None:
    code = credit_code(7)
    changed = code[:12] + ("1" if code[12] != "1" else "2") + code[13:]

    with pytest.raises(Exception, match="check digit"):
        checked_credit_code(changed)


def test_assets_climb_the_ladder_in_order(dataset: Dataset) -> None:
    histories: dict[object, list[StageEntry]] = defaultdict(list)
    for entry in cast("list[StageEntry]", dataset.tables["pipeline_stage_entries"]):
        histories[entry.pipeline_asset_id].append(entry)

    assert len(histories) == len(dataset.tables["pipeline_assets"])
    for entries in histories.values():
        places = [PIPELINE_LADDER.index(PipelineStage[entry.stage.upper()]) for entry in entries]
        assert places == list(range(len(entries)))
        assert all(a.entered_on < b.entered_on for a, b in pairwise(entries))
        assert all(entry.expected == (entry.entered_on > date(2026, 11, 1)) for entry in entries)


def test_every_kind_of_product_asks_for_space_at_several_stages(reference: Reference) -> None:
    asked = reference.requests

    assert {row.modality for row in asked} == set(Modality)
    assert len({row.stage for row in asked}) >= 5
    assert {kind for row in asked for kind in row.expect.kinds} == {kind.value for kind in Kind}
    assert {shape for row in asked for shape in row.expect.shapes} == {s.value for s in Shape}
    assert any(row.expect.outcome == "refused" for row in asked)


def test_what_blocks_a_request_is_a_rule_that_may_give_way(reference: Reference) -> None:
    for row in reference.requests:
        for key in row.expect.blocking:
            assert not BY_KEY[key].never_relax, (row.code, key)


def test_firms_ask_for_the_stage_their_product_is_about_to_enter(
    dataset: Dataset, reference: Reference
) -> None:
    filed = {row.id: row for row in cast("list[SpaceRequest]", dataset.tables["space_requests"])}
    assets = {row.id: row for row in cast("list[PipelineAsset]", dataset.tables["pipeline_assets"])}
    entered: dict[object, dict[str, StageEntry]] = defaultdict(dict)
    for entry in cast("list[StageEntry]", dataset.tables["pipeline_stage_entries"]):
        entered[entry.pipeline_asset_id][entry.stage] = entry

    assert len(filed) == len(reference.requests)
    for row in reference.requests:
        request = filed[reference_id("space_requests", row.code)]
        asset, entries = assets[request.pipeline_asset_id], entered[request.pipeline_asset_id]
        assert (asset.company_id, asset.modality) == (request.company_id, row.modality.value)
        assert entries[row.stage.value].expected == (row.stage_on is not None)
        assert all(entries[stage.value].entered_on == day for stage, day in row.then.items())


def test_plants_are_let_by_runs_of_whole_floors(dataset: Dataset) -> None:
    floors = {floor.id: floor for floor in dataset.space.floors}
    units = {unit.id: unit for unit in dataset.space.units}
    rooms: dict[object, set[object]] = defaultdict(set)
    for unit in dataset.space.units:
        rooms[unit.floor_id].add(unit.id)
    leases: dict[object, set[object]] = defaultdict(set)
    for claim in cast("list[Claim]", dataset.tables["claims"]):
        leases[claim.commitment_id].add(claim.unit_id)
    large = [taken for taken in leases.values() if len(taken) > 1]

    assert len(large) > 100
    for taken in large:
        on = {units[unit].floor_id for unit in taken}  # type: ignore[index]
        levels = sorted(floors[floor].level_index for floor in on)
        assert {units[unit].unit_type for unit in taken} == {"production"}  # type: ignore[index]
        assert len({floors[floor].building_id for floor in on}) == 1
        assert levels == list(range(levels[0], levels[-1] + 1))
        assert taken == set().union(*(rooms[floor] for floor in on))


@contextmanager
def _spoilt(row: Record, **values: object) -> Iterator[None]:
    """Plant an error in one row, and take it out again."""
    before = {name: getattr(row, name) for name in values}
    for name, value in values.items():
        setattr(row, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(row, name, value)


class TestTheCheckerCatchesPlantedErrors:
    """Control arm: a checker that never complains would prove nothing."""

    def test_a_floor_one_centi_square_metre_too_large(
        self, dataset: Dataset, reference: Reference
    ) -> None:
        floor = dataset.space.floors[0]
        with _spoilt(floor, gross_floor_area_m2=floor.gross_floor_area_m2 + Decimal("0.01")):
            found = list(faults(dataset, reference))

        assert any("do not sum" in fault for fault in found)
        assert any("standard_plants" in fault for fault in found)

    def test_a_unit_larger_than_its_floor(self, dataset: Dataset, reference: Reference) -> None:
        with _spoilt(dataset.space.units[0], leasable_area_m2=Decimal(50_000)):
            found = list(faults(dataset, reference))

        assert any("larger than the floor" in fault for fault in found)

    def test_a_unit_moved_to_another_building(self, dataset: Dataset, reference: Reference) -> None:
        with _spoilt(dataset.space.units[0], geom=dataset.space.units[-1].geom):
            found = list(faults(dataset, reference))

        assert any("reaches outside" in fault for fault in found)

    def test_two_units_on_one_spot(self, dataset: Dataset, reference: Reference) -> None:
        floors: dict[object, list[Unit]] = defaultdict(list)
        for unit in dataset.space.units:
            floors[unit.floor_id].append(unit)
        one, other, *_ = next(rooms for rooms in floors.values() if len(rooms) > 1)
        with _spoilt(one, geom=other.geom):
            found = list(faults(dataset, reference))

        assert any("overlap" in fault for fault in found)

    def test_a_load_that_is_not_the_floors(self, dataset: Dataset, reference: Reference) -> None:
        with _spoilt(dataset.space.units[0], floor_load_kn_m2=Decimal(99)):
            found = list(faults(dataset, reference))

        assert any("not its floor's" in fault for fault in found)

    def test_a_project_that_did_not_start_in_2023(
        self, dataset: Dataset, reference: Reference
    ) -> None:
        milestone = next(
            row
            for row in dataset.tables["programme_milestones"]
            if getattr(row, "programme_id", None) == reference_id("programmes", "device_2023_demo")
        )
        with _spoilt(milestone, actual_on=date(2024, 4, 1)):
            found = list(faults(dataset, reference))

        assert any("were started in 2023" in fault for fault in found)

    def test_a_passage_to_where_nothing_is_near(
        self, dataset: Dataset, reference: Reference
    ) -> None:
        link = dataset.tables["building_links"][0]
        far = dataset.space.site_buildings["qingpu_newtown"][0]
        with _spoilt(link, building_b_id=far.id):
            assert any("m long" in fault for fault in faults(dataset, reference))
        with _spoilt(link, level_a=40):
            assert any("not there" in fault for fault in faults(dataset, reference))

    def test_a_unit_promised_twice(self, dataset: Dataset, reference: Reference) -> None:
        claims = dataset.tables["claims"]
        # The spoilt claim now takes what another claim already has, on the same days.
        one, other = claims[0], claims[1]
        with _spoilt(other, unit_id=getattr(one, "unit_id", None), quantity=Decimal(10**6)):
            found = list(faults(dataset, reference))

        assert any("beyond its capacity" in fault for fault in found)
