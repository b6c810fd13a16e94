"""The wire forms of applications and invitations."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.demand.schemas import NO_NUL, In, Name
from app.security.actors import Scope
from app.security.keys.schemas import Label

EXAMPLE_COMPANY_ID = "6ec6a136-c713-57ae-a8f8-280a362a76e0"

Reason = Annotated[str, Field(min_length=3, max_length=500, pattern=NO_NUL)]
Scopes = Annotated[list[Scope], Field(min_length=1, max_length=len(Scope))]
_SCOPES_SAID = "what the firm's first key may do 首个密钥的权限; everything if left out"


class ApplicationState(StrEnum):
    """How far an application is."""

    RECEIVED = "received"
    APPROVED = "approved"
    REFUSED = "refused"


class InvitationState(StrEnum):
    """Whether an invitation can be accepted."""

    OPEN = "open"
    ACCEPTED = "accepted"
    EXPIRED = "expired"
    REVOKED = "revoked"


class ApplicationIn(In):
    """A firm asks to be let in."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "company_name": "示例细胞治疗有限公司（合成）",
                    "unified_social_credit_code": "91990000MA00000X19",
                    "purpose": "把中试与产业化的空间需求接到内部排期系统",
                    "contact_email": "api@example.com",
                }
            ]
        }
    )

    company_name: Name = Field(description="企业名称, as on the licence")
    unified_social_credit_code: str = Field(
        max_length=40, description="统一社会信用代码: 18 characters, the last is a check digit"
    )
    purpose: str = Field(
        min_length=5,
        max_length=1_000,
        pattern=NO_NUL,
        description="what the firm wants the service for 用途; no personal data",
    )
    contact_email: str = Field(
        max_length=254,
        pattern=r"^[^@\s\x00]{1,64}@[^@\s\x00.]+(\.[^@\s\x00.]+)+$",
        description="where the invitation is sent 联系邮箱; kept encrypted, shown with stars",
    )


class ApplicationStatus(BaseModel):
    """An application as the firm sees it."""

    id: UUID
    state: ApplicationState = Field(description="received 已受理, approved 已通过, refused 未通过")
    company_name: str
    contact_masked: str | None = Field(
        description="联系邮箱, most of it starred; null once it is past retention and erased"
    )
    reason: str | None = Field(description="why it was refused")
    created_at: datetime
    decided_at: datetime | None


class ApplicationReceived(ApplicationStatus):
    """An application that was just made, with the secret to ask for its status."""

    status_secret: str = Field(
        description="shown once 仅显示一次; send it as `Application-Secret` to read the status"
    )


class KnownCompany(BaseModel):
    """A firm that is registered."""

    id: UUID
    name_zh: str


class ApplicationOut(ApplicationStatus):
    """An application as staff see it."""

    unified_social_credit_code: str
    purpose: str
    known_company: KnownCompany | None = Field(
        description="the firm registered under this credit code; compare the names before approving"
    )
    company_id: UUID | None = Field(description="the firm it was approved for")
    decided_by: str | None


class ApplicationPage(BaseModel):
    """A page of applications."""

    items: list[ApplicationOut]
    next_cursor: str | None


class ApplicationApproveIn(In):
    """How an application is approved; `{}` or no body at all for a firm that is new."""

    company_id: UUID | None = Field(
        default=None,
        description="已登记企业: needed where the credit code is that of a company that is known"
        " (`known_company`). Credit codes are public: make sure first that the firm itself applied",
    )
    scopes: Scopes | None = Field(default=None, description=_SCOPES_SAID)


class ApplicationRefuseIn(In):
    """Why an application is refused."""

    reason: Reason = Field(
        description="told to the firm 告知企业; no personal data", examples=["营业执照信息不符"]
    )


class RevealIn(In):
    """Why the contact is looked at."""

    reason: Reason = Field(
        description="written into the audit trail 写入审计记录", examples=["发送邀请"]
    )


class ContactOut(BaseModel):
    """A contact in full."""

    contact_email: str


class InvitationIn(In):
    """A firm that staff invite."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"company_id": EXAMPLE_COMPANY_ID}]})

    company_id: UUID = Field(description="the firm, as registered")
    scopes: Scopes | None = Field(default=None, description=_SCOPES_SAID)


class InvitationOut(BaseModel):
    """An invitation without its token."""

    id: UUID
    company_id: UUID
    application_id: UUID | None
    scopes: list[Scope]
    state: InvitationState = Field(
        description="open 待接受, accepted 已接受, expired 已过期, revoked 已撤销"
    )
    invited_by: str
    created_at: datetime
    expires_at: datetime
    accepted_at: datetime | None
    revoked_at: datetime | None


class InvitationMadeOut(InvitationOut):
    """An invitation with its token, in the only answer that has it."""

    token: str | None = Field(
        default=None,
        description=(
            "shown once 仅显示一次, for staff to send to the firm; null in an answer that is"
            " repeated (`Idempotency-Replayed`), as the service does not keep it"
        ),
    )


class ApprovedOut(InvitationMadeOut):
    """What an approval made: the firm, registered or linked, and its invitation."""

    linked: bool = Field(description="whether the firm was registered already 企业已登记")


class InvitationPage(BaseModel):
    """A page of invitations."""

    items: list[InvitationOut]
    next_cursor: str | None


class AcceptIn(In):
    """An invitation taken up."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"token": "sr_invite_…", "label": "first key"}]}
    )

    token: str = Field(
        min_length=1, max_length=200, pattern=NO_NUL, description="as staff sent it 邀请码"
    )
    label: Label = "first key"
