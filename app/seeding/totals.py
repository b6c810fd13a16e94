"""Sums read back from the database after a load, in SQL."""

from typing import Any

from psycopg import Cursor
from psycopg.rows import TupleRow

from app.seeding.dataset import Dataset

#: Floor area of a programme's buildings, counted from the floors.
_PROGRAMMES = """
SELECT p.code, sum(f.gross_floor_area_m2)
FROM programmes p
JOIN programme_buildings pb ON pb.programme_id = p.id
JOIN floors f ON f.building_id = pb.building_id
WHERE p.code IN ('standard_plants', 'cell_gene_park', 'gene_island')
GROUP BY p.code
"""
_STARTED_2023 = """
SELECT sum(f.gross_floor_area_m2)
FROM (
    SELECT DISTINCT pb.building_id
    FROM programme_milestones m
    JOIN programme_buildings pb ON pb.programme_id = m.programme_id
    JOIN programmes p ON p.id = m.programme_id
    WHERE m.step = 'started' AND extract(year FROM m.actual_on) = 2023
        AND p.parent_programme_id IS NOT NULL
) started
JOIN floors f ON f.building_id = started.building_id
"""
_UNITS = """
SELECT unit_type, count(*), sum(leasable_area_m2) FROM units GROUP BY unit_type
"""
#: Units on which more is promised than there is on some day, counted once for all units.
OVERPROMISED = """
SELECT count(DISTINCT levels.unit_id) FROM (
    SELECT unit_id, sum(change) OVER (PARTITION BY unit_id ORDER BY day, change) AS level
    FROM (
        SELECT unit_id, lower(period) AS day, quantity AS change
        FROM claims WHERE park_id = ANY (%(parks)s) AND upper_inf(live)
        UNION ALL
        SELECT unit_id, upper(period), -quantity
        FROM claims WHERE park_id = ANY (%(parks)s) AND upper_inf(live) AND NOT upper_inf(period)
    ) changes
) levels
JOIN units u ON u.id = levels.unit_id
WHERE levels.level > u.capacity
"""


def read_totals(cursor: Cursor[TupleRow]) -> dict[str, Any]:
    """Totals of the reference, areas in m² as text with two decimals."""
    cursor.execute(_PROGRAMMES)
    totals: dict[str, Any] = {f"{code}_m2": str(area) for code, area in cursor}
    totals["started_2023_m2"] = str(_one(cursor, _STARTED_2023))
    cursor.execute(_UNITS)
    totals["units"] = {
        kind: {"count": count, "leasable_area_m2": str(area)} for kind, count, area in cursor
    }
    return totals


def row_counts(dataset: Dataset) -> dict[str, int]:
    """Number of rows per table."""
    return {name: len(rows) for name, rows in dataset.tables.items()}


def _one(cursor: Cursor[TupleRow], query: str) -> Any:
    cursor.execute(query)
    row = cursor.fetchone()
    return row[0] if row else None
