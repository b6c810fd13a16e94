"""How every kind of thing is listed and shown: the same steps over different columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    Subquery,
    literal_column,
    select,
    true,
)
from sqlalchemy.orm import Session
from sqlalchemy.sql.selectable import LateralFromClause

from app.database.paging import FOUND, Page, PageRequest, Sort, fetch_one, fetch_page
from app.inventory.columns import Columns, labelled
from app.inventory.filters import Wanted
from app.inventory.places import PLACE_WORDS, id_or_none
from app.kernel.errors import NotFoundError


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """One kind of thing.

    ``members`` are what people get as JSON, ``properties`` what GIS tools get: one plain value
    each. ``sorts`` are expressions that are never null. ``key`` names the column that tells rows
    of ``table`` apart.
    """

    singular: str
    table: FromClause
    joined: FromClause
    members: Columns
    properties: Columns
    outline: str
    sorts: Mapping[str, ColumnElement[Any]]
    key: str = "id"

    def shown(self, *, geojson: bool) -> Select[Any]:
        """The SELECT of what is shown, without conditions."""
        columns = self.properties | {"geometry": self.outline} if geojson else self.members
        return select(*labelled(columns)).select_from(self.joined)


def the_one(shown: Select[Any], key: ColumnElement[Any]) -> LateralFromClause:
    """The one row that is shown beside a row of ``found`` that has the same ``key``.

    Says that it is one: through the view of units over time the planner expects thousands, and
    reads whole tables of floors and buildings to show a hundred. ``found`` is named as text, so
    that the same may stand in every statement: to make it takes longer than to run it.
    """
    same = key == literal_column(f"{FOUND}.{key.key}", key.type)
    return shown.where(same).limit(1).lateral("shown")


@cache
def _shown_beside(listing: Listing, *, geojson: bool) -> LateralFromClause:
    return the_one(listing.shown(geojson=geojson), listing.table.c[listing.key])


def list_page(
    session: Session,
    listing: Listing,
    wanted: Wanted,
    conditions: Sequence[ColumnElement[bool]],
    *,
    sort: str,
    page: PageRequest,
    geojson: bool,
) -> Page:
    """One page of what meets the conditions, in the order ``sort`` names.

    The conditions are on ``listing.table`` alone: its rows are found first, and only those of the
    page are joined with what is shown beside them.
    """
    by = sort.removeprefix("-")
    descending = sort.startswith("-")
    order = [Sort(listing.sorts[by], descending=descending)]
    if by != "code":
        order.append(Sort(listing.sorts["code"]))
    paging = {"limit", "cursor", "f"}
    asked = wanted.model_dump_json(exclude=paging, exclude_defaults=True)

    def details(found: Subquery) -> Select[Any]:
        one = _shown_beside(listing, geojson=geojson)
        return select(*one.c).select_from(found.join(one, true()))

    return fetch_page(
        session,
        select(listing.table.c[listing.key]).where(*conditions),
        order=order,
        page=page,
        scope=f"{listing.singular} {sort} {asked}",
        geojson=geojson,
        details=details,
    )


def get_row(
    session: Session,
    listing: Listing,
    id_or_code: str,
    *,
    geojson: bool,
    conditions: Sequence[ColumnElement[bool]] = (),
    nearest: Sequence[ColumnElement[Any]] = (),
) -> str:
    """The row with this id or code as JSON text; of several, the first in the order ``nearest``.

    Raises:
        NotFoundError: there is none.
    """
    id_ = id_or_none(id_or_code)
    columns = listing.table.c
    same = columns.code == id_or_code if id_ is None else columns.id == id_
    row = None
    if "\0" not in id_or_code:
        found = listing.shown(geojson=geojson).where(same, *conditions).order_by(*nearest)
        row = fetch_one(session, found, geojson=geojson)
    if row is None:
        shown = id_or_code.replace("\0", "")[:100]
        raise NotFoundError(
            f"no {listing.singular} has the code or id {shown!r}",
            detail_zh=f"没有编码或编号为 {shown!r} 的{PLACE_WORDS[listing.singular]}",
        )
    return row
