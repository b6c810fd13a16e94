"""One small world for all tests that only read it."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from app.database.engine import make_engine
from app.main import create_app
from app.settings import Settings
from tests.conftest import Databases
from tests.inventory.world import World, build_world


@pytest.fixture(scope="session")
def world_engine(databases: Databases, empty_template: str) -> Iterator[Engine]:
    """An engine on the database that holds the world; nothing is written there any more."""
    engine = make_engine(databases.url(databases.create(empty_template)), pool_size=4)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def world(world_engine: Engine) -> World:
    """The world's rows, no longer attached to a session."""
    with Session(world_engine, expire_on_commit=False) as session:
        return build_world(session)


@pytest.fixture(scope="session")
def reader(world_engine: Engine, world: World) -> Iterator[TestClient]:
    """A client of the application on the world; it carries no credential."""
    app = create_app(world_engine, Settings(log_level="ERROR"))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client
