"""What the ledger refuses, and the names under which the database refuses the same."""

from app.database.session import constraint_error
from app.kernel.errors import InvalidInputError, Kind, NotFoundError, SpaceRelayError


class UnitOccupiedError(SpaceRelayError):
    """Too little of a unit is free on some of the days asked for."""

    slug, title, kind = "unit-occupied", "The space is taken on some of these days", Kind.CONFLICT
    title_zh = "所选日期内空间已被占用"


class OutsideUsableDaysError(InvalidInputError):
    """The period reaches days on which the unit does not exist or may not be used."""

    slug, title = "outside-usable-days", "The unit is not usable on all of these days"
    title_zh = "所选日期超出单元可用期"


class QuantityNotAllowedError(InvalidInputError):
    """The unit is not let in this quantity."""

    slug, title = "quantity-not-allowed", "The unit is not let in this quantity"
    title_zh = "该单元不可按此数量出租"


class RemainderTooSmallError(InvalidInputError):
    """What would be left of the unit on some days is less than its smallest part."""

    slug, title = "remainder-too-small", "Too little of the unit would be left to let"
    title_zh = "余量不足最小出租面积"


class HoldTooLongError(SpaceRelayError):
    """The hold would last longer than the caller may keep one."""

    slug, title, kind = "hold-too-long", "The hold would last too long", Kind.FORBIDDEN
    title_zh = "锁定时长超出权限"


class OthersWaitError(SpaceRelayError):
    """Others are in line for what is held, so its holder cannot keep it longer by itself."""

    slug, title, kind = "others-wait", "Others are in line for this space", Kind.CONFLICT
    title_zh = "已有企业排队等候"


class TermNotOfferedError(InvalidInputError):
    """The landlord does not let the unit for this term; staff may still agree to it."""

    slug, title = "term-not-offered", "The unit is not let for this term"
    title_zh = "该单元不提供此租期"


class UnknownUnitError(InvalidInputError):
    """A unit that does not exist was named."""

    slug, title = "unknown-unit", "There is no such unit"
    title_zh = "单元不存在"


class HoldExpiredError(SpaceRelayError):
    """The hold's time was over before the call came."""

    slug, title, kind = "hold-expired", "The hold has expired", Kind.CONFLICT
    title_zh = "锁定已过期"


class HoldReleasedError(SpaceRelayError):
    """The hold was given back before."""

    slug, title, kind = "hold-released", "The hold was released", Kind.CONFLICT
    title_zh = "锁定已释放"


class HoldConfirmedError(SpaceRelayError):
    """The hold became a lease before."""

    slug, title, kind = "hold-confirmed", "The hold is a lease already", Kind.CONFLICT
    title_zh = "锁定已转为租约"


class HoldLimitReachedError(SpaceRelayError):
    """The company has as many live holds as one company may have."""

    slug, title, kind = "hold-limit-reached", "Too many live holds", Kind.CONFLICT
    title_zh = "锁定数量已达上限"


class LeaseEndedError(SpaceRelayError):
    """There are no days left to take from the lease."""

    slug, title, kind = "lease-already-ended", "The lease ends no later than that", Kind.CONFLICT
    title_zh = "租约已终止"


class NoSuchCommitmentError(NotFoundError):
    """There is no such hold or lease, or it is not the caller's to see."""


class LedgerMovedOnError(SpaceRelayError):
    """The database saw the ledger change between the check and the write."""

    slug, title, kind = "ledger-moved-on", "The ledger changed meanwhile", Kind.CONFLICT
    title_zh = "台账已变化，请重试"


# The service checks all of this under the units' locks and says which days and how much. Should a
# caller reach the tables another way, the database's own refusal still gets its name.
_OCCUPIED = "the space was taken on some of these days; ask /api/v1/free-space again"
constraint_error("ex_claims_whole_unit", lambda _: UnitOccupiedError(_OCCUPIED))
constraint_error("claims_within_capacity", lambda _: UnitOccupiedError(_OCCUPIED))
constraint_error(
    "claims_while_usable",
    lambda days: OutsideUsableDaysError(f"the unit is usable only in {days}", usable=days),
)
constraint_error(
    "claims_quantity_allowed",
    lambda _: QuantityNotAllowedError("the unit is not let in this quantity"),
)
constraint_error(
    "claims_believed_now",
    lambda _: LedgerMovedOnError("the database's clock was set back; try again in a while"),
)
constraint_error(
    "claims_only_close",
    lambda _: LedgerMovedOnError("the claim is closed already; read it again"),
)
