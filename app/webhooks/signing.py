"""Signs what is sent, by Standard Webhooks, so that a firm can tell it from anybody else's."""

import base64
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from standardwebhooks import Webhook

_SECRET_BYTES = 32
_PREFIX = "whsec_"


def new_secret() -> str:
    """A new secret as firms are shown it: ``whsec_`` and 32 random bytes in base64."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def purpose(endpoint_id: UUID) -> str:
    """What an endpoint's secrets are sealed for: they open for no other endpoint."""
    return f"webhook-endpoint:{endpoint_id}"


def signed(event_id: UUID, at: datetime, body: bytes, secret: Sequence[str]) -> dict[str, str]:
    """The headers of one sending: its id, its instant, and a signature by each secret.

    The id is the event's: it stays the same however often the event is sent.
    """
    at = at.astimezone(UTC)
    return {
        "webhook-id": str(event_id),
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(
            Webhook(one).sign(str(event_id), at, body.decode()) for one in secret
        ),
    }
