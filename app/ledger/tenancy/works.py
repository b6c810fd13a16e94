"""施工与停用: days on which nobody can have a unit, because it is worked on or out of service."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID, uuid4

from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.kernel.errors import Fault, InvalidInputError
from app.kernel.terms import ClaimKind
from app.ledger.commitments import (
    Commitment,
    is_live,
    no_such_commitment,
    read_commitment,
    require_visible,
)
from app.ledger.orders import (
    Order,
    database_now,
    locked_units,
    require_free,
    require_usable,
    sliced,
)
from app.ledger.tenancy.errors import WorksEndedError
from app.ledger.writing import claim_row, close, insert_claims, locked_commitment, superseding
from app.security.actors import Actor, Role

#: What is nobody's promise and yet takes days.
KINDS = (ClaimKind.WORKS, ClaimKind.OUT_OF_SERVICE)


@dataclass(frozen=True, slots=True)
class Works:
    """Works, or time out of service: the days of its units."""

    made: Commitment
    kind: ClaimKind

    @property
    def stands(self) -> bool:
        """Whether any of its days are kept; undone works keep none."""
        return any(is_live(line, self.made.as_of) for line in self.made.lines)


def place_works(session: Session, actor: Actor, order: Order, kind: ClaimKind) -> Works:
    """Keep units for works, or out of service: all of them or none.

    Raises:
        UnitOccupiedError: somebody has, or is promised, the space on some of the days.
    """
    actor.require_staff(Role.AGENT)
    units = locked_units(session, actor, order)
    live = Range(database_now(session), None)
    period = Range(order.period.start, order.period.end)
    require_usable(session, units, period)
    slices = sliced(session, units, period, any_part=True)
    require_free(session, slices, live)
    commitment_id = uuid4()
    insert_claims(
        session, [claim_row(actor, commitment_id, part, kind=kind, live=live) for part in slices]
    )
    return _works(read_commitment(session, commitment_id))


def get_works(session: Session, actor: Actor, commitment_id: UUID) -> Works:
    """Works of one's parks, for staff.

    Raises:
        NoSuchCommitmentError: there are none.
    """
    actor.require_staff()
    found = read_commitment(session, commitment_id)
    require_visible(actor, commitment_id, found.lines)
    return _works(found)


def end_works(session: Session, actor: Actor, commitment_id: UUID, on: date) -> Works:
    """End works: ``on`` is the first day free again. On their first day they are undone.

    Raises:
        InvalidInputError: they begin later.
        WorksEndedError: they end no later than ``on`` as they are.
    """
    actor.require_staff(Role.AGENT)
    made, now = locked_commitment(session, actor, commitment_id)
    works = _works(made)
    starts, ends = made.period.lower, made.period.upper
    longer = [
        line
        for line in made.lines
        if is_live(line, now) and (line.period.upper is None or line.period.upper > on)
    ]
    if not longer or starts is None:
        raise WorksEndedError(
            f"they end on {ends} as it is; place further works for days after",
            detail_zh=f"施工或停用期本就于 {ends} 结束；之后的日期请另行登记",
            until=None if ends is None else ends.isoformat(),
        )
    if on < starts:
        raise InvalidInputError(
            f"they start on {starts}; give that day to undo them, or a later one to end them",
            [Fault("/on", f"not before {starts}", detail_zh=f"不得早于 {starts}")],
            detail_zh=f"施工或停用自 {starts} 起；填该日表示撤销，填其后日期表示提前结束",
        )
    close(session, actor, longer, now)
    live = Range(now, None)
    rows = [
        superseding(
            actor,
            commitment_id,
            line,
            kind=works.kind.value,
            live=live,
            period=Range(line.period.lower, on),
        )
        for line in longer
        if line.period.lower is not None and line.period.lower < on
    ]
    insert_claims(session, rows)
    return _works(read_commitment(session, commitment_id))


def _works(made: Commitment) -> Works:
    """A commitment as works.

    Raises:
        NoSuchCommitmentError: it is a hold or a lease.
    """
    kinds = {kind.value: kind for kind in KINDS}
    kind = kinds.get(made.lines[0].kind) if made.lines else None
    if kind is None:
        raise no_such_commitment(made.id)
    return Works(made, kind)
