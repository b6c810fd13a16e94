"""Reads the units a demand is judged against: two set-based statements, however many units.

``CANDIDATES`` is the one definition of every column: the snapshot is filled from it, and the SQL
twins of the constraints are evaluated over it. Availability comes from ``free_days`` alone.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.inventory.known import IN_FORCE_FROM
from app.matching.demand import Demand
from app.matching.snapshot import FACILITY_COLUMNS, ParkInfo, Units, build

_DISTANCES = ",\n        ".join(
    f"min(metres) FILTER (WHERE facility_type = '{facility.value}') AS {column}"
    for facility, column in FACILITY_COLUMNS.items()
)

#: One row per unit that may be used on some day from ``:start`` on. Distances are metres on the
#: ellipsoid from the centre of the building. A unit's own service counts before its building's; a
#: building's waste water is not a unit's. Rents by the place are turned into rents by the m². Of a
#: room let by the place, the year's rent, power, cold storage and waste water are those of the
#: places asked for: their share of the room's.
_CTES = f"""
RECURSIVE around AS (
    SELECT id AS park_id, code, parent_park_id, zone_id, special_goods_import_pilot FROM parks
    UNION
    SELECT around.park_id, p.code, p.parent_park_id, p.zone_id, p.special_goods_import_pilot
    FROM around JOIN parks p ON p.id = around.parent_park_id
), places AS (
    SELECT around.park_id, array_agg(DISTINCT around.code) AS park_codes,
        array_agg(DISTINCT z.code) AS zone_codes,
        bool_or(around.special_goods_import_pilot) AS special_goods_import_pilot
    FROM around JOIN zones z ON z.id = around.zone_id GROUP BY around.park_id
), centres AS MATERIALIZED (
    SELECT id, ST_Centroid(geom)::geography AS centre FROM buildings
), distances AS (
    SELECT building_id,
        {_DISTANCES}
    FROM (
        SELECT b.id AS building_id, f.facility_type,
            ST_Distance(b.centre, f.geom::geography) AS metres
        FROM centres b CROSS JOIN shared_facilities f
        WHERE f.facility_type = ANY (CAST(:facilities AS text[]))
    ) measured GROUP BY building_id
), crowd AS (
    SELECT building_id, floor_id, count(*) AS on_floor,
        sum(count(*)) OVER (PARTITION BY building_id) AS in_building
    FROM unit_terms u WHERE {IN_FORCE_FROM} AND usable && daterange(CAST(:start AS date), NULL)
    GROUP BY building_id, floor_id
)"""  # noqa: S608  (names of our own columns)

_COLUMNS = """
    u.id, u.code, k.code AS park_code, a.park_codes, a.zone_codes, p.land_use_code,
    u.unit_type, u.capacity_measure, u.physical_state,
    u.leasable_area_m2::float8 AS leasable_area_m2, u.capacity::float8 AS capacity,
    q.quantity::float8 AS quantity, u.divisible,
    n.on_floor::float8 AS units_on_floor, n.in_building::float8 AS units_in_building,
    w.free_from, w.free_until,
    u.min_term_months::float8 AS min_term_months, u.max_term_months::float8 AS max_term_months,
    u.fire_hazard_class, f.level_index::float8 AS level_index,
    b.floors_above::float8 AS floors_above, b.height_m::float8 AS height_m,
    coalesce(u.floor_load_kn_m2, f.floor_load_kn_m2)::float8 AS floor_load_kn_m2,
    coalesce(u.clear_height_m, f.clear_height_m)::float8 AS clear_height_m,
    coalesce(u.power_density_w_m2, round(u.power_kva * 1000 / u.leasable_area_m2, 1))::float8
        AS power_density_w_m2,
    round(coalesce(u.power_kva, u.power_density_w_m2 * u.leasable_area_m2 / 1000) * q.share, 1)
        ::float8 AS power_kva,
    u.cleanroom_grade, u.biosafety_level::float8 AS biosafety_level, u.animal_facility,
    round(u.cold_storage_m2 * q.share, 2)::float8 AS cold_storage_m2,
    round(u.waste_water_t_per_day * q.share, 2)::float8 AS waste_water_t_per_day,
    coalesce(u.freight_lift_t, b.freight_lift_t)::float8 AS freight_lift_t,
    coalesce(u.hoist_opening, b.hoist_opening) AS hoist_opening, u.is_ground_floor,
    coalesce(u.steam, b.steam) AS steam, coalesce(u.gas, b.gas) AS gas,
    coalesce(u.purified_water, b.purified_water) AS purified_water,
    coalesce(u.dual_power_feed, b.dual_power_feed) AS dual_power_feed,
    u.isotope_class, u.vibration_class, a.special_goods_import_pilot,
    CASE WHEN CAST(:lon AS float8) IS NOT NULL THEN ST_Distance(c.centre,
        ST_SetSRID(ST_MakePoint(CAST(:lon AS float8), CAST(:lat AS float8)), 4326)::geography)
    END AS near_distance_m,
    r.rent::float8 AS rent_cny_per_m2_day,
    -- By the place where it is let so: a rent by the m² made of it is rounded already.
    round(coalesce(u.rent_cny_per_m2_day * u.leasable_area_m2 * 365 * q.share,
        u.rent_cny_per_place_month * q.quantity * 12), 2)::float8 AS rent_cny_per_year"""

_FROM = f"""
FROM unit_terms u
JOIN floors f ON f.id = u.floor_id
JOIN buildings b ON b.id = u.building_id
JOIN parcels p ON p.id = b.parcel_id
JOIN parks k ON k.id = u.park_id
JOIN places a ON a.park_id = u.park_id
JOIN centres c ON c.id = u.building_id
JOIN crowd n ON n.floor_id = u.floor_id
LEFT JOIN distances d ON d.building_id = u.building_id
CROSS JOIN LATERAL (
    SELECT coalesce(u.rent_cny_per_m2_day,
        round(u.rent_cny_per_place_month * u.capacity * 12 / 365 / u.leasable_area_m2, 4)) AS rent
) r
CROSS JOIN LATERAL (
    SELECT asked.quantity, asked.quantity / u.capacity AS share
    FROM (SELECT CASE WHEN CAST(:places_wanted AS numeric) IS NOT NULL
            AND u.divisible AND u.capacity_measure = 'place'
        THEN least(u.capacity, greatest(u.min_part, CAST(:places_wanted AS numeric)))
        ELSE u.capacity END AS quantity) AS asked
) q
LEFT JOIN LATERAL (
    SELECT lower(stretch) AS free_from, upper(stretch) AS free_until
    FROM unnest(free_days(u.id, u.capacity, u.usable, u.valid, q.quantity,
            CAST(:as_of AS timestamptz))
        * datemultirange(daterange(CAST(:start AS date), NULL))) AS stretch
    WHERE upper_inf(stretch)
        OR upper(stretch) >= lower(stretch) + make_interval(months => CAST(:term AS int))
    ORDER BY lower(stretch) LIMIT 1
) w ON true
WHERE {IN_FORCE_FROM} AND u.usable && daterange(CAST(:start AS date), NULL)"""  # noqa: S608

CANDIDATES = (
    f"WITH {_CTES}\nSELECT {_COLUMNS},\n    "
    + ", ".join(f"d.{column}" for column in FACILITY_COLUMNS.values())
    + _FROM
)

_SUMMARIES = f"""
SELECT u.id, u.code, u.name_zh, u.name_en, u.unit_type, u.physical_state, u.capacity_measure,
    u.capacity::float8 AS capacity, u.leasable_area_m2::float8 AS leasable_area_m2,
    u.rent_cny_per_m2_day::float8 AS rent_cny_per_m2_day,
    u.rent_cny_per_place_month::float8 AS rent_cny_per_place_month,
    f.level_index, f.level_name, u.synthetic, u.geometry_quality,
    json_build_object('id', b.id, 'code', b.code, 'name_zh', b.name_zh, 'name_en', b.name_en)
        AS building,
    json_build_object('id', k.id, 'code', k.code, 'name_zh', k.name_zh, 'name_en', k.name_en)
        AS park,
    json_build_object('id', z.id, 'code', z.code, 'name_zh', z.name_zh, 'name_en', z.name_en)
        AS zone
FROM unit_terms u JOIN floors f ON f.id = u.floor_id JOIN buildings b ON b.id = u.building_id
JOIN parks k ON k.id = u.park_id JOIN zones z ON z.id = k.zone_id
WHERE {IN_FORCE_FROM} AND u.id = ANY (CAST(:ids AS uuid[]))"""  # noqa: S608


def database_now(session: Session) -> datetime:
    """The instant by the database's clock, which dates every claim."""
    now: datetime = session.execute(text("SELECT statement_timestamp()")).scalar_one()
    return now


def parameters(demand: Demand, as_of: datetime) -> dict[str, Any]:
    """The bound values of ``CANDIDATES`` for a demand."""
    point = demand.asked.get("near") or {"lon": None, "lat": None}
    return {
        "start": demand.window.start,
        "term": demand.window.term_months,
        "places_wanted": demand.hard.get("places"),
        "as_of": as_of,
        "lon": point["lon"],
        "lat": point["lat"],
        "facilities": [facility.value for facility in demand.facilities],
    }


def load_units(session: Session, demand: Demand, as_of: datetime) -> Units:
    """All units, as known at an instant, with what the demand makes relevant of them."""
    found = session.execute(text(CANDIDATES), parameters(demand, as_of)).mappings()
    rows = [dict(row) for row in found]
    parks = {
        row["park_code"]: ParkInfo(
            row["park_code"], frozenset(row["park_codes"]), frozenset(row["zone_codes"])
        )
        for row in rows
    }
    return build(rows, parks)


def load_summaries(
    session: Session, ids: Sequence[str], demand: Demand, as_of: datetime
) -> dict[str, dict[str, Any]]:
    """What people see of units, by id; nothing of who uses them."""
    if not ids:
        return {}
    found = session.execute(
        text(_SUMMARIES),
        {
            "ids": [UUID(one) for one in ids],
            "start": demand.window.start,
            "as_of": as_of,
        },
    ).mappings()
    return {str(row["id"]): dict(row) for row in found}
