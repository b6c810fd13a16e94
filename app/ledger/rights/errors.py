"""What is refused because of rights."""

from uuid import UUID

from app.database.session import constraint_error
from app.kernel.errors import Kind, NotFoundError, SpaceRelayError
from app.ledger.errors import LedgerMovedOnError


class RightNotClearedError(SpaceRelayError):
    """Rights of others bind the space, and their holders have not waived them."""

    slug, title, kind = "right-not-cleared", "Others have a right to be asked first", Kind.CONFLICT
    title_zh = "须先征询权利人"


class RightConflictError(SpaceRelayError):
    """A right would meet others, or promises, that were not named."""

    slug, title, kind = "right-conflict", "The right meets others", Kind.CONFLICT
    title_zh = "与既有权利或占用冲突"


class RightEndedError(SpaceRelayError):
    """The right was ended before."""

    slug, title, kind = "right-ended", "The right was ended before", Kind.CONFLICT
    title_zh = "该权利已终止"


class NoticeAnsweredError(SpaceRelayError):
    """The notice has its answer."""

    slug, title, kind = "notice-answered", "The notice was answered before", Kind.CONFLICT
    title_zh = "该征询已有答复"


class NoticeLapsedError(SpaceRelayError):
    """The time for an answer was over, and silence was a waiver."""

    slug, title, kind = "notice-lapsed", "The time for the answer is over", Kind.CONFLICT
    title_zh = "答复期限已过"


class NoSuchRightError(NotFoundError):
    """There is no such right or notice, or it is not the caller's to see."""


def no_such_right(right_id: UUID) -> NoSuchRightError:
    """The same words whether there is none or it is another firm's."""
    return NoSuchRightError(
        f"there is no right {right_id}, or it is not yours",
        detail_zh=f"没有编号为 {right_id} 的权利，或无权查看",
    )


_CLOSED = "somebody else closed it at this moment; read it again"
for _table in ("rights", "right_notices"):
    constraint_error(f"{_table}_only_close", lambda _: LedgerMovedOnError(_CLOSED))
