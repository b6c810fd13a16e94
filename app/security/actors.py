"""Who is calling, and what they may see and do."""

from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from app.kernel.errors import Kind, NotFoundError, SpaceRelayError
from app.kernel.terms import Term


class ActorKind(StrEnum):
    """The three audiences."""

    PUBLIC = "public"
    FIRM = "firm"
    STAFF = "staff"


class Role(StrEnum):
    """Staff roles; each includes the ones before it (see ``_RANK``)."""

    VIEWER = "viewer"
    AGENT = "agent"
    MANAGER = "manager"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        """Whether who has this role may do all that ``other`` may."""
        return _RANK[self] >= _RANK[other]


_RANK = {Role.VIEWER: 0, Role.AGENT: 1, Role.MANAGER: 2, Role.ADMIN: 3}


class Scope(Term):
    """What a firm's key may do."""

    REQUESTS_READ = (
        "requests:read",
        "查看本企业的资料、需求、匹配、锁定、排队、租约与权利",
        "read the firm's own data, requests, matches, holds, lines, leases and rights",
    )
    REQUESTS_WRITE = (
        "requests:write",
        "提交和修改管线与空间需求",
        "write pipeline assets and space requests",
    )
    HOLDS_WRITE = (
        "holds:write",
        "锁定、延长、释放房源，参加排队，并查看本企业的锁定、排队、租约与权利",
        "hold units, extend and release holds, join lines; read holds, lines, leases and rights",
    )
    KEYS_WRITE = (
        "keys:write",
        "签发、轮换、吊销本企业的密钥，开通沙盒",
        "issue, rotate and revoke the firm's keys, and ask for the sandbox's",
    )
    WEBHOOKS_WRITE = (
        "webhooks:write",
        "管理本企业的 webhook 地址",
        "manage the firm's webhook endpoints",
    )
    CONTACTS_WRITE = (
        "contacts:write",
        "登记、查看、更正、导出、删除本企业的联系人",
        "add, look at, correct, export and erase the firm's contacts",
    )


class NotSignedInError(SpaceRelayError):
    """The call needs a credential, and had none that is valid."""

    slug, title, kind = "not-signed-in", "A valid credential is needed", Kind.UNAUTHENTICATED
    title_zh = "需要有效的凭证"


class NotAllowedError(SpaceRelayError):
    """The caller is known, and may not do this."""

    slug, title, kind = "not-allowed", "This credential does not allow that", Kind.FORBIDDEN
    title_zh = "当前凭证无此权限"


class PersonNeededError(SpaceRelayError):
    """The call takes a person's word, and the token is nobody's."""

    slug, title, kind = "person-needed", "This takes a person's own account", Kind.FORBIDDEN
    title_zh = "须以本人账号操作"


@dataclass(frozen=True, slots=True)
class Actor:
    """A caller. ``park_ids`` None means every park; ``label`` is what the ledger writes down."""

    kind: ActorKind
    label: str
    company_id: UUID | None = None
    role: Role | None = None
    park_ids: frozenset[UUID] | None = None
    scopes: frozenset[str] = field(default_factory=frozenset)
    #: The person who signed in, or whom the staff token belongs to; a program's token is nobody's.
    account_id: UUID | None = None
    #: Of the person's browser; None where a key or token was shown.
    session_id: UUID | None = None
    #: The public part of the firm's key behind the call, also where the call showed a token.
    key_id: str | None = None

    @property
    def is_staff(self) -> bool:
        """Whether the caller works for the parks."""
        return self.kind is ActorKind.STAFF

    def require_staff(self, role: Role = Role.VIEWER) -> None:
        """Refuse anyone who is not staff of at least ``role``."""
        self.require_signed_in()
        if self.role is None or not self.role.includes(role):
            raise NotAllowedError(
                f"this needs a staff token with the role {role} or above",
                detail_zh=f"需要 {role} 或以上角色的员工令牌",
            )

    def require_signed_in(self) -> None:
        """Refuse callers without a credential."""
        if self.kind is ActorKind.PUBLIC:
            raise NotSignedInError(
                "sign in at POST /api/v1/session, or send `Authorization: Bearer …` with a firm's"
                " key or a staff token",
                detail_zh="请先登录（POST /api/v1/session），或以 Authorization: Bearer …"
                " 携带企业密钥或员工令牌",
            )

    def require_person(self) -> UUID:
        """The account of the person who calls.

        Raises:
            PersonNeededError: a staff token that belongs to nobody.
        """
        if self.account_id is None:
            raise PersonNeededError(
                "sign in, or use a token that belongs to your account"
                " (`space-relay token staff --account EMAIL`): this one is nobody's",
                detail_zh="该令牌不属于任何账号；请登录后操作，或使用以"
                " space-relay token staff --account 邮箱 签发的本人令牌",
            )
        return self.account_id

    @property
    def granted(self) -> frozenset[str]:
        """All that the caller is allowed, in words: a subset of them allows no more."""
        if not self.is_staff:
            return frozenset(self.scopes)
        roles = {one.value for one in Role if self.role is not None and self.role.includes(one)}
        parks = {"every park"} if self.park_ids is None else set()
        return frozenset(roles | parks | {str(one) for one in self.park_ids or ()})

    def require_firm_scope_or_staff(self, scope: Scope, role: Role = Role.AGENT) -> None:
        """Let staff of ``role`` through, and firms whose key has ``scope``."""
        self.require_signed_in()
        if self.is_staff:
            self.require_staff(role)
        elif scope not in self.scopes:
            raise NotAllowedError(
                f"this key lacks the scope {scope}",
                detail_zh=f"该密钥没有权限 {scope}",
                scope=scope,
            )

    def require_ledger_reader(self) -> None:
        """Let staff through, and firms whose key reads or holds: who holds sees what it held."""
        if Scope.HOLDS_WRITE not in self.scopes:
            self.require_firm_scope_or_staff(Scope.REQUESTS_READ, Role.VIEWER)

    def require_company(self, company_id: UUID) -> None:
        """Hide other companies from a firm: the answer is as if they did not exist."""
        self.require_signed_in()
        if not self.is_staff and company_id != self.company_id:
            raise NotFoundError(
                "no such company, or it is not yours to see", detail_zh="没有该企业，或无权查看"
            )

    def require_park(self, park_id: UUID) -> None:
        """Refuse staff whose token is for other parks; firms may ask for any park."""
        if self.is_staff and self.park_ids is not None and park_id not in self.park_ids:
            raise NotAllowedError("this token is for other parks", detail_zh="该令牌不适用于本园区")


ANONYMOUS = Actor(kind=ActorKind.PUBLIC, label="public")
