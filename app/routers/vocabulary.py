"""The closed vocabularies over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.inventory.vocabulary import Vocabulary, vocabulary
from app.routers.dependencies import Filters
from app.routers.listings import answer_item

router = APIRouter(prefix="/api/v1/vocabulary", tags=["inventory"])

_TEXT = vocabulary().model_dump_json()


@router.get("", response_model=Vocabulary, responses={304: {"description": "unchanged"}})
async def show_vocabulary(request: Request, _none: Annotated[Filters, Query()]) -> Response:
    """Every closed vocabulary with its Chinese and English words.

    Example: `GET /api/v1/vocabulary`
    """
    return answer_item(request, _TEXT, geojson=False)
