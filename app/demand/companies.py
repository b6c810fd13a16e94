"""Companies and their pipelines: who may see which, and what is written."""

from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Select, exists, func, insert, literal_column, or_, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from app.database.changes import Since
from app.database.paging import Page, PageRequest, Sort, fetch_one, fetch_page, instant_text
from app.database.session import constraint_error
from app.demand.credit_code import checked_credit_code
from app.demand.needs import named
from app.demand.pipeline import StageEntry, current, faults, upcoming
from app.demand.schemas import AssetIn, AssetOut, CompanyIn, CompanyOut, StageEntryIn
from app.kernel.errors import InvalidInputError, Kind, NotFoundError, SpaceRelayError
from app.kernel.terms import PipelineStage
from app.models.company import Company, PipelineAsset, PipelineStageEntry
from app.security.actors import Actor, Role, Scope


class CompanyExistsError(SpaceRelayError):
    """A firm with this credit code is registered already."""

    slug, title, kind = "company-exists", "The firm is registered already", Kind.CONFLICT
    title_zh = "该企业已登记"


class AssetExistsError(SpaceRelayError):
    """The firm has a product of this name already."""

    slug, title, kind = "pipeline-asset-exists", "The product exists already", Kind.CONFLICT
    title_zh = "该管线已存在"


constraint_error(
    "uq_companies_unified_social_credit_code",
    lambda _detail: CompanyExistsError("a firm with this unified social credit code is registered"),
)
constraint_error(
    "uq_pipeline_assets_company_id_name",
    lambda _detail: AssetExistsError("this firm has a pipeline asset of this name already"),
)


def create_company(session: Session, actor: Actor, body: CompanyIn) -> CompanyOut:
    """Register a firm. Staff only.

    Raises:
        InvalidInputError: the credit code's form or check digit does not hold.
    """
    actor.require_staff(Role.AGENT)
    values = body.model_dump()
    values["unified_social_credit_code"] = checked_credit_code(body.unified_social_credit_code)
    company_id = uuid4()
    session.execute(
        insert(Company).values(
            id=company_id, source="registered by staff", confidence="published", **values
        )
    )
    return get_company(session, actor, company_id)


def get_company(session: Session, actor: Actor, company_id: UUID) -> CompanyOut:
    """One firm; a firm's key sees only its own.

    Raises:
        NotFoundError: there is none, or it is not the caller's to see.
    """
    _require_read(actor)
    actor.require_company(company_id)
    text = fetch_one(session, _companies().where(Company.id == company_id))
    if text is None:
        raise NotFoundError(
            "no such company, or it is not yours to see", detail_zh="没有该企业，或无权查看"
        )
    return CompanyOut.model_validate_json(text)


def list_companies(session: Session, actor: Actor, page: PageRequest, name: str | None) -> Page:
    """Firms in order of registration code; ``name`` matches a part of either name."""
    _require_read(actor)
    query = _companies()
    if not actor.is_staff:
        query = query.where(Company.id == actor.company_id)
    if name is not None:
        query = query.where(
            Company.name_zh.icontains(name, autoescape=True)
            | Company.name_en.icontains(name, autoescape=True)
        )
    order = [Sort(Company.unified_social_credit_code.expression)]
    found = fetch_page(
        session,
        query,
        order=order,
        page=page,
        scope=f"companies:{name}",
        wrote=lambda since: since.wrote(Company.__table__),
    )
    shown = [CompanyOut.model_validate_json(row).model_dump_json() for row in found.rows]
    return replace(found, rows=shown)


def create_asset(
    session: Session, actor: Actor, company_id: UUID, body: AssetIn, today: date
) -> AssetOut:
    """Add a product with its history so far.

    Raises:
        InvalidInputError: the history goes back, or a future day is stated as a fact.
        NotFoundError: the firm is not the caller's to see.
    """
    _require_write(session, actor, company_id)
    added = [_entry(one) for one in body.stages]
    wrong = faults([], added, today, "/stages")
    if wrong:
        raise InvalidInputError(
            f"the stage history does not hold: {wrong[0].detail}",
            wrong,
            detail_zh=f"管线阶段前后不符：{wrong[0].detail_zh}",
        )
    asset_id = uuid4()
    session.execute(
        insert(PipelineAsset).values(
            id=asset_id,
            company_id=company_id,
            name=body.name,
            modality=body.modality.value,
            indication=body.indication,
            source="stated by the firm",
            confidence="published",
        )
    )
    _record(session, asset_id, added)
    return asset_of(session, company_id, asset_id)


def add_stage(
    session: Session,
    actor: Actor,
    company_id: UUID,
    asset_id: UUID,
    *,
    body: StageEntryIn,
    today: date,
) -> AssetOut:
    """Record that a product entered a stage, or when it is meant to.

    Raises:
        InvalidInputError: the entry goes back in the history, or states a future day as a fact.
        NotFoundError: the product is not the caller's to see.
    """
    _require_write(session, actor, company_id)
    # Two entries at once are judged one after the other.
    session.execute(select(PipelineAsset.id).where(PipelineAsset.id == asset_id).with_for_update())
    asset = asset_of(session, company_id, asset_id)
    added = _entry(body)
    wrong = faults(history_of(asset), [added], today)
    if wrong:
        raise InvalidInputError(
            f"the stage history does not hold: {wrong[0].detail}",
            wrong,
            detail_zh=f"管线阶段前后不符：{wrong[0].detail_zh}",
        )
    _record(session, asset_id, [added])
    return asset_of(session, company_id, asset_id)


def get_asset(session: Session, actor: Actor, company_id: UUID, asset_id: UUID) -> AssetOut:
    """One product of a firm.

    Raises:
        NotFoundError: there is none, or it is not the caller's to see.
    """
    _require_read(actor)
    actor.require_company(company_id)
    return asset_of(session, company_id, asset_id)


def asset_of(session: Session, company_id: UUID, asset_id: UUID) -> AssetOut:
    """The same for callers that have checked whose it is, such as a write's own answer.

    Raises:
        NotFoundError: the firm has no such product.
    """
    text = fetch_one(
        session,
        _assets().where(PipelineAsset.company_id == company_id, PipelineAsset.id == asset_id),
    )
    if text is None:
        raise NotFoundError(
            "no such pipeline asset, or it is not yours to see", detail_zh="没有该管线，或无权查看"
        )
    return _asset(text)


def list_assets(session: Session, actor: Actor, company_id: UUID, page: PageRequest) -> Page:
    """The products of a firm, by name.

    Raises:
        NotFoundError: the firm is not the caller's to see.
    """
    get_company(session, actor, company_id)
    found = fetch_page(
        session,
        _assets().where(PipelineAsset.company_id == company_id),
        order=[Sort(PipelineAsset.name.expression)],
        page=page,
        scope=f"assets:{company_id}",
        wrote=_wrote_asset,
    )
    return replace(found, rows=[_asset(row).model_dump_json() for row in found.rows])


def _wrote_asset(since: Since) -> ColumnElement[bool]:
    entry = PipelineStageEntry.__table__.alias("written_stages")
    return or_(
        since.wrote(PipelineAsset.__table__),
        exists().where(entry.c.pipeline_asset_id == PipelineAsset.id, since.wrote(entry)),
    )


def history_of(asset: AssetOut) -> list[StageEntry]:
    """A product's history in recorded order."""
    return [
        StageEntry(named(PipelineStage, one.stage), one.entered_on, one.expected)
        for one in asset.stages
    ]


def _asset(text: str) -> AssetOut:
    asset = AssetOut.model_validate_json(text)
    history = history_of(asset)
    now, following = current(history), upcoming(history)
    asset.current_stage = now.stage.value if now else None
    asset.next_stage = following.stage.value if following else None
    asset.next_stage_on = following.entered_on if following else None
    return asset


def _require_read(actor: Actor) -> None:
    actor.require_firm_scope_or_staff(Scope.REQUESTS_READ, Role.VIEWER)


def _require_write(session: Session, actor: Actor, company_id: UUID) -> None:
    actor.require_firm_scope_or_staff(Scope.REQUESTS_WRITE, Role.AGENT)
    actor.require_company(company_id)
    if session.scalar(select(Company.id).where(Company.id == company_id)) is None:
        raise NotFoundError(
            "no such company, or it is not yours to see", detail_zh="没有该企业，或无权查看"
        )


def _entry(body: StageEntryIn) -> StageEntry:
    return StageEntry(body.stage, body.entered_on, body.expected)


def _record(session: Session, asset_id: UUID, entries: list[StageEntry]) -> None:
    if entries:
        session.execute(
            insert(PipelineStageEntry),
            [
                {
                    "pipeline_asset_id": asset_id,
                    "stage": entry.stage.value,
                    "entered_on": entry.entered_on,
                    "expected": entry.expected,
                }
                for entry in entries
            ],
        )


def _companies() -> Select[Any]:
    columns: tuple[Any, ...] = (
        Company.id,
        Company.name_zh,
        Company.name_en,
        Company.unified_social_credit_code,
        Company.special_goods_import_pilot,
        Company.headcount_now,
        Company.headcount_in_12_months,
        Company.headcount_in_36_months,
        Company.source,
        Company.confidence,
        Company.synthetic,
        Company.created_at,
    )
    return select(*columns)


def _assets() -> Select[Any]:
    entry = PipelineStageEntry
    recorded_at: ColumnElement[str] = literal_column(
        instant_text("pipeline_stage_entries.recorded_at")
    )
    row = func.json_build_object(
        "stage", entry.stage, "entered_on", entry.entered_on,
        "expected", entry.expected, "recorded_at", recorded_at,
    )  # fmt: skip
    history = (
        select(func.coalesce(func.json_agg(aggregate_order_by(row, entry.id)), func.json("[]")))
        .where(entry.pipeline_asset_id == PipelineAsset.id)
        .scalar_subquery()
    )
    return select(
        PipelineAsset.id,
        PipelineAsset.company_id,
        PipelineAsset.name,
        PipelineAsset.modality,
        PipelineAsset.indication,
        PipelineAsset.source,
        PipelineAsset.confidence,
        PipelineAsset.synthetic,
        PipelineAsset.created_at,
        history.label("stages"),
    )
