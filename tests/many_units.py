"""Ten thousand units, and how PostgreSQL goes about what is asked of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
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
    """Asks the application, and then PostgreSQL how it went about what it was asked for that."""

    def __init__(self, engine: Engine, client: TestClient) -> None:
        self.engine, self.client = engine, client

    def __call__(self, query: str) -> str:
        """The plan of the last statement behind a listing of the API."""
        return self.plans(f"/api/v1/{query}")[-1]

    def plans(self, path: str, *, without: str = "") -> list[str]:
        """The plans of all statements behind a call, in order; ``without`` some indexes."""
        seen: list[tuple[str, Any]] = []

        def note(_c: Any, _u: Any, statement: str, parameters: Any, *_: Any) -> None:
            seen.append((statement, parameters))

        event.listen(self.engine, "before_cursor_execute", note)
        try:
            answer = self.client.get(path)
        finally:
            event.remove(self.engine, "before_cursor_execute", note)
        assert answer.status_code == 200, answer.text
        with self.engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            if without:
                driver.execute(f"DROP INDEX {without}".encode())
            plans = []
            for one, how in seen:
                if one.startswith("SET "):
                    driver.execute(one.encode())
                    continue
                # Values are bound, as they are when it is asked in earnest.
                explained = driver.execute(f"EXPLAIN {one}".encode(), how)
                plans.append("\n".join(row[0] for row in explained.fetchall()))
            connection.rollback()
        return plans


@contextmanager
def many_units(databases: Databases, empty_template: str) -> Iterator[Planned]:
    """A database of its own with all these units, and an application over it."""
    engine = make_engine(databases.url(databases.create(empty_template)), pool_size=2)
    with engine.begin() as connection:
        for statement in _MANY.split(";\n")[:-1]:
            connection.execute(text(statement))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    # Nothing is kept, so that each call asks for all that it shows.
    settings = Settings(log_level="ERROR", kept_features_mb=0)
    with TestClient(create_app(engine, settings)) as client:
        yield Planned(engine, client)
    engine.dispose()
