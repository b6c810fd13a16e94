"""How every kind of thing is listed and shown: the same steps over different columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, select
from sqlalchemy.orm import Session

from app.database.paging import Page, PageRequest, Sort, fetch_one, fetch_page
from app.inventory.columns import Columns, labelled
from app.inventory.filters import Wanted
from app.inventory.places import id_or_none
from app.kernel.errors import NotFoundError


@dataclass(frozen=True, slots=True)
class Listing:
    """One kind of thing.

    ``members`` are what people get as JSON, ``properties`` what GIS tools get: one plain value
    each. ``sorts`` are expressions that are never null.
    """

    singular: str
    table: FromClause
    joined: FromClause
    members: Columns
    properties: Columns
    outline: str
    sorts: Mapping[str, ColumnElement[Any]]

    def query(self, *, geojson: bool) -> Select[Any]:
        """The SELECT without conditions, for ``fetch_page`` and ``fetch_one``."""
        if geojson:
            shown = labelled(self.properties | {"geometry": self.outline})
        else:
            shown = labelled(self.members)
        return select(*shown).select_from(self.joined)


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
    """One page of what meets the conditions, in the order ``sort`` names."""
    by = sort.removeprefix("-")
    descending = sort.startswith("-")
    order = [Sort(listing.sorts[by], descending=descending)]
    if by != "code":
        order.append(Sort(listing.sorts["code"]))
    paging = {"limit", "cursor", "f"}
    asked = wanted.model_dump_json(exclude=paging, exclude_defaults=True)
    return fetch_page(
        session,
        listing.query(geojson=geojson).where(*conditions),
        order=order,
        page=page,
        scope=f"{listing.singular} {sort} {asked}",
        geojson=geojson,
    )


def get_row(session: Session, listing: Listing, id_or_code: str, *, geojson: bool) -> str:
    """The row with this id or code as JSON text.

    Raises:
        NotFoundError: there is none.
    """
    id_ = id_or_none(id_or_code)
    columns = listing.table.c
    same = columns.code == id_or_code if id_ is None else columns.id == id_
    row = None
    if "\0" not in id_or_code:
        row = fetch_one(session, listing.query(geojson=geojson).where(same), geojson=geojson)
    if row is None:
        shown = id_or_code.replace("\0", "")[:100]
        raise NotFoundError(f"no {listing.singular} has the code or id {shown!r}")
    return row
