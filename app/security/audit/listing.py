"""The audit trail as it is read."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, case, func, literal, null, or_, select
from sqlalchemy.orm import Session

from app.database.paging import Page, PageRequest, Sort, fetch_page
from app.kernel.errors import NotFoundError
from app.models.audit import AuditEntry
from app.models.space import Park
from app.security.actors import Actor, ActorKind, Role
from app.security.audit.actions import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class EntriesWanted:
    """Which entries; each filter that is given narrows. ``until`` is exclusive."""

    park: str | None = None
    actions: Sequence[Action] = ()
    subject_type: str | None = None
    subject_id: str | None = None
    actor: str | None = None
    company_id: UUID | None = None
    start: datetime | None = None
    until: datetime | None = None


def list_entries(session: Session, actor: Actor, wanted: EntriesWanted, page: PageRequest) -> Page:
    """Entries, newest first: for managers those of their parks, for a firm those that concern it.

    The house's own chain is for managers of every park. Firms are not told which of the staff did
    it, why, nor in which call.

    Raises:
        NotFoundError: there is no such park.
    """
    actor.require_signed_in()
    if actor.is_staff:
        actor.require_staff(Role.MANAGER)
    query = _shown(for_staff=actor.is_staff).where(*_visible(actor), *_filters(session, wanted))
    return fetch_page(
        session,
        query,
        order=[Sort(AuditEntry.__table__.c.id, descending=True)],
        page=page,
        scope=f"audit entries {asdict(wanted)!r}",
    )


def _visible(actor: Actor) -> Sequence[ColumnElement[bool]]:
    if not actor.is_staff:
        return [AuditEntry.company_id == actor.company_id]
    if actor.park_ids is not None:
        return [AuditEntry.park_id.in_(actor.park_ids)]
    return []


def _filters(session: Session, wanted: EntriesWanted) -> list[ColumnElement[bool]]:
    given = {
        AuditEntry.subject_type: wanted.subject_type,
        AuditEntry.subject_id: wanted.subject_id,
        AuditEntry.actor: wanted.actor,
        AuditEntry.company_id: wanted.company_id,
        AuditEntry.park_id: None if wanted.park is None else _park(session, wanted.park),
    }
    filters: list[ColumnElement[bool]] = [
        column == value for column, value in given.items() if value is not None
    ]
    if wanted.actions:
        filters.append(AuditEntry.action.in_([one.value for one in wanted.actions]))
    if wanted.start is not None:
        filters.append(AuditEntry.at >= wanted.start)
    if wanted.until is not None:
        filters.append(AuditEntry.at < wanted.until)
    return filters


def _park(session: Session, name: str) -> UUID:
    try:
        same = or_(Park.code == name, Park.id == UUID(name))
    except ValueError:
        same = or_(Park.code == name)
    found = session.scalar(select(Park.id).where(same))
    if found is None:
        raise NotFoundError(f"no park has the id or code {name}", detail_zh=f"没有园区 {name}")
    return found


def _shown(*, for_staff: bool) -> Select[Any]:
    mine = AuditEntry.actor_kind != ActorKind.STAFF.value
    hidden = null()
    return select(
        AuditEntry.park_id,
        Park.code.label("park_code"),
        # Others write into the same chains: to a firm the numbers between its own would tell.
        (AuditEntry.sequence if for_staff else hidden).label("sequence"),
        AuditEntry.at,
        AuditEntry.actor
        if for_staff
        else case((mine, AuditEntry.actor), else_=literal(ActorKind.STAFF.value)).label("actor"),
        AuditEntry.actor_kind,
        (AuditEntry.account_id if for_staff else hidden).label("account_id"),
        AuditEntry.company_id,
        AuditEntry.action,
        case({one.value: one.zh for one in Action}, value=AuditEntry.action).label("action_zh"),
        case({one.value: one.en for one in Action}, value=AuditEntry.action).label("action_en"),
        AuditEntry.subject_type,
        AuditEntry.subject_id,
        (AuditEntry.reason if for_staff else hidden).label("reason"),
        AuditEntry.details,
        (AuditEntry.request_id if for_staff else hidden).label("request_id"),
        *(
            (func.encode(column, "hex") if for_staff else hidden).label(name)
            for name, column in (
                ("previous_hash", AuditEntry.previous_hash),
                ("hash", AuditEntry.hash),
            )
        ),
    ).outerjoin(Park, Park.id == AuditEntry.park_id)
