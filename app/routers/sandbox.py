"""沙盒 over HTTP: keys for it, and putting it back as it was."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.database.session import transaction
from app.demand.companies import get_company
from app.kernel.errors import BusyError, InvalidInputError, NotFoundError
from app.kernel.written import WrittenBody
from app.routers.dependencies import (
    ActorDep,
    ClockDep,
    Filters,
    SessionDep,
    WriterDep,
    in_sandbox,
)
from app.routers.problems import problems
from app.routers.shown_once import write_shown_once
from app.security.actors import NotAllowedError, NotSignedInError
from app.security.keys import service
from app.security.keys.schemas import Days, KeyIssuedOut, Label
from app.security.rows import system
from app.seeding import sandbox
from app.seeding.sandbox import NoSandboxError, Sandbox, SandboxInUseError

router = APIRouter(prefix="/api/v1/sandbox", tags=["access"])

_DAYS_DEFAULT = 90


class SandboxOut(BaseModel):
    """The sandbox."""

    available: bool = Field(description="whether this installation has one 是否开通")
    units: int = Field(description="units of its made-up park 虚构房源数")
    reset_at: datetime | None = Field(description="when all was last put back 最近重置")
    resets: str = Field(
        default="every night at 03:00 in Shanghai, and on request 每日03:00自动重置"
    )


class SandboxKeyIn(WrittenBody):
    """A key for the sandbox."""

    model_config = ConfigDict(
        extra="forbid",
        str_strip_whitespace=True,
        json_schema_extra={
            "examples": [{"label": "ci", "company_id": "6ec6a136-c713-57ae-a8f8-280a362a76e0"}]
        },
    )

    label: Label = "sandbox"
    expires_in_days: Days = _DAYS_DEFAULT
    company_id: UUID | None = Field(
        default=None, description="for which firm; staff say so, a firm's key issues for its own"
    )


@router.get("", responses=problems())
def show_sandbox(request: Request, _none: Annotated[Filters, Query()]) -> SandboxOut:
    """Whether there is a sandbox (沙盒), and when it was last put back."""
    found: Sandbox | None = request.app.state.sandbox
    if found is None:
        return SandboxOut(available=False, units=0, reset_at=None)
    with found.sessions() as session:
        system(session)
        return SandboxOut(available=True, units=sandbox.UNITS, reset_at=sandbox.reset_at(session))


@router.post(
    "/keys",
    status_code=201,
    response_model=KeyIssuedOut,
    responses=problems(
        *(InvalidInputError, NotSignedInError, NotAllowedError, NotFoundError),
        *(service.KeysFullError, NoSandboxError),
    ),
)
def issue_sandbox_key(
    body: SandboxKeyIn,
    request: Request,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    *,
    write: WriterDep,
) -> Response:
    """A key `sr_test_…` for the sandbox (沙盒密钥), shown once; it works at the same addresses.

    Show the firm's key with the scope `keys:write`. What the new key reads and writes is made up
    and lies in a database of its own.
    """

    def work() -> tuple[KeyIssuedOut, dict[str, str]]:
        company_id = service.company_asked_for(actor, body.company_id)
        found = _sandbox(request)
        company = get_company(session, actor, company_id)
        with found.sessions() as beside, transaction(beside):
            system(beside)
            sandbox.admit(beside, company.id, company.name_zh)
            made, key = service.issue_test_key(
                beside,
                company_id=company.id,
                label=body.label,
                expires_at=clock.now() + timedelta(days=body.expires_in_days),
                issued_by=actor.label,
                now=clock.now(),
            )
        return made, {"key": key}

    return write_shown_once(write, work)


@router.post(
    "/reset",
    status_code=200,
    responses=problems(NotSignedInError, NotAllowedError, SandboxInUseError, BusyError),
)
def reset_sandbox(
    request: Request, session: SessionDep, actor: ActorDep, clock: ClockDep
) -> SandboxOut:
    """Put the sandbox back as it was made (重置沙盒), for all firms.

    Takes a key of the sandbox. Requests, holds and leases go; keys and webhook endpoints stay.
    Refused while another firm's key was used in the last quarter of an hour.
    """
    service.require_keys_scope(actor)
    if not in_sandbox(request) or actor.company_id is None:
        raise NotAllowedError(
            "this takes a key of the sandbox, `sr_test_…`", detail_zh="须使用沙盒密钥 sr_test_…"
        )
    # What this transaction has read would keep the tables from being emptied.
    session.rollback()
    with _sandbox(request).sessions() as beside, transaction(beside):
        system(beside)
        if sandbox.in_use_by_others(beside, actor.company_id, clock.now()):
            raise SandboxInUseError(
                "another firm used the sandbox in the last quarter of an hour; try again later",
                detail_zh="其他企业在最近一刻钟内使用过沙盒，请稍后再试",
            )
        sandbox.reset(beside)
        return SandboxOut(available=True, units=sandbox.UNITS, reset_at=sandbox.reset_at(beside))


def _sandbox(request: Request) -> Sandbox:
    found: Sandbox | None = request.app.state.sandbox
    if found is None:
        raise NoSandboxError(
            "this installation has no sandbox; ask its operator",
            detail_zh="本系统未开通沙盒，请联系运营方",
        )
    return found
