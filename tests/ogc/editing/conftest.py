"""Desks of planners."""

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.security.actors import Role
from tests import factories as make
from tests.ogc.editing.desk import Desk


@pytest.fixture
def desk(client: TestClient, session: Session) -> Desk:
    """Of a manager of a park of its own."""
    park = make.make_park(session)
    headers = make.staff_headers(session, Role.MANAGER, park_ids=[park.id])
    session.commit()
    return Desk(client, headers, park)


@pytest.fixture
def neighbour(desk: Desk, session: Session) -> Desk:
    """Of another manager of the same park."""
    headers = make.staff_headers(session, Role.MANAGER, park_ids=[desk.park.id])
    session.commit()
    return Desk(desk.client, headers, desk.park)
