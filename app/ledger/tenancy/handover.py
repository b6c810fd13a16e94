"""The space changes hands: handed over, handed back, cleared for whoever comes next."""

from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from app.kernel.clock import civil_day
from app.kernel.errors import Fault, InvalidInputError
from app.kernel.terms import LeaseEventKind
from app.ledger.commitments import Commitment, read_commitment
from app.ledger.errors import LeaseEndedError
from app.ledger.lease_events import read_story, record_event
from app.ledger.tenancy.days import clearing_days, lay_out, pointing_at, standing_lease
from app.ledger.tenancy.errors import LeaseNotHandedBackError, LeaseStillRunsError
from app.security.actors import Actor, Role


def hand_over(session: Session, actor: Actor, commitment_id: UUID, on: date) -> Commitment:
    """Record that the tenant got the space. A later record corrects an earlier one.

    Raises:
        InvalidInputError: the lease has not begun on that day, or the day has not come.
        LeaseEndedError: it has ended by then.
    """
    actor.require_staff(Role.AGENT)
    made, now, _ = standing_lease(session, actor, commitment_id)
    _require_come(on, now)
    starts, ends = made.period.lower, made.period.upper
    if starts is None or on < starts:
        raise InvalidInputError(
            f"the lease starts on {starts}; nobody may have the space before",
            [Fault("/on", f"not before {starts}", detail_zh=f"不得早于 {starts}")],
            detail_zh=f"租约自 {starts} 起，此前不得交付",
        )
    if ends is not None and on >= ends:
        raise LeaseEndedError(
            f"the lease ends on {ends}, before it would be handed over",
            detail_zh=f"租约于 {ends} 到期，不得在其后交付",
            until=ends.isoformat(),
        )
    record_event(session, actor, made, LeaseEventKind.HANDED_OVER, on=on, now=now)
    return read_commitment(session, commitment_id)


def hand_back(
    session: Session, actor: Actor, commitment_id: UUID, on: date, days: int | None = None
) -> Commitment:
    """Record that the tenant gave the space back: ``on`` is the first day it no longer has it.

    The clearing starts on that day and lasts ``days``, or as long as agreed. A tenant that held
    over is on the lease up to ``on``, if nobody else has the space by then.

    Raises:
        InvalidInputError: the day has not come.
        LeaseStillRunsError: the lease ends later, or never: end it first.
        UnitOccupiedError: held over, or cleared, into days that others have.
    """
    actor.require_staff(Role.AGENT)
    made, now, _ = standing_lease(session, actor, commitment_id)
    _require_come(on, now)
    starts, ends = made.period.lower, made.period.upper
    if starts is not None and on <= starts:
        raise LeaseStillRunsError(
            f"the lease starts on {starts}; undo it by ending it on that day"
            f" (/api/v1/leases/{commitment_id}/terminate)",
            detail_zh=f"租约自 {starts} 起；如需撤销，请以该日提前终止",
            until=None if ends is None else ends.isoformat(),
        )
    if ends is None or on < ends:
        runs = "has no end" if ends is None else f"runs until {ends}"
        raise LeaseStillRunsError(
            f"the lease {runs}; end it on {on} first"
            f" (/api/v1/leases/{commitment_id}/terminate), then hand back",
            detail_zh=f"租约{'无到期日' if ends is None else f'至 {ends} 到期'}，"
            f"请先提前终止至 {on}，再办理交还",
            until=None if ends is None else ends.isoformat(),
        )
    agreed = clearing_days(made)
    lasts = agreed if days is None else days
    if lasts > agreed:
        # Longer than agreed keeps the space from others: that is not for an agent to decide.
        actor.require_staff(Role.MANAGER)
    with pointing_at("/on"):
        lay_out(session, actor, made, now, until=on, cleared=on + timedelta(days=lasts))
    record_event(session, actor, made, LeaseEventKind.HANDED_BACK, on=on, now=now)
    return read_commitment(session, commitment_id)


def clear(session: Session, actor: Actor, commitment_id: UUID, on: date) -> Commitment:
    """Record that the space is clean: the next tenant may start on ``on``.

    Raises:
        LeaseNotHandedBackError: the tenant still has it.
        InvalidInputError: that is before the tenant left, or the day has not come.
        UnitOccupiedError: clearing took longer than agreed, into days that others have.
    """
    actor.require_staff(Role.AGENT)
    made, now, _ = standing_lease(session, actor, commitment_id)
    _require_come(on, now)
    ends = made.period.upper
    back = read_story(session, commitment_id).handed_back_on
    if back is None or ends is None or back < ends:
        raise LeaseNotHandedBackError(
            "the tenant has not handed the space back; record that first"
            f" (/api/v1/leases/{commitment_id}/hand-back)",
            detail_zh="承租方尚未交还空间，请先登记退租交还",
        )
    if on < ends:
        raise InvalidInputError(
            f"the tenant left on {ends}; nothing was clean before",
            [Fault("/on", f"not before {ends}", detail_zh=f"不得早于 {ends}")],
            detail_zh=f"承租方于 {ends} 交还，清退完成日不得早于该日",
        )
    with pointing_at("/on"):
        lay_out(session, actor, made, now, until=ends, cleared=on)
    record_event(session, actor, made, LeaseEventKind.CLEARED, on=on, now=now)
    return read_commitment(session, commitment_id)


def _require_come(on: date, now: datetime) -> None:
    """Refuse to record today what is still to happen.

    Raises:
        InvalidInputError: the day has not come in Shanghai.
    """
    today = civil_day(now)
    if on > today:
        raise InvalidInputError(
            f"{on} has not come; record on the day or later what happened on it",
            [Fault("/on", f"not after {today}", detail_zh=f"不得晚于 {today}")],
            detail_zh=f"{on} 尚未到来，请在当日或之后登记",
        )
