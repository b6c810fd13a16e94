"""What changed since a snapshot was read: from the log of changed buildings, by transaction.

Never by sequence: a transaction that commits late has a low number in the log, and a reader who had
passed it would never see it. What a snapshot did not see is exact: transactions that were running
then, and all that came later.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.matching.segment import Version
from app.matching.snapshots.load import Connection, Cursor, connection_of

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
# With all that passages join to them, so that who follows need not ask again.
_LINKED_SINCE = f"""
WITH RECURSIVE changed AS ({_SINCE}
), linked AS (
    SELECT id FROM buildings WHERE id IN (SELECT building_id FROM changed)
    UNION
    SELECT CASE WHEN l.building_a_id = t.id THEN l.building_b_id ELSE l.building_a_id END
    FROM linked t JOIN building_links l ON t.id IN (l.building_a_id, l.building_b_id)
)
SELECT building_id, false FROM changed UNION ALL SELECT id, true FROM linked"""  # noqa: S608  (our own statement)
_FORGET = """
DELETE FROM space_changes WHERE xid < (
    SELECT xid FROM space_changes
    WHERE changed_at < :instant AND xid < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY xid DESC LIMIT 1
)"""
_TURNED = """
SELECT u.building_id FROM claims c JOIN units u ON u.id = c.unit_id
WHERE upper(c.live) > :after AND upper(c.live) <= :until
    OR lower(c.live) > :after AND lower(c.live) <= :until
UNION
SELECT building_id FROM unit_terms
WHERE known_from > :after AND known_from <= :until
    OR known_until > :after AND known_until <= :until"""


@dataclass(frozen=True, slots=True)
class Changes:
    """Buildings in which something changed; or ``everything`` did, or may have.

    ``linked_ids`` are those that are still there, with all that passages join to them.
    """

    everything: bool
    building_ids: frozenset[UUID]
    linked_ids: frozenset[UUID] = frozenset()


def ask_changes(connection: Connection, since: Version) -> Cursor:
    """Ask what the connection's transaction sees and a snapshot did not."""
    return connection.execute(
        _LINKED_SINCE,
        {
            "xmin": str(since.xmin),
            "xmax": str(since.xmax),
            "in_flight": [str(one) for one in sorted(since.in_flight)],
        },
    )


def told_changes(cursor: Cursor) -> Changes:
    """The answer."""
    rows = cursor.fetchall()
    ids: frozenset[UUID | None] = frozenset(row[0] for row in rows if not row[1])
    return Changes(
        None in ids,
        frozenset(one for one in ids if one is not None),
        frozenset(row[0] for row in rows if row[1]),
    )


def changes_since(session: Session, version: Version) -> Changes:
    """What the session sees and a snapshot did not."""
    with connection_of(session) as connection:
        return told_changes(ask_changes(connection, version))


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
