"""Reads the log that the line is worked out from: entries, and the claims on what they want."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID, uuid5

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.ledger.queue.line import Entry, Reserved, Standing, Taken, Wanted, replay
from app.security.rows import whole_ledger

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

#: Claims that were believed since the first of them joined.
_CLAIMS = text("""
    SELECT unit_id, quantity, lower(period), upper(period), lower(live), upper(live)
    FROM occupancy WHERE unit_id = ANY (CAST(:units AS uuid[]))
        AND (upper_inf(live) OR upper(live) >= :since)""")

#: What there is of the units on which days, and when that was known: a unit may be measured anew,
#: split or merged while somebody waits for it, and what was offered before must stay what it was.
_SIZES = text("""
    SELECT id, capacity, lower(valid * usable), upper(valid * usable), known_from, known_until
    FROM unit_terms WHERE id = ANY (CAST(:units AS uuid[])) AND valid && usable
        AND (known_until IS NULL OR known_until >= :since)""")

#: How many shares a unit has of which whoever wants all of it needs every one.
_SHARES = Decimal(1_000_000)


def in_shares(wanted: Iterable[Wanted]) -> tuple[Wanted, ...]:
    """Wishes as the replay takes them, so that all of a unit stays all of it, whatever its size.

    Beside its quantity each unit has shares: whoever has, or wants, a part takes one, and whoever
    wants all takes every one.
    """
    found: list[Wanted] = []
    for one in wanted:
        if one.quantity is None:
            found.append(Wanted(shares_of(one.unit_id), _SHARES))
        else:
            found += [one, Wanted(shares_of(one.unit_id), Decimal(1))]
    return tuple(found)


def shares_of(unit_id: UUID) -> UUID:
    """The id under which the replay counts a unit's shares."""
    return uuid5(unit_id, "shares")


def takes_all(reserved: Reserved) -> bool:
    """Whether an offer of shares is of the whole unit."""
    return reserved.quantity == _SHARES


@dataclass(frozen=True, slots=True)
class Line:
    """All entries that have to do with some units, and how they stand at ``now``."""

    now: datetime
    entries: tuple[Entry, ...]
    capacity: Mapping[UUID, Decimal]
    standings: Mapping[UUID, Standing]

    def meeting(self, unit_ids: Collection[UUID], days: Range[date]) -> list[Entry]:
        """Those in line for some of the units on some of the days."""
        shares = {shares_of(unit_id) for unit_id in unit_ids}
        return [
            entry
            for entry in self.entries
            if entry.id in self.standings
            and self.standings[entry.id].position is not None
            and any(one.unit_id in shares for one in entry.wanted)
            and days.overlaps(Range(entry.start, entry.end))
        ]

    def is_wanted(
        self, unit_ids: Collection[UUID], days: Range[date], *, besides: UUID | None
    ) -> bool:
        """Whether a company other than ``besides`` waits for some of this."""
        return any(one.company_id != besides for one in self.meeting(unit_ids, days))


def read_line(session: Session, unit_ids: Collection[UUID], now: datetime) -> Line | None:
    """The line for some units as it stands at an instant; None where nobody ever waited."""
    with whole_ledger(session):
        rows = session.execute(_ENTRIES, {"units": sorted(unit_ids)}).all()
    if not rows:
        return None
    entries = tuple(
        Entry(
            id=id_,
            company_id=company_id,
            joined_at=joined_at,
            left_at=left_at,
            wanted=in_shares(map(Wanted, units, quantities)),
            start=start,
            end=end,
            offer_hours=offer_hours,
        )
        for id_, company_id, joined_at, left_at, offer_hours, start, end, units, quantities in rows
    )
    units = sorted({unit_id for row in rows for unit_id in row[7]})
    asked = {"units": units, "since": min(entry.joined_at for entry in entries)}
    taken = [Taken(*row) for row in session.execute(_CLAIMS, asked)]
    taken += [replace(one, unit_id=shares_of(one.unit_id), quantity=Decimal(1)) for one in taken]
    # There is nothing of a unit but what is known of it: its size counts as given, not taken.
    for id_, capacity, *days_and_belief in session.execute(_SIZES, asked):
        taken.append(Taken(id_, -capacity, *days_and_belief))
        taken.append(Taken(shares_of(id_), -_SHARES, *days_and_belief))
    capacity = {one: Decimal(0) for id_ in units for one in (id_, shares_of(id_))}
    return Line(now, entries, capacity, replay(entries, taken, capacity, now=now))
