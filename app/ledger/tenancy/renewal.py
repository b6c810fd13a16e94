"""续租: a lease that goes on, under the same id."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from app.kernel.errors import Fault, InvalidInputError
from app.kernel.period import Period
from app.kernel.terms import LeaseEventKind
from app.ledger.commitments import Commitment, read_commitment
from app.ledger.lease_events import read_story, record_event
from app.ledger.orders import Order, Slice, Wanted
from app.ledger.queue.turns import require_turn, take_up
from app.ledger.rights.clearing import Offer, clear_rights, record_clearances
from app.ledger.tenancy.days import clearing_days, lay_out, pointing_at, standing_lease
from app.ledger.tenancy.errors import LeaseHandedBackError
from app.ledger.tenancy.schema import TermsStated
from app.ledger.tenancy.terms import require_sound_for, write_terms
from app.security.actors import Actor, Role


def extend_lease(
    session: Session,
    actor: Actor,
    commitment_id: UUID,
    until: date,
    stated: TermsStated | None = None,
) -> Commitment:
    """Prolong a lease to ``until``, and move the clearing after it. Terms stay unless told.

    Raises:
        InvalidInputError: it ends no sooner as it is, or has no end.
        UnitOccupiedError: the space is taken on some of the days added; nothing is changed.
        RightNotClearedError: others have a right on it on some of them, senior to the tenant's.
        OthersFirstError: it is on offer to others in line.
        LeaseHandedBackError: the tenant has left.
    """
    actor.require_staff(Role.MANAGER)
    made, now, _ = standing_lease(session, actor, commitment_id)
    ends = made.period.upper
    if ends is None or until <= ends:
        said = "the lease has no end" if ends is None else f"the lease ends on {ends} as it is"
        said_zh = "租约无到期日" if ends is None else f"租约本就于 {ends} 到期"
        raise InvalidInputError(
            f"{said}; give a later day",
            [Fault("/until", f"later than that: {said}", detail_zh=said_zh)],
            detail_zh=said_zh,
        )
    if read_story(session, commitment_id).handed_back_on == ends:
        raise LeaseHandedBackError(
            f"the space was handed back on {ends}; sign a new lease",
            detail_zh=f"空间已于 {ends} 交还，请另签新约",
        )
    cleared = until + timedelta(days=clearing_days(made))
    added = Period(ends, until)

    def check(slices: Sequence[Slice]) -> None:
        _require_first(session, actor, made, added, slices, now=now)

    with pointing_at("/until"):
        lay_out(session, actor, made, now, until=until, cleared=cleared, check=check)
    record_event(session, actor, made, LeaseEventKind.EXTENDED, on=until, now=now)
    longer = read_commitment(session, commitment_id)
    if stated is not None:
        require_sound_for(longer, stated)
        write_terms(session, actor, commitment_id, stated, now)
    return longer


def _require_first(
    session: Session,
    actor: Actor,
    made: Commitment,
    added: Period,
    slices: Sequence[Slice],
    *,
    now: datetime,
) -> None:
    """Refuse days that others come first for: a longer lease is a promise like any other."""
    company_id = made.lines[0].company_id
    if company_id is None:
        raise ValueError("a lease is somebody's")
    units = {line.unit_id: line for line in made.lines if line.period.upper == added.start}
    order = Order(
        units=[
            Wanted(unit_id, None if line.whole else line.quantity)
            for unit_id, line in units.items()
        ],
        period=added,
        company_id=company_id,
    )
    turn = require_turn(session, company_id, order, slices, now)
    cleared = clear_rights(session, actor, Offer(company_id, list(units), added), now)
    record_clearances(session, made.id, cleared)
    if turn is not None:
        take_up(session, actor, turn, made.id, now)
