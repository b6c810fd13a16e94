"""Leases and holds listed: one row for each promise, with the units that it takes.

A promise is shown as it was believed at an instant. Its rows are those believed then or, where
none is left, the last of their kind that were. The page's promises are found first; their units
and what else is shown are read for the page alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Date,
    DateTime,
    FromClause,
    Select,
    String,
    Subquery,
    Uuid,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from app.database.changes import Since
from app.database.paging import Page, PageRequest, Sort, fetch_page
from app.inventory.known import believed, known_at, known_units
from app.inventory.places import Places, among, exact_conditions, find_places, park_conditions
from app.inventory.predicates import one_of, same
from app.inventory.technical import technical_conditions
from app.kernel.clock import civil_day
from app.kernel.terms import ClaimKind, LeaseEventKind, Term
from app.ledger.commitments import HoldState, LeaseState
from app.ledger.tenancy.asked import HoldsWanted, LeasesWanted, TenanciesWanted
from app.ledger.tenancy.rights import with_rights
from app.models.claim import Claim, occupancy
from app.models.company import Company
from app.models.lease import LeaseEvent, LeaseTerms
from app.models.space import Building, Floor, Park, Unit, unit_terms
from app.security.actors import Actor

#: Sorts after every day that a caller can write; what has no end comes last.
_NEVER = date(9999, 12, 31)
_unit = known_units.c


@dataclass(frozen=True, slots=True)
class _Book:
    """One kind of promise, and what may be known of its state."""

    kind: ClaimKind
    standing: frozenset[Term]
    states: type[Term]
    wanted: TenanciesWanted
    asked_states: tuple[Term, ...]

    @property
    def instant(self) -> ColumnElement[Any]:
        return believed(self.wanted.as_of)

    def rows(self, claim: FromClause) -> list[ColumnElement[bool]]:
        """The rows of a promise that are shown."""
        of_kind = claim.c.kind == self.kind.value
        stands = claim.c.live.op("@>")(self.instant)
        if self.standing >= set(self.asked_states):
            return [of_kind, stands]
        return [of_kind, or_(stands, self._gone(claim))]

    def _gone(self, claim: FromClause) -> ColumnElement[bool]:
        """The last rows of a promise of which none stands any more."""
        other, later = Claim.__table__.alias("other"), Claim.__table__.alias("later")
        of_kind = self.kind.value
        any_stands = select(1).where(
            other.c.commitment_id == claim.c.commitment_id,
            other.c.kind == of_kind,
            other.c.live.op("@>")(self.instant),
        )
        taken_over = select(1).where(
            later.c.supersedes_id == claim.c.id,
            later.c.kind == of_kind,
            func.lower(later.c.live) <= self.instant,
        )
        return and_(
            func.lower(claim.c.live) <= self.instant, ~any_stands.exists(), ~taken_over.exists()
        )


def list_leases(session: Session, actor: Actor, wanted: LeasesWanted, today: date) -> Page:
    """Leases believed at ``as_of`` (else now): a firm's own, or those of one's parks.

    Raises:
        InvalidInputError: a place is named that does not exist.
        NotAllowedError: a firm asks who has a right.
    """
    if "rights" in wanted.include:
        actor.require_staff()
    book = _Book(
        ClaimKind.LEASE,
        frozenset({LeaseState.SIGNED, LeaseState.TERMINATED}),
        LeaseState,
        wanted,
        wanted.states(),
    )
    page = _list(session, actor, book, _lease_state, _lease_members)
    if "rights" not in wanted.include:
        return page
    day = today if wanted.as_of is None else civil_day(wanted.as_of)
    return with_rights(session, page, day, wanted.as_of)


def list_holds(session: Session, actor: Actor, wanted: HoldsWanted) -> Page:
    """The same of holds."""
    book = _Book(ClaimKind.HOLD, frozenset({HoldState.HELD}), HoldState, wanted, wanted.states())
    return _list(session, actor, book, _hold_state, _hold_members)


def _list(
    session: Session,
    actor: Actor,
    book: _Book,
    state: Callable[[_Book, Subquery], ColumnElement[str]],
    members: Callable[[_Book, Subquery], list[ColumnElement[Any]]],
) -> Page:
    actor.require_ledger_reader()
    wanted = book.wanted
    if wanted.company is not None:
        actor.require_company(wanted.company)
    places = find_places(session, wanted, whole_zones=True)
    grouped = _grouped(actor, book, places)
    conditions = _on_days(wanted, grouped)
    if set(book.asked_states) != book.standing:
        conditions += one_of(state(book, grouped), book.asked_states)

    def details(page: Subquery) -> Select[Any]:
        return _details(actor, book, page, state(book, page), members(book, page))

    return fetch_page(
        session,
        select(grouped).where(*conditions),
        order=_order(wanted.sort, grouped),
        page=PageRequest(wanted.limit, wanted.cursor, wanted.updated_since),
        scope=f"{book.kind} {actor.label} {wanted.scope()}",
        details=details,
        wrote=lambda since: _wrote(since, grouped),
    )


def _wrote(since: Since, grouped: Subquery) -> ColumnElement[bool]:
    """Whether anything of a promise was written: what it takes, its terms, what happened to it."""
    tables = [
        table.__table__.alias(f"written_{place}")
        for place, table in enumerate((Claim, LeaseTerms, LeaseEvent))
    ]
    return or_(
        *(
            exists().where(table.c.commitment_id == grouped.c.id, since.wrote(table))
            for table in tables
        )
    )


def _grouped(actor: Actor, book: _Book, places: Places) -> Subquery:
    """Each promise that the caller may see and that the units asked for match."""
    claim, unit = Claim.__table__.alias("c"), Unit.__table__.alias("u")
    wanted = book.wanted
    conditions = book.rows(claim)
    if not actor.is_staff:
        conditions.append(claim.c.company_id == actor.company_id)
    conditions += same(claim.c.company_id, wanted.company)
    matching = _matching(book, places)
    if matching is not None:
        conditions.append(claim.c.commitment_id.in_(matching))
    period, live = claim.c.period, claim.c.live
    columns: list[ColumnElement[Any]] = [
        claim.c.commitment_id.label("id"),
        cast(func.min(cast(claim.c.company_id, String)), Uuid).label("company_id"),
        func.min(func.lower(period), type_=Date).label("starts"),
        func.max(func.coalesce(func.upper(period), literal(_NEVER)), type_=Date).label("ends"),
        func.bool_or(live.op("@>")(book.instant)).label("stands"),
        func.bool_or(claim.c.closed_by.is_not(None)).label("closed"),
        func.max(
            case((claim.c.closed_by.is_(None), func.upper(live)), else_=claim.c.was_to_lapse_at),
            type_=DateTime,
        ).label("lapses_at"),
    ]
    source: FromClause = claim
    if wanted.sort == "code":
        columns.append(func.min(unit.c.code).label("code"))
        source = claim.join(unit, unit.c.id == claim.c.unit_id)
    if actor.park_ids is not None:
        # All of its units, as where one lease is read; those of other parks are not shown here.
        elsewhere = occupancy.alias("elsewhere").c
        conditions.append(
            ~exists().where(
                elsewhere.commitment_id == claim.c.commitment_id,
                ~among(elsewhere.park_id, sorted(actor.park_ids)),
            )
        )
    query = select(*columns).select_from(source).where(*conditions).group_by(claim.c.commitment_id)
    return query.subquery("grouped")


def _matching(book: _Book, places: Places) -> Select[Any] | None:
    """The promises of which some unit meets the conditions; None where there are none."""
    claim, wanted = Claim.__table__.alias("m"), book.wanted
    on_unit = [
        *park_conditions(_unit.park_id, places),
        *exact_conditions(places, building=_unit.building_id, floor=_unit.floor_id, unit=_unit.id),
        *one_of(_unit.unit_type, wanted.type),
        *technical_conditions(known_units, wanted),
    ]
    if not on_unit:
        return None
    return (
        select(claim.c.commitment_id)
        .select_from(claim.join(known_units, _unit.id == claim.c.unit_id))
        .where(
            *book.rows(claim),
            known_at(known_units, wanted.as_of),
            _unit.valid.op("&&")(claim.c.period),
            *on_unit,
        )
    )


def _on_days(wanted: TenanciesWanted, grouped: Subquery) -> list[ColumnElement[bool]]:
    starts, ends = grouped.c.starts, grouped.c.ends
    conditions: list[ColumnElement[bool]] = []
    if wanted.starts_from is not None:
        conditions.append(starts >= wanted.starts_from)
    if wanted.starts_until is not None:
        conditions.append(starts < wanted.starts_until)
    if wanted.ends_from is not None:
        conditions.append(ends >= wanted.ends_from)
    if wanted.ends_until is not None:
        conditions.append(ends < wanted.ends_until)
    return conditions


def _order(sort: str, grouped: Subquery) -> list[Sort]:
    columns = {"until": "ends", "from": "starts", "code": "code"}
    first = grouped.c[columns[sort.removeprefix("-")]]
    return [Sort(first, descending=sort.startswith("-")), Sort(grouped.c.id)]


def _first_known(book: _Book, id_: ColumnElement[Any]) -> ColumnElement[Any]:
    """When a promise became one of this kind."""
    claim = Claim.__table__.alias("first")
    return (
        select(func.min(func.lower(claim.c.live), type_=DateTime))
        .where(claim.c.commitment_id == id_, claim.c.kind == book.kind.value)
        .scalar_subquery()
    )


def _signed_until(book: _Book, id_: ColumnElement[Any]) -> ColumnElement[date]:
    """Where a lease was to end when it was signed; far away if never."""
    claim = Claim.__table__.alias("signed")
    known_from = func.lower(claim.c.live)
    return (
        select(func.max(func.coalesce(func.upper(claim.c.period), literal(_NEVER)), type_=Date))
        .where(claim.c.commitment_id == id_, claim.c.kind == book.kind.value)
        .group_by(known_from)
        .order_by(known_from)
        .limit(1)
        .scalar_subquery()
    )


def _lease_state(book: _Book, grouped: Subquery) -> ColumnElement[str]:
    event = LeaseEvent.__table__.c
    moved = {LeaseEventKind.EXTENDED.value, LeaseEventKind.TERMINATED.value}
    last_move = (
        select(event.kind)
        .where(
            event.commitment_id == grouped.c.id,
            event.kind.in_(sorted(moved)),
            event.recorded_at <= book.instant,
        )
        .order_by(event.recorded_at.desc(), event.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    cut_short = or_(
        grouped.c.ends < _signed_until(book, grouped.c.id),
        func.coalesce(last_move, "") == LeaseEventKind.TERMINATED.value,
    )
    return case(
        (~grouped.c.stands, LeaseState.CANCELLED.value),
        (cut_short, LeaseState.TERMINATED.value),
        else_=LeaseState.SIGNED.value,
    )


def _hold_state(book: _Book, grouped: Subquery) -> ColumnElement[str]:
    lease = Claim.__table__.alias("lease")
    leased = select(1).where(
        lease.c.commitment_id == grouped.c.id,
        lease.c.kind == ClaimKind.LEASE.value,
        func.lower(lease.c.live) <= book.instant,
    )
    return case(
        (grouped.c.stands, HoldState.HELD.value),
        (leased.exists(), HoldState.LEASED.value),
        (grouped.c.closed, HoldState.RELEASED.value),
        else_=HoldState.EXPIRED.value,
    )


def _lease_members(book: _Book, found: Subquery) -> list[ColumnElement[Any]]:
    def last_day(kind: LeaseEventKind) -> ColumnElement[Any]:
        event = LeaseEvent.__table__.c
        return (
            select(event.on_day)
            .where(
                event.commitment_id == found.c.id,
                event.kind == kind.value,
                event.recorded_at <= book.instant,
            )
            .order_by(event.recorded_at.desc(), event.id.desc())
            .limit(1)
            .scalar_subquery()
        )

    return [
        _first_known(book, found.c.id).label("signed_at"),
        func.nullif(_signed_until(book, found.c.id), literal(_NEVER)).label("signed_until"),
        last_day(LeaseEventKind.HANDED_OVER).label("handed_over_on"),
        last_day(LeaseEventKind.HANDED_BACK).label("handed_back_on"),
    ]


def _hold_members(book: _Book, found: Subquery) -> list[ColumnElement[Any]]:
    ends_by_itself = _hold_state(book, found).in_([HoldState.HELD.value, HoldState.EXPIRED.value])
    return [
        _first_known(book, found.c.id).label("placed_at"),
        case((ends_by_itself, found.c.lapses_at)).label("expires_at"),
    ]


def _details(
    actor: Actor,
    book: _Book,
    found: Subquery,
    state: ColumnElement[str],
    members: list[ColumnElement[Any]],
) -> Select[Any]:
    """What is shown of the promises of a page."""
    company = Company.__table__
    words = {state.value: state.zh for state in book.states}
    names = [
        company.c.name_zh.label("company_name_zh"),
        company.c.name_en.label("company_name_en"),
    ]
    return select(
        found.c.id,
        state.label("state"),
        case(words, value=state).label("state_zh"),
        found.c.company_id,
        *(names if actor.is_staff else ()),
        found.c.starts.label("from"),
        func.nullif(found.c.ends, literal(_NEVER)).label("until"),
        _clearing_until(book, found.c.id).label("clearing_until"),
        *members,
        _lines(book, found.c.id).label("lines"),
    ).select_from(found.join(company, company.c.id == found.c.company_id))


def _clearing_until(book: _Book, id_: ColumnElement[Any]) -> ColumnElement[Any]:
    claim = Claim.__table__.alias("clearing")
    return (
        select(func.max(func.upper(claim.c.period)))
        .where(
            claim.c.commitment_id == id_,
            claim.c.kind == ClaimKind.CLEARING.value,
            claim.c.live.op("@>")(book.instant),
        )
        .scalar_subquery()
    )


def _lines(book: _Book, id_: ColumnElement[Any]) -> ColumnElement[Any]:
    """The units of a promise as a JSON list, each as it is known to be on its last days."""
    claim, unit = Claim.__table__.alias("line"), Unit.__table__.alias("its")
    floor, building, park = Floor.__table__, Building.__table__, Park.__table__
    known = _last_known(book, claim)
    shown = {
        "claim_id": claim.c.id,
        "unit_id": claim.c.unit_id,
        "unit_code": unit.c.code,
        "unit_type": known.c.unit_type,
        "park_id": park.c.id,
        "park_code": park.c.code,
        "building_code": building.c.code,
        "floor_code": floor.c.code,
        "floor_level": floor.c.level_name,
        "level_index": floor.c.level_index,
        "quantity": claim.c.quantity,
        "capacity_measure": known.c.capacity_measure,
        "whole": claim.c.whole,
        "floor_load_kn_m2": known.c.floor_load_kn_m2,
        "clear_height_m": known.c.clear_height_m,
        "from": func.lower(claim.c.period),
        "until": func.upper(claim.c.period),
    }
    members = [part for name, column in shown.items() for part in (name, column)]
    in_order = aggregate_order_by(
        func.json_build_object(*members), unit.c.code, func.lower(claim.c.period), claim.c.id
    )
    return (
        select(func.json_agg(in_order))
        .select_from(
            claim.join(unit, unit.c.id == claim.c.unit_id)
            .join(floor, floor.c.id == unit.c.floor_id)
            .join(building, building.c.id == unit.c.building_id)
            .join(park, park.c.id == claim.c.park_id)
            .outerjoin(known, true())
        )
        .where(claim.c.commitment_id == id_, *book.rows(claim))
        .scalar_subquery()
    )


def _last_known(book: _Book, claim: FromClause) -> FromClause:
    """The unit on the last of a line's days, as known; where it was not yet, its first record.

    That record tells the unit's kind and measure alone. Unlike the present one it never changes.
    """
    terms = unit_terms.alias("terms")
    known = and_(
        known_at(terms, book.wanted.as_of),
        terms.c.valid.op("&&", is_comparison=True)(claim.c.period),
    )
    first_day = func.lower(terms.c.valid)
    return (
        select(
            terms.c.unit_type,
            terms.c.capacity_measure,
            case((known, terms.c.floor_load_kn_m2)).label("floor_load_kn_m2"),
            case((known, terms.c.clear_height_m)).label("clear_height_m"),
        )
        .where(terms.c.id == claim.c.unit_id)
        .order_by(
            known.desc(),
            case((known, first_day)).desc().nulls_last(),
            terms.c.known_from,
            first_day.nulls_first(),
        )
        .limit(1)
        .lateral("known")
    )
