"""Why a decision that takes two people is not made."""

from app.database.session import constraint_error
from app.kernel.errors import Kind, NotFoundError, SpaceRelayError


class ApprovalDecidedError(SpaceRelayError):
    """Somebody decided before."""

    slug, title, kind = "approval-decided", "This was decided before", Kind.CONFLICT
    title_zh = "该事项已有结论"


class ApprovalExpiredError(SpaceRelayError):
    """Nobody decided in time."""

    slug, title, kind = "approval-expired", "It is too late to decide this", Kind.CONFLICT
    title_zh = "复核已过期"


class ApprovalPendingError(SpaceRelayError):
    """It was asked for, or something else of the same lease or unit, and waits to be decided."""

    slug, title, kind = "approval-pending", "This waits for a second person", Kind.CONFLICT
    title_zh = "该事项正待复核"


class ApprovalVoidError(SpaceRelayError):
    """What it is about changed after it was asked for, so nobody knows what they would approve."""

    slug, title, kind = "approval-void", "What this is about has changed", Kind.CONFLICT
    title_zh = "所涉事项已变化，复核失效"


class OwnApprovalError(SpaceRelayError):
    """Who asks does not approve, nor who may be the same person."""

    slug, title, kind = "own-approval", "A second person has to approve this", Kind.FORBIDDEN
    title_zh = "须由第二人复核"


class NoSuchApprovalError(NotFoundError):
    """There is none, or it is of a park that is not the caller's."""

    title = "No such approval"
    title_zh = "没有该复核事项"


_PENDING = "somebody has just asked for this; look at what waits (/api/v1/approvals)"
_PENDING_ZH = "刚刚已有人提请，请查看待复核事项（/api/v1/approvals）"
constraint_error(
    "ex_approvals_one_pending",
    lambda _: ApprovalPendingError(_PENDING, detail_zh=_PENDING_ZH),
)
