"""How PostgreSQL answers over many rows: by index, touching only what the page needs."""

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, event, text

from app.database.engine import make_engine
from app.main import create_app
from app.settings import Settings
from tests.conftest import Databases

#: Forty parks of 250 units on a grid. Nesting is not checked here: it holds by construction.
_MANY = """
SET LOCAL session_replication_role = replica;
INSERT INTO zones (code, layout_role, seq, name_zh, name_en, district, geometry_quality, source,
    confidence)
VALUES ('z', 'special', 1, '区', 'Zone', '浦东新区', 'schematic', 't', 'assumption');
INSERT INTO parks (zone_id, code, name_zh, name_en, layout_role, carrier_type, district,
    geometry_quality, source, confidence, geom)
SELECT zones.id, 'park' || k, '园', 'Park', 'special', 'special_park', '浦东新区', 'schematic', 't',
    'assumption', ST_Multi(ST_MakeEnvelope(121 + k * 0.01, 31, 121.009 + k * 0.01, 31.01, 4326))
FROM zones, generate_series(0, 39) k;
INSERT INTO parcels (park_id, code, name_zh, name_en, land_use_code, tenure, geometry_quality,
    source, confidence, geom)
SELECT id, 'parcel-' || code, '地块', 'Parcel', 'M1', 'grant', 'schematic', 't', 'assumption',
    ST_GeometryN(geom, 1) FROM parks;
INSERT INTO buildings (park_id, parcel_id, code, name_zh, name_en, physical_state,
    gross_floor_area_m2, floors_above, geometry_quality, source, confidence, geom)
SELECT park_id, id, code || '-b', '楼', 'Building', 'shell', 9000, 5, 'schematic', 't',
    'assumption', geom FROM parcels;
INSERT INTO floors (park_id, building_id, code, level_index, level_name, gross_floor_area_m2,
    geometry_quality, source, confidence, geom)
SELECT park_id, id, code || f, f, f || 'F', 1800, 'schematic', 't', 'assumption', geom
FROM buildings, generate_series(0, 4) f;
INSERT INTO units (park_id, building_id, floor_id, code, name_zh, name_en, unit_type,
    physical_state, usable, capacity_measure, capacity, leasable_area_m2, internal_area_m2,
    area_method, is_ground_floor, geometry_quality, source, confidence, geom)
SELECT park_id, building_id, id, code || '-' || u, '单元', 'Unit', 'pilot', 'shell',
    '[2020-01-01,)', 'm2', 100 + u, 100 + u, 90 + u, 't', level_index = 0, 'schematic', 't',
    'assumption', ST_MakeEnvelope(ST_XMin(geom) + u * 0.00018, 31,
        ST_XMin(geom) + (u + 1) * 0.00018, 31.01, 4326)
FROM floors, generate_series(0, 49) u;
"""


class Planned:
    """Asks the application, and then PostgreSQL how it went about the last statement."""

    def __init__(self, engine: Engine, client: TestClient) -> None:
        self._engine, self._client = engine, client

    def __call__(self, query: str) -> str:
        seen: list[tuple[str, Any]] = []

        def note(_c: Any, _u: Any, statement: str, parameters: Any, *_: Any) -> None:
            seen.append((statement, parameters))

        event.listen(self._engine, "before_cursor_execute", note)
        try:
            answer = self._client.get(f"/api/v1/{query}")
        finally:
            event.remove(self._engine, "before_cursor_execute", note)
        assert answer.status_code == 200, answer.text
        statement, parameters = seen[-1]
        with self._engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            rows = driver.execute(f"EXPLAIN {statement}".encode(), parameters).fetchall()
        return "\n".join(row[0] for row in rows)


@pytest.fixture(scope="module")
def planned(databases: Databases, empty_template: str) -> Iterator[Planned]:
    engine = make_engine(databases.url(databases.create(empty_template)), pool_size=2)
    with engine.begin() as connection:
        for statement in _MANY.split(";\n")[:-1]:
            connection.execute(text(statement))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    with TestClient(create_app(engine, Settings(log_level="ERROR"))) as client:
        yield Planned(engine, client)
    engine.dispose()


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("units?limit=20", "uq_units_code"),
        ("units?bbox=121.052,31.001,121.053,31.002", "Index Cond: (geom && "),
        ("units?bbox=121.052,31.001,121.053,31.002&sort=-area", "Index Cond: (geom && "),
        ("units?near=121.0525,31.005&within_m=50", "Index Cond: (geom && "),
        ("units?park=park7", "ix_units_park_id"),
        ("units?park=park7&sort=-area", "ix_units_park_id"),
        ("units?building=parcel-park7-b", "ix_units_building_id"),
        ("units?floor=parcel-park7-b3", "ix_units_floor_id"),
        ("units/parcel-park7-b3-9", "uq_units_code"),
        ("units?bbox=121.052,31.001,121.053,31.002&f=geojson", "Index Cond: (geom && "),
    ],
)
def test_a_filter_is_answered_by_its_index(planned: Planned, query: str, index: str) -> None:
    plan = planned(query)

    assert index in plan, plan
    assert "Seq Scan on units" not in plan, plan


def test_a_later_page_starts_where_the_page_before_ended(planned: Planned) -> None:
    cursor = planned._client.get("/api/v1/units?limit=20").json()["next_cursor"]

    plan = planned(f"units?limit=20&cursor={cursor}")

    assert "Index Cond: (code > " in plan, plan


def test_only_the_page_is_joined_with_its_parents(planned: Planned) -> None:
    plan = planned("units?sort=-area&limit=20")

    # The sort works on the units alone; names of parents are looked up for what it leaves.
    below_the_limit = plan[plan.index("Limit") :]
    assert re.search(r"Sort Key: units_\d\.leasable_area_m2 DESC", below_the_limit), plan
    assert "rows=21" in plan[plan.index("Limit") - 40 : plan.index("Limit") + 60], plan


@pytest.mark.parametrize(
    "query", ["free-space?min_area_m2=101&limit=10", "units?min_area_m2=101&limit=10"]
)
def test_what_is_shown_beside_a_page_is_looked_up_for_its_rows_alone(
    planned: Planned, query: str
) -> None:
    plan = planned(query)

    # The planner knows that each row of the page has one row beside it, and one more is read.
    assert re.search(r"^[^\n]*rows=(\d+)", plan)[1] == "11", plan  # type: ignore[index]
