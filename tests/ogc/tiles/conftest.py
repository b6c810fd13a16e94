"""One application over a database of its own with all reference data, for the tests of a module."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response
from mapbox_vector_tile import decode
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from app.database.engine import make_engine
from app.database.roles import APP, PUBLIC
from app.main import create_app
from app.ogc.tiles.grid import GRID, Tile
from app.settings import Settings
from tests.clocks import SetClock
from tests.conftest import Databases

Layers = dict[str, dict[str, Any]]


@dataclass
class Served:
    """An application, the connections of its public, and its database as the owner sees it."""

    client: TestClient
    public: Engine
    engine: Engine

    @property
    def app(self) -> FastAPI:
        app = self.client.app
        assert isinstance(app, FastAPI)
        return app

    def session(self) -> Session:
        """As another process's: what it commits, this one is not told."""
        return Session(self.engine, expire_on_commit=False)

    def get(self, path: str, **parameters: str) -> Response:
        answer: Response = self.client.get(f"/ogc{path}", params=parameters)
        return answer

    def tile(self, name: str, tile: Tile, **parameters: str) -> Response:
        answer = self.get(f"/xyz/{name}/{tile.z}/{tile.x}/{tile.y}.mvt", **parameters)
        assert answer.status_code in {200, 204}, answer.text
        return answer

    def layers(self, name: str, tile: Tile, **parameters: str) -> Layers:
        answer = self.tile(name, tile, **parameters)
        found: Layers = decode(answer.content) if answer.content else {}
        return found

    def tile_of(self, code: str, zoom: int) -> Tile:
        """The tile that the middle of a building is in."""
        sql = "SELECT ST_X(p), ST_Y(p) FROM (SELECT ST_PointOnSurface(geom) AS p FROM buildings"
        with self.session() as session:
            x, y = session.execute(text(f"{sql} WHERE code = :code) AS b"), {"code": code}).one()
        found = GRID.tile(x, y, zoom)
        return Tile(found.z, found.x, found.y)

    def tiles_with_points(self, zoom: int) -> list[Tile]:
        """All tiles of a zoom that parks and buildings have points in."""
        points_of = "SELECT ST_X(p), ST_Y(p) FROM (SELECT ST_PointOnSurface(geom) AS p FROM"
        sql = f"{points_of} parks) AS o UNION {points_of} buildings) AS o"
        with self.session() as session:
            points = session.execute(text(sql)).all()
        found = {GRID.tile(x, y, zoom) for x, y in points if x is not None}
        return [Tile(zoom, one.x, one.y) for one in sorted(found)]


@pytest.fixture(scope="module")
def served(databases: Databases, seeded_template: str) -> Iterator[Served]:
    name = databases.create(seeded_template)
    url = databases.url(name)
    owner, usual, public = (
        make_engine(url, pool_size=4, statement_timeout_ms=60_000, role=role)
        for role in (None, APP, PUBLIC)
    )
    settings = Settings(
        log_level="ERROR",
        rate_limits={},
        public_pool_size=4,
        public_url="https://space.example",
        require_tls=False,
    )
    app = create_app(usual, settings, SetClock(), public_engine=public)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield Served(client, public, owner)
    for engine in (owner, usual, public):
        engine.dispose()
    databases.drop(name)
