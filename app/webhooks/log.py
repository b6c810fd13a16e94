"""What a firm was told, how each telling went, and telling it again."""

import time
from datetime import datetime, timedelta
from threading import BoundedSemaphore
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Select,
    and_,
    case,
    delete,
    func,
    literal,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.database.paging import Page, PageRequest, Sort, fetch_one, fetch_page, instant_text
from app.database.session import transaction
from app.kernel.errors import Fault, InvalidInputError, NotFoundError
from app.models.webhook import WebhookDelivery, WebhookEvent
from app.security.actors import Actor
from app.webhooks.endpoints import own_endpoint, require_enabled, seen_by, seen_endpoint
from app.webhooks.events import EventType
from app.webhooks.outbox import announce_to
from app.webhooks.schemas import WebhookDeliveryOut, WebhookReplayIn, WebhookReplayOut

#: How long events and the log of their deliveries are kept.
RETENTION = timedelta(days=30)
#: Events that one replay sends at most.
REPLAYED_MAX = 10_000

#: How long a test waits until a sender takes it, and then for its outcome, seconds.
_UNTIL_TAKEN_SECONDS, _UNTIL_ANSWERED_SECONDS, _LOOK_SECONDS = 2.0, 7.0, 0.05
#: Tests that wait at a time: each keeps a connection of the pool from others.
_waiting = BoundedSemaphore(3)

_ATTEMPTS = f"""(SELECT coalesce(json_agg(json_build_object(
        'at', {instant_text("a.at")}, 'outcome', a.outcome, 'status', a.status,
        'duration_ms', a.duration_ms, 'answer', a.answer) ORDER BY a.id), '[]')
    FROM (SELECT * FROM webhook_attempts w WHERE w.delivery_id = webhook_deliveries.id
        ORDER BY w.id DESC LIMIT 20) a)"""  # noqa: S608  (names of our own)


def list_events(
    session: Session, actor: Actor, page: PageRequest, *, event: EventType | None
) -> Page:
    """What the firm was told or would have been, newest first."""
    company_id, row = seen_by(actor), WebhookEvent.__table__.c
    query = select(row.id, row.type, row.at.label("timestamp"), row.data)
    if company_id is not None:
        query = query.where(row.company_id == company_id)
    if event is not None:
        query = query.where(row.type == event.value)
    order = [Sort(row.at, descending=True), Sort(row.id, descending=True)]
    return fetch_page(
        session,
        query,
        order=order,
        page=page,
        scope=f"webhook-events:{event}",
        wrote=lambda since: since.wrote(WebhookEvent.__table__),
    )


def list_deliveries(session: Session, actor: Actor, endpoint_id: UUID, page: PageRequest) -> Page:
    """What was sent to an endpoint and how that went, newest first.

    Raises:
        NotFoundError: there is no such endpoint, or it is another firm's.
    """
    seen_endpoint(session, actor, endpoint_id)
    row = WebhookDelivery.__table__.c
    order = [Sort(row.created_at, descending=True), Sort(row.id, descending=True)]
    return fetch_page(
        session,
        _deliveries().where(row.endpoint_id == endpoint_id),
        order=order,
        page=page,
        scope=f"webhook-deliveries:{endpoint_id}",
    )


def _deliveries() -> Select[Any]:
    row, event = WebhookDelivery.__table__.c, WebhookEvent.__table__.c
    return select(
        row.id,
        row.company_id,
        row.endpoint_id,
        row.event_id,
        event.type.label("event"),
        row.state,
        row.tries,
        case((row.state == "pending", row.due_at)).label("next_try_at"),
        row.created_at,
        row.ended_at,
        literal_column(_ATTEMPTS).label("attempts"),
    ).join_from(WebhookDelivery.__table__, WebhookEvent.__table__, event.id == row.event_id)


def _require_one(body: WebhookReplayIn) -> None:
    given = [name for name in ("event_id", "since") if getattr(body, name) is not None]
    if len(given) == 1:
        return
    raise InvalidInputError(
        "say which events: one (event_id), or all since an instant (since)"
        if not given
        else "give event_id or since, not both",
        [
            Fault(
                f"/{name}",
                "give this or the other" if not given else "give only one of both",
                detail_zh="event_id 与 since 须给出其一"
                if not given
                else "event_id 与 since 只能给出其一",
            )
            for name in ("event_id", "since")
        ],
        detail_zh="请用 event_id 指定一个事件，或用 since 指定起始时刻（二者取其一）",
    )


def replay(
    session: Session, actor: Actor, endpoint_id: UUID, body: WebhookReplayIn, *, now: datetime
) -> WebhookReplayOut:
    """Send one event again, or all since an instant that the endpoint is told of.

    They keep their ids, by which a receiver knows what it has seen.

    Raises:
        EndpointDisabledError: the endpoint is disabled.
        InvalidInputError: neither or both are said, or more events than one replay sends.
        NotFoundError: there is no such endpoint or event, or it is another firm's.
    """
    endpoint = own_endpoint(session, actor, endpoint_id, lock=True)
    require_enabled(endpoint)
    _require_one(body)
    event = WebhookEvent.__table__.c
    asked = (
        event.id == body.event_id
        if body.since is None
        else and_(event.at >= body.since, event.type.in_(endpoint.events))
    )
    conditions = (event.company_id == endpoint.company_id, asked)
    count = session.scalar(select(func.count()).where(*conditions)) or 0
    if body.event_id is not None and not count:
        raise NotFoundError(
            "no such event, or it is not yours to see", detail_zh="没有该事件，或无权查看"
        )
    if count > REPLAYED_MAX:
        raise InvalidInputError(
            f"{count} events since then; one replay sends at most {REPLAYED_MAX}",
            [
                Fault(
                    "/since",
                    f"a later instant: at most {REPLAYED_MAX} events",
                    detail_zh=f"须更晚：一次最多重放 {REPLAYED_MAX} 个事件",
                )
            ],
        )
    again = insert(WebhookDelivery).from_select(
        ["company_id", "event_id", "endpoint_id", "due_at", "created_at"],
        select(
            event.company_id,
            event.id,
            literal(endpoint.id),
            literal(now),
            literal(now),
        ).where(*conditions),
    )
    session.execute(
        again.on_conflict_do_update(
            index_elements=["event_id", "endpoint_id"],
            # What is being sent at this moment stays with whoever sends it.
            set_={"state": "pending", "tries": 0, "due_at": now, "ended_at": None},
        )
    )
    return WebhookReplayOut(id=endpoint.id, company_id=endpoint.company_id, deliveries=count)


def send_test(session: Session, actor: Actor, endpoint_id: UUID) -> WebhookDeliveryOut:
    """Put a test on its way to one endpoint, in the caller's transaction.

    Raises:
        EndpointDisabledError: the endpoint is disabled.
        NotFoundError: there is no such endpoint, or it is another firm's.
    """
    endpoint = own_endpoint(session, actor, endpoint_id)
    require_enabled(endpoint)
    said = {
        "endpoint_id": endpoint.id,
        "words_zh": "这是一次测试：该回调地址可以接收事件",
        "words_en": "a test: this endpoint receives events",
        "href": f"/api/v1/webhook-endpoints/{endpoint.id}",
    }
    return _delivery(session, announce_to(session, endpoint, EventType.PING, said))


def await_outcome(session: Session, delivery_id: UUID) -> WebhookDeliveryOut:
    """A delivery once it was tried; as it stands where that takes too long.

    No transaction is open while this waits. Sending itself is the worker's: the process that
    answers firms connects to nobody.
    """
    place = _waiting.acquire(blocking=False)
    try:
        until = time.monotonic() + (_UNTIL_TAKEN_SECONDS if place else 0)
        started = False
        while True:
            with transaction(session):
                found = _delivery(session, delivery_id)
                taken = _is_taken(session, delivery_id)
            if taken and not started:
                started, until = True, until + _UNTIL_ANSWERED_SECONDS
            if found.attempts or found.state != "pending" or time.monotonic() >= until:
                return found
            time.sleep(_LOOK_SECONDS)
    finally:
        if place:
            _waiting.release()


def _is_taken(session: Session, delivery_id: UUID) -> bool:
    lease = session.scalar(select(WebhookDelivery.lease).where(WebhookDelivery.id == delivery_id))
    return lease is not None


def _delivery(session: Session, delivery_id: UUID) -> WebhookDeliveryOut:
    text = fetch_one(session, _deliveries().where(WebhookDelivery.__table__.c.id == delivery_id))
    if text is None:
        raise NotFoundError("the endpoint was deleted meanwhile", detail_zh="回调地址已被删除")
    return WebhookDeliveryOut.model_validate_json(text)


def forget_events_before(session: Session, instant: datetime) -> int:
    """Drop events that are older, with their deliveries and log; returns how many."""
    gone = session.execute(
        delete(WebhookEvent).where(WebhookEvent.at < instant).returning(WebhookEvent.id)
    )
    return len(gone.all())
