"""The other way round: which open requests would take a unit, alone or with others around it.

Only the unit's building is looked at, with those that passages join to it, so that thousands of
requests are judged in the time of a few searches.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID

import numpy as np
from pydantic import Field
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.inventory.places import id_or_none
from app.kernel.clock import civil_day
from app.kernel.errors import NotFoundError
from app.matching.answers import words
from app.matching.answers.outlook import park_areas, relay_values
from app.matching.answers.policies import weights_asked
from app.matching.answers.question import Tables
from app.matching.answers.saved import Reader, Saved, open_requests, with_linked
from app.matching.answers.schemas import (
    ContributionOut,
    Exact,
    Shown,
    TotalsOut,
    UnitRef,
    VerdictOut,
)
from app.matching.answers.shown import unit_refs
from app.matching.engine.candidates import BundleShape, CandidateKind
from app.matching.engine.judge import judge
from app.matching.engine.masks import violations
from app.matching.engine.measures import Relay
from app.matching.engine.program import ABSENT, make_program
from app.matching.engine.scoring import contributions, exact
from app.matching.engine.search import Answer, Found, search
from app.matching.rules.constraint import Combining
from app.matching.rules.demand import Demand
from app.matching.rules.table import CONSTRAINTS
from app.matching.segment import Rows, Segment, Snapshot, Version
from app.matching.snapshots.load import load_segment
from app.matching.snapshots.source import Snapshots
from app.security.actors import Actor, Role, Scope

_NO_VERSION = Version(0, 0, frozenset(), datetime.min.replace(tzinfo=UTC))
#: Candidates of one building that are looked at for one request: more than there ever are.
_ALL = 1 << 20
_UNIT = """
SELECT u.id, u.fid, u.code, u.park_id, u.building_id, u.unit_type
FROM unit_terms u WHERE (u.code = :unit OR u.id = CAST(:unit_id AS uuid))
    AND u.known_until IS NULL AND u.valid && daterange(CAST(:day AS date), NULL)"""


class CompanyRef(Shown):
    """A firm by its names."""

    id: UUID
    name_zh: str
    name_en: str | None


class WantedByOut(Shown):
    """One request that would take the unit, with the best offer in which it has part."""

    rank: int = Field(description="1 is best; equal scores go by age of the request")
    request_id: UUID
    request_version: int
    company: CompanyRef
    kind: CandidateKind
    shape: BundleShape | None
    units: list[UnitRef] = Field(description="all units of the offer")
    totals: TotalsOut
    first_day: date
    free_until: date | None = Field(description="first day not free again; null: open-ended")
    score: Exact
    contributions: list[ContributionOut]
    margins: list[VerdictOut]


class WantedByList(Shown):
    """Who would want a unit."""

    unit: UnitRef
    day: date = Field(description="from which day on it was looked at")
    judged_requests: int = Field(description="open requests for such space, as far as yours to see")
    fitting_requests: int
    items: list[WantedByOut] = Field(description="best first, as many as `limit`")


@dataclass(frozen=True, slots=True)
class _Fits:
    """A request with the best candidate that contains the unit."""

    saved: Saved
    answer: Answer
    found: Found
    relay: Relay | None


def matching_requests(
    session: Session,
    actor: Actor,
    unit: str,
    *,
    start: date | None,
    limit: int,
    tables: Tables,
    snapshots: Snapshots,
    now: datetime,
) -> WantedByList:
    """Which open requests would take a unit, best first; a firm's key sees its own alone.

    Args:
        session: where to read.
        actor: who asks; staff see requests for units of their parks.
        unit: id or code.
        start: look at it from this day on; None is today.
        limit: requests shown.
        tables: what needs are read from.
        snapshots: where room to grow is looked at.
        now: says which day it is in Shanghai.

    Raises:
        NotFoundError: there is no such unit on that day or later.
        NotAllowedError: it is in a park that is not the caller's.
    """
    actor.require_firm_scope_or_staff(Scope.REQUESTS_READ, Role.VIEWER)
    day = max(start or civil_day(now), civil_day(now))
    asked = {"unit": unit, "unit_id": id_or_none(unit), "day": day}
    rows = session.execute(text(_UNIT), asked).all()
    if not rows:
        raise NotFoundError(
            f"there is no unit {unit!r} on {day} or later", detail_zh=f"{day} 起没有房源 {unit}"
        )
    about = rows[0]
    actor.require_park(about.park_id)
    segment = load_segment(session, buildings=with_linked(session, [about.building_id]))
    saved = open_requests(
        session,
        tables,
        day,
        kinds={row.unit_type for row in rows},
        company_id=None if actor.is_staff else actor.company_id,
    )
    reader = Reader.at(session, tables, weights_asked(session, None, None, None), day)
    # Room to grow is the park's, not the building's; asked for only where a pipeline needs it.
    whole = snapshots.current(session) if any(one.growth for one in saved) else None
    found = list(_fitting(segment, about.fid, saved, reader, whole))
    found.sort(key=lambda one: -one.found.score)
    refs = unit_refs(
        session,
        (int(segment.fid[row]) for one in found[:limit] for row in one.found.candidate.rows),
    )
    return WantedByList(
        unit=UnitRef(id=about.id, code=about.code),
        day=day,
        judged_requests=len(saved),
        fitting_requests=len(found),
        items=[
            _wanted_by(rank, one, segment, refs) for rank, one in enumerate(found[:limit], start=1)
        ],
    )


def _fitting(
    segment: Segment,
    fid: int,
    saved: Sequence[Saved],
    reader: Reader,
    whole: Snapshot | None,
) -> Iterator[_Fits]:
    """Each request that fits, with its best offer that has the unit in it."""
    rows = np.flatnonzero(segment.fid == fid)
    alone = Snapshot((segment,), _NO_VERSION)
    for one in saved:
        demand = reader.demand(one.needs, one.growth)
        if not _may_take(segment, rows, demand):
            continue
        relay = None
        if one.growth is not None and whole is not None:
            relay = relay_values(alone, one.growth, park_areas(whole, one.growth))
        answer = search(alone, demand, _ALL, table=CONSTRAINTS, relay_values=relay)
        best = next((it for it in answer.found if _has_any(it, rows)), None)
        if best is not None:
            yield _Fits(one, answer, best, None if relay is None else relay[0])


def _may_take(segment: Segment, rows: Rows, demand: Demand) -> bool:
    """Whether the unit breaks no rule that every unit of an offer must satisfy, its days apart."""
    program = make_program(segment, demand, CONSTRAINTS)
    refused = ABSENT | sum(
        1 << bit
        for bit, one in enumerate(program.active)
        if one.combining is Combining.PER_UNIT and one.key != "availability"
    )
    return any(
        not int(violations(program, range(row, row + 1))[0]) & refused for row in rows.tolist()
    )


def _has_any(found: Found, rows: Rows) -> bool:
    return not set(rows.tolist()).isdisjoint(found.candidate.rows)


def _wanted_by(rank: int, one: _Fits, segment: Segment, refs: Mapping[int, UnitRef]) -> WantedByOut:
    (program,) = one.answer.programs
    candidate, saved = one.found.candidate, one.saved
    return WantedByOut(
        rank=rank,
        request_id=saved.id,
        request_version=saved.version,
        company=CompanyRef(
            id=saved.company_id, name_zh=saved.company_name_zh, name_en=saved.company_name_en
        ),
        kind=candidate.kind,
        shape=candidate.shape,
        units=[refs[int(segment.fid[row])] for row in candidate.rows],
        totals=words.totals(segment, candidate),
        first_day=date.fromordinal(candidate.first_day),
        free_until=words.day_shown(candidate.until),
        score=exact(one.found.score),
        contributions=[
            words.contribution(part) for part in contributions(program, candidate, one.relay)
        ],
        margins=[
            words.verdict(finding, program.demand.hard) for finding in judge(program, candidate)
        ],
    )
