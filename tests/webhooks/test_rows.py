"""The floor: the database shows a firm its own webhooks and no others, whatever a query forgets."""

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from app.database.session import Audience, Rows, show_rows
from app.models.webhook import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookEvent
from app.webhooks.events import EventType
from app.webhooks.outbox import announce
from tests.factories import add, make_company

_KEY = {
    "words_zh": "测试",
    "words_en": "a test",
    "href": "/api/v1/keys",
    "key_id": "abc",
    "expires_at": datetime(2026, 12, 1, tzinfo=UTC),
}
_TABLES = (WebhookEndpoint, WebhookEvent, WebhookDelivery, WebhookAttempt)


@pytest.fixture
def firms(session: Session) -> Iterator[tuple[UUID, UUID]]:
    """Two firms with an endpoint, an event, a delivery and an attempt each; then the app's role."""
    made = []
    for _ in range(2):
        company_id = make_company(session).id
        add(
            session,
            WebhookEndpoint(
                company_id=company_id,
                url="https://hooks.example.com/",
                events=["key.expiring"],
                secret_sealed=b"sealed",
                created_at=datetime(2026, 11, 1, tzinfo=UTC),
                created_by="tests",
            ),
        )
        announce(session, company_id, EventType.KEY_EXPIRING, _KEY)
        delivery_id = session.scalars(
            select(WebhookDelivery.id).where(WebhookDelivery.company_id == company_id)
        ).one()
        add(
            session,
            WebhookAttempt(
                company_id=company_id,
                delivery_id=delivery_id,
                at=datetime(2026, 11, 1, tzinfo=UTC),
                outcome="refused",
                duration_ms=1,
            ),
        )
        made.append(company_id)
    session.execute(text("SET LOCAL ROLE space_relay_app"))
    yield made[0], made[1]
    session.execute(text("RESET ROLE"))


def _owners(session: Session) -> list[set[UUID]]:
    return [set(session.scalars(select(table.company_id))) for table in _TABLES]


def test_a_firm_is_shown_its_own(session: Session, firms: tuple[UUID, UUID]) -> None:
    show_rows(session, Rows(Audience.FIRM, firm_id=firms[0]))

    assert _owners(session) == [{firms[0]}] * len(_TABLES)


def test_nobody_is_shown_anything(session: Session, firms: tuple[UUID, UUID]) -> None:
    show_rows(session, Rows())
    assert _owners(session) == [set()] * len(_TABLES)

    # The control arm: the rows are there.
    show_rows(session, Rows(Audience.SYSTEM))
    assert _owners(session) == [set(firms)] * len(_TABLES)


def test_a_firm_cannot_announce_to_another(session: Session, firms: tuple[UUID, UUID]) -> None:
    show_rows(session, Rows(Audience.FIRM, firm_id=firms[0]))
    announce(session, firms[0], EventType.KEY_EXPIRING, _KEY)

    with pytest.raises(ProgrammingError, match="row-level security"):
        announce(session, firms[1], EventType.KEY_EXPIRING, _KEY)
    session.rollback()
