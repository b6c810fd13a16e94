"""How a firm comes to its first key: it applies or is invited, and accepts the invitation."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Header, Request, Response
from pydantic import Field

from app.database.session import transaction
from app.kernel.errors import InvalidInputError, NotFoundError
from app.onboarding import applications, invitations
from app.onboarding.applications import ApplicationDecidedError, CompanyKnownError
from app.onboarding.invitations import InvitationEndedError, InvitationNotValidError
from app.onboarding.schemas import (
    AcceptIn,
    ApplicationApproveIn,
    ApplicationIn,
    ApplicationOut,
    ApplicationPage,
    ApplicationReceived,
    ApplicationRefuseIn,
    ApplicationState,
    ApplicationStatus,
    ApprovedOut,
    ContactOut,
    InvitationIn,
    InvitationMadeOut,
    InvitationOut,
    InvitationPage,
    RevealIn,
)
from app.routers.dependencies import (
    JSON,
    ActorDep,
    ClockDep,
    GateSessionDep,
    IdPath,
    Paging,
    Query,
    SessionDep,
    StatusSessionDep,
    WriterDep,
)
from app.routers.problems import problems
from app.routers.shown_once import NOT_STORED, write_shown_once
from app.security.actors import NotAllowedError, NotSignedInError
from app.security.keys.schemas import KeyIssuedOut

router = APIRouter(prefix="/api/v1", tags=["access"])

_STAFF = (NotSignedInError, NotAllowedError)


class ApplicationFilters(Paging):
    """What to list."""

    state: ApplicationState | None = Field(
        default=None, description="in this state: received 已受理, approved 已通过, refused 未通过"
    )


class InvitationFilters(Paging):
    """What to list."""

    company_id: UUID | None = Field(default=None, description="of this firm")


@router.post("/applications", status_code=202, responses=problems(InvalidInputError))
def apply(
    body: ApplicationIn,
    request: Request,
    response: Response,
    session: GateSessionDep,
    clock: ClockDep,
) -> ApplicationReceived:
    """Ask for access (申请开通). Needs no credential; staff look at it and decide.

    Keep `status_secret`: it is shown once, and with it the status can be asked for. The contact is
    kept encrypted and used for the invitation only. The answer does not tell whether the firm is
    known here.
    """
    response.headers.update(NOT_STORED)
    with transaction(session):
        made = applications.apply(session, request.app.state.sealer, body, now=clock.now())
    response.headers["Location"] = f"/api/v1/applications/{made.id}"
    return made


@router.get(
    "/applications", response_model=ApplicationPage, responses=problems(*_STAFF, InvalidInputError)
)
def list_applications(
    filters: Annotated[ApplicationFilters, Query()], session: SessionDep, actor: ActorDep
) -> Response:
    """List applications (申请清单), newest first. Managers only; contacts have stars."""
    page = applications.list_applications(
        session, actor, filters.page(geojson=False), state=filters.state
    )
    return Response(page.as_items(), media_type=JSON)


@router.get("/applications/{application_id}", responses=problems(NotFoundError))
def get_application(
    application_id: IdPath,
    session: StatusSessionDep,
    application_secret: Annotated[
        str,
        Header(
            max_length=200,
            description="`status_secret` of the answer to the application 查询码",
        ),
    ],
) -> ApplicationStatus:
    """How far an application is (申请进度), for whoever made it."""
    return applications.show_status(session, application_id, application_secret)


@router.post(
    "/applications/{application_id}/approve",
    status_code=201,
    response_model=ApprovedOut,
    responses=problems(*_STAFF, NotFoundError, ApplicationDecidedError, CompanyKnownError),
)
def approve_application(
    application_id: IdPath,
    *,
    body: Annotated[ApplicationApproveIn | None, Body()] = None,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    write: WriterDep,
) -> Response:
    """Approve (通过申请): register the firm, or link the one with its credit code, and invite it.

    `token` is shown once, for the manager to send to the contact; it is good for seven days.
    """

    def work() -> tuple[ApprovedOut, dict[str, str]]:
        made, token = applications.approve(
            session, actor, application_id, body or ApplicationApproveIn(), now=clock.now()
        )
        return made, {"token": token}

    return write_shown_once(write, work)


@router.post(
    "/applications/{application_id}/refuse",
    status_code=200,
    response_model=ApplicationOut,
    responses=problems(*_STAFF, NotFoundError, ApplicationDecidedError),
)
def refuse_application(
    application_id: IdPath,
    body: ApplicationRefuseIn,
    *,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    write: WriterDep,
) -> Response:
    """Refuse (不予通过), with a reason that the firm reads."""
    return write(
        lambda: applications.refuse(session, actor, application_id, body, now=clock.now()),
        status=200,
    )


@router.post(
    "/applications/{application_id}/reveal-contact", responses=problems(*_STAFF, NotFoundError)
)
def reveal_applicant(
    application_id: IdPath,
    body: RevealIn,
    request: Request,
    response: Response,
    *,
    session: SessionDep,
    actor: ActorDep,
) -> ContactOut:
    """The contact in full (查看联系邮箱). Managers only; who looked, and why, is written down."""
    # Not by the writer: an answer that is kept would keep the address in the clear.
    response.headers.update(NOT_STORED)
    with transaction(session):
        return applications.reveal_contact(
            session, request.app.state.sealer, actor, application_id, body
        )


@router.post(
    "/invitations",
    status_code=201,
    response_model=InvitationMadeOut,
    responses=problems(*_STAFF, NotFoundError),
)
def invite_company(
    body: InvitationIn, session: SessionDep, actor: ActorDep, clock: ClockDep, write: WriterDep
) -> Response:
    """Invite a registered firm (邀请企业). `token` is shown once and good for seven days."""

    def work() -> tuple[InvitationMadeOut, dict[str, str]]:
        made, token = invitations.invite(
            session, actor, body.company_id, scopes=body.scopes, now=clock.now()
        )
        return made, {"token": token}

    return write_shown_once(write, work)


@router.get("/invitations", response_model=InvitationPage, responses=problems(*_STAFF))
def list_invitations(
    filters: Annotated[InvitationFilters, Query()],
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
) -> Response:
    """List invitations (邀请清单), newest first; never a token. Managers only."""
    page = invitations.list_invitations(
        session,
        actor,
        filters.page(geojson=False),
        company_id=filters.company_id,
        now=clock.now(),
    )
    return Response(page.as_items(), media_type=JSON)


@router.post(
    "/invitations/{invitation_id}/revoke",
    status_code=200,
    response_model=InvitationOut,
    responses=problems(*_STAFF, NotFoundError, InvitationEndedError),
)
def revoke_invitation(
    invitation_id: IdPath,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    write: WriterDep,
) -> Response:
    """Take an invitation back (撤销邀请) before it is accepted."""
    return write(
        lambda: invitations.revoke(session, actor, invitation_id, now=clock.now()), status=200
    )


@router.post("/invitations/accept", status_code=201, responses=problems(InvitationNotValidError))
def accept_invitation(
    body: AcceptIn, response: Response, session: GateSessionDep, clock: ClockDep
) -> KeyIssuedOut:
    """Take up an invitation (接受邀请): the answer has the firm's first API key, shown once.

    Needs no credential but the token, which works once. The key lasts a year and, unless staff
    chose otherwise, may issue further keys.
    """
    response.headers.update(NOT_STORED)
    with transaction(session):
        made, key = invitations.accept(session, body, now=clock.now())
    response.headers["Location"] = f"/api/v1/keys/{made.id}"
    return made.model_copy(update={"key": key})
