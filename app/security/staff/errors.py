"""What staff are told when they may not come in."""

from typing import ClassVar

from app.kernel.errors import Kind, SpaceRelayError


class SignInRefusedError(SpaceRelayError):
    """Something of what was given to sign in is wrong; which one is not said."""

    slug, title, kind = "sign-in-refused", "Signing in was refused", Kind.UNAUTHENTICATED
    title_zh = "登录被拒绝"


class SecondFactorNeededError(SpaceRelayError):
    """E-mail and password are right, and the account has a second factor."""

    slug, title, kind = "second-factor-needed", "A one-time code is needed", Kind.UNAUTHENTICATED
    title_zh = "需要动态验证码"


class SecondFactorNotSetUpError(SpaceRelayError):
    """The role takes a second factor, and the account has none yet."""

    slug, title = "second-factor-not-set-up", "A second factor must be set up first"
    kind: ClassVar[Kind] = Kind.FORBIDDEN
    title_zh = "须先设置第二验证因素"


class CrossSiteError(SpaceRelayError):
    """A browser sent the call without proof that a page of ours asked for it."""

    slug, title, kind = "csrf", "The call does not come from a page of ours", Kind.FORBIDDEN
    title_zh = "请求未通过跨站校验"


class TooManyAttemptsError(SpaceRelayError):
    """Signing in failed too often of late, for this account or from this address."""

    slug, title, kind = "too-many-attempts", "Too many attempts to sign in", Kind.TOO_MANY
    title_zh = "登录尝试次数过多"


class AccountExistsError(SpaceRelayError):
    """Another account has this e-mail address."""

    slug, title, kind = "account-exists", "There is an account of this e-mail", Kind.CONFLICT
    title_zh = "该邮箱已有账号"


class LastAdministratorError(SpaceRelayError):
    """Nobody would be left who may make administrators."""

    slug, title, kind = "last-administrator", "The last administrator stays", Kind.CONFLICT
    title_zh = "须至少保留一名管理员"


class InvitationNotValidError(SpaceRelayError):
    """The invitation of staff was used, has ended, or never was."""

    slug, title = "staff-invitation-not-valid", "The invitation is not valid"
    kind: ClassVar[Kind] = Kind.NOT_FOUND
    title_zh = "邀请无效或已过期"


class IdentityProviderError(SpaceRelayError):
    """The park's identity provider does not answer, or not as agreed."""

    slug, title = "identity-provider-unavailable", "The identity provider does not answer"
    kind: ClassVar[Kind] = Kind.UNAVAILABLE
    title_zh = "身份认证服务暂不可用"
