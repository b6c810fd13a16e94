"""Rows that come straight from the files: zones, parks, blocks, programmes, facilities."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import numpy as np
import shapely
from shapely import MultiPolygon, Point
from shapely.geometry.base import BaseGeometry

from app.kernel.ids import reference_id
from app.kernel.terms import Confidence, FacilityType, MilestoneStep
from app.seeding.draw import add_months
from app.seeding.files import Reference, towards
from app.seeding.frames import ewkb
from app.seeding.records import (
    Building,
    BuildingLink,
    Milestone,
    Park,
    ParkBlock,
    Programme,
    ProgrammeBuilding,
    SharedFacility,
    Unit,
    Zone,
)
from app.seeding.reference import MilestoneRow, SiteRow, SourcedRow
from app.seeding.space import AS_OF, Space, origin, total_m2


def _hex(shape: BaseGeometry) -> str:
    return ewkb(np.array([shape], dtype=object))[0]


def zones(reference: Reference) -> Iterator[Zone]:
    """The one, the five and the X; the X is the ground of its parks."""
    for seq, row in enumerate(reference.zones, start=1):
        if row.outline:
            ground: BaseGeometry | None = MultiPolygon([reference.outlines[row.outline]])
        else:
            parks = [park.code for park in reference.parks.values() if park.zone == row.code]
            shapes = [shape for code in parks if (shape := reference.ground(code)) is not None]
            ground = MultiPolygon([part for shape in shapes for part in shape.geoms])
            if not ground.is_valid:
                raise ValueError(f"the parks of zone {row.code} overlap")
        yield Zone(
            id=reference_id("zones", row.code),
            code=row.code,
            layout_role=row.layout_role.value,
            seq=seq,
            name_zh=row.name_zh,
            name_en=row.name_en,
            district=row.district,
            management_area=row.management_area,
            focus_sectors=row.focus_sectors,
            published_area_m2=row.published_area_m2,
            published_area_note=row.published_area_note,
            source=row.source,
            confidence=row.confidence.value,
            synthetic=row.synthetic,
            geometry_quality=row.geometry_quality.value,
            position_accuracy_m=row.position_accuracy_m,
            geom=_hex(ground) if ground is not None and not ground.is_empty else None,
        )


def parks(reference: Reference) -> Iterator[Park]:
    """Parks, those that others lie in first."""
    for row in sorted(reference.parks.values(), key=lambda park: _depth(reference, park.code)):
        ground = reference.ground(row.code)
        yield Park(
            id=reference_id("parks", row.code),
            zone_id=reference_id("zones", row.zone),
            parent_park_id=reference_id("parks", row.parent) if row.parent else None,
            code=row.code,
            name_zh=row.name_zh,
            name_en=row.name_en,
            layout_role=row.layout_role.value,
            carrier_type=row.carrier_type.value,
            district=row.district,
            management_area=row.management_area,
            focus_sectors=row.focus_sectors,
            published_area_m2=row.published_area_m2,
            published_area_note=row.published_area_note,
            planned_floor_area_m2=row.planned_floor_area_m2,
            boundary_east=row.boundary_east,
            boundary_south=row.boundary_south,
            boundary_west=row.boundary_west,
            boundary_north=row.boundary_north,
            special_goods_import_pilot=row.special_goods_import_pilot,
            source=row.source,
            confidence=row.confidence.value,
            synthetic=row.synthetic,
            geometry_quality=row.geometry_quality.value,
            position_accuracy_m=row.position_accuracy_m,
            geom=None if ground is None else _hex(ground),
        )


def _depth(reference: Reference, park: str) -> int:
    parent = reference.parks[park].parent
    return 1 + _depth(reference, parent) if parent else 0


def blocks(reference: Reference) -> Iterator[ParkBlock]:
    """区块 of the parks that have several."""
    for park in reference.parks.values():
        for seq, row in enumerate(park.block, start=1):
            yield ParkBlock(
                id=reference_id("park_blocks", f"{park.code}/{seq}"),
                park_id=reference_id("parks", park.code),
                seq=seq,
                name_zh=row.name_zh,
                name_en=row.name_en,
                source=f"{park.source}; the outline is made up",
                confidence=park.confidence.value,
                synthetic=True,
                geometry_quality="schematic",
                position_accuracy_m=park.position_accuracy_m,
                geom=_hex(reference.outlines[row.outline]),
            )


def programmes(reference: Reference) -> Iterator[Programme | Milestone]:
    """Published programmes and projects, each followed by its milestones."""
    for seq, row in enumerate(reference.programmes.values(), start=1):
        identity = reference_id("programmes", row.code)
        yield Programme(
            id=identity,
            parent_programme_id=reference_id("programmes", row.parent) if row.parent else None,
            park_id=reference_id("parks", row.park) if row.park else None,
            code=row.code,
            name_zh=row.name_zh,
            name_en=row.name_en,
            seq=seq,
            target_floor_area_m2=row.target_floor_area_m2,
            published_lettable_area_m2=row.published_lettable_area_m2,
            published_land_area_m2=row.published_land_area_m2,
            published_building_count=row.published_building_count,
            published_investment_cny=row.published_investment_cny,
            note_zh=row.note_zh,
            note_en=row.note_en,
            source=row.source,
            confidence=row.confidence.value,
            synthetic=False,
        )
        for number, milestone in enumerate(row.milestone, start=1):
            yield _milestone(row.code, number, milestone, row, synthetic=False)


def demonstration_projects(
    reference: Reference, space: Space, seed: int
) -> Iterator[Programme | Milestone]:
    """A project for each site whose floor area nobody published, with its milestones."""
    basis = SourcedRow(source=origin(seed), confidence=Confidence.ASSUMPTION)
    seq = len(reference.programmes)
    for site in reference.sites:
        if site.under is None:
            continue
        seq += 1
        code = project_code(site)
        area = total_m2(b.gross_floor_area_m2 for b in space.site_buildings[site.code])
        yield Programme(
            id=reference_id("programmes", code),
            parent_programme_id=reference_id("programmes", site.under),
            park_id=reference_id("parks", site.park),
            code=code,
            name_zh=site.name_zh,
            name_en=site.name_en,
            seq=seq,
            target_floor_area_m2=area,
            published_lettable_area_m2=None,
            published_land_area_m2=None,
            published_building_count=None,
            published_investment_cny=None,
            note_zh="演示数据：面积、栋数与时间均为生成。",
            note_en="Demonstration data: areas, buildings and dates are generated.",
            source=basis.source,
            confidence=basis.confidence.value,
            synthetic=True,
        )
        steps = _project_steps(site, area, space.site_buildings[site.code])
        for number, milestone in enumerate(steps, start=1):
            yield _milestone(code, number, milestone, basis, synthetic=True)


def project_code(site: SiteRow) -> str:
    """Code of the made-up project of a site."""
    return f"{site.code}_demo"


def _project_steps(site: SiteRow, area: Decimal, made: list[Building]) -> Iterator[MilestoneRow]:
    def step(kind: MilestoneStep, day: date) -> MilestoneRow:
        return MilestoneRow(
            step=kind,
            floor_area_m2=area,
            planned_on=day,
            actual_on=day if day <= AS_OF else None,
            precision="month",
        )

    last = max(building.delivered_on for building in made)
    if site.started is not None:
        yield step(MilestoneStep.STARTED, site.started)
        yield step(MilestoneStep.TOPPED_OUT, add_months(site.started, 11))
    yield step(MilestoneStep.HANDED_OVER, last)


def _milestone(
    programme: str, seq: int, row: MilestoneRow, basis: SourcedRow, *, synthetic: bool
) -> Milestone:
    return Milestone(
        id=reference_id("programme_milestones", f"{programme}/{seq}"),
        programme_id=reference_id("programmes", programme),
        seq=seq,
        step=row.step.value,
        floor_area_m2=row.floor_area_m2,
        planned_on=row.planned_on,
        actual_on=row.actual_on,
        date_precision=row.precision,
        source=basis.source,
        confidence=basis.confidence.value,
        synthetic=synthetic,
    )


def programme_buildings(reference: Reference, space: Space) -> Iterator[ProgrammeBuilding]:
    """Buildings and all programmes they count towards, up to the root."""
    for site in reference.sites:
        codes = towards(reference, site) + ((project_code(site),) if site.under else ())
        for building in space.site_buildings[site.code]:
            for code in codes:
                yield ProgrammeBuilding(
                    programme_id=reference_id("programmes", code), building_id=building.id
                )


def links(reference: Reference, space: Space) -> Iterator[BuildingLink]:
    """Passages between buildings, each named from the building with the smaller id.

    Raises:
        ValueError: a site has no building of that number.
    """
    for row in reference.links:
        made = space.site_buildings[row.site]
        if not all(1 <= number <= len(made) for number in row.buildings):
            raise ValueError(f"site {row.site} has no buildings {row.buildings}")
        ends = zip((made[number - 1] for number in row.buildings), row.levels, strict=True)
        (one, level_a), (other, level_b) = sorted(ends, key=lambda end: end[0].id)
        yield BuildingLink(
            id=reference_id("building_links", f"{one.code}/{level_a}-{other.code}/{level_b}"),
            park_id=one.park_id,
            building_a_id=one.id,
            level_a=level_a,
            building_b_id=other.id,
            level_b=level_b,
            source=row.source,
            confidence=row.confidence.value,
            synthetic=row.synthetic,
        )


def facilities(reference: Reference, space: Space) -> Iterator[SharedFacility]:
    """Shared facilities with a place, those in units, and the metro stations."""
    parks_of_sites = {site.code: site.park for site in reference.sites}
    used: set[str] = set()
    for row in reference.facilities:
        host: Unit | None = None
        park = row.park
        if row.in_site is not None:
            candidates = space.site_units[row.in_site]
            host = next(unit for unit in candidates if unit.code not in used)
            used.add(host.code)
            park = parks_of_sites[row.in_site]
            point: BaseGeometry = shapely.from_wkb(host.geom or "").centroid
        else:
            point = Point(float(row.longitude or 0), float(row.latitude or 0))
        yield SharedFacility(
            id=reference_id("shared_facilities", row.code),
            park_id=reference_id("parks", park) if park else None,
            unit_id=host.id if host else None,
            code=row.code,
            facility_type=row.facility_type.value,
            name_zh=row.name_zh,
            name_en=row.name_en,
            biosafety_level=row.biosafety_level,
            capacity=row.capacity,
            capacity_unit=row.capacity_unit,
            source=row.source,
            confidence=row.confidence.value,
            synthetic=row.synthetic,
            geometry_quality=row.geometry_quality.value,
            position_accuracy_m=host.position_accuracy_m if host else row.position_accuracy_m,
            geom=_hex(point),
        )
    for station in reference.stations:
        code = f"metro_{station.name_en.lower().replace(' ', '_')}"
        yield SharedFacility(
            id=reference_id("shared_facilities", code),
            park_id=None,
            unit_id=None,
            code=code,
            facility_type=FacilityType.METRO_STATION.value,
            name_zh=station.name_zh,
            name_en=station.name_en,
            biosafety_level=None,
            capacity=None,
            capacity_unit=None,
            source=station.source,
            confidence=station.confidence.value,
            synthetic=station.synthetic,
            geometry_quality=station.geometry_quality.value,
            position_accuracy_m=station.position_accuracy_m,
            geom=_hex(Point(float(station.longitude), float(station.latitude))),
        )
