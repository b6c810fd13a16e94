"""The layers that staff may draw in: what of each is theirs to say, and what stands on it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, FromClause, Table, true

from app.database.base import Base
from app.models.programme import ProgrammeBuilding
from app.models.right import Right, RightFootprint
from app.models.space import Building, Floor, Parcel, Park, ParkBlock, Zone, unit_terms
from app.models.wall import BuildingLink


def _table(model: type[Base]) -> Table:
    found = model.__table__
    if not isinstance(found, Table):
        raise TypeError(f"{model.__name__} is no table")
    return found


_ZONES, _PARKS, _BLOCKS = _table(Zone), _table(Park), _table(ParkBlock)
_PARCELS, _BUILDINGS, _FLOORS = _table(Parcel), _table(Building), _table(Floor)
_LINKS, _RIGHTS, _GROUND = _table(BuildingLink), _table(Right), _table(RightFootprint)
_PROGRAMMES = _table(ProgrammeBuilding)


@dataclass(frozen=True, slots=True, eq=False)
class Parent:
    """What a layer's features lie in: its table, the column and the property that name it.

    ``shared`` are columns that both have and that say the same.
    """

    table: Table
    key: str
    named_by: str
    shared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """What stands on a feature: rows of ``table`` whose ``key`` is the feature's id.

    ``geom`` and ``code`` show what must stay inside the outline; None: it has no place of its own.
    """

    table: FromClause
    key: ColumnElement[object]
    zh: str
    en: str
    code: ColumnElement[str] | None = None
    geom: ColumnElement[object] | None = None
    condition: ColumnElement[bool] = field(default_factory=true)


def _inside(table: Table, key: str, zh: str, code: str = "code") -> Standing:
    """Rows that stand inside the feature that their ``key`` names."""
    columns = table.c
    return Standing(table, columns[key], zh, table.name, columns[code], columns.geom)


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One kind of thing that may be drawn.

    Attributes:
        id: of the layer, and of the collection that shows it.
        table: where it is kept.
        parent: what it lies in.
        once: what is said when it is made, and stays.
        ever: what may be changed later too.
        standing: what stands on it, and forbids that it is taken away.
        beside: its rows may not overlap: those with the same parent, or all.
        makes: new ones may be drawn, and those with nothing on them taken away.
    """

    id: str
    table: Table
    parent: Parent | None
    once: tuple[str, ...]
    ever: tuple[str, ...]
    standing: tuple[Standing, ...]
    beside: str | None = None
    makes: bool = True

    @property
    def own(self) -> tuple[str, ...]:
        """The properties that a drawer says: of a new one also the code of what it lies in."""
        parent = () if self.parent is None or not self.makes else (self.parent.named_by,)
        return (*self.once, *self.ever, *parent)


_PROVENANCE = ("source", "confidence", "synthetic", "geometry_quality", "position_accuracy_m")
_NAMES = ("name_zh", "name_en")

LAYERS: Mapping[str, Layer] = {
    one.id: one
    for one in (
        Layer("zones", _ZONES, None, (), _NAMES, (), makes=False),
        Layer(
            "parks",
            _PARKS,
            Parent(_PARKS, "parent_park_id", "parent_park_code"),
            (),
            _NAMES,
            (
                _inside(_PARCELS, "park_id", "地块"),
                _inside(_PARKS, "parent_park_id", "园区"),
                _inside(_BLOCKS, "park_id", "区块", "name_zh"),
            ),
            makes=False,
        ),
        Layer(
            "parcels",
            _PARCELS,
            Parent(_PARKS, "park_id", "park_code"),
            ("code",),
            (
                *_NAMES,
                *("land_use_code", "land_use_code_national", "published_area_m2"),
                *("floor_area_ratio_max", "building_density_max_pct", "green_ratio_min_pct"),
                *("height_limit_m", "mix_ratio_max_pct", "tenure", "tenure_years"),
                *("grade", "grade_year"),
                *_PROVENANCE,
            ),
            (_inside(_BUILDINGS, "parcel_id", "楼宇"),),
            # Plots of different parks are neighbours too.
            beside="",
        ),
        Layer(
            "buildings",
            _BUILDINGS,
            Parent(_PARCELS, "parcel_id", "parcel_code", ("park_id",)),
            ("code",),
            (
                *_NAMES,
                *("carrier_type", "physical_state", "delivered_on", "gross_floor_area_m2"),
                *("floors_above", "floors_below", "height_m", "power_capacity_kva"),
                *("dual_power_feed", "freight_lift_t", "hoist_opening", "steam", "gas"),
                *("purified_water", "waste_water_t_per_day"),
                *_PROVENANCE,
            ),
            (
                _inside(_FLOORS, "building_id", "楼层"),
                Standing(_PROGRAMMES, _PROGRAMMES.c.building_id, "计划", "programmes"),
                Standing(_LINKS, _LINKS.c.building_a_id, "连廊", "passages"),
                Standing(_LINKS, _LINKS.c.building_b_id, "连廊", "passages"),
            ),
            beside="parcel_id",
        ),
        Layer(
            "floors",
            _FLOORS,
            Parent(_BUILDINGS, "building_id", "building_code", ("park_id",)),
            ("code", "level_index"),
            (
                *("level_name", "gross_floor_area_m2", "storey_height_m", "clear_height_m"),
                *("floor_load_kn_m2", "published_floor_load_kg_m2"),
                *_PROVENANCE,
            ),
            (
                # On whichever days they are; what was believed of them before counts for nothing.
                Standing(
                    unit_terms,
                    unit_terms.c.floor_id,
                    "房源",
                    "units",
                    unit_terms.c.code,
                    unit_terms.c.geom,
                    unit_terms.c.known_until.is_(None),
                ),
                Standing(
                    _GROUND.join(_RIGHTS, _RIGHTS.c.id == _GROUND.c.right_id),
                    _GROUND.c.floor_id,
                    "权利",
                    "rights",
                    _RIGHTS.c.kind,
                    _GROUND.c.geom,
                ),
            ),
        ),
    )
}
