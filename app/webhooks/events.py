"""What firms can be told of, each kind with what it says. Declared here and nowhere else.

What is told is thin: what it is about, one sentence in two languages, and where to read the rest
with one's own key. It names nobody else and carries no personal data, so that a log which keeps it
gives nothing away.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, create_model

from app.kernel.terms import Term


class EventType(Term):
    """Kinds of events, by the names that are sent."""

    REQUEST_MATCHED = "request.matched", "需求有了匹配空间", "Space began to fit a request"
    REQUEST_NO_LONGER_MATCHED = (
        "request.no_longer_matched",
        "空间不再符合需求",
        "Space ceased to fit a request",
    )
    HOLD_PLACED = "hold.placed", "已锁定", "A hold was placed"
    HOLD_CONFIRMED = "hold.confirmed", "锁定转租约", "A hold became a lease"
    HOLD_RELEASED = "hold.released", "锁定已释放", "A hold was given back"
    HOLD_EXPIRING = "hold.expiring", "锁定将于一天内到期", "A hold lapses within a day"
    HOLD_EXPIRED = "hold.expired", "锁定已到期", "A hold lapsed"
    QUEUE_OFFERED = "queue.offered", "排队轮到您", "It is the firm's turn in a line"
    LEASE_SIGNED = "lease.signed", "租约已签", "A lease was signed"
    KEY_EXPIRING = "key.expiring", "密钥即将到期", "An API key is about to expire"
    PING = "ping", "测试", "A test, sent when the firm asks for one"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class UnitNamed(_Part):
    """A unit by its id and code."""

    id: UUID
    code: str = Field(description="房源编码")


class Told(_Part):
    """What every event says."""

    words_zh: str = Field(description="一句话说明")
    words_en: str = Field(description="the same in English")
    href: str = Field(
        pattern="^/api/v1/", description="where to read more with one's own key; without a host"
    )


class MatchTold(Told):
    """Space began, or ceased, to fit a request of the firm."""

    request_id: UUID
    units: list[UnitNamed] = Field(
        description="房源; several where they are offered together, none where `words` counts more"
    )
    first_day: date | None = Field(description="from which day it fits, or would have")


class HoldTold(Told):
    """A hold of the firm."""

    hold_id: UUID
    units: list[UnitNamed]
    expires_at: datetime | None = Field(description="when it lapses; null where it no longer does")


class LeaseTold(Told):
    """A lease of the firm."""

    lease_id: UUID
    units: list[UnitNamed]
    starts: date = Field(description="first day")
    until: date | None = Field(description="first day that is not leased any more; null: open")


class OfferTold(Told):
    """Space that the firm waits for is free for it until a certain instant."""

    entry_id: UUID
    units: list[UnitNamed]
    offered_at: datetime
    offer_expires_at: datetime


class KeyTold(Told):
    """A key of the firm, by its public part."""

    key_id: str
    expires_at: datetime


class PingTold(Told):
    """Which endpoint was tried."""

    endpoint_id: UUID


#: What each kind of event says.
PAYLOADS: Mapping[EventType, type[Told]] = {
    EventType.REQUEST_MATCHED: MatchTold,
    EventType.REQUEST_NO_LONGER_MATCHED: MatchTold,
    EventType.HOLD_PLACED: HoldTold,
    EventType.HOLD_CONFIRMED: HoldTold,
    EventType.HOLD_RELEASED: HoldTold,
    EventType.HOLD_EXPIRING: HoldTold,
    EventType.HOLD_EXPIRED: HoldTold,
    EventType.QUEUE_OFFERED: OfferTold,
    EventType.LEASE_SIGNED: LeaseTold,
    EventType.KEY_EXPIRING: KeyTold,
    EventType.PING: PingTold,
}


def _message(event: EventType, payload: type[Told]) -> type[BaseModel]:
    """The whole of what is sent, as Standard Webhooks has it."""
    name = "".join(part.title() for part in event.value.replace(".", "_").split("_"))
    members: dict[str, Any] = {
        "type": (Literal[event.value], ...),
        "timestamp": (datetime, Field(description="when it happened")),
        "data": (payload, ...),
    }
    doc = f"{event.en} {event.zh}"
    return create_model(f"{name}Event", __base__=_Part, __doc__=doc, **members)


#: Each kind of event as a whole message.
MESSAGES: Mapping[EventType, type[BaseModel]] = {
    event: _message(event, payload) for event, payload in PAYLOADS.items()
}

#: By the name that is stored.
BY_NAME: Mapping[str, EventType] = {one.value: one for one in EventType}

#: What an endpoint may ask to be told of; a test is sent to whoever asks for it.
SUBSCRIBABLE: tuple[EventType, ...] = tuple(one for one in EventType if one is not EventType.PING)


def reference_page() -> str:
    """The text of docs/reference/webhook-events.md."""
    lines = [
        "# Webhook events 回调事件",
        "",
        (
            "What a firm's endpoint can be told of. This page is made from"
            " `app/webhooks/events.py`; the OpenAPI document has the same under `webhooks`."
        ),
        "",
        (
            'A message is `{"type": …, "timestamp": …, "data": {…}}`. `data` names the thing, says'
            " one sentence in Chinese and English, and where to read more with one's own key. It"
            " names no other firm and no person."
            " 消息只含编号、代码与一句中英文说明，不含个人信息与其他企业名称。"
        ),
        "",
        "Every `data` has " + ", ".join(f"`{name}`" for name in Told.model_fields) + ".",
    ]
    for event, payload in PAYLOADS.items():
        lines += ["", f"## {event.value}", "", f"{event.zh}. {event.en}.", ""]
        for name, member in payload.model_fields.items():
            if name in Told.model_fields:
                continue
            said = f": {member.description}" if member.description else ""
            lines.append(f"- `{name}`{said}")
    return "\n".join(lines) + "\n"
