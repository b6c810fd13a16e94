"""Which state of the database an answer shows: what may be kept of answers, and for how long.

Everything that a collection shows counts. Units, floors, buildings and what is taken of them are in
the log of changed space, by transaction; of zones, parks, parcels and programmes there are few, and
which transaction wrote each row is asked of the rows. A hold that lapses writes nothing: when the
next one does is known beforehand. While no transaction has ended anywhere, nothing is asked at all.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from secrets import token_hex
from threading import Lock
from uuid import UUID

from sqlalchemy import event, text
from sqlalchemy.orm import Session, sessionmaker

#: Few rows each; none is in the log with all that is shown of it.
_LAND = (
    *("zones", "parks", "park_blocks", "parcels"),
    *("programmes", "programme_buildings", "shared_facilities"),
)
#: More buildings than this at once are told as anything: totals of a city are summed anew then.
_MOST_TOLD = 1_000
#: Of how many states it is known what changed after them.
_REMEMBERED = 4_096
_NOW = text("SELECT pg_current_snapshot()::text AS seen, statement_timestamp() AS instant")
# A row's transaction is later than the one that wrote it before, so that sums only stay where
# neither rows nor their number have changed.
_WRITTEN = " || ' ' || ".join(
    f"(SELECT count(*) || ':' || coalesce(sum(xmin::text::bigint), 0) FROM {table})"  # noqa: S608
    for table in _LAND
)
# By transaction and not by number: one that commits late has a low number in the log. What is not
# yet given out is of another database's life. And a log that begins after what was seen may have
# had more.
_STATE = text(f"""
SELECT pg_current_snapshot()::text AS seen, statement_timestamp() AS instant,
    ARRAY(
        SELECT unnest(ARRAY[building_id, (SELECT park_id FROM buildings WHERE id = building_id)])
        FROM space_changes
        WHERE xid >= pg_snapshot_xmin(CAST(:seen AS pg_snapshot))
            AND xid < pg_snapshot_xmax(pg_current_snapshot())
            AND NOT pg_visible_in_snapshot(xid, CAST(:seen AS pg_snapshot))
        LIMIT 2 * {_MOST_TOLD} + 1
    ) AS changed,
    (
        SELECT xid >= pg_snapshot_xmin(CAST(:seen AS pg_snapshot))
        FROM space_changes ORDER BY xid LIMIT 1
    ) AS forgotten,
    ARRAY(
        SELECT unnest(ARRAY[units.building_id, units.park_id])
        FROM occupancy JOIN units ON units.id = occupancy.unit_id
        WHERE NOT upper_inf(live) AND upper(live) > CAST(:instant AS timestamptz)
            AND upper(live) <= statement_timestamp()
        LIMIT 2 * {_MOST_TOLD} + 1
    ) AS lapsed,
    {_WRITTEN} AS land,
    (SELECT upper(live) FROM occupancy
        WHERE NOT upper_inf(live) AND upper(live) > statement_timestamp()
        ORDER BY upper(live) LIMIT 1) AS turns_at""")  # noqa: S608  (our own statement)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was there when it was last looked at."""

    snapshot: str
    land: str
    instant: datetime
    turns_at: datetime | None


class Versions:
    """Gives each state of one database a name of its own, for this process.

    A name stays as long as every question has the same answer. An answer made after the name was
    asked for is at least as new as the name says.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._seen: _Seen | None = None
        self._life = token_hex(4)
        #: The numbers of the latest states, and what changed to make each.
        self._past: tuple[tuple[int, frozenset[UUID] | None], ...] = ((0, None),)
        self._committed_at = 0.0

    @property
    def committed_at(self) -> float:
        """When this process itself last committed something, by ``time.monotonic``."""
        return self._committed_at

    def watch(self, sessions: sessionmaker[Session]) -> None:
        """Learn at once of what is committed through these sessions."""
        event.listen(sessions, "after_commit", self._note_commit)

    def _note_commit(self, _session: Session) -> None:
        self._committed_at = time.monotonic()

    def look(self, session: Session) -> str:
        """The name of the state that the session's next statement will see, or an earlier one."""
        now = session.execute(_NOW).one()
        return self.at(session, now.seen, now.instant)

    def at(self, session: Session, snapshot: str, instant: datetime) -> str:
        """The same after a statement of the session: no earlier a state than that one saw.

        Args:
            session: of which no statement has yet changed anything.
            snapshot: ``pg_current_snapshot()`` in that statement.
            instant: its ``statement_timestamp()``.
        """
        with self._lock:
            seen = self._seen
            if (
                seen is not None
                and snapshot == seen.snapshot
                and not _passed(seen.turns_at, instant)
            ):
                return self._name
            # Without one seen before, all is new: compared with nothing.
            state = session.execute(
                _STATE,
                {
                    "seen": "1:1:" if seen is None else seen.snapshot,
                    "instant": None if seen is None else seen.instant,
                },
            )
            row = state.one()
            if (
                seen is None
                or row.changed
                or row.forgotten
                or row.land != seen.land
                or _passed(seen.turns_at, row.instant)
            ):
                of_all = seen is None or row.forgotten or row.land != seen.land
                changed = None if of_all else _places([*row.changed, *row.lapsed])
                # As one value, as whoever reads it waits for no lock.
                last = self._past[-1][0]
                self._past = (*self._past[1 - _REMEMBERED :], (last + 1, changed))
            self._seen = _Seen(row.seen, row.land, row.instant, row.turns_at)
            return self._name

    def changed_since(self, name: str) -> tuple[str, frozenset[UUID] | None]:
        """The name of the latest state that was looked at, and what differs from an earlier one.

        That is: the buildings in which something changed, and the parks that these are in now.
        None: it may be anything. Asks the database nothing.
        """
        past = self._past
        latest = f"{self._life}-{past[-1][0]}"
        places: set[UUID] = set()
        for number, changed in reversed(past):
            if name == f"{self._life}-{number}":
                return latest, frozenset(places)
            if changed is None:
                break
            places |= changed
        return latest, None

    @property
    def _name(self) -> str:
        return f"{self._life}-{self._past[-1][0]}"


def _passed(turns_at: datetime | None, instant: datetime) -> bool:
    return turns_at is not None and instant >= turns_at


def _places(ids: Iterable[UUID | None]) -> frozenset[UUID] | None:
    """Those places; None where one of them is everywhere, or where they are too many to tell."""
    found = list(ids)
    # A building that is gone has no park, and what changed everywhere no building.
    buildings = found[::2]
    if None in buildings or len(buildings) > _MOST_TOLD:
        return None
    return frozenset(one for one in found if one is not None)
