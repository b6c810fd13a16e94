"""Drawing over HTTP: for managers of a park and administrators, as QGIS and others send it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response

from app.geo.shapes import InvalidShapeError
from app.inventory.drawing.errors import (
    ChangedByOthersError,
    DrawingRefusedError,
    DuplicateCodeError,
    StillStandingError,
    WhichDatumError,
)
from app.inventory.drawing.service import require_drawer
from app.kernel.errors import InvalidInputError, NotFoundError
from app.ogc.collection import Collection
from app.ogc.collections import find_collection
from app.ogc.crs import STORAGE
from app.ogc.editing import (
    CONTENT_CRS,
    DrawnOut,
    FeatureIn,
    Frame,
    create,
    not_drawn,
    offered,
    read_frame,
    remove,
    replace,
    require_body_type,
)
from app.ogc.errors import BadParameterError, NotDrawnError, UnsupportedMediaTypeError
from app.routers.dependencies import ActorDep, Query, SessionDep, WriterDep
from app.routers.methods import ALLOWED
from app.routers.ogc.features import CollectionId, FeatureId
from app.routers.ogc.serving import base_of, crses, now_of, parameters_of
from app.routers.ogc.told import Place, Told
from app.routers.problems import problems
from app.routers.versions import ChangedMeanwhileError
from app.security.actors import Actor, NotAllowedError, NotSignedInError

router = APIRouter(
    prefix="/ogc/collections",
    tags=["OGC API"],
    responses=problems(
        *(NotFoundError, NotDrawnError, BadParameterError, InvalidInputError),
        *(NotSignedInError, NotAllowedError),
    ),
)

ContentCrs = Annotated[
    str | None,
    Header(alias=CONTENT_CRS, description="坐标参考系 of the body's coordinates, `<URI>`"),
]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description="the ETag of what was read; `*` overwrites whatever is there; without it, what"
        " somebody else has changed within a day is not overwritten",
    ),
]
Datum = Annotated[
    str | None,
    Query(description="坐标基准 of the body: WGS84, CGCS2000, GCJ02 or BD09; longitude first"),
]


def require_content_type(request: Request, collection_id: CollectionId, actor: ActorDep) -> None:
    """Refuse a body that does not say how it is written, or is written in another way than is read.

    Who may not draw hears that first, and of what is not drawn that it is not.

    Raises:
        BadParameterError: there is no ``Content-Type``, as Part 4 of the standard asks.
        UnsupportedMediaTypeError: it is none that is read.
    """
    _editable(request, actor, collection_id, request.method)
    require_body_type(request.method, request.headers.get("content-type"))


class _AsSpelt(bytes):
    """The name of a header that is sent as it is spelt: the server writes all others small."""

    __slots__ = ()

    def lower(self) -> "_AsSpelt":
        """Itself."""
        return self


_LOCATION = _AsSpelt(b"Location")
_ContentType = Depends(require_content_type)
_DRAWING = problems(
    *(InvalidShapeError, DrawingRefusedError, WhichDatumError, DuplicateCodeError),
    UnsupportedMediaTypeError,
)
#: Of a call that answers nothing once it is done.
_REHEARSED: dict[int | str, dict[str, Any]] = {
    200: {"model": DrawnOut, "description": "what would be gone, of a call with `dry_run`"}
}
_AGREEING = problems(ChangedMeanwhileError, ChangedByOthersError)


@router.post(
    "/{collection_id}/items",
    dependencies=[_ContentType],
    status_code=201,
    response_model=DrawnOut,
    summary="绘制要素 Draw a feature",
    responses=_DRAWING,
)
def create_ogc_item(
    request: Request,
    collection_id: CollectionId,
    body: FeatureIn,
    *,
    session: SessionDep,
    actor: ActorDep,
    write: WriterDep,
    content_crs: ContentCrs = None,
    datum: Datum = None,  # noqa: ARG001 - read with all others, and documented here
) -> Response:
    """Draw a parcel, a building or a floor. For managers of the park, and administrators.

    The collection's schema says which properties are needed. What it lies in (`park_code`,
    `parcel_code`, `building_code`) is found by the outline, the innermost, unless told. Strips
    too thin to be meant are cut off, and it says how much.
    """
    one = _editable(request, actor, collection_id, "POST")
    frame = _frame(request, content_crs, body)
    own = f"{base_of(request)}/collections/{one.id}/items"
    done = write(
        lambda: create(session, actor, one, body, frame),
        location=lambda made: f"{own}/{made.fid}",
    )
    # QGIS looks for the name as it was once spelt, and takes a feature for lost without it.
    done.raw_headers = [
        (_LOCATION if name == b"location" else name, value) for name, value in done.raw_headers
    ]
    return _with_etag(done)


@router.put(
    "/{collection_id}/items/{feature_id}",
    dependencies=[_ContentType],
    response_model=DrawnOut,
    summary="替换要素 Replace a feature",
    responses=_DRAWING | _AGREEING,
)
def replace_ogc_item(
    request: Request,
    collection_id: CollectionId,
    feature_id: FeatureId,
    body: FeatureIn,
    *,
    session: SessionDep,
    actor: ActorDep,
    write: WriterDep,
    if_match: IfMatch = None,
    content_crs: ContentCrs = None,
    datum: Datum = None,  # noqa: ARG001 - read with all others, and documented here
) -> Response:
    """Put a feature in the place of one: its outline, and its properties, all of them.

    What is not yours to say (sums, names of parents) is taken as long as it says what is shown.
    """
    one = _editable(request, actor, collection_id, "PUT")
    frame = _frame(request, content_crs, body)
    with _agreeing(request, actor, feature_id, if_match) as agreed:
        done = write(
            lambda: replace(
                *(session, actor, one, feature_id, frame), body=body, agreed=agreed, whole=True
            ),
            status=200,
        )
    return _with_etag(done)


@router.patch(
    "/{collection_id}/items/{feature_id}",
    dependencies=[_ContentType],
    response_model=DrawnOut,
    summary="修改要素 Change a feature",
    responses=_DRAWING | _AGREEING,
)
def change_ogc_item(
    request: Request,
    collection_id: CollectionId,
    feature_id: FeatureId,
    body: FeatureIn,
    *,
    session: SessionDep,
    actor: ActorDep,
    write: WriterDep,
    if_match: IfMatch = None,
    content_crs: ContentCrs = None,
    datum: Datum = None,  # noqa: ARG001 - read with all others, and documented here
) -> Response:
    """Change what the body names: outline, properties (a merge patch, RFC 7396)."""
    one = _editable(request, actor, collection_id, "PATCH")
    frame = _frame(request, content_crs, body)
    with _agreeing(request, actor, feature_id, if_match) as agreed:
        done = write(
            lambda: replace(
                *(session, actor, one, feature_id, frame), body=body, agreed=agreed, whole=False
            ),
            status=200,
        )
    return _with_etag(done)


@router.delete(
    "/{collection_id}/items/{feature_id}",
    status_code=204,
    summary="删除要素 Take a feature away",
    responses=_REHEARSED | problems(StillStandingError) | _AGREEING,
)
def delete_ogc_item(
    request: Request,
    collection_id: CollectionId,
    feature_id: FeatureId,
    *,
    session: SessionDep,
    actor: ActorDep,
    write: WriterDep,
    if_match: IfMatch = None,
) -> Response:
    """Take a feature away on which nothing stands; its last outline is kept."""
    one = _editable(request, actor, collection_id, "DELETE")
    _frame(request, None, None)
    with _agreeing(request, actor, feature_id, if_match) as agreed:
        done = write(lambda: remove(session, actor, one, feature_id, agreed), status=204)
    if done.status_code != 204:  # noqa: PLR2004 - a rehearsal says what would be gone
        return done
    kept = {name: value for name, value in done.headers.items() if name not in _OF_BODIES}
    return Response(status_code=204, headers=kept)


_OF_BODIES = frozenset({"content-length", "content-type"})


def _editable(request: Request, actor: Actor, collection_id: str, method: str) -> Collection:
    """The collection, which takes this method of the caller."""
    require_drawer(actor)
    one = find_collection(collection_id)
    on_items, on_item = offered(one)
    if method in on_items | on_item:
        return one
    taken = on_item if "feature_id" in request.path_params else on_items
    setattr(request.state, ALLOWED, sorted({"GET", "HEAD", "OPTIONS"} | taken))
    raise not_drawn(one)


def _frame(request: Request, content_crs: str | None, body: FeatureIn | None) -> Frame:
    said = None if body is None else body.datum
    return read_frame(parameters_of(request), content_crs, said, crses(request))


@contextmanager
def _agreeing(
    request: Request, actor: Actor, feature_id: str, if_match: str | None
) -> Iterator[Callable[[str], bool]]:
    """What refuses a call on what was read before it was changed, in whatever system it was shown.

    A call without ``If-Match`` that was refused tells its caller how the feature stands. The next
    one has read that.
    """
    told: Told = request.app.state.told
    now = now_of(request).timestamp()
    place = Place(actor.label, request.path_params["collection_id"], feature_id)
    meant = told.take(place, now) if if_match is None else if_match
    stands: list[str] = []

    def agreed(tag: str) -> bool:
        stands.append(f'"{tag}-{STORAGE.label}"')
        if meant is None:
            return False
        tags = [one.strip().removeprefix("W/").strip('"') for one in meant.split(",")]
        if "*" not in tags and tag not in {one.partition("-")[0] for one in tags}:
            raise ChangedMeanwhileError(
                f"its ETag is {stands[-1]} by now; read it again",
                detail_zh=f"当前 ETag 为 {stands[-1]}，请重新读取后再试",
                etag=stands[-1],
            )
        return True

    try:
        yield agreed
    except (ChangedByOthersError, ChangedMeanwhileError) as refused:
        refused.facts["etag"] = stands[-1]
        if if_match is None:
            told.tell(place, stands[-1], now)
        raise


def _with_etag(done: Response) -> Response:
    """The answer, with the tag that it names."""
    made: dict[str, Any] = json.loads(bytes(done.body))
    if made["etag"] is not None and "Dry-Run" not in done.headers:
        done.headers["ETag"] = made["etag"]
    return done
