"""What is shown of a unit, as SQL text by the name it is shown under.

Every piece is a constant of our own code, made once. Names of parents are looked up by key, so that
it is done for the rows of a page only: a join would come before the sort.
"""

from typing import Any

from sqlalchemy import ColumnElement, literal_column

from app.kernel.terms import CapacityMeasure, CarrierType, PhysicalState, Term, UnitType

_PARENTS = {
    "zone": "zones JOIN parks ON zones.id = parks.zone_id WHERE parks.id = units.park_id",
    "park": "parks WHERE parks.id = units.park_id",
    "building": "buildings WHERE buildings.id = units.building_id",
    "floor": "floors WHERE floors.id = units.floor_id",
}
_AREAS = (
    ("leasable", "计租面积", "Leasable area"),
    ("internal", "套内建筑面积", "Internal area"),
)
_TERMS_AND_SERVICES = (
    "rent_cny_per_m2_day",
    "rent_cny_per_place_month",
    "min_term_months",
    "max_term_months",
    "is_ground_floor",
    "clear_height_m",
    "floor_load_kn_m2",
    "power_kva",
    "power_density_w_m2",
    "cleanroom_grade",
    "biosafety_level",
    "fire_hazard_class",
    "waste_water_t_per_day",
    "freight_lift_t",
    "hoist_opening",
    "dual_power_feed",
    "steam",
    "gas",
    "purified_water",
    "animal_facility",
    "cold_storage_m2",
    "isotope_class",
    "vibration_class",
)
_PROVENANCE = (
    "source",
    "confidence",
    "synthetic",
    "source_datum",
    "geometry_quality",
    "position_accuracy_m",
)


def labelled(columns: dict[str, str]) -> tuple[ColumnElement[Any], ...]:
    """The columns as SQLAlchemy takes them."""
    return tuple(literal_column(sql).label(name) for name, sql in columns.items())


def _own(*names: str) -> dict[str, str]:
    return {name: f"units.{name}" for name in names}


def coded(column: str, terms: type[Term]) -> dict[str, str]:
    """A coded column, and its words in both languages."""
    name = column.rpartition(".")[2]
    chosen = {name: column}
    for language in ("zh", "en"):
        words = " ".join(f"WHEN '{term.value}' THEN '{getattr(term, language)}'" for term in terms)
        chosen[f"{name}_{language}"] = f"CASE {column} {words} END"
    return chosen


def _object(table: str, *members: str) -> str:
    listed = ", ".join(f"'{member}', {table}s.{member}" for member in members)
    return f"(SELECT json_build_object({listed}) FROM {_PARENTS[table]})"  # noqa: S608


def _value(table: str, member: str) -> str:
    return f"(SELECT {table}s.{member} FROM {_PARENTS[table]})"  # noqa: S608


def _areas() -> str:
    listed = ", ".join(
        f"json_build_object('standard', '{standard}', 'name_zh', '{zh}', 'name_en', '{en}',"
        f" 'area_m2', units.{standard}_area_m2, 'method', units.area_method,"
        " 'measured_on', units.area_measured_on, 'tolerance_pct', units.area_tolerance_pct)"
        for standard, zh, en in _AREAS
    )
    return f"json_build_array({listed})"


_NAMES = ("code", "name_zh", "name_en")
#: Which unit it is.
IDENTITY = labelled(
    _own("id", *_NAMES)
    | coded("units.unit_type", UnitType)
    | coded("units.carrier_type", CarrierType)
    | coded("units.physical_state", PhysicalState)
)
#: How much of it there is.
CAPACITY = labelled(
    _own("capacity")
    | coded("units.capacity_measure", CapacityMeasure)
    | _own("divisible", "min_part")
)
#: Where it is, each parent as an object.
PARENTS = labelled(
    {name: _object(name, "id", *_NAMES) for name in ("zone", "park", "building")}
    | {"floor": _object("floor", "id", "code", "level_index", "level_name")}
)
#: The same as plain values: a cell of an attribute table holds one.
PARENTS_FLAT = labelled(
    {
        f"{parent}_{name}": _value(parent, name)
        for parent in ("zone", "park", "building")
        for name in _NAMES
    }
    | {name: _value("floor", name) for name in ("level_index", "level_name")}
)
#: Areas with their standards, rents, terms, services, and where it is all known from.
FACTS = labelled(
    _own("leasable_area_m2", "internal_area_m2")
    | {"areas": _areas()}
    | _own(*_TERMS_AND_SERVICES, *_PROVENANCE)
)
#: RFC 7946 wants outer rings counter-clockwise.
OUTLINE = labelled({"geometry": "ST_ForcePolygonCCW(units.geom)"})
