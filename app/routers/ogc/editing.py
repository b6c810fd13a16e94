"""Drawing over HTTP: for managers of a park and administrators, as QGIS and others send it."""

import json
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from starlette.exceptions import HTTPException

from app.geo.shapes import InvalidShapeError
from app.inventory.drawing.errors import (
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
    offered,
    read_frame,
    remove,
    replace,
)
from app.ogc.errors import BadParameterError
from app.routers.dependencies import ActorDep, Query, SessionDep, WriterDep
from app.routers.methods import ALLOWED
from app.routers.ogc.features import CollectionId, FeatureId
from app.routers.ogc.serving import base_of, crses, parameters_of
from app.routers.problems import problems
from app.routers.versions import ChangedMeanwhileError, EtagNeededError
from app.security.actors import Actor, NotAllowedError, NotSignedInError

router = APIRouter(
    prefix="/ogc/collections",
    tags=["OGC API"],
    responses=problems(
        NotFoundError, BadParameterError, InvalidInputError, NotSignedInError, NotAllowedError
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
        description="the ETag of what was read; `*` overwrites whatever is there",
    ),
]
Datum = Annotated[
    str | None,
    Query(description="坐标基准 of the body: WGS84, CGCS2000, GCJ02 or BD09; longitude first"),
]
_DRAWING = problems(InvalidShapeError, DrawingRefusedError, WhichDatumError, DuplicateCodeError)
#: Of a call that answers nothing once it is done.
_REHEARSED: dict[int | str, dict[str, Any]] = {
    200: {"model": DrawnOut, "description": "what would be gone, of a call with `dry_run`"}
}
_AGREEING = problems(ChangedMeanwhileError, EtagNeededError)


@router.post(
    "/{collection_id}/items",
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

    Of its properties `code`, names and what it lies in (`park_code`, `parcel_code`,
    `building_code`) are needed. Strips too thin to be meant are cut off, and it says how much.
    """
    one = _editable(request, actor, collection_id, "POST")
    frame = _frame(request, content_crs, body)
    own = f"{base_of(request)}/collections/{one.id}/items"
    return _with_etag(
        write(
            lambda: create(session, actor, one, body, frame),
            location=lambda made: f"{own}/{made.fid}",
        )
    )


@router.put(
    "/{collection_id}/items/{feature_id}",
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
    return _with_etag(
        write(
            lambda: replace(
                *(session, actor, one, feature_id, frame),
                body=body,
                agreed=_agreed(if_match),
                whole=True,
            ),
            status=200,
        )
    )


@router.patch(
    "/{collection_id}/items/{feature_id}",
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
    return _with_etag(
        write(
            lambda: replace(
                *(session, actor, one, feature_id, frame),
                body=body,
                agreed=_agreed(if_match),
                whole=False,
            ),
            status=200,
        )
    )


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
    done = write(
        lambda: remove(session, actor, one, feature_id, _agreed(if_match)),
        status=204,
    )
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
    raise HTTPException(405)


def _frame(request: Request, content_crs: str | None, body: FeatureIn | None) -> Frame:
    said = None if body is None else body.datum
    return read_frame(parameters_of(request), content_crs, said, crses(request))


def _agreed(if_match: str | None) -> Callable[[str], None]:
    """Refuses what was read before it was changed, in whatever system it was shown."""

    def agreed(tag: str) -> None:
        if if_match is None:
            raise EtagNeededError(
                "send the ETag of what you read as `If-Match`, or `If-Match: *` to overwrite"
                " whatever is there",
                detail_zh="请在 If-Match 请求头中携带读取时的 ETag；If-Match: * 表示无论如何覆盖",
            )
        tags = [one.strip().removeprefix("W/").strip('"') for one in if_match.split(",")]
        if "*" not in tags and tag not in {one.partition("-")[0] for one in tags}:
            current = f'"{tag}-{STORAGE.label}"'
            raise ChangedMeanwhileError(
                f"its ETag is {current} by now; read it again",
                detail_zh=f"当前 ETag 为 {current}，请重新读取后再试",
                etag=current,
            )

    return agreed


def _with_etag(done: Response) -> Response:
    """The answer, with the tag that it names."""
    made: dict[str, Any] = json.loads(bytes(done.body))
    if made["etag"] is not None and "Dry-Run" not in done.headers:
        done.headers["ETag"] = made["etag"]
    return done
