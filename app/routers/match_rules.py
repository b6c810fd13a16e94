"""How matches are made, over HTTP: the constraints, the criteria, and how they are weighed."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from app.kernel.errors import InvalidInputError, NotFoundError
from app.matching.answers import policies
from app.matching.answers.policies import CriterionList, PolicyIn, PolicyOut
from app.matching.rules.described import TABLE_CITED, described
from app.routers.dependencies import ActorDep, Filters, SessionDep, WriterDep, get_actor
from app.routers.listings import IdOrCode
from app.routers.problems import problems
from app.routers.versions import shown_alone
from app.security.actors import NotAllowedError, NotSignedInError

router = APIRouter(prefix="/api/v1", tags=["matching"], dependencies=[Depends(get_actor)])


class NoFilters(Filters):
    """Nothing can be asked for."""


class ConstraintOut(BaseModel):
    """One rule of the table that search, refusals and holds are judged by."""

    bit: int = Field(description="its place in the table, which never changes")
    key: str = Field(description="as in answers and in `relax_costs`")
    name_zh: str
    name_en: str
    reads: Literal["per_unit", "sum", "any"] = Field(
        alias="class", description="how it reads on several units together"
    )
    class_zh: str
    class_en: str
    unit: str | None = Field(description="of need, have and margin; null: they are words")
    relax_cost: int = Field(description="how much giving way is minded, unless told otherwise")
    never_relax: bool = Field(description="law or safety: no firm may wave it")
    by_amount: bool = Field(description="a refusal says how far the need would have to move")
    source: str
    confidence: str


class ConstraintList(BaseModel):
    """The whole table, in order."""

    version: str = Field(description="version and digest of the table, as answers cite it")
    items: list[ConstraintOut]


@router.get("/match-constraints", responses=problems(NotSignedInError))
def list_constraints(_asked: Annotated[NoFilters, Query()]) -> ConstraintList:
    """Every rule that space is judged by (约束表), with its words, cost, source and confidence."""
    return ConstraintList.model_validate({"version": TABLE_CITED, "items": described()})


@router.get("/match-criteria", responses=problems(NotSignedInError))
def list_criteria(_asked: Annotated[NoFilters, Query()]) -> CriterionList:
    """Every criterion of the score (评分项) with its usual weight."""
    return policies.criteria()


@router.get("/match-policy", responses=problems(NotSignedInError))
@shown_alone
def show_house_policy(_asked: Annotated[NoFilters, Query()], session: SessionDep) -> PolicyOut:
    """The weights of the house (默认权重): used where neither a park's nor own ones are."""
    return policies.get_policy(session, None)


@router.put(
    "/match-policy",
    response_model=PolicyOut,
    responses=problems(InvalidInputError, NotSignedInError, NotAllowedError),
)
def set_house_policy(
    body: PolicyIn, session: SessionDep, actor: ActorDep, write: WriterDep
) -> Response:
    """Put the house's weights in force from now on. For administrators of all parks.

    Answers of before stay as they were: `as_of` weighs as it was then.
    """
    return write(lambda: policies.set_policy(session, actor, None, body.weights), status=200)


@router.get("/parks/{id_or_code}/match-policy", responses=problems(NotSignedInError, NotFoundError))
@shown_alone
def show_park_policy(id_or_code: IdOrCode, session: SessionDep) -> PolicyOut:
    """The weights of a park (园区权重): its own, else the house's, else the usual ones.

    Example: `GET /api/v1/parks/gene_island/match-policy`
    """
    return policies.get_policy(session, id_or_code)


@router.put(
    "/parks/{id_or_code}/match-policy",
    response_model=PolicyOut,
    responses=problems(InvalidInputError, NotSignedInError, NotAllowedError, NotFoundError),
)
def set_park_policy(
    id_or_code: IdOrCode, body: PolicyIn, session: SessionDep, actor: ActorDep, write: WriterDep
) -> Response:
    """Put a park's own weights in force from now on. For managers of that park."""
    return write(lambda: policies.set_policy(session, actor, id_or_code, body.weights), status=200)
