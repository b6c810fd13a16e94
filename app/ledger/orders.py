"""What is asked to be promised, and whether it can be: checked under the locks of its units."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, DateTime, bindparam, func, literal, select, text
from sqlalchemy.dialects.postgresql import DATERANGE, Range
from sqlalchemy.orm import Session

from app.kernel.clock import civil_day
from app.kernel.errors import Fault, InvalidInputError, NotFoundError
from app.kernel.period import Period, months_after
from app.kernel.terms import CapacityMeasure, RemainderRule
from app.ledger.errors import (
    OutsideUsableDaysError,
    QuantityNotAllowedError,
    RemainderTooSmallError,
    TermNotOfferedError,
    UnitOccupiedError,
    UnknownUnitError,
)
from app.models.company import Company, SpaceRequest
from app.models.space import Unit, unit_terms
from app.security.actors import Actor

_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A quantity of a unit, in its own measure; None is all of it."""

    unit_id: UUID
    quantity: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """Units to promise to a company for a period: all of them or none.

    ``accepting`` are rules of the space request that are knowingly waived.
    """

    units: Sequence[Wanted]
    period: Period
    company_id: UUID | None = None
    space_request_id: UUID | None = None
    clearing_days: int = 0
    accepting: tuple[str, ...] = ()

    @property
    def clearing(self) -> Range[date] | None:
        """The days after the period on which the space is cleared for whoever comes next."""
        if not self.clearing_days or self.period.end is None:
            return None
        return Range(self.period.end, self.period.end + timedelta(days=self.clearing_days))

    @property
    def last_day(self) -> date | None:
        """The first day on which nothing of it is left; None is never."""
        return self.period.end if self.clearing is None else self.clearing.upper


class LockedUnit(NamedTuple):
    """What the checks need of a unit, read under its lock."""

    id: UUID
    park_id: UUID
    code: str
    capacity: Decimal
    capacity_measure: str
    divisible: bool
    min_part: Decimal | None
    remainder_rule: str
    usable: Range[date]
    valid: Range[date]
    min_term_months: int | None
    max_term_months: int | None


@dataclass(frozen=True, slots=True)
class Slice:
    """What is asked of one unit on days on which it is of one size.

    ``place`` is the unit's in the order.
    """

    place: int
    unit: LockedUnit
    period: Range[date]
    quantity: Decimal


#: Judges an order by the space request that it names: under the locks, before anything is written.
#: It is handed in, because the ledger does not know what firms ask for.
Check = Callable[[Session, Actor, Order, Sequence[Slice], datetime], None]


def company_of(session: Session, actor: Actor, order: Order) -> UUID:
    """Whom the promise is for: a firm itself, or the company that staff name."""
    company_id = order.company_id if order.company_id is not None else actor.company_id
    if order.space_request_id is not None:
        asker = session.execute(
            select(SpaceRequest.company_id, SpaceRequest.state).where(
                SpaceRequest.id == order.space_request_id
            )
        ).one_or_none()
        if company_id is None and asker is not None:
            company_id = asker.company_id
        if asker is None or asker.company_id != company_id:
            raise NotFoundError(
                f"the company has no space request {order.space_request_id}",
                detail_zh=f"该企业没有编号为 {order.space_request_id} 的空间需求",
            )
        if asker.state != "open":
            raise InvalidInputError(
                f"the space request is {asker.state}; file a new one, or leave it out",
                [Fault("/space_request_id", "names a request that is not open")],
                detail_zh="该空间需求已落位或撤回，请提交新的需求",
            )
    if company_id is None:
        raise InvalidInputError(
            "name the company on whose behalf you act",
            [Fault("/company_id", "needed with a staff token, unless a space request names it")],
            detail_zh="请用 company_id 指明代哪家企业办理",
        )
    actor.require_company(company_id)
    if session.scalar(select(Company.id).where(Company.id == company_id)) is None:
        raise InvalidInputError(
            f"there is no company {company_id}",
            [Fault("/company_id", "no such company")],
            detail_zh=f"没有编号为 {company_id} 的企业",
        )
    return company_id


def locked_units(session: Session, actor: Actor, order: Order) -> list[tuple[Wanted, LockedUnit]]:
    """The units ordered, each with its row, locked in the order of their ids."""
    places: dict[UUID, int] = {}
    for place, wanted in enumerate(order.units):
        if places.setdefault(wanted.unit_id, place) != place:
            raise InvalidInputError(
                f"the unit {wanted.unit_id} is named twice; add the quantities up",
                [Fault(f"/units/{place}/unit_id", "named before")],
                detail_zh=f"房源 {wanted.unit_id} 重复出现，请合并数量",
            )
    rows = {row.id: row for row in lock(session, list(places))}
    missing = [place for unit_id, place in places.items() if unit_id not in rows]
    if missing:
        raise UnknownUnitError(
            f"there is no unit {order.units[missing[0]].unit_id}",
            [Fault(f"/units/{place}/unit_id", "no such unit") for place in missing],
            detail_zh=f"没有编号为 {order.units[missing[0]].unit_id} 的房源",
        )
    for row in rows.values():
        actor.require_park(row.park_id)
    return [(wanted, rows[wanted.unit_id]) for wanted in order.units]


def lock(session: Session, unit_ids: Sequence[UUID]) -> list[LockedUnit]:
    """Lock units, in the order of their ids, and read them."""
    # The sort comes before the locks, so that any two bundles meet in the same order. Not FOR
    # UPDATE: that would wait for every claim that only refers to the unit.
    columns = [Unit.__table__.c[name] for name in LockedUnit._fields]
    locked = session.execute(
        select(*columns)
        .where(Unit.id.in_(unit_ids))
        .order_by(Unit.id)
        .with_for_update(key_share=True)
    )
    return [LockedUnit(*row) for row in locked]


def database_now(session: Session) -> datetime:
    """The database's present instant; ask after the locks."""
    # The database's clock, because it is one; after the locks, because waiting takes time.
    now: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    return now


def sliced(
    session: Session,
    units: Sequence[tuple[Wanted, LockedUnit]],
    period: Range[date],
    *,
    any_part: bool = False,
) -> list[Slice]:
    """The period of each unit, cut where its size changes; mostly once.

    ``any_part`` is for what is no letting: it may take less than the smallest part that is let.

    Raises:
        QuantityNotAllowedError: a unit is not let in this quantity.
    """
    changing = [row.id for _, row in units if not row.valid.contains(period)]
    # Of a unit that is none on any of these days, there is nothing to slice.
    pieces: dict[UUID, list[LockedUnit]] = {unit_id: [] for unit_id in changing}
    if changing:
        columns = [unit_terms.c[name] for name in LockedUnit._fields]
        found = session.execute(
            select(*columns)
            .where(
                unit_terms.c.id.in_(changing),
                unit_terms.c.known_until.is_(None),
                unit_terms.c.valid.op("&&")(literal(period, DATERANGE)),
            )
            .order_by(func.lower(unit_terms.c.valid).nulls_first())
        )
        for piece in found:
            pieces[piece.id].append(LockedUnit(*piece))
    return [
        Slice(place, piece, days, _quantity(place, wanted, piece, any_part=any_part))
        for place, (wanted, row) in enumerate(units)
        for piece, days in _of_one_size(pieces.get(row.id, [row]), period)
    ]


def _of_one_size(
    pieces: Sequence[LockedUnit], period: Range[date]
) -> list[tuple[LockedUnit, Range[date]]]:
    """Each piece with its days of the period; neighbours of one size are one."""
    found: list[tuple[LockedUnit, Range[date]]] = []
    for piece in pieces:
        days = piece.valid.intersection(period)
        if found and _size(found[-1][0]) == _size(piece):
            before, so_far = found.pop()
            found.append((before, so_far.union(days)))
        else:
            found.append((piece, days))
    return found


def _size(piece: LockedUnit) -> tuple[Decimal, bool, Decimal | None]:
    return piece.capacity, piece.divisible, piece.min_part


def _quantity(place: int, wanted: Wanted, row: LockedUnit, *, any_part: bool) -> Decimal:
    quantity = row.capacity if wanted.quantity is None else wanted.quantity
    step = Decimal(1) if row.capacity_measure == CapacityMeasure.PLACE.value else _CENT
    least = row.capacity if row.min_part is None else (step if any_part else row.min_part)
    if not least <= quantity <= row.capacity or quantity % step:
        allowed = f"{least} to {row.capacity}" if row.divisible else f"{row.capacity}, all of it"
        if step == 1:
            allowed = f"{max(least, step):.0f} to {row.capacity:.0f} whole places"
        raise QuantityNotAllowedError(
            f"unit {row.code} cannot be taken in the quantity {quantity}; {allowed} is possible",
            [Fault(f"/units/{place}/quantity", f"{allowed} ({row.capacity_measure})")],
            unit_id=str(row.id),
            capacity=float(row.capacity),
            smallest_part=float(least),
            detail_zh=f"房源 {row.code} 不可按 {quantity} 出租，可租 {least} 至 {row.capacity}",
        )
    return quantity


def require_usable(
    session: Session, units: Sequence[tuple[Wanted, LockedUnit]], period: Range[date]
) -> None:
    """Refuse days on which a unit does not exist or may not be used.

    Raises:
        OutsideUsableDaysError: the first such unit, and what it became if it was split or merged.
    """
    for place, (_, row) in enumerate(units):
        if row.usable.contains(period):
            continue
        last = "" if row.usable.upper is None else f" and before {row.usable.upper}"
        said = f"unit {row.code} is usable from {row.usable.lower}{last}"
        said_zh = f"房源 {row.code} 自 {row.usable.lower} 起方可使用" + (
            f"，至 {row.usable.upper} 前" if row.usable.upper else ""
        )
        became = session.execute(_SUCCESSORS, {"id": row.id}).all()
        if became:
            codes = ", ".join(one.code for one in became)
            said += f"; then it becomes {codes}"
            said_zh += f"，其后拆分或合并为 {codes}"
        raise OutsideUsableDaysError(
            said,
            [
                Fault(
                    f"/units/{place}/unit_id",
                    "not usable on all of these days",
                    detail_zh="所选日期内并非全部可用",
                )
            ],
            unit_id=str(row.id),
            usable_from=str(row.usable.lower),
            usable_until=str(row.usable.upper) if row.usable.upper else None,
            successors=[
                {"id": str(one.id), "code": one.code, "from": one.effective_on.isoformat()}
                for one in became
            ],
            detail_zh=said_zh,
        )


_SUCCESSORS = text("""
    SELECT child.id, child.code, e.effective_on
    FROM unit_event_units mine JOIN unit_events e ON e.id = mine.event_id
    JOIN unit_event_units other ON other.event_id = e.id AND other.part = 'child'
    JOIN units child ON child.id = other.unit_id
    WHERE mine.unit_id = :id AND mine.part = 'parent' ORDER BY child.code
""")


def require_days_to_come(period: Period, now: datetime) -> None:
    """Refuse days that are gone.

    Raises:
        InvalidInputError: the period starts before today in Shanghai.
    """
    today = civil_day(now)
    if period.start < today:
        raise InvalidInputError(
            f"{period.start} is gone; start today, {today}, or later",
            [Fault("/from", f"not before {today}", detail_zh=f"不得早于 {today}")],
            detail_zh=f"起始日 {period.start} 已过，请自今天 {today} 或之后开始",
        )


def days_left(period: Period, now: datetime) -> Period:
    """The days of a period from today in Shanghai on.

    Raises:
        InvalidInputError: all of them are gone.
    """
    today = civil_day(now)
    if period.end is not None and period.end <= today:
        raise InvalidInputError(
            f"all of these days are gone; today is {today}",
            [Fault("/until", f"after {today}", detail_zh=f"须晚于 {today}")],
            detail_zh=f"所选日期均已过，今天是 {today}",
        )
    return Period(max(period.start, today), period.end)


def require_offered_term(units: Sequence[tuple[Wanted, LockedUnit]], period: Period) -> None:
    """Refuse a term that the landlord does not offer for a unit.

    Raises:
        TermNotOfferedError: the first such unit.
    """
    for place, (_, row) in enumerate(units):
        least, most = row.min_term_months, row.max_term_months
        too_short = (
            least is not None
            and period.end is not None
            and period.end < months_after(period.start, least)
        )
        too_long = most is not None and (
            period.end is None or period.end > months_after(period.start, most)
        )
        if too_short or too_long:
            raise TermNotOfferedError(
                f"unit {row.code} is let for {least or 1} to {most or 'any number of'} months;"
                " ask the park for another term",
                [Fault(f"/units/{place}/unit_id", "not let for this term")],
                detail_zh=f"房源 {row.code} 租期为 {least or 1} 至 {most or '不限'} 个月，"
                "其他租期请与园区商议",
                unit_id=str(row.id),
                min_term_months=least,
                max_term_months=most,
            )


_CONFLICTS = text("""
    SELECT wanted.id, units.code, wanted.quantity, lower(taken) AS start, upper(taken) AS until,
        free_quantity(wanted.id, wanted.capacity, wanted.valid, taken, :now) AS free
    FROM unnest(CAST(:ids AS uuid[]), CAST(:capacities AS numeric[]), CAST(:valid AS daterange[]),
        CAST(:quantities AS numeric[]), CAST(:periods AS daterange[])
    ) AS wanted (id, capacity, valid, quantity, period)
    JOIN units USING (id),
    unnest(datemultirange(wanted.period) - free_days(
        wanted.id, wanted.capacity, units.usable, wanted.valid, wanted.quantity, :now)) AS taken
    ORDER BY units.code, taken
""").bindparams(
    bindparam("now", type_=DateTime(timezone=True)),
    bindparam("valid", type_=ARRAY(DATERANGE)),
    bindparam("periods", type_=ARRAY(DATERANGE)),
)


def require_free(session: Session, slices: Sequence[Slice], live: Range[datetime]) -> None:
    """Refuse what is taken, naming the days and how much is free on them.

    Raises:
        UnitOccupiedError: all units and periods in which too little is free.
    """
    found = session.execute(
        _CONFLICTS,
        {
            "ids": [part.unit.id for part in slices],
            "capacities": [part.unit.capacity for part in slices],
            "valid": [part.unit.valid for part in slices],
            "quantities": [part.quantity for part in slices],
            "periods": [part.period for part in slices],
            "now": live.lower,
        },
    ).all()
    if not found:
        return
    # Days and quantities only: who has the space is nobody's business here.
    units_taken: dict[UUID, dict[str, Any]] = {}
    for row in found:
        taken = units_taken.setdefault(
            row.id,
            {
                "unit_id": str(row.id),
                "unit_code": row.code,
                "quantity_asked": float(row.quantity),
                "periods": [],
            },
        )
        taken["periods"].append(
            {
                "from": row.start.isoformat(),
                "until": row.until.isoformat() if row.until else None,
                "free_quantity": float(row.free),
            }
        )
    first = found[0]
    more = "" if len(units_taken) == 1 else f", and {len(units_taken) - 1} more"
    raise UnitOccupiedError(
        f"unit {first.code} has {first.free} of {first.quantity} free"
        f" from {first.start} until {first.until or 'further notice'}{more}",
        detail_zh=f"房源 {first.code} 自 {first.start} 至 {first.until or '另行通知'}"
        f"（不含）仅余 {first.free}，需 {first.quantity}"
        + (f"；另有 {len(units_taken) - 1} 个房源" if len(units_taken) > 1 else ""),
        conflicts=list(units_taken.values()),
    )


_REMAINDERS = text("""
    SELECT wanted.id, wanted.least, lower(days) AS start, upper(days) AS until,
        wanted.capacity - levels.used AS free
    FROM unnest(CAST(:ids AS uuid[]), CAST(:capacities AS numeric[]), CAST(:least AS numeric[]),
        CAST(:quantities AS numeric[]), CAST(:periods AS daterange[])
    ) AS wanted (id, capacity, least, quantity, period),
    LATERAL (
        SELECT daterange(day, lead(day) OVER by_day) * wanted.period AS days,
            sum(delta) OVER by_day AS used
        FROM (
            SELECT day, sum(delta) AS delta FROM (
                SELECT lower(wanted.period) AS day, 0::numeric AS delta
                UNION ALL
                SELECT lower(period * wanted.period), quantity FROM occupancy
                WHERE unit_id = wanted.id AND period && wanted.period AND live @> :now
                UNION ALL
                SELECT upper(period * wanted.period), -quantity FROM occupancy
                WHERE unit_id = wanted.id AND period && wanted.period AND live @> :now
                    AND NOT upper_inf(period * wanted.period)
            ) edges GROUP BY day
        ) steps WINDOW by_day AS (ORDER BY day)
    ) AS levels
    WHERE NOT isempty(days) AND wanted.capacity - levels.used - wanted.quantity > 0
        AND wanted.capacity - levels.used - wanted.quantity < wanted.least
    ORDER BY start LIMIT 1
""").bindparams(
    bindparam("now", type_=DateTime(timezone=True)),
    bindparam("periods", type_=ARRAY(DATERANGE)),
)


def require_lettable_remainder(
    session: Session, slices: Sequence[Slice], live: Range[datetime]
) -> None:
    """Refuse a part that leaves less than the smallest part on some day, if that is the rule.

    Raises:
        RemainderTooSmallError: the first such unit and days, and what could be taken instead.
    """
    parts = [
        part
        for part in slices
        if part.unit.remainder_rule == RemainderRule.LETTABLE.value
        and part.unit.min_part is not None
        and part.quantity < part.unit.capacity
    ]
    if not parts:
        return
    found = session.execute(
        _REMAINDERS,
        {
            "ids": [part.unit.id for part in parts],
            "capacities": [part.unit.capacity for part in parts],
            "least": [part.unit.min_part for part in parts],
            "quantities": [part.quantity for part in parts],
            "periods": [part.period for part in parts],
            "now": live.lower,
        },
    ).one_or_none()
    if found is None:
        return
    part = next(part for part in parts if part.unit.id == found.id)
    most = found.free - found.least
    instead = f"take all {found.free} that is free, or at most {most}"
    if most < found.least:
        instead = f"take all {found.free} that is free"
    days = f"{found.start} until {found.until or 'further notice'}"
    raise RemainderTooSmallError(
        f"{found.free - part.quantity} of unit {part.unit.code} would be left from {days}, less"
        f" than the smallest part that is let ({found.least}); {instead}",
        [Fault(f"/units/{part.place}/quantity", instead)],
        unit_id=str(found.id),
        free_quantity=float(found.free),
        smallest_part=float(found.least),
        detail_zh=f"房源 {part.unit.code} 自 {found.start} 起将仅余 {found.free - part.quantity}，"
        f"低于最小出租单位 {found.least}；请租下全部余量 {found.free}"
        + (f"，或不超过 {most}" if most >= found.least else ""),
    )
