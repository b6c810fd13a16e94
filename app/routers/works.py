"""Works and out-of-service periods: days on which nobody can have a unit."""

from datetime import date
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from app.inventory.filters import Day
from app.kernel.errors import Fault, InvalidInputError
from app.kernel.period import Period
from app.kernel.terms import ClaimKind
from app.kernel.written import WrittenBody
from app.ledger.errors import (
    NoSuchCommitmentError,
    OutsideUsableDaysError,
    QuantityNotAllowedError,
    UnitOccupiedError,
    UnknownUnitError,
)
from app.ledger.orders import Order, Wanted
from app.ledger.tenancy import works as ledger
from app.ledger.tenancy.errors import WorksEndedError
from app.ledger.tenancy.works import Works
from app.routers.dependencies import ActorDep, IdPath, SessionDep, WriterDep
from app.routers.leases import UNITS_MAX, ClaimLine, UnitIn, claim_lines
from app.routers.problems import problems
from app.routers.versions import shown_alone
from app.security.actors import NotAllowedError, NotSignedInError

router = APIRouter(prefix="/api/v1/works", tags=["ledger"])

#: A unit of the reference data, whose ids are the same everywhere.
EXAMPLE_ID = "7dc67324-9ca8-5e88-be8b-5e6ea0437a72"
_WORKS_EXAMPLE: dict[str, Any] = {
    "units": [{"unit_id": EXAMPLE_ID}],
    "from": "2031-01-01",
    "until": "2031-03-01",
    "kind": "works",
}


class WorksIn(WrittenBody):
    """Units that nobody can have for a period: all of them or none."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_WORKS_EXAMPLE]})

    units: list[UnitIn] = Field(
        min_length=1, max_length=UNITS_MAX, description="房源: all of them or none"
    )
    start: Day = Field(alias="from", description="first day 起始日", examples=["2031-01-01"])
    until: Day | None = Field(
        default=None,
        description="first day free again, exclusive; open unless told 截止日（不含）",
        examples=["2031-03-01"],
    )
    kind: Literal[ClaimKind.WORKS, ClaimKind.OUT_OF_SERVICE] = Field(
        default=ClaimKind.WORKS, description="works 施工, or out of service 停用"
    )

    def order(self) -> Order:
        """What the ledger is asked.

        Raises:
            InvalidInputError: the period ends before it starts.
        """
        if self.until is not None and self.until <= self.start:
            raise InvalidInputError(
                "until must be after from; it is the first day not included",
                [Fault("/until", "must be after from", detail_zh="须晚于 from")],
                detail_zh="until 须晚于 from（不含当日）",
            )
        return Order(
            units=[Wanted(unit.unit_id, unit.quantity) for unit in self.units],
            period=Period(self.start, self.until),
        )


class EndWorksIn(WrittenBody):
    """When works end."""

    model_config = ConfigDict(extra="forbid")

    on: Day = Field(
        description="first day free again; their first day undoes them 结束日（当日起可用）",
        examples=["2031-02-01"],
    )


class WorksOut(BaseModel):
    """Works, or time out of service."""

    model_config = ConfigDict(serialize_by_alias=True)

    id: UUID
    kind: ClaimKind
    kind_zh: str = Field(examples=["施工"])
    start: date = Field(alias="from")
    until: date | None = Field(description="exclusive; null is open")
    cancelled: bool = Field(description="undone on their first day: they keep no days")
    claims: list[ClaimLine]


def works_out(works: Works) -> WorksOut:
    """Works as they are shown."""
    made = works.made
    return WorksOut(
        id=made.id,
        kind=works.kind,
        kind_zh=works.kind.zh,
        **{"from": made.period.lower},
        until=made.period.upper,
        cancelled=not works.stands,
        claims=claim_lines(made),
    )


@router.post(
    "",
    status_code=201,
    response_model=WorksOut,
    summary="Keep units for works 登记施工或停用",
    responses=problems(
        UnitOccupiedError,
        UnknownUnitError,
        OutsideUsableDaysError,
        QuantityNotAllowedError,
        InvalidInputError,
        NotSignedInError,
        NotAllowedError,
    ),
)
def create_works(body: WorksIn, session: SessionDep, actor: ActorDep, write: WriterDep) -> Response:
    """Keep units for works, or out of service. For staff of the park, from agent upwards.

    When some unit has too little free on some of the days, nothing is kept, and the answer names
    the days in `conflicts`.
    """
    return write(
        lambda: works_out(ledger.place_works(session, actor, body.order(), body.kind)),
        location=lambda made: f"/api/v1/works/{made.id}",
    )


@router.get(
    "/{works_id}",
    summary="Read works 查看施工或停用",
    responses=problems(NoSuchCommitmentError, NotSignedInError, NotAllowedError),
)
@shown_alone
def read_works(works_id: IdPath, session: SessionDep, actor: ActorDep) -> WorksOut:
    """Works of one's parks, for staff. Their rows are in /api/v1/claims too."""
    return works_out(ledger.get_works(session, actor, works_id))


@router.post(
    "/{works_id}/end",
    response_model=WorksOut,
    summary="End works 结束施工或停用",
    responses=problems(
        WorksEndedError,
        NoSuchCommitmentError,
        InvalidInputError,
        NotSignedInError,
        NotAllowedError,
    ),
)
def end_works(
    works_id: IdPath, body: EndWorksIn, session: SessionDep, actor: ActorDep, write: WriterDep
) -> Response:
    """End works on a day, sooner than planned; the days after are free at once."""
    return write(lambda: works_out(ledger.end_works(session, actor, works_id, body.on)), status=200)
