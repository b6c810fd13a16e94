import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from app.kernel.terms import LayoutRole
from app.seeding.files import Reference, ReferenceDataError, read_reference, towards
from tests.seeding.conftest import DATA


@pytest.fixture
def spoilt(tmp_path: Path) -> Path:
    """A copy of the data files that a test may spoil."""
    shutil.copytree(DATA, tmp_path, dirs_exist_ok=True)
    return tmp_path


def _replace(folder: Path, name: str, old: str, new: str) -> None:
    path = folder / "shanghai" / name
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def test_the_layout_is_one_core_five_areas_and_the_x(reference: Reference) -> None:
    roles = [zone.layout_role for zone in reference.zones]

    assert roles == [LayoutRole.CORE, *[LayoutRole.SPECIALISED] * 5, LayoutRole.SPECIAL]


def test_every_row_names_a_source_and_how_far_to_trust_it(reference: Reference) -> None:
    tables = [
        reference.zones,
        reference.parks.values(),
        reference.programmes.values(),
        reference.building_types.values(),
        reference.unit_types.values(),
        reference.facilities,
        reference.stations,
    ]

    assert all(row.source and row.confidence for table in tables for row in table)


def test_sites_of_the_standard_plants_sum_to_the_published_target(reference: Reference) -> None:
    sites = [site for site in reference.sites if "standard_plants" in towards(reference, site)]

    assert sum(site.floor_area_m2 for site in sites) == Decimal(5_000_000)


def test_gene_island_lies_in_the_medical_zone_and_not_in_medicine_valley(
    reference: Reference,
) -> None:
    assert reference.parks["gene_island"].parent == "cgt_park"
    assert reference.parks["cgt_park"].parent == "x_simz"


@pytest.mark.parametrize(
    ("name", "old", "new", "told"),
    [
        # A misspelt column must not be dropped in silence.
        ("parks.toml", "planned_floor_area_m2", "planed_floor_area_m2", "planed_floor_area_m2"),
        # A row without a source is hearsay.
        ("zones.toml", 'source = "kpfans.com"', "", "source"),
        ("zones.toml", 'confidence = "published"', 'confidence = "sure"', "confidence"),
        ("parks.toml", 'zone = "r3_gold_coast"', 'zone = "r9"', "unknown zone"),
        # One square metre more, and the programme no longer sums to its target.
        ("sites.toml", "floor_area_m2 = 141401", "floor_area_m2 = 141402", "5000001"),
        ("sites.toml", 'type = "plant_large"', 'type = "plant_huge"', "unknown building type"),
        # The load in kN/m² that does not follow from the published kg/m².
        ("building_types.toml", "low = 3.43, high = 3.43", "low = 3.5, high = 3.5", "3.43 kN/m²"),
        ("links.toml", 'site = "qingpu_newtown"', 'site = "qingpu_oldtown"', "unknown site"),
        ("links.toml", "buildings = [5, 6]", "buildings = [5, 5]", "leads to where it begins"),
        ("requests.toml", '"gene_island"]', '"gene_peninsula"]', "none of the parks"),
        # An expectation that says nothing could not fail.
        ("requests.toml", 'kinds = ["unit"]', "", "what fits has kinds"),
        ("requests.toml", "stage_on = 2028-03-01", "", "does not say when its stage begins"),
        ("requests.toml", "then = { phase_2 = 2029-11-01, ", "then = { ", "leaves out a stage"),
        # Swapped edges of a span.
        ("unit_types.toml", "low = 2.0, high = 4.0", "low = 4.0, high = 2.0", "more than high"),
    ],
)
def test_a_spoilt_file_is_refused_with_what_is_wrong(
    spoilt: Path, name: str, old: str, new: str, told: str
) -> None:
    _replace(spoilt, name, old, new)

    with pytest.raises(ReferenceDataError, match=told):
        read_reference(spoilt)


def test_a_park_drawn_outside_its_zone_is_refused(spoilt: Path) -> None:
    _replace(spoilt, "parks.toml", 'outline = "x_simz"', 'outline = "fengcheng"')

    with pytest.raises(ReferenceDataError, match="x_simz is not inside zone core_zhangjiang"):
        read_reference(spoilt)
