"""The ledger's rows, as those may read them who have a right to."""

from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Date, Select, func, literal, select
from sqlalchemy.dialects.postgresql import DATERANGE, Range
from sqlalchemy.orm import Session

from app.database.paging import Page, PageRequest, Sort, fetch_page
from app.inventory.columns import coded, labelled
from app.kernel.errors import Fault, InvalidInputError
from app.kernel.terms import CapacityMeasure, ClaimKind
from app.models.claim import Claim
from app.models.company import Company
from app.models.space import Park, Unit
from app.security.actors import Actor

_claim = Claim.__table__.c
_unit = Unit.__table__.c
_park = Park.__table__.c
_company = Company.__table__.c

_SHOWN = labelled(
    {"id": "claims.id", "commitment_id": "claims.commitment_id"}
    | coded("claims.kind", ClaimKind)
    | {
        "unit_id": "claims.unit_id",
        "unit_code": "units.code",
        "park_id": "claims.park_id",
        "park_code": "parks.code",
        "company_id": "claims.company_id",
        "space_request_id": "claims.space_request_id",
        "quantity": "claims.quantity",
    }
    | coded("units.capacity_measure", CapacityMeasure)
    | {
        "whole": "claims.whole",
        "from": "lower(claims.period)",
        "until": "upper(claims.period)",
        "known_from": "lower(claims.live)",
        # Who closed it and when is not known before; a hold's expiry is.
        "known_until": "CASE WHEN claims.closed_by IS NULL THEN upper(claims.live)"
        " ELSE claims.was_to_lapse_at END",
        "supersedes_id": "claims.supersedes_id",
        "synthetic": "claims.synthetic",
    }
)
_FOR_STAFF = labelled(
    {
        "company_name_zh": "companies.name_zh",
        "company_name_en": "companies.name_en",
        "placed_by": "claims.placed_by",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimSearch:
    """Which claims. ``start`` and ``until`` (exclusive) ask for claims that share a day."""

    unit: UUID | None = None
    company_id: UUID | None = None
    kinds: tuple[ClaimKind, ...] = ()
    start: date | None = None
    until: date | None = None
    as_of: datetime | None = None


def list_claims(session: Session, actor: Actor, search: ClaimSearch, page: PageRequest) -> Page:
    """Claims believed at ``as_of`` (else now), by their first day.

    Firms get their own, staff those of their parks; only staff get names.

    Raises:
        InvalidInputError: ``until`` is not after ``start``.
    """
    actor.require_ledger_reader()
    if search.company_id is not None:
        actor.require_company(search.company_id)
    if search.start and search.until and search.until <= search.start:
        raise InvalidInputError(
            "until must be after from",
            [Fault("until", "must be after from", "query", "须晚于 from")],
        )
    first_day = func.lower(_claim.period, type_=Date)
    return fetch_page(
        session,
        _query(actor).where(*_filters(actor, search)),
        order=[Sort(first_day), Sort(_claim.id)],
        page=page,
        scope=f"claims {actor.label} {asdict(search)!r}",
    )


def _query(actor: Actor) -> Select[Any]:
    joined = (
        Claim.__table__.join(Unit.__table__, _unit.id == _claim.unit_id)
        .join(Park.__table__, _park.id == _claim.park_id)
        .outerjoin(Company.__table__, _company.id == _claim.company_id)
    )
    return select(*_SHOWN, *(_FOR_STAFF if actor.is_staff else ())).select_from(joined)


def _filters(actor: Actor, search: ClaimSearch) -> list[ColumnElement[bool]]:
    instant = func.statement_timestamp() if search.as_of is None else literal(search.as_of)
    filters: list[ColumnElement[bool]] = [_claim.live.op("@>")(instant)]
    if not actor.is_staff:
        filters.append(_claim.company_id == actor.company_id)
    elif actor.park_ids is not None:
        filters.append(_claim.park_id.in_(sorted(actor.park_ids)))
    if search.unit is not None:
        filters.append(_claim.unit_id == search.unit)
    if search.company_id is not None:
        filters.append(_claim.company_id == search.company_id)
    if search.kinds:
        filters.append(_claim.kind.in_([kind.value for kind in search.kinds]))
    if search.start is not None or search.until is not None:
        asked = Range(search.start, search.until)
        filters.append(_claim.period.op("&&")(literal(asked, DATERANGE)))
    return filters
