"""Collections and their features over HTTP."""

from datetime import UTC
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response

from app.database.session import Session
from app.geo.display import in_datum
from app.kernel.errors import NotFoundError
from app.kernel.terms import SourceDatum
from app.ogc.asked import Selection
from app.ogc.collection import Collection
from app.ogc.collections import COLLECTIONS, find_collection
from app.ogc.crs import Crs
from app.ogc.documents import (
    GEOJSON,
    JSON,
    SCHEMA,
    collection,
    collections,
    extents,
    feature_schema,
    link,
    queryables,
    schema,
    sortables,
)
from app.ogc.errors import BadParameterError
from app.ogc.items import Items, Shape, fetch_item, fetch_items, read_item, read_items
from app.ogc.kept_features import KeptFeatures
from app.ogc.references import require_references
from app.routers.dependencies import bearer_scheme, cookie_scheme, in_sandbox
from app.routers.ogc.landing import AddressOnly
from app.routers.ogc.serving import (
    answer,
    base_of,
    crses,
    in_session,
    json_text,
    now_of,
    parameters_of,
    with_parameters,
)
from app.routers.problems import problems
from app.security.actors import NotSignedInError

router = APIRouter(
    prefix="/ogc/collections",
    tags=["OGC API"],
    dependencies=[Depends(bearer_scheme), Depends(cookie_scheme)],
    responses=problems(BadParameterError, NotFoundError, NotSignedInError),
)

CollectionId = Annotated[str, Path(description=f"图层: {', '.join(COLLECTIONS)}")]
FeatureId = Annotated[str, Path(description="要素编号: number of the feature")]
_FEATURES: dict[int | str, dict[str, Any]] = {
    200: {"content": {GEOJSON: {"schema": {"type": "object"}}}}
}
_SCHEMA: dict[int | str, dict[str, Any]] = {
    200: {"content": {SCHEMA: {"schema": {"type": "object"}}}}
}
_UNCHANGED: dict[int | str, dict[str, Any]] = {
    304: {"description": "unchanged since the ETag in `If-None-Match`"}
}


@router.get("", dependencies=[AddressOnly], summary="图层列表 Collections")
async def show_ogc_collections(request: Request) -> Response:
    """The collections of features."""

    def work(session: Session) -> Response:
        return answer(collections(base_of(request), extents(session), crses(request)), JSON)

    return await in_session(request, work)


@router.get("/{collection_id}", dependencies=[AddressOnly], summary="图层 One collection")
async def show_ogc_collection(request: Request, collection_id: CollectionId) -> Response:
    """One collection: its extent, its coordinate reference systems, its links."""
    one = find_collection(collection_id)

    def work(session: Session) -> Response:
        found = collection(base_of(request), one, extents(session), crses(request))
        return answer(found, JSON)

    return await in_session(request, work)


@router.get(
    "/{collection_id}/schema",
    dependencies=[AddressOnly],
    responses=_SCHEMA,
    summary="属性结构 Schema",
)
async def show_ogc_schema(request: Request, collection_id: CollectionId) -> Response:
    """JSON Schema of what a feature of the collection has."""
    return answer(schema(base_of(request), find_collection(collection_id)), SCHEMA)


@router.get(
    "/{collection_id}/feature-schema",
    dependencies=[AddressOnly],
    responses=_SCHEMA,
    summary="要素结构 Schema of a feature",
)
async def show_ogc_feature_schema(request: Request, collection_id: CollectionId) -> Response:
    """JSON Schema of a feature as GeoJSON, from which GDAL takes the types of fields."""
    return answer(feature_schema(base_of(request), find_collection(collection_id)), SCHEMA)


@router.get(
    "/{collection_id}/queryables",
    dependencies=[AddressOnly],
    responses=_SCHEMA,
    summary="可查询属性 Queryables",
)
async def show_ogc_queryables(request: Request, collection_id: CollectionId) -> Response:
    """The properties that filters may name, as JSON Schema."""
    return answer(queryables(base_of(request), find_collection(collection_id)), SCHEMA)


@router.get(
    "/{collection_id}/sortables",
    dependencies=[AddressOnly],
    responses=_SCHEMA,
    summary="可排序属性 Sortables",
)
async def show_ogc_sortables(request: Request, collection_id: CollectionId) -> Response:
    """The properties that `sortby` may name, as JSON Schema."""
    return answer(sortables(base_of(request), find_collection(collection_id)), SCHEMA)


@router.get("/{collection_id}/items", responses=_FEATURES, summary="要素 Features")
async def show_ogc_items(request: Request, collection_id: CollectionId) -> Response:
    """One page of features as GeoJSON; `/ogc/api` lists the parameters of each collection.

    Example: `GET /ogc/collections/free_space/items?datetime=2027-03-01&unit_type=pilot`
    """
    one = find_collection(collection_id)

    def work(session: Session) -> Response:
        asked = parameters_of(request)
        selection, shape = read_items(one, asked, now=now_of(request), known=crses(request))
        items = fetch_items(session, selection, shape, _kept_of(request))
        if not items.returned and not items.matched:
            require_references(session, one, asked)
        return _page(request, selection, shape, items)

    return await in_session(request, work)


@router.get(
    "/{collection_id}/items/{feature_id}",
    responses=_FEATURES | _UNCHANGED,
    summary="单个要素 One feature",
)
async def show_ogc_item(
    request: Request, collection_id: CollectionId, feature_id: FeatureId
) -> Response:
    """One feature as GeoJSON, with an ETag."""
    one = find_collection(collection_id)
    parameters = parameters_of(request)

    def work(session: Session) -> Response:
        selection, shape = read_item(
            one, feature_id, parameters, now=now_of(request), known=crses(request)
        )
        item = fetch_item(session, selection, shape)
        tag = f'"{item.tag}-{shape.crs.label}"'
        headers = {"ETag": tag} | _in_system(shape.crs)
        known = [part.strip().removeprefix("W/") for part in _if_none_match(request)]
        if tag in known or "*" in known:
            return Response(status_code=304, headers={"ETag": tag})
        own = f"{base_of(request)}/collections/{one.id}"
        links = [
            link(with_parameters(f"{own}/items/{feature_id}", parameters), "self", GEOJSON),
            link(own, "collection", JSON),
        ]
        body = f'{item.feature[:-1]},"links":{json_text(links)}}}'
        return answer(in_datum(body.encode(), shape.crs.datum), GEOJSON, headers)

    return await in_session(request, work)


def _kept_of(request: Request) -> KeptFeatures | None:
    state = request.app.state
    kept: KeptFeatures | None = state.sandbox_features if in_sandbox(request) else state.features
    return kept


def _in_system(crs: Crs) -> dict[str, str]:
    """The header that names the system of the coordinates; a datum of web maps has no name."""
    return {"Content-Crs": f"<{crs.uri}>"} if crs.datum is SourceDatum.WGS84 else {}


def _if_none_match(request: Request) -> list[str]:
    return request.headers.get("if-none-match", "").split(",")


def _page(request: Request, selection: Selection, shape: Shape, items: Items) -> Response:
    """A page as one GeoJSON document around the bytes that came from the database."""
    one: Collection = selection.collection
    own = f"{base_of(request)}/collections/{one.id}"
    asked = parameters_of(request)
    links = [
        link(with_parameters(f"{own}/items", asked), "self", GEOJSON, "this page"),
        link(own, "collection", JSON, f"{one.title_zh} {one.title_en}"),
    ]
    headers = _in_system(shape.crs)
    if items.cursor is not None:
        # The days are named, so that a walk that began before midnight ends on the same ones.
        kept = [(name, value) for name, value in asked if name not in {"cursor", "datetime"}]
        days = [("datetime", selection.days)] if one.temporal else []
        further = with_parameters(f"{own}/items", [*kept, *days, ("cursor", items.cursor)])
        links.append(link(further, "next", GEOJSON, "下一页 the next page"))
        headers["Link"] = f'<{further}>; rel="next"; type="{GEOJSON}"'
    stamp = now_of(request).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    matched = "" if items.matched is None else f'"numberMatched":{items.matched},'
    start = (
        f'{{"type":"FeatureCollection","timeStamp":"{stamp}",{matched}'
        f'"numberReturned":{items.returned},"links":{json_text(links)},"features":['
    )
    body = b"".join((start.encode(), items.features, b"]}"))
    return answer(in_datum(body, shape.crs.datum), GEOJSON, headers)
