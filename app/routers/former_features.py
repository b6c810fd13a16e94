"""Undo for those who draw: what features were before, and putting it back."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from app.inventory.drawing.errors import DrawingRefusedError, DuplicateCodeError
from app.inventory.drawing.former import list_former
from app.inventory.drawing.service import restore_feature
from app.inventory.schemas import Code, ItemPage, Shown
from app.kernel.errors import InvalidInputError, NotFoundError
from app.routers.dependencies import ActorDep, GeoJsonDep, IdPath, Paging, SessionDep, WriterDep
from app.routers.listings import answer_page, page_responses
from app.routers.problems import problems
from app.security.actors import NotAllowedError, NotSignedInError

router = APIRouter(prefix="/api/v1/former-features", tags=["inventory"])

LayerId = Literal["zones", "parks", "parcels", "buildings", "floors"]
OptionalPark = Annotated[UUID | None, Field(description="园区: null for a zone")]


class FormerQuery(Paging):
    """What to list, and which page of it."""

    layer: LayerId | None = Field(default=None, description="图层; all unless told")
    code: str | None = Field(
        default=None, max_length=500, pattern=r"^[^\x00]+$", description="编码 of the feature"
    )
    removed: bool | None = Field(
        default=None, description="true: only what was taken away; false: only what was changed"
    )


class FormerOut(Shown):
    """旧要素: what one change replaced."""

    id: UUID = Field(description="of the change; `restore` takes it")
    layer: LayerId
    feature_id: UUID = Field(description="id of the parcel, building, …")
    fid: int = Field(description="要素编号: its number in GIS tools")
    code: Code
    park_id: OptionalPark
    properties: dict[str, Any] = Field(
        description="those that were changed, as they were; all, of what was taken away"
    )
    outline: bool = Field(description="whether the outline was changed; GeoJSON has it as it was")
    known_from: datetime | None = Field(description="when it was changed before; null: never")
    known_until: datetime = Field(description="when it was changed or taken away")
    changed_by: str = Field(description="who did")
    removed: bool = Field(description="it was taken away, and not changed")


class RestoredOut(Shown):
    """What was put back."""

    collection: str = Field(description="图层")
    fid: int = Field(description="要素编号: a new one, where the feature had been taken away")
    id: UUID
    code: Code
    park_id: OptionalPark
    trimmed_m2: float = Field(description="修整面积: cut off, so that it fits its neighbours, m²")


@router.get(
    "",
    response_model=ItemPage[FormerOut],
    summary="List what features were before 查询历史要素",
    responses=page_responses(FormerOut) | problems(NotAllowedError),
)
def show_former_features(
    request: Request,
    session: SessionDep,
    actor: ActorDep,
    asked: Annotated[FormerQuery, Query()],
    geojson: GeoJsonDep,
) -> Response:
    """What changes of the drawn layers replaced, the latest first. For managers of the park.

    Example: `GET /api/v1/former-features?layer=parcels&code=GENE-ISLAND-P001&f=geojson`
    """
    page = list_former(
        session,
        actor,
        asked.page(geojson=geojson),
        layer=asked.layer,
        code=asked.code,
        removed=asked.removed,
        geojson=geojson,
    )
    return answer_page(request, page, geojson=geojson)


@router.post(
    "/{former_id}/restore",
    response_model=RestoredOut,
    summary="Put back what a change replaced 恢复历史要素",
    responses=problems(
        *(NotFoundError, DrawingRefusedError, DuplicateCodeError, InvalidInputError),
        *(NotSignedInError, NotAllowedError),
    ),
)
def restore_former_feature(
    former_id: IdPath, session: SessionDep, actor: ActorDep, write: WriterDep
) -> Response:
    """Put the outline and the properties back as they were; draw again what was taken away.

    It has to fit what is there now, as everything that is drawn. What it replaces is kept in turn.
    """

    def work() -> RestoredOut:
        layer, drawn = restore_feature(session, actor, former_id)
        return RestoredOut(
            collection=layer,
            fid=drawn.fid,
            id=drawn.id,
            code=drawn.code,
            park_id=drawn.park_id,
            trimmed_m2=drawn.trimmed_m2,
        )

    return write(work, status=200)
