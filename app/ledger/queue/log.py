"""Reads the log that the line is worked out from: entries, and the claims on what they want."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.ledger.queue.line import Entry, Standing, Taken, Wanted, replay

#: Entries that want one of the units, entries that share another unit with those, and so on.
_ENTRIES = text("""
    WITH RECURSIVE wanted (unit_id) AS (
        SELECT unnest(CAST(:units AS uuid[]))
        UNION
        SELECT more.unit_id FROM wanted JOIN queue_wants one USING (unit_id)
        JOIN queue_wants more ON more.entry_id = one.entry_id
    )
    SELECT e.id, e.company_id, e.joined_at, e.left_at, e.offer_hours, lower(e.period),
        upper(e.period), array_agg(w.unit_id ORDER BY w.unit_id),
        array_agg(w.quantity ORDER BY w.unit_id)
    FROM queue_entries e JOIN queue_wants w ON w.entry_id = e.id
    WHERE e.id IN (SELECT entry_id FROM queue_wants JOIN wanted USING (unit_id))
    GROUP BY e.id""")

#: Units as they were known at ``:now``, on the last days planned then.
_KNOWN = """
    SELECT DISTINCT ON (id) id, capacity, usable, known_from FROM unit_terms
    WHERE id = ANY (CAST(:units AS uuid[])) AND known_from <= :now
        AND (known_until IS NULL OR known_until > :now)
    ORDER BY id, lower(valid) DESC NULLS LAST"""

#: Claims that were believed since the first of them joined; and the days on which a unit may not
#: be used, as if taken since that was known.
_TAKEN = text(f"""
    WITH known AS ({_KNOWN})
    SELECT unit_id, quantity, lower(period), upper(period), lower(live), upper(live)
    FROM claims WHERE unit_id = ANY (CAST(:units AS uuid[]))
        AND (upper_inf(live) OR upper(live) >= :since)
    UNION ALL
    SELECT id, capacity, DATE '0001-01-01', lower(usable), known_from, NULL
    FROM known
    UNION ALL
    SELECT id, capacity, upper(usable), NULL, known_from, NULL
    FROM known WHERE NOT upper_inf(usable)""")  # noqa: S608  (our own words)

_CAPACITY = text(f"SELECT id, capacity FROM ({_KNOWN}) known")  # noqa: S608  (our own words)


@dataclass(frozen=True, slots=True)
class Line:
    """All entries that have to do with some units, and how they stand at ``now``."""

    now: datetime
    entries: tuple[Entry, ...]
    capacity: Mapping[UUID, Decimal]
    standings: Mapping[UUID, Standing]

    def meeting(self, unit_ids: Collection[UUID], days: Range[date]) -> list[Entry]:
        """Those in line for some of the units on some of the days."""
        return [
            entry
            for entry in self.entries
            if entry.id in self.standings
            and self.standings[entry.id].position is not None
            and any(one.unit_id in unit_ids for one in entry.wanted)
            and days.overlaps(Range(entry.start, entry.end))
        ]

    def is_wanted(
        self, unit_ids: Collection[UUID], days: Range[date], *, besides: UUID | None
    ) -> bool:
        """Whether a company other than ``besides`` waits for some of this."""
        return any(one.company_id != besides for one in self.meeting(unit_ids, days))


def read_line(session: Session, unit_ids: Collection[UUID], now: datetime) -> Line | None:
    """The line for some units as it stands at an instant; None where nobody ever waited."""
    rows = session.execute(_ENTRIES, {"units": sorted(unit_ids)}).all()
    if not rows:
        return None
    entries = tuple(
        Entry(
            id=id_,
            company_id=company_id,
            joined_at=joined_at,
            left_at=left_at,
            wanted=tuple(map(Wanted, units, quantities)),
            start=start,
            end=end,
            offer_hours=offer_hours,
        )
        for id_, company_id, joined_at, left_at, offer_hours, start, end, units, quantities in rows
    )
    wanted = sorted({one.unit_id for entry in entries for one in entry.wanted})
    since = min(entry.joined_at for entry in entries)
    taken = [
        Taken(*row)
        for row in session.execute(_TAKEN, {"units": wanted, "since": since, "now": now})
        if row[5] is None or row[5] > row[4]
    ]
    found = session.execute(_CAPACITY, {"units": wanted, "now": now}).all()
    capacity: dict[UUID, Decimal] = {row.id: row.capacity for row in found}
    return Line(now, entries, capacity, replay(entries, taken, capacity, now=now))
