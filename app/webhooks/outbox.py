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


def announce_all(session: Session, news: Iterable[Announcement]) -> int:
    """Tell of many things at once; returns how many were not told before."""
    now: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
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
        return 0
    told = session.scalars(
        insert_or_skip(WebhookEvent)
        .on_conflict_do_nothing(index_elements=["mark"])
        .returning(WebhookEvent.id),
        rows,
    ).all()
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
