"""What a single unit offers to a demand, in SQL: the one readable definition of every column.

Each row is a unit that may be used on some day from ``:start`` on, with what is offered of it. The
SQL forms of the constraints are judged over these rows, and the tests hold them equal to the
kernels; the segments that the search runs over are read in another way (``load``), and held equal
to these rows.

Numbers are rounded to the grain of their column. Distances are metres on the ellipsoid from the
middle of the building. A unit's own service counts before its floor's or building's; a building's
waste water is not a unit's. Of a part, area, power, cold storage, waste water and rent are its
share.
"""

from datetime import datetime
from typing import Any

from app.inventory.known import IN_FORCE_FROM
from app.kernel.terms import FacilityType
from app.matching.columns import QUANTITY_GRAIN
from app.matching.engine.parts import UNBOUNDED, wanted
from app.matching.rules.demand import Demand

_DISTANCES = ",\n        ".join(
    f"round(min(metres) FILTER (WHERE facility_type = '{facility.value}')::numeric, 2)::float8"
    f" AS {facility.value}_distance_m"
    for facility in FacilityType
)


def _free(need: str) -> str:
    """Days on which so much is free; where nothing is taken all of it is, however large then."""
    whole = "free_days(u.id, u.capacity, u.usable, u.capacity, CAST(:as_of AS timestamptz))"
    return (
        f"(free_days(u.id, u.capacity, u.usable, u.valid, {need}, CAST(:as_of AS timestamptz))"
        " + CASE WHEN lower_inf(u.valid) AND upper_inf(u.valid) THEN datemultirange()"
        f" ELSE {whole} END)"
    )


CANDIDATES = f"""
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
), centres AS MATERIALIZED (
    SELECT id, ST_Centroid(geom) AS centre FROM buildings
), distances AS (
    SELECT building_id,
        {_DISTANCES}
    FROM (
        SELECT b.id AS building_id, f.facility_type,
            ST_Distance(b.centre::geography, f.geom::geography) AS metres
        FROM centres b CROSS JOIN shared_facilities f
    ) measured GROUP BY building_id
), there AS (
    SELECT u.* FROM unit_terms u
    WHERE {IN_FORCE_FROM} AND u.usable && daterange(CAST(:start AS date), NULL)
), crowd AS (
    SELECT building_id, floor_id, count(*) AS on_floor,
        sum(count(*)) OVER (PARTITION BY building_id) AS in_building
    FROM there GROUP BY building_id, floor_id
), promised AS MATERIALIZED (
    -- Power that goes with what is taken: the unit's, or the share that is taken of it.
    SELECT u.building_id, c.period, round(round(coalesce(u.power_kva,
        u.power_density_w_m2 * u.leasable_area_m2 / 1000), 1) * c.quantity / u.capacity, 1) AS kva
    FROM occupancy c CROSS JOIN LATERAL (
        SELECT * FROM unit_terms u WHERE u.id = c.unit_id
            AND u.known_from <= CAST(:as_of AS timestamptz)
            AND (u.known_until IS NULL OR u.known_until > CAST(:as_of AS timestamptz))
        -- The facts of its first day, else the first after it, else the last there are.
        ORDER BY coalesce(upper(u.valid), 'infinity') <= lower(c.period),
            CASE WHEN coalesce(upper(u.valid), 'infinity') > lower(c.period)
                THEN coalesce(upper(u.valid), 'infinity') END,
            upper(u.valid) DESC
        LIMIT 1
    ) u WHERE c.live @> CAST(:as_of AS timestamptz)
)
SELECT u.id, u.fid, u.code, u.building_id, u.floor_id, k.code AS park_code,
    a.park_codes, a.zone_codes, a.special_goods_import_pilot, p.land_use_code, m.centre,
    u.unit_type, u.capacity_measure, u.physical_state, u.divisible, u.remainder_rule,
    u.capacity::float8 AS capacity, u.min_part::float8 AS min_part,
    q.quantity::float8 AS quantity,
    round(u.leasable_area_m2 * q.quantity / u.capacity, 2)::float8 AS leasable_area_m2,
    n.on_floor::float8 AS units_on_floor, n.in_building::float8 AS units_in_building,
    w.free_from, w.free_until,
    u.min_term_months::float8 AS min_term_months, u.max_term_months::float8 AS max_term_months,
    u.fire_hazard_class, f.level_index::float8 AS level_index,
    b.floors_above::float8 AS floors_above, b.height_m::float8 AS height_m,
    coalesce(u.floor_load_kn_m2, f.floor_load_kn_m2)::float8 AS floor_load_kn_m2,
    coalesce(u.clear_height_m, f.clear_height_m)::float8 AS clear_height_m,
    coalesce(u.power_density_w_m2, round(u.power_kva * 1000 / u.leasable_area_m2, 1))::float8
        AS power_density_w_m2,
    round(round(coalesce(u.power_kva, u.power_density_w_m2 * u.leasable_area_m2 / 1000), 1)
        * q.quantity / u.capacity, 1)::float8 AS power_kva,
    u.cleanroom_grade, u.biosafety_level::float8 AS biosafety_level, u.animal_facility,
    round(u.cold_storage_m2 * q.quantity / u.capacity, 1)::float8 AS cold_storage_m2,
    round(u.waste_water_t_per_day * q.quantity / u.capacity, 1)::float8 AS waste_water_t_per_day,
    coalesce(u.freight_lift_t, b.freight_lift_t)::float8 AS freight_lift_t,
    coalesce(u.hoist_opening, b.hoist_opening) AS hoist_opening, u.is_ground_floor,
    coalesce(u.steam, b.steam) AS steam, coalesce(u.gas, b.gas) AS gas,
    coalesce(u.purified_water, b.purified_water) AS purified_water,
    coalesce(u.dual_power_feed, b.dual_power_feed) AS dual_power_feed,
    u.isotope_class, u.vibration_class,
    b.power_capacity_kva::float8 AS building_power_kva,
    (
        -- The most is promised on the first day, or on one on which something more is.
        SELECT b.power_capacity_kva - coalesce(max((SELECT sum(o.kva) FROM promised o
            WHERE o.building_id = u.building_id AND o.period @> days.day)), 0)
        FROM (
            SELECT w.free_from AS day UNION SELECT lower(o.period) FROM promised o
            WHERE o.building_id = u.building_id AND lower(o.period) > w.free_from
                AND lower(o.period) < w.free_from + make_interval(months => CAST(:term AS int))
        ) days WHERE w.free_from IS NOT NULL HAVING count(*) > 0
    )::float8 AS power_left_kva,
    r.rent::float8 AS rent_cny_per_m2_day,
    round(CASE WHEN r.per_place IS NULL
        THEN r.rent * u.leasable_area_m2 * 365 * q.quantity / u.capacity
        ELSE r.per_place * q.quantity * 12 END, 2)::float8 AS rent_cny_per_year,
    {", ".join(f"d.{facility.value}_distance_m" for facility in FacilityType)}
FROM there u
JOIN floors f ON f.id = u.floor_id
JOIN buildings b ON b.id = u.building_id
JOIN parcels p ON p.id = b.parcel_id
JOIN parks k ON k.id = b.park_id
JOIN places a ON a.park_id = b.park_id
JOIN centres m ON m.id = u.building_id
JOIN crowd n ON n.floor_id = u.floor_id
LEFT JOIN distances d ON d.building_id = u.building_id
CROSS JOIN LATERAL (
    -- By the place where it is let so: a rent by the m² made of it is rounded already.
    SELECT of_place.per_place, coalesce(u.rent_cny_per_m2_day,
        round(of_place.per_place * u.capacity * 12 / 365 / u.leasable_area_m2, 4)) AS rent
    FROM (SELECT CASE WHEN u.rent_cny_per_m2_day IS NULL AND u.capacity_measure = 'place'
        THEN u.rent_cny_per_place_month END AS per_place) of_place
) r
CROSS JOIN LATERAL (
    -- What is asked of this unit: places of what is let by the place, m² of the rest.
    SELECT greatest(u.min_part, least_asked) AS low, least(u.capacity, most_asked) AS high, aim
    FROM (SELECT
        CASE u.capacity_measure WHEN 'place' THEN CAST(:places AS numeric)
            ELSE CAST(:area_low AS numeric) END AS least_asked,
        CASE u.capacity_measure WHEN 'place' THEN NULL
            ELSE CAST(:area_high AS numeric) END AS most_asked,
        CASE u.capacity_measure WHEN 'place' THEN CAST(:places AS numeric)
            ELSE CAST(:area_aim AS numeric) END AS aim
    ) asked
) x
CROSS JOIN LATERAL (
    SELECT CASE WHEN NOT u.divisible OR x.aim IS NULL OR x.low > x.high THEN u.capacity
        WHEN u.remainder_rule = 'lettable' AND u.capacity - near.quantity > 0
            AND u.capacity - near.quantity < u.min_part
        THEN CASE WHEN u.capacity - u.min_part >= x.low THEN u.capacity - u.min_part
            ELSE u.capacity END
        ELSE near.quantity END AS quantity
    FROM (SELECT least(greatest(x.aim, x.low), x.high) AS quantity) near
) q
LEFT JOIN LATERAL (
    SELECT lower(stretch) AS free_from, upper(stretch) AS free_until
    FROM unnest((
        {_free("q.quantity")}
        -- What a part leaves of the day's space is nothing, or can still be let.
        - CASE WHEN u.remainder_rule = 'lettable' AND q.quantity < u.capacity
            THEN {_free("q.quantity + 0.01")} - CASE WHEN q.quantity + u.min_part <= u.capacity
                THEN {_free("q.quantity + u.min_part")} ELSE datemultirange() END
            ELSE datemultirange() END
        ) * datemultirange(daterange(CAST(:start AS date), NULL))) AS stretch
    WHERE upper_inf(stretch)
        OR upper(stretch) >= lower(stretch) + make_interval(months => CAST(:term AS int))
    ORDER BY lower(stretch) LIMIT 1
) w ON true"""  # noqa: S608  (names of our own columns)


def parameters(demand: Demand, as_of: datetime) -> dict[str, Any]:
    """The bound values of ``CANDIDATES`` for a demand, as known at an instant."""
    want = wanted(demand)
    return {
        "start": demand.window.start,
        "term": demand.window.term_months,
        "as_of": as_of,
        "places": want.places / QUANTITY_GRAIN if want.places else None,
        "area_low": want.low / QUANTITY_GRAIN,
        "area_high": None if want.high == UNBOUNDED else want.high / QUANTITY_GRAIN,
        "area_aim": want.aim / QUANTITY_GRAIN if want.aim else None,
    }
