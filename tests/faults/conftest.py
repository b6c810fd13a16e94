"""One durable cluster for all tests of faults, and a world of its own for each storm."""

import tempfile
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from app.database.cluster import Cluster
from app.database.engine import make_engine
from app.database.migrate import upgrade
from app.security.actors import Role
from tests import factories as make
from tests.faults.storm import CLIENTS, Bookable, World

UNITS = 24


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """A home with an up-to-date schema and real durability, whose server is down."""
    with tempfile.TemporaryDirectory(prefix="space-relay-faults-") as folder:
        Path(folder).chmod(0o755)
        with Cluster(Path(folder)) as cluster:
            engine = make_engine(cluster.url, pool_size=1, statement_timeout_ms=60_000)
            with engine.connect() as connection:
                upgrade(connection)
            engine.dispose()
        yield Path(folder)
        cluster.destroy()


@pytest.fixture
def make_world(home: Path) -> Callable[[], World]:
    """Makes units, firms and their keys; the server is down before and after."""

    def make_one() -> World:
        with Cluster(home) as cluster:
            engine = make_engine(cluster.url, pool_size=1)
            with Session(engine) as session:
                floor = make.make_floor(session)
                units = [
                    make.make_unit(
                        session,
                        floor=floor,
                        slot=slot,
                        slots=UNITS,
                        divisible=slot % 2 == 0,
                        min_part=Decimal(100) if slot % 2 == 0 else None,
                    )
                    for slot in range(UNITS)
                ]
                firms = [make.make_company(session) for _ in range(CLIENTS)]
                world = World(
                    [Bookable(str(unit.id), unit.divisible) for unit in units],
                    [(str(firm.id), make.firm_headers(session, firm)) for firm in firms],
                    make.staff_headers(session, Role.AGENT),
                )
                session.commit()
            engine.dispose()
        return world

    return make_one
