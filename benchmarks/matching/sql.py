"""The same questions in SQL, tuned: one flat, indexed, analysed table and prepared statements.

The rules are the table's own SQL forms; the score is written out once more, in SQL. Units that are
let in parts are left out on both sides: the flat table has no quantity of its own for each request.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql as compose

from app.kernel.terms import FacilityType
from app.matching.rules.demand import Demand
from app.matching.rules.table import BY_KEY

#: Power of a unit, kVA.
KVA = "round(coalesce(u.power_kva, u.power_density_w_m2 * u.leasable_area_m2 / 1000), 1)"
TABLE, POWER = "benchmark_units", "benchmark_power"

#: One row for each unit that is let only whole, with its free days as a multirange; and what is
#: promised of each building's power, by the days between changes.
BUILD = [
    f"DROP TABLE IF EXISTS {TABLE}, {POWER}",
    f"""
CREATE UNLOGGED TABLE {POWER} AS
WITH edges AS (
    SELECT building_id, day, sum(kva) AS kva FROM (
        SELECT u.building_id, lower(c.period) AS day, k.kva FROM claims c
        JOIN units u ON u.id = c.unit_id, LATERAL (SELECT {KVA} * c.quantity / u.capacity) k (kva)
        WHERE c.live @> now()
        UNION ALL
        SELECT u.building_id, upper(c.period), -k.kva FROM claims c
        JOIN units u ON u.id = c.unit_id, LATERAL (SELECT {KVA} * c.quantity / u.capacity) k (kva)
        WHERE c.live @> now() AND NOT upper_inf(c.period)
    ) moves GROUP BY building_id, day
)
SELECT building_id, day, lead(day) OVER w AS next_day, sum(kva) OVER w AS used
FROM edges WINDOW w AS (PARTITION BY building_id ORDER BY day)""",  # noqa: S608 - names of ours
    f"CREATE INDEX ON {POWER} (building_id, day) INCLUDE (next_day, used)",
    f"""
CREATE UNLOGGED TABLE {TABLE} AS
WITH RECURSIVE around AS (
    SELECT id AS park_id, code, parent_park_id, zone_id, special_goods_import_pilot FROM parks
    UNION
    SELECT around.park_id, p.code, p.parent_park_id, p.zone_id, p.special_goods_import_pilot
    FROM around JOIN parks p ON p.id = around.parent_park_id
), places AS (
    SELECT around.park_id, array_agg(DISTINCT around.code) AS park_codes,
        array_agg(DISTINCT z.code) AS zone_codes,
        coalesce(bool_or(around.special_goods_import_pilot), false) AS special_goods_import_pilot
    FROM around JOIN zones z ON z.id = around.zone_id GROUP BY around.park_id
), distances AS (
    SELECT b.id AS building_id, {
        ", ".join(
            f"round(min(ST_Distance(ST_Centroid(b.geom)::geography, f.geom::geography))"
            f" FILTER (WHERE facility_type = '{one.value}')::numeric, 2)::float8"
            f" AS {one.value}_distance_m"
            for one in FacilityType
        )
    }
    FROM buildings b LEFT JOIN shared_facilities f ON true GROUP BY b.id
), used AS (
    SELECT unit_id, range_agg(period) AS days FROM claims WHERE live @> now() GROUP BY unit_id
), crowd AS (
    SELECT building_id, floor_id, count(*)::float8 AS units_on_floor,
        (sum(count(*)) OVER (PARTITION BY building_id))::float8 AS units_in_building
    FROM units GROUP BY building_id, floor_id
)
SELECT u.fid, b.code AS building_code, u.unit_type, u.capacity_measure, u.physical_state,
    u.capacity::float8 AS capacity, u.capacity::float8 AS quantity,
    u.leasable_area_m2::float8 AS leasable_area_m2, a.park_codes, a.zone_codes,
    a.special_goods_import_pilot, p.land_use_code, ST_Centroid(b.geom) AS centre,
    datemultirange(u.usable) - coalesce(used.days, datemultirange()) AS free,
    lower(datemultirange(u.usable) - coalesce(used.days, datemultirange())) AS first_free,
    u.min_term_months::float8 AS min_term_months, u.max_term_months::float8 AS max_term_months,
    u.fire_hazard_class, f.level_index::float8 AS level_index,
    b.floors_above::float8 AS floors_above, b.height_m::float8 AS height_m,
    coalesce(u.floor_load_kn_m2, f.floor_load_kn_m2)::float8 AS floor_load_kn_m2,
    coalesce(u.clear_height_m, f.clear_height_m)::float8 AS clear_height_m,
    coalesce(u.power_density_w_m2, round(u.power_kva * 1000 / u.leasable_area_m2, 1))::float8
        AS power_density_w_m2,
    {KVA}::float8 AS power_kva, b.power_capacity_kva, u.building_id,
    u.cleanroom_grade, u.biosafety_level::float8 AS biosafety_level, u.animal_facility,
    u.cold_storage_m2::float8 AS cold_storage_m2,
    u.waste_water_t_per_day::float8 AS waste_water_t_per_day,
    coalesce(u.freight_lift_t, b.freight_lift_t)::float8 AS freight_lift_t,
    coalesce(u.hoist_opening, b.hoist_opening) AS hoist_opening, u.is_ground_floor,
    coalesce(u.steam, b.steam) AS steam, coalesce(u.gas, b.gas) AS gas,
    coalesce(u.purified_water, b.purified_water) AS purified_water,
    coalesce(u.dual_power_feed, b.dual_power_feed) AS dual_power_feed,
    u.isotope_class, u.vibration_class, n.units_on_floor, n.units_in_building,
    u.rent_cny_per_m2_day::float8 AS rent_cny_per_m2_day,
    round(u.rent_cny_per_m2_day * u.leasable_area_m2 * 365, 2)::float8 AS rent_cny_per_year,
    {", ".join(f"d.{one.value}_distance_m" for one in FacilityType)}
FROM units u
JOIN floors f ON f.id = u.floor_id
JOIN buildings b ON b.id = u.building_id
JOIN parcels p ON p.id = b.parcel_id
JOIN places a ON a.park_id = u.park_id
JOIN distances d ON d.building_id = u.building_id
JOIN crowd n ON n.floor_id = u.floor_id
LEFT JOIN used ON used.unit_id = u.id
WHERE NOT u.divisible""",  # noqa: S608 - names of our own
    f"CREATE INDEX ON {TABLE} (unit_type, first_free, leasable_area_m2)",
    f"CREATE INDEX ON {TABLE} (unit_type, leasable_area_m2)",
    f"CREATE INDEX ON {TABLE} USING gist (centre)",
]
#: Worked out only for rows that meet everything else: the planner puts what costs most last.
_POWER_LEFT = f"""(c.power_capacity_kva - coalesce((
    SELECT max(used) FROM {POWER} s WHERE s.building_id = c.building_id
        AND s.day < c.free_from + make_interval(months => :term)
        AND (s.next_day IS NULL OR s.next_day > c.free_from)), 0))"""  # noqa: S608 - names of ours

_READINESS = (
    "CASE c.physical_state"
    + "".join(
        f" WHEN '{state}' THEN {value}"
        for state, value in (("under_construction", 300), ("shell", 700), ("fitted", 1000))
    )
    + " ELSE 0 END"
)
_HEADROOM = {
    "min_floor_load_kn_m2": ("floor_load_kn_m2", 100),
    "min_clear_height_m": ("clear_height_m", 100),
    "min_power_density_w_m2": ("power_density_w_m2", 10),
}

_MARK = re.compile(r"(?<!:):([a-z]\w*)")
Statement = tuple[str, dict[str, Any]]


def _share(part: str, whole: str) -> str:
    return f"(least(greatest({part}, 0), {whole}) * 1000 / {whole})"


def _cell(column: str, grain: int) -> str:
    return f"round({column}::numeric * {grain})::bigint"


def _score(demand: Demand) -> str:
    wishes = "1000"
    if demand.soft:
        met = " + ".join(f"coalesce(({BY_KEY[key].sql}), false)::int" for key in demand.soft)
        wishes = f"(({met}) * 1000 / {len(demand.soft)})"
    low, high = (round(demand.hard[key] * 200) for key in ("min_area_m2", "max_area_m2"))
    aim = round(demand.target_area_m2 * 200) if demand.target_area_m2 else (low + high) // 2
    reach = max(aim - low, high - aim)
    area = _share(f"{reach} - abs(2 * {_cell('c.leasable_area_m2', 100)} - {aim})", str(reach))
    band = demand.terms.rent_cny_per_m2_day
    cheap, dear = round(band.low * 10_000), round(band.high * 10_000)
    rent_cell = _cell("c.rent_cny_per_m2_day", 10_000)
    rent = f"coalesce({_share(f'{dear} - {rent_cell}', str(dear - cheap))}, 0)"
    days = (demand.window.latest - demand.window.start).days + 1
    start = _share(f"DATE '{demand.window.latest}' - c.free_from + 1", str(days))
    spare = []
    for key, (column, grain) in _HEADROOM.items():
        if key in demand.hard:
            need = round(demand.hard[key] * grain)
            spare.append(_share(f"{_cell(f'c.{column}', grain)} - {need}", str(need)))
    headroom = f"(({' + '.join(spare)}) / {len(spare)})" if spare else "1000"
    return (
        f"30 * {wishes} + 20 * {area} + 20 * {rent} + 10 * {start} + 5 * {_READINESS}"
        f" + 5 * {headroom} + 5 * 1000 + 5 * 1000"
    )


_ROWS = f"""(
    SELECT b.*, w.free_from FROM {TABLE} b LEFT JOIN LATERAL (
        SELECT lower(stretch) AS free_from
        FROM unnest(b.free * datemultirange(daterange(:start, NULL))) AS stretch
        WHERE upper_inf(stretch)
            OR upper(stretch) >= lower(stretch) + make_interval(months => :term)
        ORDER BY 1 LIMIT 1
    ) w ON true
) c"""  # noqa: S608 - names of our own


def _rule(key: str) -> str:
    return BY_KEY[key].sql.replace("c.power_left_kva", _POWER_LEFT)


def best(demand: Demand, k: int) -> Statement:
    """The ``k`` best whole units, with their scores."""
    rules = " AND ".join(f"({_rule(key)})" for key in demand.hard)
    return _positional(
        f"SELECT c.fid, {_score(demand)} AS score FROM {_ROWS}"  # noqa: S608
        f" WHERE c.first_free <= :latest AND {rules}"
        f' ORDER BY score DESC, c.building_code COLLATE "C", c.level_index, c.fid LIMIT {k}',
        _values(demand, (*demand.hard, *demand.soft)) | {"latest": demand.window.latest},
        demand,
    )


def histogram(demand: Demand, keys: Sequence[str]) -> Statement:
    """How many units break each set of rules; bit *i* is ``keys[i]``."""
    bits = " + ".join(
        f"CASE WHEN ({_rule(key)}) THEN 0 ELSE {1 << bit} END" for bit, key in enumerate(keys)
    )
    return _positional(
        f"SELECT {bits} AS mask, count(*) FROM {_ROWS} GROUP BY 1",  # noqa: S608
        _values(demand, keys),
        demand,
    )


def _values(demand: Demand, keys: Sequence[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key in keys:
        values |= BY_KEY[key].params(demand.asked[key])
    return values


def _positional(statement: str, values: Mapping[str, Any], demand: Demand) -> Statement:
    everything = {
        **values,
        "start": demand.window.start,
        "term": demand.window.term_months,
    }
    # Colons become the driver's own marks; casts stay.
    return _MARK.sub(r"%(\1)s", statement), everything


def run(connection: psycopg.Connection, statement: Statement) -> list[tuple[Any, ...]]:
    """The rows of a statement, prepared on its first use."""
    query, values = statement
    return connection.execute(compose.SQL(query), values, prepare=True).fetchall()


def build(connection: psycopg.Connection) -> None:
    """Make the flat table anew."""
    for statement in BUILD:
        connection.execute(compose.SQL(statement))
    connection.execute(compose.SQL(f"ANALYZE {TABLE}"))
