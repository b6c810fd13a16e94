"""Units as they were known at an instant, for the days they are asked about.

A unit's facts hold for ranges of days (``valid``) and are believed in ranges of instants
(``known``). Whoever asks about a window of days, as known at an instant, gets each unit that exists
on some day of the window once, with the facts that hold on the first such day.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import (
    ColumnElement,
    Date,
    FromClause,
    and_,
    case,
    func,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import DATERANGE, Range

from app.inventory.filters import KnownWanted
from app.kernel.clock import civil_day
from app.kernel.errors import Fault, InvalidInputError
from app.models.space import unit_terms

NOT_YET_KNOWN = "must not be in the future: what will be known then is not known now"

#: The view under the name that the listings' SQL uses for units.
known_units = unit_terms.alias("units")
#: Under another name, for facts of the same unit on earlier days. To make it costs as much as all
#: the conditions it is in.
_sooner = unit_terms.alias("sooner")

#: The same as text, for statements that are written as text: of ``unit_terms u``, with ``:start``
#: (a day) and ``:as_of`` (an instant). The window is open.
IN_FORCE_FROM = """u.known_from <= CAST(:as_of AS timestamptz)
    AND (u.known_until IS NULL OR u.known_until > CAST(:as_of AS timestamptz))
    AND u.valid && daterange(CAST(:start AS date), NULL)
    AND CASE WHEN u.valid @> CAST(:start AS date) THEN true ELSE NOT EXISTS (
        SELECT FROM unit_terms sooner WHERE sooner.id = u.id
            AND sooner.known_from <= CAST(:as_of AS timestamptz)
            AND (sooner.known_until IS NULL OR sooner.known_until > CAST(:as_of AS timestamptz))
            AND sooner.valid && daterange(CAST(:start AS date), lower(u.valid))) END"""


@dataclass(frozen=True, slots=True)
class Window:
    """Days from ``first`` to ``last``, both included, as known at ``as_of`` (None: now)."""

    first: date
    last: date
    as_of: datetime | None = None


def known_window(wanted: KnownWanted, now: datetime) -> Window:
    """The window asked about, filled up from the present instant.

    Raises:
        InvalidInputError: it is empty, or asks what will be known later.
    """
    # The day of the instant asked about: tomorrow, too, the same question has the same answer.
    first = wanted.start or civil_day(wanted.as_of or now)
    faults = []
    if wanted.until is not None and wanted.until <= first:
        faults.append(Fault("until", "must be after from", "query", "须晚于 from"))
    faults += future_faults(wanted.as_of, now)
    if faults:
        raise InvalidInputError(
            "; ".join(f"{fault.pointer} {fault.detail}" for fault in faults), faults
        )
    until = wanted.until or first + timedelta(days=1)
    return Window(first, until - timedelta(days=1), wanted.as_of)


def is_future(as_of: datetime | None, now: datetime) -> bool:
    """Whether an instant is later than any that was known; clocks may differ by a minute."""
    return as_of is not None and as_of > now + timedelta(minutes=1)


def future_faults(as_of: datetime | None, now: datetime, pointer: str = "as_of") -> list[Fault]:
    """The fault of asking what will be known, if it was asked; to stand among others."""
    where = "body" if pointer.startswith("/") else "query"
    fault = Fault(pointer, NOT_YET_KNOWN, where, "不得晚于当前时刻")
    return [fault] if is_future(as_of, now) else []


def require_past(as_of: datetime | None, now: datetime, pointer: str = "as_of") -> None:
    """Refuse to say what will be known; ``pointer`` says where it was asked.

    Raises:
        InvalidInputError: ``as_of`` is in the future.
    """
    faults = future_faults(as_of, now, pointer)
    if faults:
        raise InvalidInputError(
            f"as_of {NOT_YET_KNOWN}", faults, detail_zh="as_of 不得晚于当前时刻"
        )


def believed(as_of: datetime | None) -> ColumnElement[datetime]:
    """The instant that is asked about; the database's own clock says what "now" is."""
    return func.statement_timestamp() if as_of is None else literal(as_of)


def known_at(table: FromClause, as_of: datetime | None) -> ColumnElement[bool]:
    """That a row of the view, or of an alias of it, was believed at the instant asked about."""
    # Two comparisons rather than a range: the planner knows how many rows they leave.
    instant = believed(as_of)
    return and_(
        table.c.known_from <= instant,
        or_(table.c.known_until.is_(None), table.c.known_until > instant),
    )


def in_force(window: Window) -> list[ColumnElement[bool]]:
    """Of ``known_units``: one row for each unit that exists on some day of the window."""
    first, as_of = window.first, window.as_of
    unit, sooner = known_units.c, _sooner
    contains = unit.valid.op("@>", is_comparison=True)(literal(first, Date))
    earlier = select(1).where(
        sooner.c.id == unit.id,
        known_at(sooner, as_of),
        sooner.c.valid.op("&&")(func.daterange(literal(first, Date), func.lower(unit.valid))),
    )
    days = Range(first, window.last + timedelta(days=1))
    return [
        known_at(known_units, as_of),
        unit.valid.op("&&", is_comparison=True)(literal(days, DATERANGE)),
        # In a CASE, because ranges must not be made the wrong way round.
        case((contains, true()), else_=~earlier.exists()),
    ]
