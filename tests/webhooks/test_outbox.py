"""The outbox: what is announced is written with what happened, and told once."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models.webhook import WebhookDelivery, WebhookEndpoint, WebhookEvent
from app.webhooks.events import EventType
from app.webhooks.outbox import announce
from tests.factories import make_company

_SAID = {"words_zh": "测试", "words_en": "a test", "href": "/api/v1/keys"}
_KEY = {**_SAID, "key_id": "abc", "expires_at": datetime(2026, 12, 1, tzinfo=UTC)}


def _endpoint(session: Session, company_id: UUID, *events: EventType) -> UUID:
    made = WebhookEndpoint(
        company_id=company_id,
        url="https://receiver.example/hook",
        events=[one.value for one in events],
        secret_sealed=b"sealed",
        created_at=datetime(2026, 11, 1, tzinfo=UTC),
        created_by="tests",
    )
    session.add(made)
    session.flush()
    return made.id


@pytest.fixture
def company_id(session: Session) -> UUID:
    return make_company(session).id


def test_an_event_goes_to_the_endpoints_of_its_firm_that_ask_for_it(
    session: Session, company_id: UUID
) -> None:
    other = make_company(session).id
    asked = _endpoint(session, company_id, EventType.KEY_EXPIRING)
    _endpoint(session, company_id, EventType.HOLD_PLACED)
    _endpoint(session, other, EventType.KEY_EXPIRING)

    announce(session, company_id, EventType.KEY_EXPIRING, _KEY)

    (event,) = session.scalars(select(WebhookEvent))
    assert (event.company_id, event.type, event.data["key_id"]) == (
        company_id,
        "key.expiring",
        "abc",
    )
    (delivery,) = session.scalars(select(WebhookDelivery))
    assert (delivery.event_id, delivery.endpoint_id) == (event.id, asked)


def test_what_has_a_mark_is_told_once(session: Session, company_id: UUID) -> None:
    _endpoint(session, company_id, EventType.KEY_EXPIRING)

    for _ in range(2):
        announce(session, company_id, EventType.KEY_EXPIRING, _KEY, mark="key.expiring:abc")

    assert len(session.scalars(select(WebhookEvent)).all()) == 1
    assert len(session.scalars(select(WebhookDelivery)).all()) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data | {"contact": "somebody"},
        lambda data: data | {"href": "https://elsewhere.example/"},
        lambda data: {key: value for key, value in data.items() if key != "words_zh"},
    ],
)
def test_nothing_is_said_that_is_not_declared(
    session: Session, company_id: UUID, change: Callable[[dict[str, object]], dict[str, object]]
) -> None:
    with pytest.raises(ValidationError):
        announce(session, company_id, EventType.KEY_EXPIRING, change(dict(_KEY)))


def test_what_is_undone_is_not_told(session: Session, company_id: UUID) -> None:
    with session.begin_nested() as work:
        announce(session, company_id, EventType.KEY_EXPIRING, _KEY | {"key_id": str(uuid4())})
        work.rollback()

    assert session.scalars(select(WebhookEvent)).all() == []
