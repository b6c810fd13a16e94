"""Every open request is watched: what begins to fit it, what no longer does, and why.

The watch remembers up to which snapshot it judged. Buildings that changed since, or in which a hold
lapsed, are read twice, as they were and as they are, and every open request is judged on both: what
differs is written down, once. The days asked for are those of today both times, so that only space,
and never the calendar, makes a difference. Requests that were edited are judged over all space, as
they were and as they are.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import DateTime, literal, literal_column, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.database.paging import Page, PageRequest, Sort, fetch_page
from app.demand.requests import get_request
from app.kernel.canonical import canonical
from app.kernel.clock import civil_day
from app.matching.answers import words
from app.matching.answers.canonical import plain
from app.matching.answers.policies import weights_asked
from app.matching.answers.question import Tables
from app.matching.answers.saved import Reader, Saved, open_requests, with_linked
from app.matching.answers.schemas import UnitRef
from app.matching.answers.shown import unit_refs
from app.matching.columns import COLUMNS
from app.matching.engine.candidates import Candidate, CandidateKind
from app.matching.engine.judge import Finding, candidate_of, is_absent, judge, stretch_of
from app.matching.engine.program import Program
from app.matching.engine.search import Found, search
from app.matching.rules.demand import Demand
from app.matching.rules.table import CONSTRAINTS
from app.matching.segment import Segment, Snapshot, Version
from app.matching.snapshots.changes import changes_since, turned_between
from app.matching.snapshots.load import load_segment, load_snapshot, parse_version
from app.models.claim import Claim
from app.models.company import SpaceRequest
from app.models.match import MatchEvent, MatchWatch, WatchedRequest
from app.models.space import Building, Unit
from app.security.actors import Actor
from app.webhooks.events import EventType
from app.webhooks.outbox import Announcement, announce_all

_WATCH = "requests"
#: Buildings that are read at a time.
BUILDINGS = 200
#: Offers of a request in so many buildings that are compared: the best, where there are more.
COMPARED = 5_000
#: Events of one request that one look tells one by one; of more, how many more there are.
TOLD = 20
#: Offers that are named when a request was edited.
NAMED = 5

#: What firms are told of by webhooks; of their own edits they know.
_ANNOUNCED = {
    "fits": EventType.REQUEST_MATCHED,
    "fits_no_more": EventType.REQUEST_NO_LONGER_MATCHED,
}

#: What tells an offer from others, before and after: its units.
Key = tuple[int, ...]

#: What is seen now, and the instant up to which all that is known is written: whoever writes still
#: began after it.
_NOW = """
SELECT pg_current_snapshot()::text, least(clock_timestamp(), (
    SELECT min(xact_start) FROM pg_stat_activity
    WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
        AND datname = current_database()))"""


def watch(session: Session, *, tables: Tables, now: datetime) -> int:
    """Judge what changed since the last time, in the caller's transaction.

    The first time nothing is told: there is no before.

    Args:
        session: where to read and write.
        tables: what needs are read from.
        now: says which day it is in Shanghai.

    Returns:
        How many events were written.
    """
    # One look at a time; whoever comes second finds nothing left to do.
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext('match_watches'))"))
    before, after = _judged_up_to(session), _seen_now(session)
    if before is not None and after.taken_at < before.taken_at:
        # A transaction that began long ago writes only now: time does not run backwards for it.
        after = replace(after, taken_at=before.taken_at)
    look = _Look(
        session,
        tables,
        Reader.at(session, tables, weights_asked(session, None, None, None), civil_day(now)),
        after,
    )
    told = look.at_requests(tell=before is not None)
    if before is not None:
        told += look.at_space(before)
    values = {"name": _WATCH, "snapshot": str(after), "at": after.taken_at}
    session.execute(
        insert(MatchWatch)
        .values(values)
        .on_conflict_do_update(index_elements=["name"], set_=values)
    )
    return told


def _judged_up_to(session: Session) -> Version | None:
    row = session.execute(
        select(MatchWatch.snapshot, MatchWatch.at).where(MatchWatch.name == _WATCH)
    ).one_or_none()
    return None if row is None else parse_version(row.snapshot, row.at)


def _seen_now(session: Session) -> Version:
    said, instant = session.execute(text(_NOW)).one()
    return parse_version(said, instant)


@dataclass(frozen=True, slots=True)
class _Side:
    """Some buildings at one of two instants, judged for one request."""

    segment: Segment
    program: Program
    by_key: Mapping[Key, Found]

    @property
    def notable(self) -> set[Key]:
        """Units that fit by themselves, and the best bundle where it is better than all of them."""
        best = next(iter(self.by_key), None)
        return {key for key in self.by_key if len(key) == 1 or key == best}

    def candidate(self, key: Key) -> Candidate | None:
        """The same units here; None where one of them is not there."""
        rows = []
        for fid in key:
            found = np.flatnonzero(self.segment.fid == fid).tolist()
            there = [row for row in found if not is_absent(self.program, row)]
            if not there:
                return None
            rows.append(there[0])
        if len(rows) == 1:
            return candidate_of(self.program, rows[0])
        taken = tuple(sorted(rows))
        whole = tuple(int(self.segment.column("capacity")[row]) for row in taken)
        first_day, until = stretch_of(self.program, taken, whole)
        return Candidate(CandidateKind.BUNDLE, taken, whole, first_day, until)


def _side(segment: Segment, demand: Demand, version: Version) -> _Side:
    answer = search(Snapshot((segment,), version), demand, COMPARED, table=CONSTRAINTS)
    (program,) = answer.programs
    by_key = {
        tuple(sorted(int(segment.fid[row]) for row in one.candidate.rows)): one
        for one in answer.found
    }
    return _Side(segment, program, by_key)


@dataclass(frozen=True, slots=True)
class _Case:
    """Which way something turned for a request: it fits on ``side`` and not on ``other``."""

    saved: Saved
    kind: str
    side: _Side
    other: _Side

    @property
    def fits(self) -> bool:
        """Whether it fits now, not before."""
        return self.kind == "fits"


class _Look:
    """One look at what changed."""

    def __init__(self, session: Session, tables: Tables, reader: Reader, after: Version) -> None:
        self._session, self._tables = session, tables
        self._reader, self._after = reader, after
        self._day = reader.day

    # ---- requests that were edited ---------------------------------------------------------------

    def at_requests(self, *, tell: bool) -> int:
        """Judge requests that were edited since they were last looked at; remember all of them."""
        known = {
            row.request_id: row
            for row in self._session.execute(
                select(
                    WatchedRequest.request_id,
                    WatchedRequest.request_version,
                    WatchedRequest.needs,
                )
            )
        }
        saved = open_requests(self._session, self._tables, self._day)
        changed = [one for one in saved if self._is_new(one, known)]
        edited = [one for one in changed if one.id in known and known[one.id].needs != one.needs]
        events = []
        if edited and tell:
            whole = load_snapshot(self._session, version=self._after)
            events = [self._edited(one, known[one.id].needs, whole) for one in edited]
        if changed:
            written = insert(WatchedRequest).values(
                [
                    {"request_id": one.id, "request_version": one.version, "needs": one.needs}
                    for one in changed
                ]
            )
            self._session.execute(
                written.on_conflict_do_update(
                    index_elements=["request_id"],
                    set_={
                        "request_version": written.excluded.request_version,
                        "needs": written.excluded.needs,
                    },
                )
            )
        return self._write(events)

    @staticmethod
    def _is_new(one: Saved, known: Mapping[UUID, Any]) -> bool:
        return one.id not in known or known[one.id].request_version != one.version

    def _edited(
        self, one: Saved, needs_before: Sequence[Mapping[str, Any]], whole: Snapshot
    ) -> dict[str, Any]:
        before, after = (
            search(whole, self._reader.demand(needs, None), NAMED, table=CONSTRAINTS)
            for needs in (needs_before, one.needs)
        )
        was, fits = sum(before.feasible.values()), sum(after.feasible.values())
        refs = self._refs(
            int(whole.segments[found.segment].fid[row])
            for found in after.found
            for row in found.candidate.rows
        )
        return self._event(
            one,
            "request_changed",
            units=list(refs.values()),
            changes=list(_needs_changed(needs_before, one.needs)),
            words_zh=f"需求已更新：现有 {fits} 处空间符合，此前 {was} 处",
            words_en=f"the request was edited: {fits} offers fit now, {was} did before",
        )

    # ---- space that changed ----------------------------------------------------------------------

    def at_space(self, before: Version) -> int:
        """Judge open requests on the buildings that changed since a snapshot."""
        changed = self._changed_since(before)
        told = 0
        for first in range(0, len(changed), BUILDINGS):
            ids = with_linked(self._session, changed[first : first + BUILDINGS])
            was, now = (
                load_segment(self._session, buildings=ids, as_of=version.taken_at, version=version)
                for version in (before, self._after)
            )
            told += self._write(self._compared(before, was, now))
        return told

    def _changed_since(self, before: Version) -> list[UUID]:
        changes = changes_since(self._session, before)
        if changes.everything:
            return list(self._session.scalars(select(Building.id).order_by(Building.id)))
        turned = turned_between(self._session, before.taken_at, self._after.taken_at)
        return sorted(changes.building_ids | turned)

    def _compared(self, before: Version, was: Segment, now: Segment) -> list[dict[str, Any]]:
        kinds = _kinds(was) | _kinds(now)
        events: list[dict[str, Any]] = []
        for one in open_requests(self._session, self._tables, self._day, kinds=kinds):
            demand = self._reader.demand(one.needs, None)
            events += self._differences(
                one, _side(was, demand, before), _side(now, demand, self._after)
            )
        return events

    def _differences(self, one: Saved, was: _Side, now: _Side) -> Iterator[dict[str, Any]]:
        come = [key for key in now.by_key if key in now.notable and key not in was.by_key]
        gone = [key for key in was.by_key if key not in now.by_key]
        told = self._told(one) if any(len(key) > 1 for key in gone) else frozenset()
        refs = self._refs(fid for key in (*come, *gone) for fid in key)
        units = {key: frozenset(refs[fid].id for fid in key) for key in gone}
        own = self._own(one, frozenset().union(*units.values()))
        gone = [
            key
            for key in gone
            if (key in was.notable or units[key] in told) and own.isdisjoint(units[key])
        ]
        for keys, case in (
            (come, _Case(one, "fits", now, was)),
            (gone, _Case(one, "fits_no_more", was, now)),
        ):
            for key in keys[:TOLD]:
                yield self._difference(case, key, [refs[fid] for fid in key])
            if keys[TOLD:]:
                yield self._more(case, len(keys) - TOLD)

    def _own(self, one: Saved, units: frozenset[UUID]) -> frozenset[UUID]:
        """Those of the units that the firm itself has: what it took is no loss to it."""
        if not units:
            return units
        at = literal(self._after.taken_at, DateTime(timezone=True))
        taken = select(Claim.unit_id).where(
            Claim.company_id == one.company_id, Claim.unit_id.in_(units), Claim.live.contains(at)
        )
        return frozenset(self._session.scalars(taken))

    def _told(self, one: Saved) -> frozenset[frozenset[UUID]]:
        """Units of bundles that were last told to fit."""
        last: dict[frozenset[UUID], str] = {}
        for row in self._session.execute(
            select(MatchEvent.unit_ids, MatchEvent.kind)
            .where(MatchEvent.request_id == one.id, MatchEvent.candidate_kind == "bundle")
            .order_by(MatchEvent.id)
        ):
            last[frozenset(row.unit_ids)] = row.kind
        return frozenset(units for units, kind in last.items() if kind == "fits")

    def _difference(self, case: _Case, key: Key, units: Sequence[UnitRef]) -> dict[str, Any]:
        """An offer that fits on one side, and what is in its way on the other."""
        side, other = case.side, case.other
        candidate, demand = side.by_key[key].candidate, side.program.demand
        there = other.candidate(key)
        pairs = [] if there is None else _turned(side, candidate, other, there)
        codes = "+".join(unit.code for unit in units)
        zh, en = _reasons([theirs for theirs, _ in pairs], demand, there, fits=case.fits)
        first = date.fromordinal(candidate.first_day)
        if case.fits:
            zh, en = (
                f"{codes} 现符合该需求，自 {first} 起可用；{zh}",
                f"{codes} fits now, free from {first}; {en}",
            )
        else:
            zh, en = f"{codes} 不再符合该需求：{zh}", f"{codes} fits no more: {en}"
        return self._event(
            case.saved,
            case.kind,
            candidate=candidate,
            first_day=first,
            units=units,
            changes=[_change(theirs, ours, demand, fits=case.fits) for theirs, ours in pairs],
            words_zh=zh,
            words_en=en,
        )

    def _more(self, case: _Case, count: int) -> dict[str, Any]:
        """That there are more than were told one by one."""
        now_zh, now_en = ("现符合", "fit now") if case.fits else ("不再符合", "fit no more")
        return self._event(
            case.saved,
            case.kind,
            words_zh=f"另有 {count} 处空间{now_zh}该需求",
            words_en=f"{count} more offers {now_en}",
        )

    # ---- what is written -------------------------------------------------------------------------

    def _event(
        self,
        one: Saved,
        kind: str,
        *,
        words_zh: str,
        words_en: str,
        candidate: Candidate | None = None,
        first_day: date | None = None,
        units: Sequence[UnitRef] = (),
        changes: Sequence[Mapping[str, Any]] = (),
    ) -> dict[str, Any]:
        unit_ids = [unit.id for unit in units]
        mark = canonical(
            plain([one.id, one.version, kind, unit_ids, str(self._after), self._after.taken_at])
        )
        return {
            "request_id": one.id,
            "request_version": one.version,
            "kind": kind,
            "candidate_kind": None if candidate is None else candidate.kind.value,
            "unit_ids": unit_ids,
            "first_day": first_day,
            "changes": plain(changes),
            "words_zh": words_zh,
            "words_en": words_en,
            "snapshot": str(self._after),
            "at": self._after.taken_at,
            "mark": hashlib.sha256(mark).digest(),
        }

    def _write(self, events: Sequence[Mapping[str, Any]]) -> int:
        if not events:
            return 0
        written = insert(MatchEvent).on_conflict_do_nothing(index_elements=["mark"])
        new = self._session.execute(written.returning(MatchEvent.mark), list(events)).scalars()
        self._announce(set(new), events)
        return len(events)

    def _announce(self, new: set[bytes], events: Sequence[Mapping[str, Any]]) -> None:
        """Tell the firms whose requests these are, in the transaction that writes them."""
        told = [one for one in events if one["mark"] in new and one["kind"] in _ANNOUNCED]
        if not told:
            return
        requests = self._session.execute(
            select(SpaceRequest.id, SpaceRequest.company_id).where(
                SpaceRequest.id.in_({one["request_id"] for one in told})
            )
        )
        firms = {row.id: row.company_id for row in requests}
        units = self._session.execute(
            select(Unit.id, Unit.code).where(
                Unit.id.in_({id_ for one in told for id_ in one["unit_ids"]})
            )
        )
        codes = {row.id: row.code for row in units}
        announce_all(
            self._session,
            [
                Announcement(
                    firms[one["request_id"]],
                    _ANNOUNCED[one["kind"]],
                    {
                        "request_id": one["request_id"],
                        "units": [{"id": id_, "code": codes[id_]} for id_ in one["unit_ids"]],
                        "first_day": one["first_day"],
                        "words_zh": one["words_zh"],
                        "words_en": one["words_en"],
                        "href": f"/api/v1/space-requests/{one['request_id']}/match-events",
                    },
                )
                for one in told
            ],
        )

    def _refs(self, fids: "Iterator[int]") -> Mapping[int, UnitRef]:
        return unit_refs(self._session, fids)


def _kinds(segment: Segment) -> set[str]:
    ranks = np.unique(segment.column("unit_type")).tolist()
    return {COLUMNS["unit_type"].value(rank) for rank in ranks}


def _turned(
    side: _Side, candidate: Candidate, other: _Side, there: Candidate
) -> list[tuple[Finding, Finding]]:
    """Rules that are broken on the other side, each with what is found on this one."""
    found = zip(judge(other.program, there), judge(side.program, candidate), strict=True)
    return [(theirs, ours) for theirs, ours in found if not theirs.fits]


def _reasons(
    broken: Sequence[Finding], demand: Demand, there: Candidate | None, *, fits: bool
) -> tuple[str, str]:
    """What was in the way before, or is now."""
    if there is None:
        return (
            ("此前没有这一空间", "it was not there before")
            if fits
            else ("该空间已不存在", "it is not there any more")
        )
    said = [words.verdict(one, demand.hard) for one in broken]
    if not said:
        # A better offer took its place among those compared.
        return (
            ("此前有更合适的组合", "better offers stood before it")
            if fits
            else ("已有更合适的组合", "better offers take its place")
        )
    before_zh, before_en = ("此前", "before: ") if fits else ("", "")
    return (
        before_zh + "；".join(one["words_zh"] for one in said),
        before_en + "; ".join(one["words_en"] for one in said),
    )


def _change(theirs: Finding, ours: Finding, demand: Demand, *, fits: bool) -> dict[str, Any]:
    other, here = (words.verdict(one, demand.hard) for one in (theirs, ours))
    before, after = (other, here) if fits else (here, other)
    return {
        **{name: other[name] for name in ("constraint", "name_zh", "name_en")},
        "before_zh": before["words_zh"],
        "before_en": before["words_en"],
        "after_zh": after["words_zh"],
        "after_en": after["words_en"],
    }


def _needs_changed(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Needs that are other than before, or were not there, or are not any more."""
    was, now = ({(one["key"], one["hardness"]): one for one in needs} for needs in (before, after))
    for key in [*now, *(key for key in was if key not in now)]:
        old, new = was.get(key), now.get(key)
        if old is not None and new is not None and old["value"] == new["value"]:
            continue
        yield {
            "constraint": key[0],
            "name_zh": _words(new or old, "zh").split("：")[0],
            "name_en": _words(new or old, "en").split(":")[0],
            "before_zh": _words(old, "zh"),
            "before_en": _words(old, "en"),
            "after_zh": _words(new, "zh"),
            "after_en": _words(new, "en"),
        }


def _words(need: Mapping[str, Any] | None, language: str) -> str:
    if need is None:
        return {"zh": "未要求", "en": "not asked for"}[language]
    return str(need[f"words_{language}"])


_UNITS = """(SELECT coalesce(json_agg(json_build_object('id', u.id, 'code', u.code)
    ORDER BY u.code), '[]') FROM units u WHERE u.id = ANY (match_events.unit_ids))"""


def list_events(session: Session, actor: Actor, request_id: UUID, page: PageRequest) -> Page:
    """What happened to a request's matches, newest first.

    Raises:
        NotFoundError: there is no such request, or it is not the caller's to see.
    """
    get_request(session, actor, request_id)
    event = MatchEvent.__table__.c
    query = select(
        event.uid.label("id"),
        event.request_id,
        event.request_version,
        event.kind,
        event.candidate_kind,
        literal_column(_UNITS).label("units"),
        event.first_day,
        event.changes,
        event.words_zh,
        event.words_en,
        event.at,
    ).where(event.request_id == request_id)
    order = [Sort(event.id, descending=True)]
    return fetch_page(
        session,
        query,
        order=order,
        page=page,
        scope=f"match-events:{request_id}",
        wrote=lambda since: since.wrote(MatchEvent.__table__),
    )
