"""Staff sign in, see who they are, and mind their own password and second factor."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Cookie, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from app.kernel.errors import InvalidInputError, NotFoundError
from app.kernel.written import WrittenBody
from app.routers.dependencies import (
    SESSION_COOKIE,
    CallerDep,
    ClockDep,
    Filters,
    GateSessionDep,
    SessionDep,
    require_same_origin,
)
from app.routers.problems import problems
from app.security.actors import NotAllowedError, NotSignedInError, Role
from app.security.staff import own, sessions
from app.security.staff.accounts import park_names
from app.security.staff.errors import (
    AccountExistsError,
    CrossSiteError,
    IdentityProviderError,
    LastAdministratorError,
    SecondFactorNeededError,
    SignInRefusedError,
    TooManyAttemptsError,
)
from app.security.staff.oidc import TRIP_MAX, Provider
from app.security.staff.passwords import LENGTH_MAX
from app.security.staff.policy import StaffPolicy
from app.security.staff.provided import sign_in_provided
from app.security.staff.second_factor import Digest, recovery_codes_left
from app.security.staff.sessions import Browser, SignedIn
from app.security.staff.sign_in import Gate, SignIn, sign_in

router = APIRouter(prefix="/api/v1/session", tags=["staff"])

#: What must survive a browser's trip to the identity provider.
_TRIP_COOKIE = "__Host-space_relay_trip"
_CODE_MAX = 40

Email = Annotated[
    str, Field(max_length=254, pattern=r"^[^\x00]+$", description="the login name 登录邮箱")
]
Password = Annotated[str, Field(max_length=LENGTH_MAX, description="the password 密码")]
NewPassword = Annotated[
    str, Field(max_length=LENGTH_MAX, description="at least 12 characters 至少 12 个字符")
]
Code = Annotated[
    str,
    Field(
        max_length=_CODE_MAX, description="a one-time code, or a recovery code 动态验证码或恢复码"
    ),
]


def taken(*examples: JsonDict) -> ConfigDict:
    """Of a body that takes these members and no others, with examples of it."""
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [*examples]})


class SignInIn(WrittenBody):
    """What somebody signs in with."""

    model_config = taken(
        {
            "email": "demo.admin@example.invalid",
            "password": "four words or more of yours",
            "code": "123456",
        }
    )

    email: Email
    password: Password
    code: Code | None = Field(
        default=None, description="where the account has a second factor 如已设置第二验证因素"
    )


class PasswordIn(WrittenBody):
    """A change of password."""

    model_config = taken(
        {"current_password": "the one so far", "password": "four words or more of yours"}
    )

    current_password: Password
    password: NewPassword


class SecondFactorIn(WrittenBody):
    """Who asks for a second factor shows the password again, and the factor there is."""

    model_config = taken({"password": "four words or more of yours"})

    password: Password
    code: Code | None = Field(default=None, description="of the factor it replaces 原有验证码")


class SecondFactorCodeIn(WrittenBody):
    """A code."""

    model_config = taken({"code": "123456"})

    code: Code


class SignedInAccount(BaseModel):
    """The account of who is signed in."""

    id: UUID
    email: str
    name: str


class SessionPark(BaseModel):
    """A park that the caller works for."""

    id: UUID
    code: str
    name_zh: str
    name_en: str


class SecondFactorState(BaseModel):
    """How it stands with the second factor."""

    set_up: bool
    missing: bool = Field(description="whether it must be set up before anything else is done")
    recovery_codes_left: int


class SessionOut(BaseModel):
    """Who is signed in, and what that allows."""

    account: SignedInAccount | None = Field(description="null for a staff token")
    role: Role
    every_park: bool
    parks: list[SessionPark]
    csrf_token: str | None = Field(
        description="to be sent as `X-CSRF-Token` with every write; null for a staff token"
    )
    second_factor: SecondFactorState | None
    idle_minutes: int | None = Field(description="minutes without a call after which it ends")
    expires_at: datetime | None = Field(description="when it ends however busy")


class EnrolmentOut(BaseModel):
    """A second factor that awaits its first code. Shown once."""

    secret: str = Field(description="for typing 手动输入的密钥")
    digest: Digest = Field(description="hash of the codes, for typing 手动输入时须选的算法")
    provisioning_uri: str = Field(description="for a QR code 用于生成二维码")


class RecoveryCodesOut(BaseModel):
    """Codes that stand in for a lost second factor, each once. Shown once."""

    recovery_codes: list[str]


def get_signed_in(caller: CallerDep) -> SignedIn:
    """The person of the call; keys and tokens are nobody's."""
    if caller.signed_in is None:
        caller.actor.require_signed_in()
        raise NotAllowedError(
            "this is for people who are signed in, not for keys and tokens",
            detail_zh="仅供已登录人员使用，密钥与令牌不适用",
        )
    return caller.signed_in


SignedInDep = Annotated[SignedIn, Depends(get_signed_in)]


def browser_of(request: Request) -> Browser:
    """From where the call comes."""
    return Browser(
        address=None if request.client is None else request.client.host,
        user_agent=request.headers.get("user-agent"),
    )


BrowserDep = Annotated[Browser, Depends(browser_of)]


def get_gate(request: Request) -> Gate:
    """What signing in is done with."""
    gate: Gate = request.app.state.gate
    return gate


GateDep = Annotated[Gate, Depends(get_gate)]


def _hand_out(response: Response, token: str, policy: StaffPolicy) -> None:
    """Put a session's token where only the browser finds it."""
    response.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=int(policy.longest.total_seconds()),
        path="/",
        secure=True,
        httponly=True,
        samesite="lax",
    )
    response.headers["Cache-Control"] = "no-store"


def _take_back(response: Response, name: str) -> None:
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="lax")


def _shown(session: SessionDep, signed_in: SignedIn, token: str, policy: StaffPolicy) -> SessionOut:
    account, actor = signed_in.account, signed_in.actor
    return SessionOut(
        account=SignedInAccount(id=account.id, email=account.email, name=account.name),
        role=Role(account.role),
        every_park=actor.park_ids is None,
        parks=_parks(session, actor.park_ids),
        csrf_token=sessions.csrf_token(token),
        second_factor=SecondFactorState(
            set_up=account.totp_secret is not None,
            missing=signed_in.factor_missing,
            recovery_codes_left=recovery_codes_left(session, account.id),
        ),
        idle_minutes=int(policy.idle.total_seconds()) // 60,
        expires_at=signed_in.session.expires_at,
    )


def _parks(session: SessionDep, park_ids: frozenset[UUID] | None) -> list[SessionPark]:
    wanted = None if park_ids is None else list(park_ids)
    return [SessionPark(**park._asdict()) for park in park_names(session, wanted)]


@router.post(
    "",
    summary="Sign in 登录",
    responses=problems(
        SignInRefusedError, SecondFactorNeededError, TooManyAttemptsError, CrossSiteError
    ),
)
def create_session(
    body: SignInIn,
    request: Request,
    response: Response,
    *,
    session: GateSessionDep,
    clock: ClockDep,
    gate: GateDep,
    browser: BrowserDep,
) -> SessionOut:
    """Sign in with e-mail address, password, and a code where the account has a second factor.

    The session is in the cookie `__Host-space_relay`, which browsers send only over TLS (or to
    localhost) and no page can read. A session that the browser had ends.
    """
    require_same_origin(request)
    now = clock.now()
    given = SignIn(
        body.email, body.password, body.code, browser, request.cookies.get(SESSION_COOKIE)
    )
    token = sign_in(session, gate, given, now)
    _hand_out(response, token, gate.policy)
    begun = sessions.authenticate(session, token, now, gate.policy)
    return _shown(session, begun, token, gate.policy)


@router.get(
    "",
    summary="Who am I 当前会话",
    responses=problems(NotSignedInError, NotAllowedError),
)
def read_session(
    _none: Annotated[Filters, Query()],
    request: Request,
    response: Response,
    *,
    session: SessionDep,
    caller: CallerDep,
    gate: GateDep,
) -> SessionOut:
    """Tell who is signed in, with which role in which parks, and the token that writes need."""
    response.headers["Cache-Control"] = "no-store"
    if caller.signed_in is not None:
        token = request.cookies[SESSION_COOKIE]
        return _shown(session, caller.signed_in, token, gate.policy)
    actor = caller.actor
    actor.require_staff()
    return SessionOut(
        account=None,
        role=actor.role or Role.VIEWER,
        every_park=actor.park_ids is None,
        parks=_parks(session, actor.park_ids),
        csrf_token=None,
        second_factor=None,
        idle_minutes=None,
        expires_at=None,
    )


@router.delete(
    "",
    status_code=204,
    response_class=Response,
    summary="Sign out 退出",
    responses=problems(NotSignedInError, NotAllowedError, CrossSiteError),
)
def delete_session(session: SessionDep, signed_in: SignedInDep, clock: ClockDep) -> Response:
    """End this session."""
    own.sign_out(session, signed_in, clock.now())
    response = Response(status_code=204)
    _take_back(response, SESSION_COOKIE)
    return response


@router.post(
    "/password",
    summary="Change the password 修改密码",
    responses=problems(
        *(NotSignedInError, NotAllowedError, CrossSiteError, SignInRefusedError),
        *(TooManyAttemptsError, InvalidInputError),
    ),
)
def change_password(
    body: PasswordIn,
    response: Response,
    *,
    session: SessionDep,
    signed_in: SignedInDep,
    clock: ClockDep,
    gate: GateDep,
    browser: BrowserDep,
) -> SessionOut:
    """Change your password. All your sessions end; this one goes on under a new cookie."""
    now = clock.now()
    token = own.change_password(
        session,
        gate,
        signed_in,
        current=body.current_password,
        new=body.password,
        browser=browser,
        now=now,
    )
    _hand_out(response, token, gate.policy)
    return _shown(
        session, sessions.authenticate(session, token, now, gate.policy), token, gate.policy
    )


@router.post(
    "/second-factor",
    status_code=201,
    summary="Set up a second factor 设置第二验证因素",
    responses=problems(
        *(NotSignedInError, NotAllowedError, CrossSiteError, SignInRefusedError),
        *(SecondFactorNeededError, TooManyAttemptsError),
    ),
)
def start_second_factor(
    body: SecondFactorIn,
    response: Response,
    *,
    session: SessionDep,
    signed_in: SignedInDep,
    clock: ClockDep,
    gate: GateDep,
    browser: BrowserDep,
) -> EnrolmentOut:
    """Make a secret for an authenticator app (RFC 6238). It counts once its first code came."""
    made = own.start_enrolment(
        session,
        gate,
        signed_in,
        password=body.password,
        code=body.code,
        browser=browser,
        now=clock.now(),
    )
    response.headers["Cache-Control"] = "no-store"
    return EnrolmentOut(
        secret=made.secret.base32,
        digest=made.secret.digest,
        provisioning_uri=made.provisioning_uri,
    )


@router.post(
    "/second-factor/confirm",
    summary="Confirm the second factor 确认第二验证因素",
    responses=problems(
        *(NotSignedInError, NotAllowedError, CrossSiteError, SignInRefusedError),
        TooManyAttemptsError,
    ),
)
def confirm_second_factor(
    body: SecondFactorCodeIn,
    response: Response,
    *,
    session: SessionDep,
    signed_in: SignedInDep,
    clock: ClockDep,
    gate: GateDep,
    browser: BrowserDep,
) -> RecoveryCodesOut:
    """Send the first code within 15 minutes. All sessions end; this one goes on, in a new cookie.

    Keep the recovery codes apart from the telephone: each lets you in once without it. The
    `csrf_token` is another one now.
    """
    codes, token = own.confirm_enrolment(
        session, gate, signed_in, code=body.code, browser=browser, now=clock.now()
    )
    _hand_out(response, token, gate.policy)
    return RecoveryCodesOut(recovery_codes=codes)


@router.post(
    "/recovery-codes",
    status_code=201,
    summary="New recovery codes 重新生成恢复码",
    responses=problems(
        *(NotSignedInError, NotAllowedError, CrossSiteError, SignInRefusedError),
        TooManyAttemptsError,
    ),
)
def renew_recovery_codes(
    body: SecondFactorCodeIn,
    response: Response,
    *,
    session: SessionDep,
    signed_in: SignedInDep,
    clock: ClockDep,
    gate: GateDep,
    browser: BrowserDep,
) -> RecoveryCodesOut:
    """Make ten new recovery codes; the earlier ones are good no more."""
    codes = own.renew_recovery_codes(
        session, gate, signed_in, code=body.code, browser=browser, now=clock.now()
    )
    response.headers["Cache-Control"] = "no-store"
    return RecoveryCodesOut(recovery_codes=codes)


def get_provider(request: Request) -> Provider:
    """The identity provider, where the installation has one."""
    provider: Provider | None = request.app.state.provider
    if provider is None:
        raise NotFoundError(
            "this installation has no identity provider; sign in with a password",
            detail_zh="未配置身份认证服务，请使用密码登录",
        )
    return provider


ProviderDep = Annotated[Provider, Depends(get_provider)]


@router.get(
    "/oidc/start",
    status_code=303,
    response_class=RedirectResponse,
    summary="Sign in at the identity provider 通过身份认证服务登录",
    responses=problems(NotFoundError, IdentityProviderError),
)
def start_at_provider(provider: ProviderDep, clock: ClockDep) -> RedirectResponse:
    """Send the browser to the identity provider."""
    url, trip = provider.start(clock.now())
    response = RedirectResponse(url, status_code=303)
    response.set_cookie(
        _TRIP_COOKIE,
        trip,
        max_age=int(TRIP_MAX.total_seconds()),
        path="/",
        secure=True,
        httponly=True,
        samesite="lax",  # the provider's page sends the browser back
    )
    response.headers["Cache-Control"] = "no-store"
    return response


@router.get(
    "/oidc/callback",
    status_code=303,
    response_class=RedirectResponse,
    summary="Back from the identity provider 身份认证服务回调",
    responses=problems(
        *(NotFoundError, SignInRefusedError, IdentityProviderError, NotAllowedError),
        *(AccountExistsError, LastAdministratorError, InvalidInputError),
    ),
)
def return_from_provider(
    request: Request,
    *,
    session: GateSessionDep,
    provider: ProviderDep,
    clock: ClockDep,
    gate: GateDep,
    browser: BrowserDep,
    trip: Annotated[
        str | None, Cookie(alias=_TRIP_COOKIE, description="as the start of the trip set it")
    ] = None,
) -> RedirectResponse:
    """Take the provider's answer, start a session, and go on to the first page."""
    now = clock.now()
    identity = provider.finish(trip, request.query_params, now)
    token = sign_in_provided(
        session,
        provider.config,
        identity,
        browser,
        replaces=request.cookies.get(SESSION_COOKIE),
        policy=gate.policy,
        now=now,
    )
    response = RedirectResponse("/", status_code=303)
    _take_back(response, _TRIP_COOKIE)
    _hand_out(response, token, gate.policy)
    return response
