"""How the inventory's lists and items are answered and documented: once, for every kind."""

import hashlib
from typing import Annotated, Any

from fastapi import Path, Query, Request, Response
from pydantic import BaseModel, Field

from app.database.paging import Page
from app.geo.datums import DATUMS
from app.geo.display import in_datum
from app.inventory.filters import Datum
from app.kernel.errors import InvalidInputError, NotFoundError
from app.kernel.terms import SourceDatum
from app.routers.dependencies import GEOJSON, JSON, Filters, next_href
from app.routers.problems import problems
from app.security.actors import NotSignedInError

#: Both representations have one address; and what is shown may be kept only if asked about again.
_HEADERS = {"Vary": "Accept", "Cache-Control": "no-cache"}


class ItemQuery(Filters):
    """How to show one thing."""

    f: Annotated[str | None, Field(pattern="^(json|geojson)$", description="json or geojson")] = (
        None
    )
    datum: Datum = SourceDatum.WGS84


ItemQueryDep = Annotated[ItemQuery, Query()]
IdOrCode = Annotated[str, Path(description="id or code")]


def answer_page(request: Request, page: Page, *, geojson: bool) -> Response:
    """A page, with the address of the next one as a link."""
    href = next_href(request, page.next_cursor)
    headers = dict(_HEADERS)
    if href is not None:
        media_type = GEOJSON if geojson else JSON
        headers["Link"] = f'<{href}>; rel="next"; type="{media_type}"'
    body = page.as_items()
    if geojson:
        body = in_datum(page.as_feature_collection(href), _datum(request))
    return Response(body, media_type=GEOJSON if geojson else JSON, headers=headers)


def answer_item(request: Request, row: str, *, geojson: bool) -> Response:
    """An item, or 304 where the caller already has these very bytes."""
    body = in_datum(row.encode(), _datum(request)) if geojson else row.encode()
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = _HEADERS | {"ETag": tag}
    if _has(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=GEOJSON if geojson else JSON, headers=headers)


def page_responses(properties: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """The ``responses=`` of a listing."""
    collection = {
        "type": "object",
        "description": "RFC 7946; `links` holds the address of the next page",
        "required": ["type", "features", "numberReturned", "links"],
        "properties": {
            "type": {"const": "FeatureCollection"},
            "features": {"type": "array", "items": _feature(properties)},
            "numberReturned": {"type": "integer"},
            "links": {"type": "array", "items": {"type": "object"}},
            "datum": {
                "enum": [SourceDatum.GCJ02.value, SourceDatum.BD09.value],
                "description": "of the coordinates, where it was asked for; else WGS 84",
            },
        },
    }
    return {
        200: {"content": {GEOJSON: {"schema": collection}}},
        **problems(NotSignedInError, InvalidInputError),
    }


def item_responses(properties: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """The ``responses=`` of an item."""
    return {
        200: {"content": {GEOJSON: {"schema": _feature(properties)}}},
        304: {"description": "unchanged since the ETag in `If-None-Match`"},
        **problems(NotSignedInError, NotFoundError),
    }


def _feature(properties: type[BaseModel]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["type", "id", "geometry", "properties"],
        "properties": {
            "type": {"const": "Feature"},
            "id": {"type": "string", "format": "uuid"},
            "geometry": {"type": ["object", "null"], "description": "longitude, latitude (WGS 84)"},
            "properties": properties.model_json_schema(),
        },
    }


def _datum(request: Request) -> SourceDatum:
    """The datum that geometries are asked for in; FastAPI has refused what is none."""
    return DATUMS[request.query_params.get("datum", SourceDatum.WGS84.value)]


def _has(if_none_match: str, tag: str) -> bool:
    known = [one.strip().removeprefix("W/") for one in if_none_match.split(",")]
    return tag in known or "*" in known
