"""All that is, or was, believed of one unit: its facts, for which days, known from when to when."""

from dataclasses import replace
from datetime import date, datetime

from sqlalchemy import Date, Select, Subquery, func, literal, select
from sqlalchemy.orm import Session

from app.database.paging import Page, PageRequest, Sort, fetch_page
from app.inventory.known import NOT_YET_KNOWN, is_future, known_at, known_units
from app.inventory.listing import get_row
from app.inventory.places import id_or_none
from app.inventory.units import LISTING
from app.kernel.errors import Fault, InvalidInputError

#: What came after an instant is no part of what was known then: told only of every belief.
_UNTIL_NOW = {"known_until": "NULL::timestamptz"}
_UNTIL = {"known_until": "units.known_until"}
#: Sorts before every day there is: "since ever" has no date of its own.
_SINCE_EVER = date(1, 1, 1)


def unit_versions(
    session: Session,
    name: str,
    page: PageRequest,
    *,
    as_of: datetime | None,
    every: bool,
    now: datetime,
    geojson: bool,
) -> Page:
    """One page of a unit's pieces as known at ``as_of``, by their days; or of ``every`` belief.

    Raises:
        NotFoundError: there is no such unit.
        InvalidInputError: ``as_of`` lies in the future, or does not go with ``every``.
    """
    if is_future(as_of, now):
        raise _fault(NOT_YET_KNOWN, "不得晚于当前时刻")
    if every and as_of is not None:
        raise _fault("goes not with all=true, which shows every instant", "不可与 all=true 同用")
    get_row(session, LISTING, name, geojson=False)
    unit = known_units.c
    same = unit.id == id_ if (id_ := id_or_none(name)) else unit.code == name
    believed = [] if every else [known_at(known_units, as_of)]
    first_day = func.coalesce(func.lower(unit.valid), literal(_SINCE_EVER, Date), type_=Date)

    until = _UNTIL if every else _UNTIL_NOW
    listing = replace(
        LISTING, members=LISTING.members | until, properties=LISTING.properties | until
    )

    def details(found: Subquery) -> Select[object]:
        listed = found.join(listing.joined, found.c.terms_id == unit.terms_id)
        return listing.shown(geojson=geojson).select_from(listed)

    return fetch_page(
        session,
        select(unit.terms_id).where(same, *believed),
        order=[Sort(unit.known_from), Sort(first_day), Sort(unit.terms_id)]
        if every
        else [Sort(first_day), Sort(unit.terms_id)],
        page=page,
        scope=f"versions {name} {as_of} {every}",
        geojson=geojson,
        details=details,
    )


def _fault(rule: str, rule_zh: str) -> InvalidInputError:
    return InvalidInputError(
        f"as_of {rule}",
        [Fault("as_of", rule, "query", detail_zh=rule_zh)],
        detail_zh=f"as_of {rule_zh}",
    )
