"""Grant rights: never beside one that they would meet, unless behind it and knowingly."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, insert, select
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.kernel.errors import Fault, InvalidInputError
from app.kernel.period import Period
from app.kernel.terms import ClaimKind, RightKind
from app.ledger.commitments import Commitment, get_commitment
from app.ledger.errors import LedgerMovedOnError, UnknownUnitError
from app.ledger.orders import database_now, lock
from app.ledger.rights.clearing import named_companies, require_company
from app.ledger.rights.conflicts import Conflict, ConflictReason, conflicts, meeting, rank_behind
from app.ledger.rights.errors import RightConflictError
from app.ledger.rights.ground import (
    Outline,
    PromiseOnGround,
    absent,
    outlines_of,
    promises_under,
    rights_under,
    units_under,
)
from app.models.right import Right, RightFootprint, RightSeniority
from app.models.space import Floor
from app.security.actors import Actor, Role

#: The most that the column takes.
RANK_MAX = 32_767


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A right to be granted, on the ground of units or of a lease.

    ``rank`` None is behind all rights it meets. ``behind`` are the rights, and ``subject_to`` the
    commitments of others, that whoever grants it knows to come first.
    """

    kind: RightKind
    window: Period
    notice_days: int
    company_id: UUID | None = None
    unit_ids: Sequence[UUID] = ()
    lease_id: UUID | None = None
    rank: int | None = None
    behind: Sequence[UUID] = ()
    subject_to: Sequence[UUID] = ()
    note: str | None = None


def grant_right(session: Session, actor: Actor, grant: Grant) -> UUID:
    """Grant a right; its id.

    Raises:
        RightConflictError: it meets rights or promises that are not named, or may not meet them.
    """
    actor.require_staff(Role.MANAGER)
    company_id, unit_ids, day = _wanted(session, actor, grant)
    ground = _locked_ground(session, actor, unit_ids, day)
    now = database_now(session)
    met = meeting(grant.window, rights_under(session, ground))
    strangers = [place for place, one in enumerate(grant.behind) if one not in {r.id for r in met}]
    if strangers:
        raise InvalidInputError(
            f"the right {grant.behind[strangers[0]]} is not one that this one would meet",
            [
                Fault(
                    f"/behind/{place}",
                    "no right that stands and meets it",
                    detail_zh="不是与之相交的有效权利",
                )
                for place in strangers
            ],
            detail_zh=f"权利 {grant.behind[strangers[0]]} 与本权利并不相交，或已终止",
        )
    rank = rank_behind(met) if grant.rank is None else grant.rank
    if rank > RANK_MAX:
        raise InvalidInputError(
            f"no rank is left behind {RANK_MAX}; end a right that is in the way first",
            [Fault("/rank", f"at most {RANK_MAX}", detail_zh=f"不得大于 {RANK_MAX}")],
            detail_zh=f"顺位已到 {RANK_MAX}，请先终止不再需要的权利",
        )
    found = conflicts(grant.kind, company_id, rank, grant.behind, met)
    promised = promises_under(session, ground, grant.window, company_id, now)
    unnamed = [
        one
        for one in promised
        if grant.kind is RightKind.MUST_TAKE or one.commitment_id not in grant.subject_to
    ]
    if found or unnamed:
        raise _refusal(session, grant.kind, found, unnamed)
    right_id = uuid4()
    session.execute(
        insert(Right).values(
            id=right_id,
            park_id=ground[0].park_id,
            kind=grant.kind.value,
            company_id=company_id,
            rank=rank,
            binds=Range(grant.window.start, grant.window.end),
            notice_days=grant.notice_days,
            commitment_id=grant.lease_id,
            note=grant.note,
            known=Range(now, None),
            recorded_by=actor.label,
        )
    )
    session.execute(
        insert(RightFootprint).values(
            [
                {
                    "right_id": right_id,
                    "floor_id": one.floor_id,
                    "geom": func.ST_GeomFromEWKB(one.ewkb),
                }
                for one in ground
            ]
        )
    )
    if met:
        session.execute(
            insert(RightSeniority),
            [{"junior_id": right_id, "senior_id": senior.id} for senior in met],
        )
    return right_id


def _wanted(session: Session, actor: Actor, grant: Grant) -> tuple[UUID, Sequence[UUID], date]:
    """The holder, the units, and the day whose outlines are the ground."""
    if (grant.lease_id is None) == (not grant.unit_ids):
        raise InvalidInputError(
            "name either units or a lease",
            [
                Fault("/units", "give these or /lease_id", detail_zh="与 lease_id 二选一"),
                Fault("/lease_id", "or /units", detail_zh="与 units 二选一"),
            ],
            detail_zh="请指明 units 或 lease_id 之一",
        )
    if grant.lease_id is None:
        holder = require_company(session, grant.company_id)
        return holder, grant.unit_ids, grant.window.start
    lease = get_commitment(session, actor, grant.lease_id, ClaimKind.LEASE)
    tenant = lease.lines[0].company_id
    if tenant is None or grant.company_id not in {None, tenant}:
        raise InvalidInputError(
            "the lease is another company's",
            [
                Fault(
                    "/company_id",
                    "leave it out, or name the tenant",
                    detail_zh="不填，或填写承租企业",
                )
            ],
            detail_zh="该租约属于其他企业",
        )
    day = _day_of(lease, grant.window)
    # A unit that was split or merged since is not one of its last day any more.
    units = {line.unit_id for line in lease.lines if line.period.contains(day)}
    return tenant, sorted(units), day


def _day_of(lease: Commitment, window: Period) -> date:
    """The first day of the window, or the lease's day that is nearest to it."""
    first, until = lease.period.lower, lease.period.upper
    day = window.start if until is None else min(window.start, until - timedelta(days=1))
    return day if first is None else max(day, first)


def _locked_ground(
    session: Session, actor: Actor, unit_ids: Sequence[UUID], day: date
) -> list[Outline]:
    """The ground of units, and the locks of all that could be promised or granted on it."""
    missing = absent(session, unit_ids, day)
    if missing:
        raise UnknownUnitError(
            f"there is no unit {missing[0]} on {day}",
            [
                Fault(f"/units/{place}", f"not there on {day}", detail_zh=f"{day} 不存在")
                for place, one in enumerate(unit_ids)
                if one in missing
            ],
            detail_zh=f"{day} 无编号为 {missing[0]} 的房源",
        )
    ground = outlines_of(session, unit_ids, day)
    for one in ground:
        actor.require_park(one.park_id)
    if len({one.park_id for one in ground}) > 1:
        raise InvalidInputError(
            "the units are of several parks; grant one right in each",
            [Fault("/units", "of several parks", detail_zh="分属多个园区")],
            detail_zh="房源分属多个园区，请分别授予",
        )
    # Floors first: whoever grants on one floor queues there. Promises lock units only, so that no
    # ring of waiting can close.
    session.execute(
        select(Floor.id)
        .where(Floor.id.in_([one.floor_id for one in ground]))
        .order_by(Floor.id)
        .with_for_update(key_share=True)
    )
    under = units_under(session, ground)
    lock(session, under)
    if outlines_of(session, unit_ids, day) != ground or units_under(session, ground) != under:
        raise LedgerMovedOnError(
            "its units were split or merged at this moment; try again",
            detail_zh="其房源此刻正被拆分或合并，请重试",
        )
    return ground


def _refusal(
    session: Session,
    kind: RightKind,
    found: Sequence[Conflict],
    unnamed: Sequence[PromiseOnGround],
) -> RightConflictError:
    holders = named_companies(session, {one.right.holder for one in found})
    promised: dict[UUID, dict[str, Any]] = {}
    for one in unnamed:
        shown = promised.setdefault(
            one.commitment_id,
            {
                "commitment_id": str(one.commitment_id),
                "kind": one.kind.value,
                "kind_zh": one.kind.zh,
                "company": {
                    "company_id": str(one.company_id),
                    "name_zh": one.company_name_zh,
                    "name_en": one.company_name_en,
                },
                "units": [],
            },
        )
        shown["units"].append(
            {
                "unit_code": one.unit_code,
                "from": one.period.start.isoformat(),
                "until": one.period.end.isoformat() if one.period.end else None,
            }
        )
    met, met_zh = _counted(len(found), len(promised))
    way_out, way_out_zh = _way_out(
        {one.reason for one in found}, taken=bool(unnamed), must_take=kind is RightKind.MUST_TAKE
    )
    return RightConflictError(
        f"it meets {met} of others; {way_out}",
        detail_zh=f"与{met_zh}相交；{way_out_zh}",
        rights=[
            {
                "right_id": str(one.right.id),
                "kind": one.right.kind.value,
                "kind_zh": one.right.kind.zh,
                "holder": holders[one.right.holder],
                "rank": one.right.rank,
                "from": one.right.window.start.isoformat(),
                "until": one.right.window.end.isoformat() if one.right.window.end else None,
                "reason": one.reason.value,
                "reason_zh": one.reason.zh,
            }
            for one in found
        ],
        commitments=list(promised.values()),
    )


def _counted(rights: int, promises: int) -> tuple[str, str]:
    """How much is in the way, in English and Chinese; nothing of what is not.

    >>> _counted(1, 2)
    ('1 right and 2 promises', ' 1 项权利、2 项占用')
    >>> _counted(0, 1)
    ('1 promise', ' 1 项占用')
    """
    listed = [
        (f"{count} {word}{'s' if count > 1 else ''}", f"{count} 项{word_zh}")
        for count, word, word_zh in ((rights, "right", "权利"), (promises, "promise", "占用"))
        if count
    ]
    return " and ".join(one for one, _ in listed), " " + "、".join(one for _, one in listed)


def _way_out(
    reasons: Collection[ConflictReason], *, taken: bool, must_take: bool
) -> tuple[str, str]:
    """What can be done about it, in English and Chinese.

    >>> _way_out({ConflictReason.NOT_NAMED}, taken=False, must_take=False)
    ('name the rights in behind to grant it knowingly', '请在 behind 中列明这些权利')
    """
    listed = [_WAYS_OUT[reason] for reason in ConflictReason if reason in reasons]
    if taken and must_take:
        listed.append(("what others have cannot be taken", "他人已占用的，不得再约定到期必租"))
    elif taken:
        listed.append(
            (
                "name the promises in subject_to to grant it knowingly",
                "请在 subject_to 中列明这些占用",
            )
        )
    # Two reasons may have the same way out.
    listed = list(dict.fromkeys(listed))
    return "; ".join(one for one, _ in listed), "；".join(one for _, one in listed)


_BEHIND = "give a rank behind theirs, or leave it out", "顺位须排在其后，或不填 rank"
_WAYS_OUT = {
    ConflictReason.NOT_NAMED: (
        "name the rights in behind to grant it knowingly",
        "请在 behind 中列明这些权利",
    ),
    ConflictReason.SAME_RANK: _BEHIND,
    ConflictReason.NOT_BEHIND: _BEHIND,
    ConflictReason.MUST_TAKE: (
        "two holders cannot both have to take the same space",
        "两方不得同为到期必租",
    ),
}
