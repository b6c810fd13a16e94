"""The wire forms of firms' keys. A secret appears in one answer, when it is made."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.kernel.written import WrittenBody
from app.security.actors import Scope

#: How long a key lasts, days.
DAYS_DEFAULT, DAYS_MAX = 365, 730
#: How long the secret before a rotation stays good, hours.
OVERLAP_HOURS_DEFAULT, OVERLAP_HOURS_MAX = 24, 168

Label = Annotated[
    str,
    Field(
        min_length=1,
        max_length=100,
        pattern=r"^[^\x00]*$",
        description="what it is for, 用途; no personal data",
        examples=["matching service, test"],
    ),
]
Days = Annotated[
    int,
    Field(ge=1, le=DAYS_MAX, description="days until it expires 有效天数", examples=[DAYS_DEFAULT]),
]


class KeyState(StrEnum):
    """Whether a key is good."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


class _In(WrittenBody):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class KeyIn(_In):
    """A key to be issued."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "label": "nightly matching",
                    "scopes": ["requests:read"],
                    "company_id": "6ec6a136-c713-57ae-a8f8-280a362a76e0",
                }
            ]
        }
    )

    label: Label
    scopes: list[Scope] | None = Field(
        default=None,
        min_length=1,
        max_length=len(Scope),
        description="what it may do 权限; all that the caller's key may, if left out",
    )
    expires_in_days: Days = DAYS_DEFAULT
    company_id: UUID | None = Field(
        default=None, description="for which firm; staff say so, a firm's key issues for its own"
    )


class RotateIn(_In):
    """How a key gets a new secret; `{}` or no body at all for the usual way."""

    overlap_hours: int = Field(
        default=OVERLAP_HOURS_DEFAULT,
        ge=0,
        le=OVERLAP_HOURS_MAX,
        description="how long the secret before this stays good 新旧并用小时数; 0 ends it now",
    )
    expires_in_days: Days = DAYS_DEFAULT


class KeyOut(BaseModel):
    """A key without its secret, which nobody can read again."""

    id: UUID
    company_id: UUID
    client_id: str = Field(description="its public part, and the client id of OAuth")
    prefix: str = Field(description="how its text begins", examples=["sr_live_mfrggzdfmztwq2lk_"])
    label: str
    scopes: list[Scope]
    state: KeyState = Field(description="active 有效, expired 已过期, revoked 已吊销")
    created_at: datetime
    issued_by: str | None = Field(description="label of the caller that asked for it")
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="to within five minutes 最近使用")
    rotated_at: datetime | None
    previous_until: datetime | None = Field(
        description="until when the secret before the last rotation is good; null: none is"
    )
    revoked_at: datetime | None


class KeyIssuedOut(KeyOut):
    """A key with its secret, in the only answer that has it."""

    key: str | None = Field(
        default=None,
        description=(
            "the whole key, shown once 仅显示一次; null in an answer that is repeated"
            " (`Idempotency-Replayed`), as the service does not keep it"
        ),
        examples=[None],
    )


class KeyPage(BaseModel):
    """A page of keys."""

    items: list[KeyOut]
    next_cursor: str | None


class ScopeOut(BaseModel):
    """What one scope allows."""

    scope: Scope
    zh: str
    en: str


class ScopeList(BaseModel):
    """Every scope."""

    items: list[ScopeOut]
