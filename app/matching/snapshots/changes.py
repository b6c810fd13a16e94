"""What changed since a snapshot was read: from the log of changed buildings, by transaction.

Never by sequence: a transaction that commits late has a low number in the log, and a reader who had
passed it would never see it. What a snapshot did not see is exact: transactions that were running
then, and all that came later.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.matching.segment import Version
from app.matching.snapshots.load import connection_of, parse_version
from app.matching.snapshots.reading import FEW_BUILDINGS, Connection, Read, read, read_some

# Rows of a database that was restored elsewhere may be of transactions that are still to come: what
# is visible but not yet given out is of another life.
_SINCE = """
SELECT building_id FROM space_changes
WHERE (xid >= %(xmax)s::xid8 OR xid = ANY (%(in_flight)s::xid8[]))
    AND xid < pg_snapshot_xmax(pg_current_snapshot())
UNION ALL
-- The log keeps its oldest rows' last transaction: if that is not behind us, some may be missing.
SELECT NULL FROM (
    SELECT xid FROM space_changes WHERE xid < pg_snapshot_xmax(pg_current_snapshot())
    ORDER BY xid LIMIT 1
) oldest WHERE oldest.xid >= %(xmin)s::xid8"""
# What passages join to them is read with them: it counts as one building.
_CHANGED = f"""
changed AS ({_SINCE}
), linked AS (
    SELECT id FROM buildings
    WHERE id = ANY (ARRAY(SELECT building_id FROM changed)) OR fid = ANY (%(turned)s)
    UNION
    SELECT CASE WHEN l.building_a_id = t.id THEN l.building_b_id ELSE l.building_a_id END
    FROM linked t JOIN building_links l ON t.id IN (l.building_a_id, l.building_b_id)
), asked AS MATERIALIZED (
    SELECT CASE WHEN count(*) <= %(few)s THEN coalesce(array_agg(id), '{{}}')
        ELSE '{{}}' END AS ids, clock_timestamp() AS as_of
    FROM linked
)"""  # noqa: S608  (our own statement)
_TOLD = """
pg_current_snapshot()::text, (SELECT as_of FROM asked),
ARRAY(SELECT building_id FROM changed), ARRAY(SELECT id FROM linked),"""
_FORGET = """
DELETE FROM space_changes WHERE xid < (
    SELECT xid FROM space_changes
    WHERE changed_at < :instant AND xid < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY xid DESC LIMIT 1
)"""
_TURNED = """
SELECT u.building_id FROM occupancy c JOIN units u ON u.id = c.unit_id
WHERE upper(c.live) > :after AND upper(c.live) <= :until
    OR lower(c.live) > :after AND lower(c.live) <= :until
UNION
SELECT building_id FROM unit_terms
WHERE known_from > :after AND known_from <= :until
    OR known_until > :after AND known_until <= :until"""


@dataclass(frozen=True, slots=True)
class Changes:
    """Buildings in which something changed; or ``everything`` did, or may have."""

    everything: bool
    building_ids: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class Found:
    """What a snapshot has not seen yet.

    Attributes:
        version: what was seen now.
        changes: since the snapshot.
        building_ids: what is there of the buildings that changed or turned, with all that passages
            join to them.
        read: all that is in these, unless everything changed.
    """

    version: Version
    changes: Changes
    building_ids: frozenset[UUID]
    read: Read


def find_changes(connection: Connection, since: Version, turned: Sequence[int]) -> Found:
    """What changed since a snapshot, and how it is now: one statement, so that all is one instant.

    Args:
        connection: of no transaction; its transactions see one instant throughout.
        since: the snapshot's version.
        turned: numbers of buildings that are to be read too.
    """
    parameters = {**_parameters(since), "turned": list(turned), "few": FEW_BUILDINGS}
    (said, instant, changed, ids), found = read_some(connection, _CHANGED, _TOLD, parameters)
    if len(ids) > FEW_BUILDINGS and None not in changed:
        with connection.transaction():
            (said, instant, changed, ids), _ = read_some(connection, _CHANGED, _TOLD, parameters)
            found = read([connection], instant, ids)
    return Found(parse_version(said, instant), _changes(changed), frozenset(ids), found)


def changes_since(session: Session, version: Version) -> Changes:
    """What the session sees and a snapshot did not."""
    with connection_of(session) as connection:
        rows = connection.execute(_SINCE, _parameters(version)).fetchall()
        return _changes(row[0] for row in rows)


def _parameters(since: Version) -> dict[str, Any]:
    return {
        "xmin": str(since.xmin),
        "xmax": str(since.xmax),
        "in_flight": [str(one) for one in sorted(since.in_flight)],
    }


def _changes(building_ids: Iterable[UUID | None]) -> Changes:
    ids = frozenset(building_ids)
    return Changes(None in ids, frozenset(one for one in ids if one is not None))


def turned_between(session: Session, after: datetime, until: datetime) -> frozenset[UUID]:
    """Buildings in which something lapsed or began to be believed, without being written then."""
    found = session.scalars(text(_TURNED), {"after": after, "until": until})
    return frozenset(found)


def forget_changes_before(session: Session, instant: datetime) -> int:
    """Drop rows of the log that are older; returns how many.

    The last transaction of those that are dropped stays, to tell readers where the log begins.
    """
    done = session.execute(text(_FORGET), {"instant": instant})
    return int(done.rowcount)  # type: ignore[attr-defined]
