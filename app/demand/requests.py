"""Space requests: what a firm asks for, and what follows from its pipeline."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, Select, func, insert, select, update
from sqlalchemy.orm import Session

from app.database.paging import Page, PageRequest, Sort, fetch_one, fetch_page
from app.demand.companies import asset_of, history_of
from app.demand.derive import Ask, derive_needs
from app.demand.needs import NO_NAMES, Need, PlaceNames, named
from app.demand.pipeline import current, standing, upcoming
from app.demand.request_schemas import NeedsIn, SpaceRequestIn, SpaceRequestOut
from app.demand.rules import Rules
from app.kernel.clock import civil_day
from app.kernel.errors import Fault, InvalidInputError, Kind, NotFoundError, SpaceRelayError
from app.kernel.terms import ClaimKind, Modality, PipelineStage
from app.models.claim import Claim
from app.models.company import Company, SpaceRequest
from app.models.space import Park, Zone
from app.security.actors import Actor, Role, Scope


class RequestClosedError(SpaceRelayError):
    """The request's state, or space held or let for it, does not allow that."""

    slug, title, kind = "request-closed", "The request's state does not allow that", Kind.CONFLICT
    title_zh = "需求当前状态不允许此操作"


_TABLES: Mapping[str, type[Zone | Park]] = {"zones": Zone, "parks": Park}
_STATE_ZH = {"placed": "需求已落位", "withdrawn": "需求已撤回"}


@dataclass(frozen=True, slots=True)
class Subject:
    """What a request is about: a product and the stage the space is for."""

    modality: Modality | None
    stage: PipelineStage | None
    stage_on: date | None


def create_request(
    session: Session, actor: Actor, body: SpaceRequestIn, *, rules: Rules, now: datetime
) -> SpaceRequestOut:
    """Write down a request with its needs, derived where the firm said nothing.

    Raises:
        InvalidInputError: a code does not exist, or the kind of space cannot be told.
        NotFoundError: the firm or the asset is not the caller's to see.
    """
    actor.require_firm_scope_or_staff(Scope.REQUESTS_WRITE, Role.AGENT)
    company_id = _company(session, actor, body)
    subject = _subject(session, company_id, body)
    needs = _needs(session, body, subject, rules, civil_day(now))
    request_id = uuid4()
    session.execute(
        insert(SpaceRequest).values(
            id=request_id,
            company_id=company_id,
            pipeline_asset_id=body.pipeline_asset_id,
            unit_type=_value(needs, "unit_type"),
            stated=body.model_dump(mode="json", by_alias=True, exclude_unset=True),
            needs=_as_json(session, needs),
            rules_version=rules.version,
            created_at=now,
            updated_at=now,
        )
    )
    return _read(session, actor, request_id)


def replace_needs(
    session: Session,
    actor: Actor,
    request_id: UUID,
    body: NeedsIn,
    *,
    rules: Rules,
    now: datetime,
) -> SpaceRequestOut:
    """Put the firm's own word in place of the needs stated before, and derive the rest anew.

    Args:
        session: where to write.
        actor: who asks.
        request_id: which request.
        body: the whole of what the firm states; what is left out is derived.
        rules: tables to derive from.
        now: the present instant.

    Raises:
        RequestClosedError: the request is no longer open.
        NotFoundError: there is no such request, or it is not the caller's to see.
    """
    row = _locked(session, actor, request_id)
    if row.state != "open":
        raise RequestClosedError(
            f"the request is {row.state}; reopen it, or file a new one",
            detail_zh=f"{_STATE_ZH[row.state]}；请重新开启该需求，或提交新需求",
        )
    about = {key: row.stated[key] for key in SpaceRequestIn.ABOUT if key in row.stated}
    given = body.model_dump(mode="json", by_alias=True, exclude_unset=True)
    whole = SpaceRequestIn.model_validate({**about, **given})
    subject = _subject(session, row.company_id, whole)
    needs = _needs(session, whole, subject, rules, civil_day(now))
    session.execute(
        update(SpaceRequest)
        .where(SpaceRequest.id == request_id)
        .values(
            unit_type=_value(needs, "unit_type"),
            stated={**about, **given},
            needs=_as_json(session, needs),
            rules_version=rules.version,
            version=SpaceRequest.version + 1,
            updated_at=now,
        )
    )
    return _read(session, actor, request_id)


def withdraw_request(
    session: Session, actor: Actor, request_id: UUID, *, now: datetime
) -> SpaceRequestOut:
    """Withdraw a request that nothing is held or let for.

    A placed one whose lease was cancelled or is over may be withdrawn too.

    Raises:
        RequestClosedError: it is withdrawn already, or space is held or let for it.
        NotFoundError: there is no such request, or it is not the caller's to see.
    """
    row = _locked(session, actor, request_id)
    if row.state == "withdrawn":
        raise RequestClosedError("the request is withdrawn already", detail_zh="需求已经撤回")
    _require_unused(session, request_id, now)
    _write_state(session, request_id, "withdrawn", now)
    return _read(session, actor, request_id)


def reopen_request(
    session: Session, actor: Actor, request_id: UUID, *, now: datetime
) -> SpaceRequestOut:
    """Open a withdrawn request again, or a placed one whose lease was cancelled or is over.

    Its needs stay as they are; a window that has passed by then is said to have at match time.

    Raises:
        RequestClosedError: it is open already, or space is held or let for it.
        NotFoundError: there is no such request, or it is not the caller's to see.
    """
    row = _locked(session, actor, request_id)
    if row.state == "open":
        raise RequestClosedError("the request is open already", detail_zh="需求已经是待匹配状态")
    _require_unused(session, request_id, now)
    _write_state(session, request_id, "open", now)
    return _read(session, actor, request_id)


def get_request(session: Session, actor: Actor, request_id: UUID) -> SpaceRequestOut:
    """One request; a firm's key sees only its own.

    Raises:
        NotFoundError: there is none, or it is not the caller's to see.
    """
    actor.require_firm_scope_or_staff(Scope.REQUESTS_READ, Role.VIEWER)
    return _read(session, actor, request_id)


def list_requests(
    session: Session,
    actor: Actor,
    page: PageRequest,
    *,
    company_id: UUID | None = None,
    state: str | None = None,
) -> Page:
    """Requests, newest first; a firm's key sees only its own."""
    actor.require_firm_scope_or_staff(Scope.REQUESTS_READ, Role.VIEWER)
    query = _visible(actor)
    if company_id is not None:
        query = query.where(SpaceRequest.company_id == company_id)
    if state is not None:
        query = query.where(SpaceRequest.state == state)
    order = [
        Sort(SpaceRequest.created_at.expression, descending=True),
        Sort(SpaceRequest.id.expression),
    ]
    scope = f"space-requests:{company_id}:{state}"
    found = fetch_page(
        session,
        query,
        order=order,
        page=page,
        scope=scope,
        wrote=lambda since: since.wrote(SpaceRequest.__table__),
    )
    shown = [SpaceRequestOut.model_validate_json(row).model_dump_json() for row in found.rows]
    return replace(found, rows=shown)


def _read(session: Session, actor: Actor, request_id: UUID) -> SpaceRequestOut:
    """What a write answers with: whoever may write it need not be allowed to read others."""
    text = fetch_one(session, _visible(actor).where(SpaceRequest.id == request_id))
    if text is None:
        raise no_request()
    return SpaceRequestOut.model_validate_json(text)


def _locked(
    session: Session, actor: Actor, request_id: UUID
) -> Row[tuple[UUID, str, dict[str, Any]]]:
    """The request, locked to be changed by someone who may."""
    actor.require_firm_scope_or_staff(Scope.REQUESTS_WRITE, Role.AGENT)
    row = session.execute(
        select(SpaceRequest.company_id, SpaceRequest.state, SpaceRequest.stated)
        .where(SpaceRequest.id == request_id)
        .with_for_update()
    ).one_or_none()
    if row is None or (not actor.is_staff and row.company_id != actor.company_id):
        raise no_request()
    return row


def _write_state(session: Session, request_id: UUID, state: str, now: datetime) -> None:
    session.execute(
        update(SpaceRequest)
        .where(SpaceRequest.id == request_id)
        .values(state=state, version=SpaceRequest.version + 1, updated_at=now)
        .execution_options(synchronize_session=False)
    )


def _require_unused(session: Session, request_id: UUID, now: datetime) -> None:
    """Refuse while space is held or let under the request, or will be."""
    taken = (
        select(Claim.id)
        .where(
            Claim.space_request_id == request_id,
            Claim.kind.in_([ClaimKind.HOLD.value, ClaimKind.LEASE.value]),
            Claim.live.contains(func.statement_timestamp()),
            func.coalesce(func.upper(Claim.period) > civil_day(now), True),
        )
        .limit(1)
    )
    if session.scalar(taken) is not None:
        raise RequestClosedError(
            "space is held or let for this request; release the hold or end the lease first",
            detail_zh="该需求名下仍有预留或租约；请先释放预留或终止租约",
        )


def no_request() -> NotFoundError:
    """There is none, or it is not the caller's to see: nobody is told which."""
    return NotFoundError(
        "no such space request, or it is not yours to see", detail_zh="没有该空间需求，或无权查看"
    )


def _company(session: Session, actor: Actor, body: SpaceRequestIn) -> UUID:
    company_id = body.company_id or actor.company_id
    if company_id is None:
        raise InvalidInputError(
            "a request belongs to a firm",
            [Fault("/company_id", "staff name the firm", detail_zh="请指明企业")],
            detail_zh="员工提交需求时请用 company_id 指明企业",
        )
    actor.require_company(company_id)
    if session.scalar(select(Company.id).where(Company.id == company_id)) is None:
        raise NotFoundError(
            "no such company, or it is not yours to see", detail_zh="没有该企业，或无权查看"
        )
    return company_id


def _subject(session: Session, company_id: UUID, body: SpaceRequestIn) -> Subject:
    """The product and stage: as given, and from the asset's history where not."""
    if body.pipeline_asset_id is None:
        return Subject(body.modality, body.stage, body.stage_on)
    # No read scope is asked for: whoever may file the firm's requests may say what they are about.
    asset = asset_of(session, company_id, body.pipeline_asset_id)
    history = history_of(asset)
    about = upcoming(history) or current(history)
    if body.stage is not None:
        about = next((one for one in standing(history) if one.stage == body.stage), None)
    return Subject(
        modality=body.modality or named(Modality, asset.modality),
        stage=body.stage or (about.stage if about else None),
        stage_on=body.stage_on or (about.entered_on if about else None),
    )


def _needs(
    session: Session, body: NeedsIn, subject: Subject, rules: Rules, today: date
) -> tuple[Need, ...]:
    stated = body.stated()
    faults = _unknown_codes(session, stated)
    if faults:
        raise InvalidInputError(
            f"{faults[0].pointer}: {faults[0].detail}", faults, detail_zh=faults[0].detail_zh
        )
    return derive_needs(
        Ask(
            stated=stated,
            today=today,
            modality=subject.modality,
            stage=subject.stage,
            stage_on=subject.stage_on,
            programmes=body.programmes,
            soft=frozenset(body.soft),
            hard=frozenset(body.hard),
        ),
        rules,
    )


def _unknown_codes(session: Session, stated: dict[str, Any]) -> list[Fault]:
    found: list[Fault] = []
    for key, column in (("zones", Zone.code), ("parks", Park.code)):
        asked = stated.get(key)
        if asked:
            known = set(session.scalars(select(column).where(column.in_(asked))))
            found += [
                Fault(
                    f"/{key}/{place}",
                    f"there is no {key[:-1]} with the code {code!r}",
                    detail_zh=f"没有代码为 {code} 的{'区' if key == 'zones' else '园区'}",
                )
                for place, code in enumerate(asked)
                if code not in known
            ]
    return found


def place_names(session: Session) -> PlaceNames:
    """The names of all zones and parks, by the key of the need that wishes for them."""
    return {
        key: {
            code: (zh, en)
            for code, zh, en in session.execute(select(table.code, table.name_zh, table.name_en))
        }
        for key, table in _TABLES.items()
    }


def _as_json(session: Session, needs: tuple[Need, ...]) -> list[dict[str, Any]]:
    named_by_code = any(need.key in _TABLES for need in needs)
    names = place_names(session) if named_by_code else NO_NAMES
    return [need.as_json(names) for need in needs]


def _value(needs: tuple[Need, ...], key: str) -> Any:
    return next(need.value for need in needs if need.key == key)


def _visible(actor: Actor) -> Select[Any]:
    columns: tuple[Any, ...] = (
        SpaceRequest.id,
        SpaceRequest.company_id,
        SpaceRequest.pipeline_asset_id,
        SpaceRequest.unit_type,
        SpaceRequest.stated,
        SpaceRequest.needs,
        SpaceRequest.rules_version,
        SpaceRequest.state,
        SpaceRequest.version,
        SpaceRequest.created_at,
        SpaceRequest.updated_at,
    )
    query = select(*columns)
    return query if actor.is_staff else query.where(SpaceRequest.company_id == actor.company_id)
