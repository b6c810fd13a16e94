"""What firms say and are shown about their webhooks."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.kernel.written import WrittenBody, WrittenInstant
from app.webhooks.addresses import URL_LENGTH_MAX
from app.webhooks.events import SUBSCRIBABLE, EventType
from app.webhooks.transport import Outcome

Url = Annotated[
    str,
    Field(
        max_length=URL_LENGTH_MAX,
        description="回调地址: `https://` and a host's name; port 443, no user, no fragment",
        examples=["https://hooks.example.com/space-relay"],
    ),
]
Events = Annotated[
    list[EventType],
    Field(
        min_length=1,
        max_length=len(SUBSCRIBABLE),
        description="订阅的事件: what to be told of (docs/reference/webhook-events.md)",
        examples=[["request.matched", "request.no_longer_matched"]],
    ),
]
Label = Annotated[
    str, Field(max_length=100, pattern=r"^[^\x00]*$", description="名称: the firm's own word")
]

#: How long the secret before a rotation still signs, hours.
OVERLAP_HOURS = 24


class _In(WrittenBody):
    model_config = ConfigDict(extra="forbid")


class WebhookEndpointIn(_In):
    """Where to be told, and of what."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "url": "https://hooks.example.com/space-relay",
                    "events": ["request.matched", "request.no_longer_matched"],
                    "label": "production",
                }
            ]
        }
    )

    url: Url
    events: Events
    label: Label = ""


class WebhookEndpointChangeIn(_In):
    """What to change; what is left out stays."""

    url: Url | None = Field(default=None, description="回调地址; a new one is to be verified anew")
    events: Events | None = Field(
        default=None, description="订阅的事件: all of them, not only more"
    )
    label: Label | None = Field(default=None, description="名称: the firm's own word")
    enabled: bool | None = Field(
        default=None, description="启用; `true` also ends a stop that came of failures"
    )


class WebhookRotateIn(_In):
    """How long the secret of now goes on signing beside the new one."""

    overlap_hours: int = Field(
        default=OVERLAP_HOURS, ge=0, le=24 * 7, description="并行有效小时数; 0 ends it at once"
    )


class WebhookReplayIn(_In):
    """Which events to send again: one, or all since an instant."""

    event_id: UUID | None = Field(default=None, description="this one, whatever its kind")
    since: WrittenInstant | None = Field(
        default=None, description="all that the endpoint is told of, from this instant on"
    )


class WebhookEndpointOut(BaseModel):
    """An endpoint as it stands; never a secret."""

    id: UUID
    company_id: UUID
    url: str
    label: str
    events: list[str]
    enabled: bool
    disabled_at: datetime | None
    disabled_reason: Literal["by_firm", "failing", "gone"] | None = Field(
        description="by_firm 企业停用; failing 连续多日失败; gone 接收方返回 410"
    )
    verified_at: datetime | None = Field(
        description="已验证: when this address first took a delivery; null: not yet"
    )
    failing_since: datetime | None = Field(
        description="the first failure after which nothing arrived; three days on it is disabled"
    )
    previous_secret_until: datetime | None = Field(
        description="until when the secret before the last rotation signs, too"
    )
    created_at: datetime


class WebhookEndpointSecretOut(WebhookEndpointOut):
    """An endpoint with its secret: shown in this one answer, and in none that is repeated."""

    secret: str | None = Field(default=None, description="签名密钥 `whsec_…`; keep it now")


class WebhookEndpointPage(BaseModel):
    """Endpoints, oldest first."""

    items: list[WebhookEndpointOut]
    next_cursor: str | None


class WebhookEventOut(BaseModel):
    """Something the firm was told of, or would have been had an endpoint listened."""

    id: UUID = Field(description="the `webhook-id` with which it is sent")
    type: str
    timestamp: datetime
    data: dict[str, object]


class WebhookEventPage(BaseModel):
    """Events, newest first; they are kept for 30 days."""

    items: list[WebhookEventOut]
    next_cursor: str | None
    changes_cursor: str | None = Field(
        description="增量游标: of the first page; `updated_since` takes it the next time"
    )


class WebhookAttemptOut(BaseModel):
    """One sending and what came of it."""

    at: datetime
    outcome: Outcome
    status: int | None = Field(description="of the answer, if one came")
    duration_ms: int
    answer: str | None = Field(description="how an answer that refused it begins")


class WebhookDeliveryOut(BaseModel):
    """An event on its way to an endpoint."""

    id: UUID
    company_id: UUID
    endpoint_id: UUID
    event_id: UUID
    event: EventType
    state: Literal["pending", "delivered", "failed"] = Field(
        description="pending 待投递; delivered 已送达; failed 不再重试"
    )
    tries: int = Field(description="since it was last asked for")
    next_try_at: datetime | None
    created_at: datetime
    ended_at: datetime | None
    attempts: list[WebhookAttemptOut] = Field(description="the latest 20, oldest first")


class WebhookDeliveryPage(BaseModel):
    """Deliveries, newest first."""

    items: list[WebhookDeliveryOut]
    next_cursor: str | None


class WebhookReplayOut(BaseModel):
    """How many events are sent again."""

    id: UUID = Field(description="the endpoint's")
    company_id: UUID
    deliveries: int
