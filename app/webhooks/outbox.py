"""Says that something happened, in the transaction in which it happened."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import any_, func, insert, literal, select
from sqlalchemy.dialects.postgresql import insert as insert_or_skip
from sqlalchemy.orm import Session

from app.models.webhook import WebhookDelivery, WebhookEndpoint, WebhookEvent
from app.webhooks.events import PAYLOADS, EventType


@dataclass(frozen=True, slots=True)
class Announcement:
    """What happened to whom.

    ``mark`` names something that is told once, however often it is found; None where whoever
    announces it does so once.
    """

    company_id: UUID
    event: EventType
    data: Mapping[str, Any]
    mark: str | None = None


def announce(
    session: Session,
    company_id: UUID,
    event: EventType,
    data: Mapping[str, Any],
    *,
    mark: str | None = None,
) -> None:
    """Tell a firm of something, when and if the caller's transaction is committed.

    Args:
        session: the transaction that does what is told of.
        company_id: whom to tell.
        event: what happened.
        data: what ``PAYLOADS`` declares for it.
        mark: names something that is told once, however often it is announced.

    Raises:
        ValidationError: ``data`` is not what is declared: a mistake of ours.
    """
    announce_all(session, [Announcement(company_id, event, data, mark)])


def announce_to(
    session: Session, endpoint: WebhookEndpoint, event: EventType, data: Mapping[str, Any]
) -> UUID:
    """Tell one endpoint alone, whatever it asks to be told of; returns the delivery's id."""
    now = _now(session)
    (event_id,) = _written(session, [Announcement(endpoint.company_id, event, data)], now)
    delivery = WebhookDelivery(
        company_id=endpoint.company_id,
        event_id=event_id,
        endpoint_id=endpoint.id,
        due_at=now,
        created_at=now,
    )
    session.add(delivery)
    session.flush()
    return delivery.id


def announce_all(session: Session, news: Iterable[Announcement]) -> int:
    """Tell of many things at once; returns how many were not told before."""
    now = _now(session)
    told = _written(session, news, now)
    if not told:
        return 0
    # To whoever of the firm listens at this moment; who comes later asks for a replay.
    session.execute(
        insert(WebhookDelivery).from_select(
            ["company_id", "event_id", "endpoint_id", "due_at", "created_at"],
            select(
                WebhookEvent.company_id,
                WebhookEvent.id,
                WebhookEndpoint.id,
                literal(now),
                literal(now),
            )
            .join(WebhookEndpoint, WebhookEndpoint.company_id == WebhookEvent.company_id)
            .where(
                WebhookEvent.id.in_(told),
                WebhookEndpoint.enabled,
                WebhookEvent.type == any_(WebhookEndpoint.events),
            ),
        )
    )
    return len(told)


def _now(session: Session) -> datetime:
    # The database's clock, as the ledger's: what is told of carries its instants.
    now: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    return now


def _written(session: Session, news: Iterable[Announcement], now: datetime) -> list[UUID]:
    """Write events; returns the ids of those that were not told before."""
    rows = [
        {
            "company_id": one.company_id,
            "type": one.event.value,
            "at": now,
            "data": PAYLOADS[one.event].model_validate(one.data).model_dump(mode="json"),
            "mark": one.mark,
        }
        for one in news
    ]
    if not rows:
        return []
    written = insert_or_skip(WebhookEvent).on_conflict_do_nothing(index_elements=["mark"])
    return list(session.scalars(written.returning(WebhookEvent.id), rows))
