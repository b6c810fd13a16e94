"""Two firms in two parks, each with a row in every table that has a firm in it."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID, uuid4

from shapely import box
from sqlalchemy import Engine, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.models.access import IdempotentAnswer
from app.models.company import Company, PipelineAsset, PipelineStageEntry, SpaceRequest
from app.models.lease import LeaseEvent, LeaseTerms
from app.models.match import MatchEvent, MatchReceipt, WatchedRequest
from app.models.queue import QueueEntry, QueueWant
from app.models.right import (
    Right,
    RightClearance,
    RightFootprint,
    RightNotice,
    RightSeniority,
)
from app.security.actors import Actor, ActorKind, Role, Scope
from tests import factories as make

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DAYS = Range(date(2027, 1, 1), date(2028, 1, 1))
BELIEVED = Range(datetime(2026, 1, 1, tzinfo=UTC), None)
#: Of the ledger: each park's own. The rest is what firms ask for, and all parks' to meet.
LEDGER = (
    *("claims", "lease_terms", "lease_events", "rights", "right_footprints"),
    *("right_seniorities", "right_notices", "right_clearances", "queue_entries", "queue_wants"),
)
DEMAND = (
    *("companies", "pipeline_assets", "pipeline_stage_entries", "space_requests"),
    *("match_receipts", "match_events", "watched_requests", "credentials"),
)


@dataclass(frozen=True, slots=True)
class Tenant:
    """A firm and the park that its space is in."""

    company_id: UUID
    park_id: UUID

    @property
    def actor(self) -> Actor:
        """The firm as a caller."""
        return Actor(
            kind=ActorKind.FIRM,
            label=f"firm:{self.company_id}",
            company_id=self.company_id,
            scopes=frozenset(Scope),
        )

    @property
    def park_staff(self) -> Actor:
        """Staff of its park alone."""
        return staff({self.park_id})


def staff(park_ids: set[UUID] | None = None) -> Actor:
    """Staff of some parks, or of all."""
    return Actor(
        kind=ActorKind.STAFF,
        label="staff:tests",
        role=Role.ADMIN,
        park_ids=None if park_ids is None else frozenset(park_ids),
    )


def settle_tenant(session: Session, ground: tuple[float, float, float, float]) -> Tenant:
    """A firm in a park of its own, with one row of everything."""
    company = make.make_company(session)
    park = make.make_park(session, ground=ground)
    parcel = make.make_parcel(session, park_id=park.id, geom=park_ground(ground))
    floor = make.make_floor(session, building=make.make_building(session, parcel=parcel))
    unit = make.make_unit(session, floor=floor)
    asset = make.add(
        session,
        PipelineAsset(company_id=company.id, name="SR-1", modality="car_t", **make.MADE_UP),
    )
    make.add(
        session,
        PipelineStageEntry(
            pipeline_asset_id=asset.id, stage="phase_1", entered_on=date(2026, 1, 1)
        ),
    )
    request = make.add(
        session,
        SpaceRequest(
            company_id=company.id, unit_type="pilot", stated={}, needs=[], rules_version="tests"
        ),
    )
    _answers(session, company, request)
    claim = make.make_claim(
        session, unit, date(2026, 1, 1), date(2027, 1, 1), company_id=company.id
    )
    make.add(
        session,
        LeaseTerms(
            commitment_id=claim.commitment_id, terms={}, known=BELIEVED, recorded_by="tests"
        ),
    )
    make.add(
        session,
        LeaseEvent(
            commitment_id=claim.commitment_id,
            park_id=park.id,
            kind="handed_over",
            on=date(2026, 1, 1),
            recorded_at=NOW,
            recorded_by="tests",
        ),
    )
    first, second = (_right(session, company, park.id, rank) for rank in (1, 2))
    make.add(session, RightFootprint(right_id=first.id, floor_id=floor.id, geom=park.geom))
    make.add(session, RightSeniority(junior_id=second.id, senior_id=first.id))
    notice = make.add(
        session,
        RightNotice(
            right_id=first.id,
            period=DAYS,
            asked_at=NOW,
            due_on=date(2026, 12, 1),
            recorded_by="tests",
        ),
    )
    make.add(
        session,
        RightClearance(commitment_id=claim.commitment_id, right_id=first.id, notice_id=notice.id),
    )
    entry = make.add(
        session,
        QueueEntry(
            company_id=company.id, period=DAYS, offer_hours=48, joined_at=NOW, joined_by="tests"
        ),
    )
    make.add(session, QueueWant(entry_id=entry.id, unit_id=unit.id))
    make.firm_headers(session, company)
    tenant = Tenant(company.id, park.id)
    make.add(
        session,
        IdempotentAnswer(
            actor=tenant.actor.label,
            key="once",
            operation="POST /",
            granted=[],
            body_digest=bytes(32),
            status=201,
            headers={},
            body=b"{}",
        ),
    )
    return tenant


def park_ground(ground: tuple[float, float, float, float]) -> object:
    """A plot within a park."""
    west, south, east, north = ground
    inset = (east - west) / 10
    return make.geometry(box(west + inset, south + inset, east - inset, north - inset))


def _answers(session: Session, company: Company, request: SpaceRequest) -> None:
    about = {"request_id": request.id, "request_version": 0}
    make.add(session, WatchedRequest(**about, needs=[]))
    make.add(
        session,
        MatchEvent(
            **about,
            kind="fits",
            unit_ids=[],
            changes=[],
            words_zh="",
            words_en="",
            snapshot="1:1:",
            at=NOW,
            mark=request.id.bytes,
        ),
    )
    make.add(
        session,
        MatchReceipt(
            **about,
            asked_by=f"firm:{company.id}",
            names_firms=False,
            asked={},
            demand={},
            rules_version="tests",
            snapshot="1:1:",
            as_of=NOW,
            answer=b"{}",
            sha256=bytes(32),
            created_at=NOW,
        ),
    )


def _right(session: Session, company: Company, park_id: UUID, rank: int) -> Right:
    right: Right = make.add(
        session,
        Right(
            id=uuid4(),
            park_id=park_id,
            kind="renewal",
            company_id=company.id,
            rank=rank,
            binds=DAYS,
            notice_days=10,
            known=BELIEVED,
            recorded_by="tests",
        ),
    )
    return right


def settle_all(engine: Engine, count: int = 2) -> list[Tenant]:
    """Firms in parks of their own, committed."""
    with Session(engine) as session:
        tenants = [
            settle_tenant(session, (121.6 + n / 50, 31.2, 121.61 + n / 50, 31.21))
            for n in range(count)
        ]
        session.commit()
    return tenants


def counted(session: Session, table: str) -> int:
    """How many rows of a table the session is shown."""
    count: int = session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()  # noqa: S608
    return count
