"""Key figures of the parks, from the ledger alone, for any days and as known at any instant."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, FromClause, bindparam, select, text
from sqlalchemy.orm import Session

from app.inventory.known import require_past
from app.inventory.places import Places, among, find_places
from app.kernel.clock import civil_day
from app.kernel.period import Period
from app.kernel.terms import UnitType
from app.kpis.asked import GroupBy, KpiSearch, periods
from app.kpis.definitions import FIGURES, Figure, FigureUnit
from app.kpis.statement import statement
from app.models.programme import Programme
from app.models.space import Park, Zone
from app.security.actors import Actor
from app.security.rows import whole_ledger

#: The parts of one group and period, by measure ('' for those that have none) and name.
Parts = Mapping[str, Mapping[str, Decimal]]

_ENDS = "ends:"
#: Decimals of the values that are shown.
_DECIMALS = {FigureUnit.DAYS: 1}
_NAMED: Mapping[GroupBy, tuple[FromClause, str]] = {
    GroupBy.ZONE: (Zone.__table__, "seq"),
    GroupBy.PARK: (Park.__table__, "code"),
    GroupBy.PROGRAMME: (Programme.__table__, "seq"),
}


@dataclass(frozen=True, slots=True)
class YearShare:
    """Leased area whose last day lies in a year."""

    year: int
    value: Decimal
    share_pct: Decimal


@dataclass(frozen=True, slots=True)
class Value:
    """One figure, exact; ``value`` is none where there is nothing to divide by."""

    value: Decimal | None
    numerator: Decimal
    denominator: Decimal | None
    unit: FigureUnit
    by_year: tuple[YearShare, ...] | None = None

    def shown(self) -> dict[str, Any]:
        """As JSON shows it: two decimals, days one; what is divided only where it is."""
        divided = self.denominator is not None
        shown: dict[str, Any] = {
            "value": _rounded(self.value, _DECIMALS.get(self.unit, 2)),
            "numerator": _rounded(self.numerator) if divided else None,
            "denominator": _rounded(self.denominator),
            "unit": self.unit.value,
        }
        if self.by_year is not None:
            shown["by_year"] = [
                {
                    "year": one.year,
                    "value": _rounded(one.value),
                    "share_pct": _rounded(one.share_pct),
                }
                for one in self.by_year
            ]
        return shown


@dataclass(frozen=True, slots=True)
class Group:
    """A zone, park, programme or type with its figures, one mapping for each period."""

    key: str
    id: UUID | None
    name_zh: str
    name_en: str
    values: tuple[Mapping[str, Value], ...]


@dataclass(frozen=True, slots=True)
class KeyFigures:
    """An answer: the periods, and the groups in their order."""

    as_of: datetime
    periods: tuple[Period, ...]
    groups: tuple[Group, ...]


def key_figures(session: Session, actor: Actor, search: KpiSearch, now: datetime) -> KeyFigures:
    """The figures that ``search`` asks for; staff of some parks get those parks alone.

    Raises:
        NotAllowedError: the caller is no staff, or the place is another park's.
        InvalidInputError: a place does not exist, the days make no periods, or what will be known
            later is asked.
    """
    actor.require_staff()
    require_past(search.as_of, now)
    as_of = search.as_of or session.execute(_NOW).scalar_one()
    asked = periods(search, as_of)
    places = find_places(session, search)
    parts = _read_parts(
        session,
        search,
        park_ids=_park_ids(actor, places),
        places=places,
        asked=asked,
        as_of=as_of,
    )
    # What holds for all groups, such as the conversion of holds, came without a key.
    shared = parts.pop(None, {})
    names = _names(session, search.group_by, parts)
    groups = tuple(
        Group(
            *name,
            values=tuple(
                values_of(_joined(shared.get(0, {}), parts[key].get(0, {}), of_period))
                for of_period in (parts[key].get(no, {}) for no in range(1, len(asked) + 1))
            ),
        )
        for key, name in names
    )
    return KeyFigures(as_of, tuple(asked), groups)


def values_of(parts: Parts) -> dict[str, Value]:
    """All figures of one group and period, by code."""
    found: dict[str, Value] = {}
    for figure in FIGURES:
        for measure, code in figure.codes().items():
            found[code] = _value(figure, measure, {**parts.get("", {}), **parts.get(measure, {})})
    return found


_NOW = text("SELECT statement_timestamp() AS now").columns(now=DateTime(timezone=True))
#: Nothing is known of the sizes of intermediate results, and loops over them would take minutes.
_NO_LOOPS = text("SELECT set_config('enable_nestloop', :state, true)")


def _read_parts(
    session: Session,
    search: KpiSearch,
    *,
    park_ids: list[UUID] | None,
    places: Places,
    asked: list[Period],
    as_of: datetime,
) -> dict[str | None, dict[int, dict[str, dict[str, Decimal]]]]:
    """Parts by key of group, number of period, measure and name."""
    query = statement(
        search.group_by,
        asked,
        as_of=as_of,
        today=civil_day(as_of),
        park_ids=park_ids,
        places=places,
        types=search.types,
    )
    session.execute(_NO_LOOPS.bindparams(bindparam("state", "off")))
    # Sums only; whether a firm moved on is told by where it went, which may be another park.
    with whole_ledger(session):
        rows = session.execute(query).all()
    session.execute(_NO_LOOPS.bindparams(bindparam("state", "on")))
    parts: dict[str | None, dict[int, dict[str, dict[str, Decimal]]]] = {}
    for key, no, measure, name, amount in rows:
        of_period = parts.setdefault(key, {}).setdefault(int(no), {})
        of_period.setdefault(measure, {})[name] = amount
    return parts


def _park_ids(actor: Actor, places: Places) -> list[UUID] | None:
    """The parks that count: those asked for that the caller may see; None is all."""
    named = [set(places[name]) for name in ("zone", "park") if name in places]
    if actor.park_ids is None:
        return sorted(set.intersection(*named)) if named else None
    if not named:
        return sorted(actor.park_ids)
    wanted = set.intersection(*named)
    allowed = wanted & actor.park_ids
    if wanted and not allowed:
        actor.require_park(min(wanted))
    return sorted(allowed)


def _names(
    session: Session, group_by: GroupBy, keys: Mapping[str | None, object]
) -> list[tuple[str | None, tuple[str, UUID | None, str, str]]]:
    """Each group's key, and what it is shown as, in the order of display."""
    if group_by is GroupBy.NONE:
        return [("all", ("all", None, GroupBy.NONE.zh, GroupBy.NONE.en))] if "all" in keys else []
    if group_by is GroupBy.TYPE:
        return [(one.value, (one.value, None, one.zh, one.en)) for one in UnitType if one in keys]
    table, order = _NAMED[group_by]
    found = session.execute(
        select(table.c.id, table.c.code, table.c.name_zh, table.c.name_en)
        .where(among(table.c.id, [UUID(key) for key in keys if key is not None]))
        .order_by(table.c[order], table.c.code)
    ).all()
    return [(str(row.id), (row.code, row.id, row.name_zh, row.name_en)) for row in found]


def _joined(*several: Mapping[str, Mapping[str, Decimal]]) -> Parts:
    joined: dict[str, dict[str, Decimal]] = {}
    for parts in several:
        for measure, amounts in parts.items():
            joined.setdefault(measure, {}).update(amounts)
    return joined


def _value(figure: Figure, measure: str, parts: Mapping[str, Decimal]) -> Value:
    return Value(
        value=figure.value(parts),
        numerator=figure.numerator(parts),
        denominator=figure.denominator(parts),
        unit=figure.unit_of(measure),
        by_year=tuple(_years(parts)) if figure.code == "rollover" else None,
    )


def _years(parts: Mapping[str, Decimal]) -> Iterator[YearShare]:
    leased = parts.get("leased", Decimal(0))
    for name in sorted(name for name in parts if name.startswith(_ENDS)):
        area = parts[name]
        yield YearShare(int(name.removeprefix(_ENDS)), area, 100 * area / leased)


def _rounded(amount: Decimal | None, decimals: int = 2) -> float | None:
    return None if amount is None else float(round(amount, decimals))
