"""What takes two people, and how far one decision is."""

from typing import Self

from app.kernel.terms import Term


class Decision(Term):
    """What one person asks for and another one of the same park decides."""

    TERMINATE_LEASE = "lease.terminate", "提前终止租约", "End a lease early"
    REMEASURE_UNIT = "unit.remeasure", "面积重测", "Re-measure a unit"

    @classmethod
    def of(cls, value: str) -> Self:
        """The decision that is written down as ``value``."""
        return next(one for one in cls if one.value == value)


class ApprovalState(Term):
    """How far it is. Expired follows from the day and is never written down."""

    PENDING = "pending", "待复核", "Waits for a second person"
    APPROVED = "approved", "已通过", "Approved and done"
    REFUSED = "refused", "未通过", "Refused or taken back"
    EXPIRED = "expired", "已过期", "Nobody decided in time"
    VOID = "void", "已失效", "What it was about had changed"
