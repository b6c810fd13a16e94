"""Makes parcels, buildings, floors and units out of the sites. Pure and seeded."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from shapely import MultiPolygon

from app.kernel.ids import reference_id
from app.kernel.terms import CarrierType, UnitType
from app.seeding.allotment import centi, square_metres
from app.seeding.buildings import BuildingPlan, plan_buildings
from app.seeding.draw import Draw, add_months, rounded
from app.seeding.files import Reference
from app.seeding.frames import Box, Frame, as_array
from app.seeding.plots import footprints, park_angle, plots_in, shrunk_to
from app.seeding.records import Building, Floor, Parcel, Placed, Unit
from app.seeding.reference import PlotRow, SiteRow, Span
from app.seeding.rooms import BuildingContext, floor_height_m, make_floors
from app.seeding.technical import draw_services, is_built, national_codes

#: Raised when the same seed would give other rows than before.
VERSION = 2
#: The day the demonstration is set on: what is delivered and let is told as of then.
AS_OF = date(2026, 11, 1)
#: Floor area ratios of the named projects are 2.0-2.4.
_RATIO = Span(low=Decimal("2.0"), high=Decimal("2.4"))
_BUILD_MONTHS = (17, 24)
_GRADES = {"A": 20, "B": 50, "C": 25, "D": 5}


@dataclass(slots=True)
class Space:
    """What the generator made, table by table, and which site each building belongs to."""

    parcels: list[Parcel] = field(default_factory=list)
    buildings: list[Building] = field(default_factory=list)
    floors: list[Floor] = field(default_factory=list)
    units: list[Unit] = field(default_factory=list)
    site_buildings: dict[str, list[Building]] = field(default_factory=dict)
    site_units: dict[str, list[Unit]] = field(default_factory=dict)


def origin(seed: int) -> str:
    """What a generated row names as its source."""
    return f"generator v{VERSION}, seed {seed}"


class SpaceMaker:
    """Builds all sites of the reference; plots of one park are handed out in order."""

    def __init__(self, reference: Reference, seed: int) -> None:
        """Two makers with the same arguments make the same rows."""
        self._reference = reference
        self._seed = seed
        self._frames: dict[str, Frame] = {}
        self._plots: dict[str, Iterator[Box]] = {}
        self._numbers: dict[str, int] = {}
        self._shapes: dict[float, list[tuple[Placed, Box]]] = {}
        self.space = Space()

    def make(self) -> Iterator[str]:
        """Build everything, telling each site's code as it is done."""
        for site in self._reference.sites:
            self._make_site(site)
            yield site.code
        for park in dict.fromkeys(site.park for site in self._reference.sites):
            self._reserve(park)
        self._draw_shapes()

    def _make_site(self, site: SiteRow) -> None:
        draw = Draw(self._seed, site.code)
        plans = plan_buildings(self._reference, site, draw)
        self.space.site_buildings[site.code] = []
        self.space.site_units[site.code] = []
        number = 0
        for place, (land, group) in enumerate(self._on_plots(site, plans, draw)):
            land_use = site.land_use[place % len(site.land_use)]
            parcel, plot = self._parcel(site, land, group, land_use, draw)
            yards = footprints(plot, [plan.footprint / 100 for plan in group])
            for plan, yard in zip(group, yards, strict=True):
                number += 1
                self._building(site, parcel, plan, yard, number=number, draw=draw)

    def _on_plots(
        self, site: SiteRow, plans: list[BuildingPlan], draw: Draw
    ) -> Iterator[tuple[float, list[BuildingPlan]]]:
        """Land in m² and buildings of each of the site's plots."""
        size = self._plot_size(site.park)
        largest = float(size.width_m * size.depth_m)
        published = float(site.land_area_m2) if site.land_area_m2 else None
        by_area = math.ceil(published / largest) if published else 1
        by_floors = 1 if published else _plots_for(float(site.floor_area_m2) / largest)
        count = min(len(plans), max(by_area, by_floors))
        groups = [plans[place::count] for place in range(count)]
        total = sum(plan.above for plan in plans)
        for group in groups:
            above = sum(plan.above for plan in group)
            ratio = float(draw.between(_RATIO, "0.01"))
            land = published * above / total if published else above / 100 / ratio
            yield min(land, largest), group

    def _plot_size(self, park: str) -> PlotRow:
        return self._reference.plots.get(park, self._reference.plots["default"])

    def _next_plot(self, park: str) -> Box | None:
        if park not in self._plots:
            ground = self._reference.ground(park)
            if ground is None:
                raise ValueError(f"park {park} has no outline to build on")
            angle = park_angle(ground)
            inside = [row.code for row in self._reference.parks.values() if row.parent == park]
            taken = [self._reference.ground(code) for code in inside]
            occupied: list[MultiPolygon] = [shape for shape in taken if shape is not None]
            self._frames[park] = Frame(angle)
            self._plots[park] = plots_in(ground, occupied, self._plot_size(park), angle)
        return next(self._plots[park], None)

    def _parcel(
        self, site: SiteRow, land: float, group: list[BuildingPlan], land_use: str, draw: Draw
    ) -> tuple[Parcel, Box]:
        cell = self._next_plot(site.park)
        if cell is None:
            raise ValueError(f"park {site.park} has no plot left for site {site.code}")
        plot = shrunk_to(cell, land)
        above = sum(plan.above for plan in group) / 100
        footprint = sum(plan.footprint for plan in group) / 100
        storeys = max(plan.floors_above for plan in group)
        height = max(
            float(plan.kind.ground_storey_m.high)
            + float(plan.kind.upper_storey_m.high) * (plan.floors_above - 1)
            for plan in group
        )
        is_whole = site.land_area_m2 is not None and abs(land - float(site.land_area_m2)) < 1
        parcel = self._parcel_row(
            site.park,
            land_use=land_use,
            published_area_m2=site.land_area_m2 if is_whole else None,
            floor_area_ratio_max=Decimal(math.ceil(above / land * 10)) / 10,
            building_density_max_pct=Decimal(math.ceil(footprint / land * 20) * 5),
            height_limit_m=Decimal(math.ceil(height / 10) * 10 if storeys else 10),
            tenure=draw.weighted({"flexible_grant": 60, "grant": 40}),
            grade=draw.weighted(_GRADES),
        )
        self._shape(site.park, parcel, plot)
        return parcel, plot

    def _parcel_row(
        self,
        park: str,
        *,
        land_use: str,
        published_area_m2: Decimal | None,
        floor_area_ratio_max: Decimal,
        building_density_max_pct: Decimal,
        height_limit_m: Decimal,
        tenure: str,
        grade: str | None,
    ) -> Parcel:
        number = self._numbers[park] = self._numbers.get(park, 0) + 1
        code = f"{park.upper().replace('_', '-')}-P{number:03}"
        years = {"flexible_grant": 20, "grant": 50}.get(tenure)
        row = Parcel(
            id=reference_id("parcels", code),
            park_id=reference_id("parks", park),
            code=code,
            name_zh=f"{self._reference.parks[park].name_zh} 地块{number:03}（示意）",
            name_en=f"{self._reference.parks[park].name_en}, plot {number:03} (schematic)",
            land_use_code=land_use,
            land_use_code_national=national_codes(land_use),
            published_area_m2=published_area_m2,
            floor_area_ratio_max=floor_area_ratio_max,
            building_density_max_pct=building_density_max_pct,
            green_ratio_min_pct=Decimal(10),
            height_limit_m=height_limit_m,
            mix_ratio_max_pct=Decimal(30 if {"/", "+"} & set(land_use) else 15),
            tenure=tenure,
            tenure_years=years,
            grade=grade,
            grade_year=2025 if grade else None,
            source=origin(self._seed),
            confidence="assumption",
            synthetic=True,
            geometry_quality="schematic",
            position_accuracy_m=self._reference.parks[park].position_accuracy_m,
        )
        self.space.parcels.append(row)
        return row

    def _building(
        self,
        site: SiteRow,
        parcel: Parcel,
        plan: BuildingPlan,
        yard: Box,
        *,
        number: int,
        draw: Draw,
    ) -> None:
        kind = plan.kind
        delivered = self._delivered(site, draw)
        state = is_built(site, delivered.toordinal(), AS_OF.toordinal())
        code = f"{site.code.upper().replace('_', '-')}-B{number:02}"
        services = draw_services(kind, draw)
        ground_storey = draw.between(kind.ground_storey_m, "0.1")
        upper_storey = draw.between(kind.upper_storey_m, "0.1")
        building = Building(
            id=reference_id("buildings", code),
            park_id=parcel.park_id,
            parcel_id=parcel.id,
            code=code,
            name_zh=f"{site.name_zh}{number}号楼",
            name_en=f"{site.name_en}, building {number}",
            carrier_type=_carrier(site, kind.ground_units[0]),
            physical_state=state,
            delivered_on=delivered,
            gross_floor_area_m2=square_metres(plan.gross),
            floors_above=plan.floors_above,
            floors_below=len(plan.floors) - plan.floors_above,
            height_m=floor_height_m(plan.floors_above, ground_storey, upper_storey),
            power_capacity_kva=Decimal(0),
            dual_power_feed=services.dual_power_feed,
            freight_lift_t=services.freight_lift_t,
            hoist_opening=services.hoist_opening,
            steam=services.steam,
            gas=services.gas,
            purified_water=services.purified_water,
            waste_water_t_per_day=Decimal(0),
            source=origin(self._seed),
            confidence="assumption",
            synthetic=True,
            geometry_quality="schematic",
            position_accuracy_m=parcel.position_accuracy_m,
        )
        context = BuildingContext(
            reference=self._reference,
            site=site,
            plan=plan,
            building=building,
            number=number,
            land_use=parcel.land_use_code,
            services=services,
            ground_storey_m=ground_storey,
            upper_storey_m=upper_storey,
            yard=yard,
        )
        units: list[Unit] = []
        for floor, floor_box, rooms in make_floors(context, draw):
            self.space.floors.append(floor)
            self._shape(site.park, floor, floor_box)
            for unit, room in rooms:
                units.append(unit)
                self._shape(site.park, unit, room)
        self._complete(building, units)
        self._shape(site.park, building, yard)
        self.space.buildings.append(building)
        self.space.units.extend(units)
        self.space.site_buildings[site.code].append(building)
        self.space.site_units[site.code].extend(units)

    @staticmethod
    def _complete(building: Building, units: list[Unit]) -> None:
        """Services of a building carry what its units have, with a tenth to spare."""
        power = sum((unit.power_kva for unit in units), Decimal(0))
        water = sum((unit.waste_water_t_per_day for unit in units), Decimal(0))
        building.power_capacity_kva = rounded(math.ceil(float(power) * 1.1 / 100) * 100, "0.1")
        building.waste_water_t_per_day = rounded(math.ceil(float(water) * 1.1 / 5) * 5, "0.1")
        if any(unit.physical_state == "fitted" for unit in units):
            building.physical_state = "fitted"

    def _delivered(self, site: SiteRow, draw: Draw) -> date:
        """Published hand-over, or 17-24 months after the start, as the named projects took."""
        if site.delivered is not None:
            return site.delivered
        if site.started is None:
            raise ValueError(f"site {site.code} has no date")
        return add_months(site.started, draw.whole(*_BUILD_MONTHS))

    def _reserve(self, park: str) -> None:
        """Keep plots beside the sites as reserved industrial land."""
        draw = Draw(self._seed, f"reserve/{park}")
        for _ in range(self._reference.reserve.plots_per_park):
            cell = self._next_plot(park)
            if cell is None:
                return
            row = self._parcel_row(
                park,
                land_use=draw.weighted({"M1": 30, "M2": 40, "M4": 20, "M1/M4": 10}),
                published_area_m2=None,
                floor_area_ratio_max=draw.between(_RATIO, "0.1"),
                building_density_max_pct=Decimal(60),
                height_limit_m=Decimal(50),
                tenure="reserve",
                grade=None,
            )
            row.source = f"{origin(self._seed)}; {self._reference.reserve.source}"
            self._shape(park, row, cell)

    def _shape(self, park: str, row: Placed, box: Box) -> None:
        self._shapes.setdefault(self._frames[park].angle, []).append((row, box))

    def _draw_shapes(self) -> None:
        """Turn all rectangles into degrees at once, frame by frame."""
        for angle, shapes in self._shapes.items():
            drawn = Frame(angle).ewkb(as_array([box for _, box in shapes]))
            for (row, _), geom in zip(shapes, drawn, strict=True):
                row.geom = geom


def _plots_for(ratio: float) -> int:
    """Number of plots of equal size for a floor area that is ``ratio`` times one plot's land."""
    low, high = float(_RATIO.low), float(_RATIO.high)
    # Several plots never share the buildings evenly; the lower ratio leaves the room for that.
    return 1 if ratio <= high else math.ceil(ratio / low)


def _carrier(site: SiteRow, unit_type: UnitType) -> str:
    """The ladder's rung of a building: the site's, or the accelerator's for such space."""
    if site.carrier_type is CarrierType.SPECIAL_PARK and unit_type is UnitType.ACCELERATION:
        return CarrierType.ACCELERATOR.value
    return site.carrier_type.value


def total_m2(areas: Iterator[Decimal]) -> Decimal:
    """Sum of areas, counted in whole centi-m²."""
    return square_metres(sum(centi(area) for area in areas))
