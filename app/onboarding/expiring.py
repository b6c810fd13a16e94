"""Tells firms of keys that will expire, in time to rotate them."""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.kernel.clock import civil_day
from app.models.access import Credential
from app.security.actors import ActorKind
from app.webhooks.events import EventType
from app.webhooks.outbox import Announcement, announce_all

TOLD_BEFORE = timedelta(days=14)


def tell_expiring(session: Session, now: datetime) -> int:
    """Announce keys that expire within two weeks, each once; returns how many."""
    keys = session.execute(
        select(
            Credential.id, Credential.key_id, Credential.company_id, Credential.expires_at
        ).where(
            Credential.kind == ActorKind.FIRM.value,
            Credential.revoked_at.is_(None),
            Credential.expires_at > now,
            Credential.expires_at <= now + TOLD_BEFORE,
        )
    )
    return announce_all(
        session,
        [
            Announcement(
                key.company_id,
                EventType.KEY_EXPIRING,
                {
                    "key_id": key.key_id,
                    "expires_at": key.expires_at,
                    "href": f"/api/v1/keys/{key.id}",
                    "words_zh": f"密钥 {key.key_id} 将于 {civil_day(key.expires_at)} 到期，请轮换",
                    "words_en": f"the key {key.key_id} expires on {civil_day(key.expires_at)};"
                    " rotate it",
                },
                # A key that is rotated gets another end, and is told of again.
                mark=f"key.expiring:{key.key_id}:{key.expires_at.isoformat()}",
            )
            for key in keys
        ],
    )
