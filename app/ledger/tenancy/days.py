"""The days of a lease moved later: its lines prolonged, the clearing after them laid anew.

Rows are closed and superseded; what is new is checked to be free when what is closed counts no
more, so that a lease is never in its own way.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.kernel.errors import InvalidInputError
from app.kernel.terms import ClaimKind
from app.ledger.commitments import Commitment, CommitmentLine, is_live, no_such_commitment
from app.ledger.errors import LeaseEndedError
from app.ledger.orders import (
    LockedUnit,
    Slice,
    Wanted,
    lock,
    require_free,
    require_usable,
    sliced,
)
from app.ledger.writing import claim_row, close, insert_claims, locked_commitment, superseding
from app.security.actors import Actor

_DAY = timedelta(days=1)


def standing_lease(
    session: Session, actor: Actor, commitment_id: UUID
) -> tuple[Commitment, datetime, list[CommitmentLine]]:
    """A lease under the locks of its units, the instant after, and its lines that stand.

    Raises:
        NoSuchCommitmentError: there is none, or it is not the caller's to see.
        LeaseEndedError: it was undone.
    """
    made, now = locked_commitment(session, actor, commitment_id)
    if made.leased_at is None:
        raise no_such_commitment(commitment_id)
    leased = [line for line in made.lines if is_live(line, now)]
    if not leased:
        raise LeaseEndedError("the lease was ended before", detail_zh="租约此前已终止")
    return made, now, leased


def clearing_until(made: Commitment) -> date | None:
    """The first day after the clearing; None where there is none."""
    return max((one.period.upper for one in made.clearing if one.period.upper), default=None)


def clearing_days(made: Commitment) -> int:
    """How long the space is cleared after the lease."""
    last, ends = clearing_until(made), made.period.upper
    return 0 if last is None or ends is None else (last - ends).days


@contextmanager
def pointing_at(pointer: str) -> Iterator[None]:
    """Let faults point at what the caller sent, not at the units, which it did not name."""
    try:
        yield
    except InvalidInputError as error:
        error.faults = tuple(replace(fault, pointer=pointer) for fault in error.faults)
        raise


def lay_out(
    session: Session,
    actor: Actor,
    made: Commitment,
    now: datetime,
    *,
    until: date,
    cleared: date,
    check: Callable[[Sequence[Slice]], None] | None = None,
) -> None:
    """Let a lease end on ``until``, no sooner than it does, and its clearing on ``cleared``.

    Only the lines that last to the lease's end go on: space given back before is not taken again.
    ``check`` is given what is taken, known to be free and not yet written, and may refuse it.

    Raises:
        UnitOccupiedError: the space is taken on some of these days; nothing is changed.
        OutsideUsableDaysError: it may not be used on all of them.
    """
    before = made.period.upper
    if before is None:
        raise ValueError("a lease without an end cannot be prolonged")
    if until == before and cleared == (clearing_until(made) or before):
        return
    lines = [line for line in made.lines if line.period.upper == before]
    units = _units(session, lines)
    goes_on, after = Range(before - _DAY, until), Range(until, cleared)
    # From the last day on: what is of one size with that day needs no row of its own.
    parts = [] if until == before else _slices(session, units, lines, goes_on)
    later = [_from(part, before) for part in parts if _reaches(part, before)]
    clearing = [] if until == cleared else _slices(session, units, lines, after)
    if later or clearing:
        require_usable(session, [_named(unit) for unit in units], Range(before, cleared))
    longer = {part.place: part for part in parts if _same_size(part, lines[part.place], before)}
    close(session, actor, [*(lines[place] for place in longer), *made.clearing], now)
    live = Range(now, None)
    require_free(session, [*later, *clearing], live)
    if check is not None:
        check([*later, *clearing])
    rows: list[Mapping[str, Any]] = [
        superseding(
            actor,
            made.id,
            lines[place],
            kind=ClaimKind.LEASE.value,
            live=live,
            period=Range(lines[place].period.lower, part.period.upper),
        )
        for place, part in longer.items()
    ]
    for part in later:
        own = longer.get(part.place)
        if own is None or own.period.upper != part.period.upper:
            require_quantity(session, part)
            rows.append(_row(actor, made, lines[part.place], part, kind=ClaimKind.LEASE, live=live))
    insert_claims(session, [*rows, *clearing_rows(actor, made, lines, clearing, live)])


def clearing_rows(
    actor: Actor,
    made: Commitment,
    lines: Sequence[CommitmentLine],
    slices: Sequence[Slice],
    live: Range[datetime],
) -> Iterator[Mapping[str, Any]]:
    """Rows that keep units for clearing; the slices' places are those of the lines."""
    before = {one.unit_id: one.claim_id for one in made.clearing}
    for part in slices:
        line = lines[part.place]
        row = _row(actor, made, line, part, kind=ClaimKind.CLEARING, live=live)
        # One row takes the place of one.
        yield row | {"supersedes_id": before.pop(line.unit_id, None)}


def cleared_after(
    session: Session, lines: Sequence[CommitmentLine], start: date, days: int
) -> list[Slice]:
    """The days from ``start`` on for which the units of some lines are cleared."""
    if not days:
        return []
    after = Range(start, start + timedelta(days=days))
    return _slices(session, _units(session, lines), lines, after)


def require_quantity(session: Session, part: Slice) -> None:
    """Refuse a quantity in which the unit is not let on these days.

    Raises:
        QuantityNotAllowedError: its size, or its smallest part, is another by then.
    """
    sliced(session, [(Wanted(part.unit.id, part.quantity), part.unit)], part.period)


def _units(session: Session, lines: Sequence[CommitmentLine]) -> list[LockedUnit]:
    """The unit of each line; they are locked already, so this only reads them."""
    rows = {row.id: row for row in lock(session, [line.unit_id for line in lines])}
    return [rows[line.unit_id] for line in lines]


def _named(unit: LockedUnit) -> tuple[Wanted, LockedUnit]:
    return Wanted(unit.id), unit


def _slices(
    session: Session,
    units: Sequence[LockedUnit],
    lines: Sequence[CommitmentLine],
    days: Range[date],
) -> list[Slice]:
    """The days, cut where a unit's size changes, each in its line's quantity."""
    parts = sliced(session, [_named(unit) for unit in units], days)
    # What is let goes on in its quantity, also where the unit's terms changed since.
    return [
        part if lines[part.place].whole else replace(part, quantity=lines[part.place].quantity)
        for part in parts
    ]


def _row(
    actor: Actor,
    made: Commitment,
    line: CommitmentLine,
    part: Slice,
    *,
    kind: ClaimKind,
    live: Range[datetime],
) -> dict[str, Any]:
    return claim_row(actor, made.id, part, kind=kind, live=live) | {
        "company_id": line.company_id,
        "space_request_id": line.space_request_id,
    }


def _reaches(part: Slice, day: date) -> bool:
    return part.period.upper is None or part.period.upper > day


def _from(part: Slice, day: date) -> Slice:
    """The slice without the days before."""
    return part if _starts(part) >= day else replace(part, period=Range(day, part.period.upper))


def _starts(part: Slice) -> date:
    if part.period.lower is None:
        raise ValueError("a slice has a first day")
    return part.period.lower


def _same_size(part: Slice, line: CommitmentLine, ends: date) -> bool:
    """Whether a slice is of one size with the line's last day, and goes on after it."""
    return _starts(part) < ends and _reaches(part, ends) and part.quantity == line.quantity
