"""Accounts of staff, and who is signed in where."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from app.database.paging import PageRequest
from app.database.session import transaction
from app.kernel.errors import InvalidInputError, NotFoundError
from app.kernel.written import WrittenBody
from app.routers.dependencies import (
    JSON,
    ActorDep,
    ClockDep,
    Filters,
    GateSessionDep,
    IdPath,
    PreconditionDep,
    SessionDep,
    require_same_origin,
)
from app.routers.problems import problems
from app.routers.session import Email, GateDep, NewPassword, taken
from app.routers.versions import etag_of, shown_alone
from app.security.actors import (
    Actor,
    NotAllowedError,
    NotSignedInError,
    PersonNeededError,
    Role,
)
from app.security.staff import accounts, sessions
from app.security.staff.accounts import Account, Change, Invited, Place
from app.security.staff.errors import (
    AccountExistsError,
    CrossSiteError,
    InvitationNotValidError,
    LastAdministratorError,
)
from app.security.staff.sessions import ShownSession

router = APIRouter(prefix="/api/v1/staff", tags=["staff"])

Parks = Annotated[
    list[Annotated[str, Field(max_length=100, pattern=r"^[^\x00]+$")]],
    Field(min_length=1, max_length=200, description="ids or codes of parks 园区编号或代码"),
]
StaffNumber = Annotated[str, Field(max_length=100)]
_MANAGED = (NotSignedInError, NotAllowedError, NotFoundError)


class StaffQuery(Filters):
    """Which accounts to list."""

    limit: int = Field(default=100, ge=1, le=1_000, description="rows a page")
    cursor: str | None = Field(
        default=None, max_length=2_000, description="`next_cursor` of the page before"
    )


class SessionsQuery(Filters):
    """Whose sessions."""

    account: UUID | None = Field(
        default=None,
        description="an account, for administrators of every park; your own if left out",
    )


class StaffInviteIn(WrittenBody):
    """Who is to have an account."""

    model_config = taken(
        {
            "email": "lin.agent@example.invalid",
            "name": "示例专员",
            "staff_number": "GI-00123",
            "role": "agent",
            "parks": ["gene_island"],
        }
    )

    email: Email
    name: str = Field(max_length=100, pattern=r"^[^\x00]+$", description="姓名")
    staff_number: StaffNumber | None = Field(
        default=None, description="工号, the employer's number of the person"
    )
    role: Role = Field(description="what the person may do 角色")
    parks: Parks | None = Field(
        default=None, description="ids or codes of parks; every park if left out 不填为全部园区"
    )


class StaffChangeIn(WrittenBody):
    """What to change; what is left out stays."""

    model_config = taken({"role": "manager"}, {"disabled": True}, {"staff_number": "GI-00123"})

    role: Role | None = Field(default=None, description="another role 变更角色")
    parks: Parks | None = Field(
        default=None, description="other parks; null gives every park 变更园区，null 表示全部园区"
    )
    disabled: bool | None = Field(
        default=None, description="true ends all sessions and lets nobody in 停用或恢复"
    )
    staff_number: StaffNumber | None = Field(
        default=None, description="whose it is, by the employer's number 登记工号"
    )


class StaffAcceptIn(WrittenBody):
    """The token of an invitation, and the password it is to set."""

    model_config = taken(
        {
            "token": "as-the-administrator-handed-it-to-you",
            "password": "four words or more of yours",
        }
    )

    token: str = Field(max_length=200, description="as the administrator handed it over 邀请令牌")
    password: NewPassword


class StaffAccountOut(BaseModel):
    """An account."""

    id: UUID
    email: str
    name: str
    staff_number: str | None = Field(description="工号, the employer's number of the person")
    role: Role
    park_ids: list[UUID] | None = Field(description="null: every park")
    state: Literal["invited", "active", "disabled"]
    second_factor: bool = Field(description="whether a one-time code is set up here")
    identity_provider: bool = Field(description="whether it signs in at the identity provider")
    created_at: datetime
    disabled_at: datetime | None


class StaffPage(BaseModel):
    """Accounts by e-mail address."""

    items: list[StaffAccountOut]
    next_cursor: str | None


class StaffInvitedOut(BaseModel):
    """An account, and the token that sets its password once. The token is shown once."""

    account: StaffAccountOut
    token: str = Field(
        description="hand it over in person or by a way you trust; it goes to"
        " POST /api/v1/staff/accept-invitation"
    )
    invitation_expires_at: datetime


class StaffSessionOut(BaseModel):
    """A session that is open."""

    id: UUID
    account_id: UUID
    email: str
    current: bool = Field(description="whether this call is made in it")
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    address: str | None
    user_agent: str | None
    second_factor: bool


class StaffSessionList(BaseModel):
    """Open sessions, the last used first."""

    items: list[StaffSessionOut]


class SessionsEndedOut(BaseModel):
    """How many sessions ended."""

    ended: int


def _account(account: Account) -> StaffAccountOut:
    return StaffAccountOut(
        id=account.id,
        email=account.email,
        name=account.name,
        staff_number=account.staff_number,
        role=Role(account.role),
        park_ids=account.park_ids,
        state=accounts.state_of(account),
        second_factor=account.totp_secret is not None,
        identity_provider=account.oidc_issuer is not None,
        created_at=account.created_at,
        disabled_at=account.disabled_at,
    )


def _invited(invited: Invited, response: Response) -> StaffInvitedOut:
    response.headers["Cache-Control"] = "no-store"
    return StaffInvitedOut(
        account=_account(invited.account),
        token=invited.token,
        invitation_expires_at=invited.expires_at,
    )


def _session(shown: ShownSession, actor: Actor) -> StaffSessionOut:
    one = shown.session
    return StaffSessionOut(
        id=one.id,
        account_id=one.account_id,
        email=shown.email,
        current=one.id == actor.session_id,
        created_at=one.created_at,
        last_seen_at=one.last_seen_at,
        expires_at=one.expires_at,
        address=one.address,
        user_agent=one.user_agent,
        second_factor=one.second_factor,
    )


@router.get(
    "",
    response_model=StaffPage,
    summary="List staff 员工账号",
    responses=problems(NotSignedInError, NotAllowedError, InvalidInputError),
)
def list_staff(
    wanted: Annotated[StaffQuery, Query()], session: SessionDep, actor: ActorDep
) -> Response:
    """List the accounts that you manage, as an administrator, by e-mail address."""
    page = accounts.list_accounts(session, actor, PageRequest(wanted.limit, wanted.cursor))
    return Response(page.as_items(), media_type=JSON)


@router.post(
    "",
    status_code=201,
    summary="Invite staff 邀请员工",
    responses=problems(
        *(NotSignedInError, NotAllowedError, PersonNeededError, CrossSiteError),
        *(AccountExistsError, InvalidInputError),
    ),
)
def invite_staff(
    body: StaffInviteIn,
    response: Response,
    *,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    gate: GateDep,
) -> StaffInvitedOut:
    """Make an account; its owner sets the password with the token, which is shown here once.

    Takes no Idempotency-Key, since an answer that is kept would keep the token: the same call again
    is refused, and a new token made at `POST /api/v1/staff/{id}/invitation`.
    """
    actor.require_staff(Role.ADMIN)  # before anything is looked up
    with transaction(session):
        place = Place(body.role, accounts.find_parks(session, body.parks))
        invited = accounts.invite(
            session,
            actor,
            email=body.email,
            name=body.name,
            place=place,
            now=clock.now(),
            policy=gate.policy,
            staff_number=body.staff_number,
        )
    response.headers["Location"] = f"/api/v1/staff/{invited.account.id}"
    return _invited(invited, response)


@router.post(
    "/accept-invitation",
    summary="Accept an invitation 接受邀请",
    responses=problems(InvitationNotValidError, InvalidInputError, CrossSiteError),
)
def accept_staff_invitation(
    body: StaffAcceptIn,
    request: Request,
    *,
    session: GateSessionDep,
    clock: ClockDep,
    gate: GateDep,
) -> StaffAccountOut:
    """Set the password that an invitation is for, and then sign in."""
    require_same_origin(request)
    with transaction(session):
        account = accounts.accept(
            session, body.token, body.password, passwords=gate.passwords, now=clock.now()
        )
    return _account(account)


@router.get(
    "/sessions",
    summary="List sessions 会话列表",
    responses=problems(NotSignedInError, NotAllowedError),
)
def list_staff_sessions(
    wanted: Annotated[SessionsQuery, Query()],
    *,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    gate: GateDep,
) -> StaffSessionList:
    """List your open sessions, or those of an account."""
    shown = sessions.list_live(session, actor, wanted.account, clock.now(), gate.policy)
    return StaffSessionList(items=[_session(one, actor) for one in shown])


@router.delete(
    "/sessions",
    summary="End all sessions 结束全部会话",
    responses=problems(NotSignedInError, NotAllowedError, CrossSiteError),
)
def end_staff_sessions(
    wanted: Annotated[SessionsQuery, Query()],
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
) -> SessionsEndedOut:
    """End all your sessions, this one with them, or all those of an account."""
    with transaction(session):
        ended = sessions.revoke_all(session, actor, wanted.account, clock.now())
    return SessionsEndedOut(ended=ended)


@router.delete(
    "/sessions/{session_id}",
    status_code=204,
    response_class=Response,
    summary="End a session 结束会话",
    responses=problems(*_MANAGED, CrossSiteError),
)
def end_staff_session(
    session_id: IdPath, session: SessionDep, actor: ActorDep, clock: ClockDep
) -> Response:
    """End one of your sessions; as an administrator of every park, anybody's."""
    with transaction(session):
        sessions.revoke_one(session, actor, session_id, clock.now())
    return Response(status_code=204)


@router.get("/{account_id}", summary="Read an account 查看账号", responses=problems(*_MANAGED))
@shown_alone
def read_staff(account_id: IdPath, session: SessionDep, actor: ActorDep) -> StaffAccountOut:
    """One of the accounts that you manage."""
    return _account(accounts.get_account(session, actor, account_id))


@router.patch(
    "/{account_id}",
    summary="Change or disable an account 变更或停用账号",
    responses=problems(
        *(*_MANAGED, CrossSiteError, LastAdministratorError),
        *(AccountExistsError, InvalidInputError),
    ),
)
def change_staff(
    account_id: IdPath,
    body: StaffChangeIn,
    response: Response,
    *,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    precondition: PreconditionDep,
) -> StaffAccountOut:
    """Give another role or other parks, disable, or enable again. The account's sessions end.

    Or enter whose it is (`staff_number`, 工号): two accounts of one number are one person's.
    Nobody changes his own account. Where people sign in at the identity provider, their groups
    there give role and parks anew at each sign-in.
    """
    with transaction(session), precondition.met():
        place = None
        if {"role", "parks"} & body.model_fields_set:
            now_is = accounts.place_of(accounts.get_account(session, actor, account_id))
            parks = now_is.park_ids
            if "parks" in body.model_fields_set:
                parks = accounts.find_parks(session, body.parks)
            place = Place(body.role or now_is.role, parks)
        account = accounts.change(
            session,
            actor,
            account_id,
            Change(place, body.disabled, body.staff_number),
            clock.now(),
        )
    changed = _account(account)
    response.headers["ETag"] = etag_of(changed)
    return changed


@router.post(
    "/{account_id}/invitation",
    status_code=201,
    summary="Invite again 重新邀请",
    responses=problems(*_MANAGED, PersonNeededError, CrossSiteError),
)
def invite_staff_again(
    account_id: IdPath,
    response: Response,
    *,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    gate: GateDep,
) -> StaffInvitedOut:
    """Make a new token, for who lost the first one or forgot the password."""
    with transaction(session):
        invited = accounts.invite_again(session, actor, account_id, clock.now(), gate.policy)
    return _invited(invited, response)


@router.post(
    "/{account_id}/reset-second-factor",
    summary="Reset a second factor 重置第二验证因素",
    responses=problems(*_MANAGED, PersonNeededError, CrossSiteError),
)
def reset_second_factor(
    account_id: IdPath, session: SessionDep, actor: ActorDep, clock: ClockDep
) -> StaffAccountOut:
    """Take the second factor off an account whose owner lost it. Make sure that it is the owner."""
    with transaction(session):
        account = accounts.reset_second_factor(session, actor, account_id, clock.now())
    return _account(account)
