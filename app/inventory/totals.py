"""Sums over what lies in a zone or park or counts towards a programme, computed when asked."""

from typing import Any

from sqlalchemy import (
    JSON,
    ColumnClause,
    FromClause,
    Integer,
    Numeric,
    TextClause,
    column,
    text,
)

from app.inventory.columns import Columns

_COUNTS = ("parks", "buildings", "floors", "units")
#: What is made up is counted apart too, so that no sum of it reads as published.
_AREAS = ("gross_floor_area_m2", "synthetic_floor_area_m2", "leasable_area_m2")

#: Of units that were split, merged or measured anew, what holds today counts.
_OVER_PARKS = """
SELECT cardinality(these.ids) AS parks, b.buildings, f.floors, u.units,
    b.gross_floor_area_m2, b.synthetic_floor_area_m2, u.leasable_area_m2
FROM (SELECT ARRAY({park_ids}) AS ids) these
CROSS JOIN LATERAL (
    SELECT count(*) AS buildings, coalesce(sum(gross_floor_area_m2), 0) AS gross_floor_area_m2,
        coalesce(sum(gross_floor_area_m2) FILTER (WHERE synthetic), 0) AS synthetic_floor_area_m2
    FROM buildings WHERE park_id = ANY (these.ids)
) b
CROSS JOIN LATERAL (SELECT count(*) AS floors FROM floors WHERE park_id = ANY (these.ids)) f
CROSS JOIN LATERAL (
    SELECT count(*) AS units, coalesce(sum(leasable_area_m2), 0) AS leasable_area_m2
    FROM unit_terms WHERE park_id = ANY (these.ids) AND known_until IS NULL
        AND valid @> (statement_timestamp() AT TIME ZONE 'Asia/Shanghai')::date
) u"""

#: A building that counts towards a programme and one of its projects is counted once. When it was
#: started is said by the innermost project it counts towards: what a whole programme started in a
#: year is only part of it.
_OVER_PROGRAMME = """
WITH RECURSIVE within (id) AS (
    SELECT programmes.id
    UNION
    SELECT p.id FROM programmes p JOIN within ON p.parent_programme_id = within.id
), counted AS MATERIALIZED (
    SELECT b.id, b.gross_floor_area_m2, b.synthetic, b.physical_state <> 'planned' AS started
    FROM buildings b
    WHERE b.id IN (
        SELECT m.building_id FROM programme_buildings m JOIN within ON within.id = m.programme_id
    )
), starts AS (
    SELECT c.id, c.gross_floor_area_m2, extract(year FROM min(s.actual_on))::int AS year
    FROM counted c
    JOIN programme_buildings m ON m.building_id = c.id
    LEFT JOIN programme_milestones s ON s.programme_id = m.programme_id AND s.step = 'started'
    WHERE c.started AND NOT EXISTS (
        SELECT FROM programme_buildings inner_one
        JOIN programmes project ON project.id = inner_one.programme_id
        WHERE inner_one.building_id = m.building_id
            AND project.parent_programme_id = m.programme_id
    )
    GROUP BY c.id, c.gross_floor_area_m2
)
SELECT sums.*, years.started_by_year
FROM (
    SELECT count(*) AS buildings, coalesce(sum(f.floors), 0) AS floors,
        coalesce(sum(u.units), 0) AS units,
        coalesce(sum(c.gross_floor_area_m2), 0) AS modelled_floor_area_m2,
        coalesce(sum(c.gross_floor_area_m2) FILTER (WHERE c.started), 0) AS started_floor_area_m2,
        coalesce(sum(c.gross_floor_area_m2) FILTER (WHERE c.synthetic), 0)
            AS synthetic_floor_area_m2,
        coalesce(sum(u.leasable_area_m2), 0) AS leasable_area_m2
    FROM counted c
    CROSS JOIN LATERAL (SELECT count(*) AS floors FROM floors WHERE building_id = c.id) f
    CROSS JOIN LATERAL (
        SELECT count(*) AS units, sum(leasable_area_m2) AS leasable_area_m2
        FROM unit_terms WHERE building_id = c.id AND known_until IS NULL
        AND valid @> (statement_timestamp() AT TIME ZONE 'Asia/Shanghai')::date
    ) u
) sums
CROSS JOIN (
    SELECT coalesce(
        json_agg(json_build_object('year', year, 'floor_area_m2', area) ORDER BY year), '[]'
    ) AS started_by_year
    FROM (SELECT year, sum(gross_floor_area_m2) AS area FROM starts GROUP BY year) of_year
) years"""
_PROGRAMME_COUNTS = ("buildings", "floors", "units")
_PROGRAMME_AREAS = (
    "modelled_floor_area_m2",
    "started_floor_area_m2",
    "synthetic_floor_area_m2",
    "leasable_area_m2",
)


def _members(names: tuple[str, ...]) -> str:
    listed = ", ".join(f"'{name}', totals.{name}" for name in names)
    return f"json_build_object({listed})"


def _flat(counts: tuple[str, ...], sums: tuple[str, ...]) -> Columns:
    return {f"{name}_count": f"totals.{name}" for name in counts} | {
        name: f"totals.{name}" for name in sums
    }


PARK_TOTALS = _members(_COUNTS + _AREAS)
PARK_TOTALS_FLAT = _flat(_COUNTS, _AREAS)
PROGRAMME_TOTALS = _members((*_PROGRAMME_COUNTS, *_PROGRAMME_AREAS, "started_by_year"))
PROGRAMME_TOTALS_FLAT = _flat(_PROGRAMME_COUNTS, _PROGRAMME_AREAS)


def park_totals(park_ids: str) -> FromClause:
    """Totals over the parks that a subquery names; it may refer to the tables joined before."""
    return _lateral(text(_OVER_PARKS.format(park_ids=park_ids)), _COUNTS, _AREAS)


def programme_totals() -> FromClause:
    """Totals over the buildings of the programme at hand and of its projects."""
    by_year = column("started_by_year", JSON)
    return _lateral(text(_OVER_PROGRAMME), _PROGRAMME_COUNTS, _PROGRAMME_AREAS, by_year)


def _lateral(
    query: TextClause,
    counts: tuple[str, ...],
    sums: tuple[str, ...],
    *others: ColumnClause[Any],
) -> FromClause:
    numbers = [column(name, Integer) for name in counts]
    areas = [column(name, Numeric) for name in sums]
    return query.columns(*numbers, *areas, *others).lateral("totals")
