"""Applications: a firm asks to be let in, staff look and decide once."""

import hmac
import secrets
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Select, case, func, insert, select
from sqlalchemy.orm import Session

from app.database.paging import Page, PageRequest, Sort, fetch_one, fetch_page
from app.demand.companies import create_company
from app.demand.credit_code import checked_credit_code
from app.demand.schemas import CompanyIn
from app.kernel.errors import Kind, NotFoundError, SpaceRelayError
from app.models.company import Company
from app.models.firm_access import Application
from app.onboarding.invitations import invite
from app.onboarding.schemas import (
    ApplicationApproveIn,
    ApplicationIn,
    ApplicationOut,
    ApplicationReceived,
    ApplicationRefuseIn,
    ApplicationState,
    ApplicationStatus,
    ApprovedOut,
    ContactOut,
    RevealIn,
)
from app.security.actors import Actor, Role
from app.security.audit.actions import Action
from app.security.audit.trail import record
from app.security.digests import digest_of
from app.security.sealing import Sealer


class ApplicationDecidedError(SpaceRelayError):
    """Somebody has decided on it already."""

    slug, title, kind = "application-decided", "The application is decided", Kind.CONFLICT
    title_zh = "该申请已处理"


class CompanyKnownError(SpaceRelayError):
    """The credit code is that of a company that is known, and it was not named; or another was."""

    slug, title, kind = "company-known", "The application is of another firm", Kind.CONFLICT
    title_zh = "申请企业与指定企业不一致"


def apply(
    session: Session, sealer: Sealer, body: ApplicationIn, *, now: datetime
) -> ApplicationReceived:
    """Take an application in. The answer is the same whether or not the firm is known here.

    Raises:
        InvalidInputError: the credit code's form or check digit does not hold.
    """
    code = checked_credit_code(body.unified_social_credit_code)
    secret = secrets.token_urlsafe(32)
    application_id = uuid4()
    session.execute(
        insert(Application).values(
            id=application_id,
            company_name=body.company_name,
            unified_social_credit_code=code,
            purpose=body.purpose,
            contact_sealed=sealer.seal(_purpose(application_id), body.contact_email.encode()),
            contact_masked=masked(body.contact_email),
            status_secret_sha256=digest_of(secret),
            created_at=now,
        )
    )
    return ApplicationReceived(
        **show_status(session, application_id, secret).model_dump(), status_secret=secret
    )


def show_status(session: Session, application_id: UUID, secret: str) -> ApplicationStatus:
    """An application for whoever made it.

    Raises:
        NotFoundError: there is none of this id and secret.
    """
    found = session.get(Application, application_id)
    # Compare even when there is none, so that the time taken tells nothing.
    known = found.status_secret_sha256 if found else bytes(32)
    if not hmac.compare_digest(known, digest_of(secret)) or found is None:
        raise NotFoundError(
            "there is no application of this id and secret",
            detail_zh="没有与该编号和查询码相符的申请",
        )
    return ApplicationStatus.model_validate(found, from_attributes=True)


def list_applications(
    session: Session, actor: Actor, page: PageRequest, *, state: ApplicationState | None
) -> Page:
    """Applications, newest first."""
    actor.require_staff(Role.MANAGER)
    query = _columns()
    if state is not None:
        query = query.where(Application.state == state.value)
    return fetch_page(
        session,
        query,
        order=[
            Sort(Application.created_at.expression, descending=True),
            Sort(Application.id.expression, descending=True),
        ],
        page=page,
        scope=f"applications:{state}",
    )


def approve(
    session: Session,
    actor: Actor,
    application_id: UUID,
    body: ApplicationApproveIn,
    *,
    now: datetime,
) -> tuple[ApprovedOut, str]:
    """Register the firm, or link the one that has its credit code, and invite it.

    Raises:
        ApplicationDecidedError: it is decided already.
        CompanyKnownError: the body names another company than the one of that credit code.
        NotFoundError: there is none.
    """
    actor.require_staff(Role.MANAGER)
    found = _undecided(session, application_id)
    known = session.scalar(
        select(Company.id).where(
            Company.unified_social_credit_code == found.unified_social_credit_code
        )
    )
    if body.company_id != known:
        # Credit codes are public. Whoever lets an applicant in to what a firm has here says so.
        raise CompanyKnownError(
            "the credit code is that of a company that is known: make sure that the application is"
            " its own, and send its id (`known_company` of the application) as company_id"
            if known is not None
            else "no company of this credit code is known; leave company_id out",
            detail_zh="该统一社会信用代码对应已登记企业：请先核实申请确由该企业提出，"
            "再以 company_id 指定（见申请的 known_company）"
            if known is not None
            else "没有已登记企业使用该统一社会信用代码，请勿填写 company_id",
        )
    company_id = (
        known
        or create_company(
            session,
            actor,
            CompanyIn(
                name_zh=found.company_name,
                unified_social_credit_code=found.unified_social_credit_code,
            ),
        ).id
    )
    found.state, found.company_id = ApplicationState.APPROVED.value, company_id
    found.decided_at, found.decided_by = now, actor.label
    session.flush()
    made, token = invite(
        session, actor, company_id, scopes=body.scopes, now=now, application_id=application_id
    )
    return ApprovedOut(**made.model_dump(), linked=known is not None), token


def refuse(
    session: Session,
    actor: Actor,
    application_id: UUID,
    body: ApplicationRefuseIn,
    *,
    now: datetime,
) -> ApplicationOut:
    """Refuse, with a reason that the firm is told.

    Raises:
        ApplicationDecidedError: it is decided already.
        NotFoundError: there is none.
    """
    actor.require_staff(Role.MANAGER)
    found = _undecided(session, application_id)
    found.state, found.reason = ApplicationState.REFUSED.value, body.reason
    found.decided_at, found.decided_by = now, actor.label
    session.flush()
    text = fetch_one(session, _columns().where(Application.id == application_id))
    return ApplicationOut.model_validate_json(text or "")


def reveal_contact(
    session: Session, sealer: Sealer, actor: Actor, application_id: UUID, body: RevealIn
) -> ContactOut:
    """The contact in full. Who looked, and why, is written down.

    Raises:
        NotFoundError: there is no such application, or its contact is past retention and erased.
    """
    actor.require_staff(Role.MANAGER)
    found = session.get(Application, application_id)
    if found is None or found.contact_sealed is None:
        raise _unknown()
    email = opened_address(sealer, found)
    record(
        session,
        actor,
        Action.APPLICANT_REVEALED,
        park_id=None,
        subject_type="application",
        subject_id=application_id,
        company_id=found.company_id,
        reason=body.reason,
    )
    return ContactOut(contact_email=email)


def opened_address(sealer: Sealer, application: Application) -> str:
    """The address of an application whose address is kept."""
    return sealer.open(_purpose(application.id), application.contact_sealed or b"").decode()


def masked(email: str) -> str:
    """An address by which its owner knows it, and nobody else.

    >>> masked("someone@example.com")
    's***@e***.com'
    """
    name, _, host = email.rpartition("@")
    inner, _, last = host.rpartition(".")
    return f"{name[:1]}***@{inner[:1]}***.{last}"


def _undecided(session: Session, application_id: UUID) -> Application:
    found = session.scalar(
        select(Application).where(Application.id == application_id).with_for_update()
    )
    if found is None:
        raise _unknown()
    if found.state != ApplicationState.RECEIVED.value:
        raise ApplicationDecidedError(
            f"the application is {found.state} already",
            detail_zh="该申请已有处理结果",
            state=found.state,
        )
    return found


def _unknown() -> NotFoundError:
    return NotFoundError("there is no such application", detail_zh="没有该申请")


def seal_anew(session: Session, sealer: Sealer) -> int:
    """Seal with today's key what was sealed with earlier ones; returns of how many applications."""
    count = 0
    for one in session.scalars(select(Application).order_by(Application.id).with_for_update()):
        before = one.contact_sealed
        one.contact_sealed = sealer.anew(_purpose(one.id), before)
        count += one.contact_sealed != before
    session.flush()
    return count


def _purpose(application_id: UUID) -> str:
    return f"applicant:{application_id}"


def _columns() -> Select[Any]:
    known = case(
        (
            Company.id.is_not(None),
            func.json_build_object("id", Company.id, "name_zh", Company.name_zh),
        )
    )
    columns: tuple[Any, ...] = (
        Application.id,
        Application.state,
        Application.company_name,
        Application.contact_masked,
        Application.reason,
        Application.created_at,
        Application.decided_at,
        Application.unified_social_credit_code,
        Application.purpose,
        known.label("known_company"),
        Application.company_id,
        Application.decided_by,
    )
    same = Company.unified_social_credit_code == Application.unified_social_credit_code
    return select(*columns).outerjoin(Company, same)
