"""A question with all that its answer follows from, beside the space there is and the tables.

It is written down as JSON in the receipt, and read again to replay it: both ways of answering, now
and later, begin with the same ``demand_of``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.demand.companies import asset_of, history_of
from app.demand.needs import NO_NAMES, Need, PlaceNames, from_json, named
from app.demand.pipeline import StageEntry, current, upcoming
from app.demand.requests import no_request, place_names
from app.demand.rules import Rules
from app.kernel.terms import Modality, PipelineStage, UnitType
from app.matching.answers.canonical import plain
from app.matching.answers.fit_out import FitOutRules
from app.matching.answers.outlook import growth_of
from app.matching.rules.compile import compile_demand
from app.matching.rules.demand import Demand, Growth
from app.security.actors import Actor, ActorKind, Role, Scope

#: Version of how answers are put together; raise it when the same findings give other bytes.
ANSWERS_VERSION = "2026.11-1"


#: The request, and for the rest of the transaction that statements keep their plans: they are few,
#: always the same, and to plan that of the names takes longer than to run it.
_FILED = """
SELECT r.version, r.company_id, r.pipeline_asset_id, r.stated, r.needs,
    set_config('plan_cache_mode', 'force_generic_plan', true) AS plans
FROM space_requests r WHERE r.id = :id
    AND (CAST(:company_id AS uuid) IS NULL OR r.company_id = CAST(:company_id AS uuid))"""


@dataclass(frozen=True, slots=True)
class Filed:
    """What an answer follows from of a request; the members are those of ``SpaceRequest``."""

    id: UUID
    version: int
    company_id: UUID
    pipeline_asset_id: UUID | None
    stated: Mapping[str, Any]
    needs: tuple[Need, ...]


def filed(session: Session, actor: Actor, request_id: UUID) -> Filed:
    """A request as it stands; a firm's key sees only its own.

    Raises:
        NotFoundError: there is none, or it is not the caller's to see.
    """
    actor.require_firm_scope_or_staff(Scope.REQUESTS_READ, Role.VIEWER)
    asked = {"id": request_id, "company_id": None if actor.is_staff else actor.company_id}
    row = session.execute(text(_FILED), asked).one_or_none()
    if row is None:
        raise no_request()
    return Filed(
        id=request_id,
        version=row.version,
        company_id=row.company_id,
        pipeline_asset_id=row.pipeline_asset_id,
        stated=row.stated,
        needs=tuple(from_json(need) for need in row.needs),
    )


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom an answer is for: whether it may name firms, and those of which parks (None: all)."""

    names_firms: bool
    park_ids: tuple[UUID, ...] | None

    @classmethod
    def of(cls, actor: Actor) -> "Audience":
        """The audience that a caller is."""
        parks = None if actor.park_ids is None else tuple(sorted(actor.park_ids))
        return cls(actor.is_staff, parks)

    @property
    def actor(self) -> Actor:
        """A caller who may know what this audience may, and nothing else."""
        kind = ActorKind.STAFF if self.names_firms else ActorKind.FIRM
        parks = None if self.park_ids is None else frozenset(self.park_ids)
        return Actor(kind, "answers", park_ids=parks)


@dataclass(frozen=True, slots=True)
class Tables:
    """The versioned tables that have a say beside the constraints."""

    needs: Rules
    fit_out: FitOutRules


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of space, as JSON can hold it.

    Attributes:
        needs: of the request, as they stood.
        day: the civil day in Shanghai on which it was asked.
        weights: hundredths by criterion.
        growth: what the pipeline says comes next.
    """

    needs: tuple[Need, ...]
    day: date
    weights: Mapping[str, int]
    growth: Growth | None

    def document(self) -> dict[str, Any]:
        """As it is written down."""
        growth = self.growth
        return {
            "needs": plain([need.as_json() for need in self.needs]),
            "day": self.day.isoformat(),
            "weights": dict(self.weights),
            "growth": None
            if growth is None
            else plain({name: getattr(growth, name) for name in Growth.__slots__}),
        }


def asked_from(document: Mapping[str, Any]) -> Asked:
    """What ``Asked.document`` wrote down."""
    growth = document["growth"]
    return Asked(
        needs=tuple(from_json(need) for need in document["needs"]),
        day=date.fromisoformat(document["day"]),
        weights=document["weights"],
        growth=None
        if growth is None
        else Growth(
            unit_type=named(UnitType, growth["unit_type"]),
            area_m2=growth["area_m2"],
            from_day=date.fromisoformat(growth["from_day"]),
            words_zh=growth["words_zh"],
            words_en=growth["words_en"],
        ),
    )


def demand_of(asked: Asked, tables: Tables, names: PlaceNames) -> Demand:
    """What is asked, ready for the matcher."""
    demand = compile_demand(asked.needs, tables.needs, asked.day, names)
    version = f"{demand.rules_version}; fit-out {tables.fit_out.version}; answers {ANSWERS_VERSION}"
    return replace(demand, weights=asked.weights, growth=asked.growth, rules_version=version)


def names_for(session: Session, needs: Sequence[Need], rules: Rules) -> PlaceNames:
    """The names of zones and parks, where the needs speak of any."""
    processes = [rules.land.processes[need.value] for need in needs if need.key == "process"]
    speaks = any(need.key in {"zones", "parks"} for need in needs)
    if not speaks and not any(one.chemical_zone_only for one in processes):
        return NO_NAMES
    return place_names(session)


def growth_for(session: Session, request: Filed, rules: Rules, today: date) -> Growth | None:
    """What comes next for a request, as its product's pipeline says; None without a pipeline."""
    if request.pipeline_asset_id is None:
        return None
    asset = asset_of(session, request.company_id, request.pipeline_asset_id)
    return growth_stated(request.stated, asset.modality, history_of(asset), rules, today)


def growth_stated(
    stated: Mapping[str, Any],
    modality: str | None,
    history: Sequence[StageEntry],
    rules: Rules,
    today: date,
) -> Growth | None:
    """What comes next, from the firm's form and the history of the product it is about.

    Args:
        stated: the form; a stage or modality in it counts before the product's own.
        modality: of the product; None where the request is about none.
        history: of the product, in recorded order.
        rules: what each stage needs.
        today: the civil day in Shanghai.
    """
    if modality is None:
        return None
    about = upcoming(history) or current(history)
    standing_at = None if about is None else about.stage
    stage = named(PipelineStage, stated["stage"]) if stated.get("stage") else standing_at
    if stage is None:
        return None
    wanted = named(Modality, stated.get("modality") or modality)
    return growth_of(wanted, stage, history, rules, today)
