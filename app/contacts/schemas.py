"""The wire forms of contacts. What has values in it never shows them in an error."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.contacts.values import EMAIL_LENGTH_MAX
from app.demand.schemas import NO_NUL, In
from app.kernel.terms import ConsentForm, ConsentSource, ContactPurpose, ContactRole
from app.kernel.written import WrittenInstant

Reason = Annotated[
    str,
    Field(
        min_length=4,
        max_length=500,
        pattern=NO_NUL,
        description="理由（4 至 500 字）, kept in the audit trail for ever; no personal data",
        examples=["回复企业 10 月 28 日的中试空间需求，约看房时间"],
    ),
]
Phone = Annotated[str, Field(max_length=32, pattern=NO_NUL)]
Email = Annotated[str, Field(max_length=EMAIL_LENGTH_MAX, pattern=NO_NUL)]
PersonName = Annotated[str, Field(min_length=1, max_length=100, pattern=NO_NUL)]
_NAME_SAID = "姓名; kept encrypted, shown with stars"
_PHONE_SAID = "手机 11 位，或带国家/地区代码 (E.164); kept encrypted, shown with stars"
_EMAIL_SAID = "邮箱; kept encrypted, shown with stars"


class Held(BaseModel):
    """Base of answers about people: an error in making one does not repeat its values."""

    model_config = ConfigDict(hide_input_in_errors=True)


class Consent(In):
    """That the person agreed (个人同意): when, how, and through whom it came to be known."""

    given_at: WrittenInstant = Field(description="同意时间, when; not in the future")
    form: ConsentForm = Field(description="同意方式: written 书面, electronic 电子方式, oral 口头")
    given_by: ConsentSource = Field(
        default=ConsentSource.PERSON,
        description="person 本人, or firm 所属企业转达: who said so",
    )


class ContactIn(In):
    """Somebody to talk to at a firm; a phone number or an e-mail address, or both."""

    model_config = ConfigDict(
        hide_input_in_errors=True,
        json_schema_extra={
            "examples": [
                {
                    "name": "示例联系人 01",
                    "phone": "+86 138 0000 0001",
                    "email": "contact01@example.invalid",
                    "role": "site_search",
                    "purpose": "matching",
                    "consent": {"given_at": "2026-11-01T01:00:00Z", "form": "electronic"},
                }
            ]
        },
    )

    name: PersonName = Field(description=_NAME_SAID)
    phone: Phone | None = Field(default=None, description=_PHONE_SAID)
    email: Email | None = Field(default=None, description=_EMAIL_SAID)
    role: ContactRole = Field(description="职责, what the person does at the firm")
    purpose: ContactPurpose = Field(
        description="用途: what the data are kept for, as the person was told"
    )
    consent: Consent = Field(description="个人同意: that the person agreed")


class ContactChangeIn(In):
    """What was wrong or has changed. What is left out stays; null takes a way to reach away."""

    model_config = ConfigDict(
        hide_input_in_errors=True, json_schema_extra={"examples": [{"role": "facilities"}]}
    )

    name: PersonName | None = Field(default=None, description=_NAME_SAID)
    phone: Phone | None = Field(default=None, description=_PHONE_SAID)
    email: Email | None = Field(default=None, description=_EMAIL_SAID)
    role: ContactRole | None = Field(default=None, description="职责")
    purpose: ContactPurpose | None = Field(
        default=None, description="用途; another one needs another `consent`"
    )
    consent: Consent | None = Field(default=None, description="个人同意, given anew")


class ReasonIn(In):
    """Why it is done."""

    reason: Reason


class ContactSearchIn(In):
    """A number or an address in full, and why it is looked for."""

    model_config = ConfigDict(
        hide_input_in_errors=True,
        json_schema_extra={
            "examples": [
                {
                    "email": "contact01@example.invalid",
                    "reason": "本人来函要求删除其个人信息",
                }
            ]
        },
    )

    phone: Phone | None = Field(default=None, description=_PHONE_SAID)
    email: Email | None = Field(default=None, description=_EMAIL_SAID)
    reason: Reason


class ContactStarred(Held):
    """A contact with stars; null where there is none, or once it is erased."""

    id: UUID
    company_id: UUID
    name_masked: str | None
    phone_masked: str | None
    email_masked: str | None
    role: ContactRole
    purpose: ContactPurpose
    consent: Consent
    synthetic: bool = Field(description="made up, of no real person")
    version: int = Field(description="counts changes; `If-Match` takes it as an ETag")
    created_at: datetime
    updated_at: datetime
    erased_at: datetime | None = Field(description="已删除: when its values were erased for good")
    erased_reason: str | None


class ContactPage(BaseModel):
    """A page of contacts."""

    items: list[ContactStarred]
    next_cursor: str | None


class ContactsFound(BaseModel):
    """Contacts that have the number or address."""

    items: list[ContactStarred]


class ContactInFull(ContactStarred):
    """A contact in full: everything that is kept about the person."""

    name: str
    phone: str | None
    email: str | None


class ApplicantOut(Held):
    """The address that an application for access was made with."""

    application_id: UUID
    email: str
    created_at: datetime


class PersonalDataOut(Held):
    """All that is kept about the people of a firm (个人信息副本)."""

    company_id: UUID
    exported_at: datetime
    contacts: list[ContactInFull]
    applicants: list[ApplicantOut]
