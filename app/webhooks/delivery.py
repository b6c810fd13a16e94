"""Takes what is due, and writes down what came of it. Nothing is sent from here.

Whoever takes a delivery has it for a while (a lease) and holds no transaction meanwhile. One who
dies leaves it to be taken again: each event arrives at least once, with the same id. An endpoint is
sent one thing at a time.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text, update
from sqlalchemy.orm import Session

from app.kernel.clock import rfc3339
from app.models.webhook import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from app.security.audit.trail import record
from app.webhooks.events import BY_NAME, EventType
from app.webhooks.schedule import GIVEN_UP_AFTER, next_wait
from app.webhooks.transport import Outcome, Result

#: From when another may take what somebody took: several times as long as sending may take.
LEASE = timedelta(seconds=30)
#: What jobs are called in the ledger and the audit.
ACTOR = "webhooks"

#: The first due of each endpoint, of those to which nothing is being sent. Where two look at once,
#: both find the same first, and only one still finds it free when it writes.
_TAKE = text("""
WITH due AS (
    SELECT first.id, first.due_at
    FROM webhook_endpoints e CROSS JOIN LATERAL (
        SELECT d.id, d.due_at FROM webhook_deliveries d
        WHERE d.endpoint_id = e.id AND d.state = 'pending' AND d.due_at <= :now
            AND (d.lease_until IS NULL OR d.lease_until <= :now)
        ORDER BY d.due_at LIMIT 1) first
    WHERE e.enabled AND (e.failing_since IS NOT NULL) = :failing AND NOT EXISTS (
        SELECT FROM webhook_deliveries d
        WHERE d.endpoint_id = e.id AND d.state = 'pending' AND d.lease_until > :now)
), free AS (
    SELECT d.id FROM webhook_deliveries d JOIN due USING (id)
    WHERE d.state = 'pending' AND (d.lease_until IS NULL OR d.lease_until <= :now)
    ORDER BY due.due_at LIMIT :most FOR UPDATE OF d SKIP LOCKED
)
UPDATE webhook_deliveries d SET lease = gen_random_uuid(), lease_until = :until
FROM free, webhook_endpoints e, webhook_events v
WHERE d.id = free.id AND e.id = d.endpoint_id AND v.id = d.event_id
RETURNING d.id, d.lease, d.endpoint_id, d.tries, e.url, e.secret_sealed,
    CASE WHEN e.previous_until > :now THEN e.previous_sealed END AS previous_sealed,
    v.id AS event_id, v.type, v.at, v.data""")


@dataclass(frozen=True, slots=True)
class Taken:
    """A delivery that is to be sent now, and all that is needed for it."""

    id: UUID
    lease: UUID
    endpoint_id: UUID
    event_id: UUID
    event: EventType
    tries: int
    url: str
    body: bytes
    secrets_sealed: tuple[bytes, ...]


def take(session: Session, now: datetime, most: int, *, failing: bool) -> list[Taken]:
    """Take up to ``most`` deliveries, one of an endpoint, those that wait longest first.

    ``failing`` chooses between endpoints that take what they are sent and those that do not, so
    that the second never use up the places of the first.
    """
    rows = session.execute(
        _TAKE, {"now": now, "until": now + LEASE, "most": most, "failing": failing}
    )
    return [
        Taken(
            id=row.id,
            lease=row.lease,
            endpoint_id=row.endpoint_id,
            event_id=row.event_id,
            event=BY_NAME[row.type],
            tries=row.tries,
            url=row.url,
            body=body_of(row.type, row.at, row.data),
            secrets_sealed=tuple(
                one for one in (row.secret_sealed, row.previous_sealed) if one is not None
            ),
        )
        for row in rows
    ]


def body_of(event: str, at: datetime, data: Any) -> bytes:
    """What is sent, the same bytes every time."""
    said = {"type": event, "timestamp": rfc3339(at), "data": data}
    return json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def write_down(
    session: Session,
    taken: Taken,
    result: Result,
    *,
    at: datetime,
    now: datetime,
    duration_ms: int,
    luck: float,
) -> None:
    """Write down what came of a sending, and when it is tried again if it is.

    Args:
        session: a transaction.
        taken: what was sent.
        result: what came of it.
        at: when it was sent.
        now: when the answer came.
        duration_ms: how long that took, milliseconds.
        luck: between 0 and 1, for the jitter.
    """
    endpoint = session.get(WebhookEndpoint, taken.endpoint_id, with_for_update=True)
    if endpoint is None:
        return  # deleted meanwhile, and its deliveries with it
    session.add(
        WebhookAttempt(
            company_id=endpoint.company_id,
            delivery_id=taken.id,
            at=at,
            outcome=result.outcome.value,
            status=result.status,
            duration_ms=duration_ms,
            answer=result.answer,
        )
    )
    done = result.outcome is Outcome.DELIVERED
    wait = None if done else next_wait(taken.event, taken.tries + 1, luck)
    values: dict[str, Any] = {"tries": taken.tries + 1, "lease": None, "lease_until": None}
    if done or wait is None:
        values |= {"state": "delivered" if done else "failed", "ended_at": now}
    else:
        values |= {"due_at": now + wait}
    # Who held it too long has lost it: another has sent it, and says what came of that.
    session.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.id == taken.id, WebhookDelivery.lease == taken.lease)
        .values(values)
        .execution_options(synchronize_session=False)
    )
    if endpoint.url == taken.url:
        _note(session, endpoint, taken, result, now)


def _note(
    session: Session, endpoint: WebhookEndpoint, taken: Taken, result: Result, now: datetime
) -> None:
    """What a sending says about the endpoint itself."""
    if result.outcome is Outcome.DELIVERED:
        endpoint.verified_at = endpoint.verified_at or now
        endpoint.failing_since = None
        return
    if not endpoint.enabled:
        return
    if result.outcome is Outcome.GONE:
        _give_up(session, endpoint, "gone", now)
        return
    if taken.event is EventType.PING or result.outcome is Outcome.NOT_SIGNED:
        # A test that fails is tried once and says nothing of the days after it; and a key of ours
        # that is missing is none of the firm's doing.
        return
    endpoint.failing_since = endpoint.failing_since or now
    if now - endpoint.failing_since >= GIVEN_UP_AFTER:
        _give_up(session, endpoint, "failing", now)


def _give_up(session: Session, endpoint: WebhookEndpoint, reason: str, now: datetime) -> None:
    endpoint.enabled, endpoint.disabled_at, endpoint.disabled_reason = False, now, reason
    stop_deliveries(session, endpoint.id, now)
    record(
        session,
        ACTOR,
        "webhook.disabled",
        park_id=None,
        subject_type="webhook-endpoint",
        subject_id=endpoint.id,
        company_id=endpoint.company_id,
        details={"reason": reason},
    )


def stop_deliveries(session: Session, endpoint_id: UUID, now: datetime) -> None:
    """End what is still on its way to an endpoint that is sent nothing more."""
    session.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.endpoint_id == endpoint_id, WebhookDelivery.state == "pending")
        .values(state="failed", ended_at=now, lease=None, lease_until=None)
        .execution_options(synchronize_session=False)
    )
