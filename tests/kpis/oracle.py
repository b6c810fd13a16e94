"""The key figures once more, slowly: day by day over plain lists, from their definitions.

Shares no code with app/kpis/statement.py. Days are numbers; instants are too, on the same axis.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from itertools import count, takewhile
from typing import Any

#: Later than all that is ever written.
HORIZON = 1200
STAGES = ("incubation", "acceleration", "pilot", "hq_rd", "production")


@dataclass(frozen=True)
class Piece:
    """What is believed from ``known`` to ``forgotten``, for days ``first`` to ``until``."""

    unit: str
    unit_type: str
    measure: str
    capacity: int
    first: int | None = None
    until: int | None = None
    known: int = -1
    forgotten: int | None = None
    planned: bool = False

    @property
    def facts(self) -> tuple[str, str, int]:
        """What figures depend on; other terms, such as the rent, may change in between."""
        return self.unit_type, self.measure, self.capacity


@dataclass(frozen=True)
class Row:
    """A claim."""

    unit: str
    company: str | None
    commitment: str
    kind: str
    quantity: int
    first: int
    until: int | None
    live: int
    dead: int | None
    id: int = field(default_factory=count().__next__)


@dataclass(frozen=True)
class Book:
    """All that is written down."""

    usable: dict[str, tuple[int, int | None]]
    pieces: list[Piece]
    rows: list[Row]
    #: Splits: the day of recording, the parent, its children.
    splits: list[tuple[int, str, tuple[str, ...]]]


def within(number: int, first: int | None, until: int | None) -> bool:
    return (first is None or first <= number) and (until is None or number < until)


class Oracle:
    """What was known of a book at an instant; ``keys`` says to which groups a piece belongs."""

    def __init__(self, book: Book, as_of: int, keys: Callable[[Piece], Iterable[str]]) -> None:
        self.book, self.as_of, self.keys = book, as_of, keys
        self.pieces = [
            piece
            for piece in book.pieces
            if within(as_of, piece.known, piece.forgotten)
            and not piece.planned
            and any(self._holds(piece, day) for day in range(-HORIZON, HORIZON))
        ]
        self.rows = [row for row in book.rows if within(as_of, row.live, row.dead)]
        self.units = sorted({piece.unit for piece in self.pieces})
        self.piece_on = cache(self._piece_on)
        self.rows_on = cache(self._rows_on)
        self.leases_of = cache(self._leases_of)
        self.totals: dict[tuple[str | None, int, str, str], Decimal] = {}

    def _holds(self, piece: Piece, day: int) -> bool:
        return within(day, piece.first, piece.until) and within(day, *self.book.usable[piece.unit])

    def bounds(self, unit: str, day: int) -> bool:
        """Whether the unit's size or type changes that day, or its terms begin or end."""
        before, after = (
            [p.facts for p in self.pieces if p.unit == unit and within(one, p.first, p.until)]
            for one in (day - 1, day)
        )
        return before != after

    def _piece_on(self, unit: str, day: int) -> Piece | None:
        found = [p for p in self.pieces if p.unit == unit and self._holds(p, day)]
        assert len(found) <= 1
        return found[0] if found else None

    def _rows_on(self, unit: str, day: int) -> list[Row]:
        if self.piece_on(unit, day) is None:
            return []
        return [row for row in self.rows if row.unit == unit and within(day, row.first, row.until)]

    def _facts_on(self, unit: str, day: int) -> tuple[str, str, int] | None:
        piece = self.piece_on(unit, day)
        return piece.facts if piece else None

    def _days_alike(self, unit: str, first: int, until: int) -> Iterable[int]:
        """Days from the first on, as long as nothing about the unit changes that matters."""
        facts = self._facts_on(unit, first)
        return takewhile(lambda day: self._facts_on(unit, day) == facts, range(first, until))

    def leases_on(self, unit: str, day: int) -> list[Row]:
        return [row for row in self.rows_on(unit, day) if row.kind == "lease"]

    def _leases_of(self, unit: str, company: str, day: int) -> tuple[Row, ...]:
        return tuple(row for row in self.leases_on(unit, day) if row.company == company)

    def add(self, piece: Piece, no: int, name: str, amount: Any, *, measured: bool = True) -> None:
        for key in self.keys(piece):
            place = (key, no, piece.measure if measured else "", name)
            self.totals[place] = self.totals.get(place, Decimal(0)) + Decimal(amount)

    def parts(
        self, periods: list[tuple[int, int]]
    ) -> dict[tuple[str | None, int, str, str], Decimal]:
        """Amounts that are not zero, by key, number of the period, measure and part."""
        for no, (first, until) in enumerate(periods, 1):
            self._stocks(no, until - 1)
            self._moves(no, first, until)
            self._terms(no, until - 1)
            self._voids(no, first, until)
            self._take_up(no, until - 1)
            self._relay(no, first, until)
        self._pending()
        return {place: amount for place, amount in self.totals.items() if amount}

    def _stocks(self, no: int, last: int) -> None:
        names = {"lease": "leased", "hold": "held", "reservation": "reserved"}
        for unit in self.units:
            piece = self.piece_on(unit, last)
            if piece is None:
                continue
            self.add(piece, no, "lettable", piece.capacity)
            for row in self.rows_on(unit, last):
                self.add(piece, no, names.get(row.kind, "unavailable"), row.quantity)
            most = max(
                piece.capacity - sum(row.quantity for row in self.rows_on(unit, day))
                for day in self._days_alike(unit, last, last + 180)
            )
            self.add(piece, no, "available", most)

    def is_recast(self, unit: str, company: str, day: int) -> bool:
        """Whether the unit's terms change that day while a lease of it goes on."""
        if not self.bounds(unit, day):
            return False
        return any(
            self.runs(row.commitment, day - 1) and self.runs(row.commitment, day)
            for one in (day - 1, day)
            for row in self.leases_of(unit, company, one)
        )

    def runs(self, commitment: str, day: int) -> bool:
        return any(
            row.commitment == commitment for unit in self.units for row in self.leases_on(unit, day)
        )

    def tenants(self, unit: str) -> set[str]:
        return {r.company for r in self.rows if r.unit == unit and r.kind == "lease" and r.company}

    def _moves(self, no: int, first: int, until: int) -> None:
        for unit in self.units:
            for company in self.tenants(unit):
                for day in range(first, until):
                    self._move(no, unit, company, day)

    def _move(self, no: int, unit: str, company: str, day: int) -> None:
        before, after = self.piece_on(unit, day - 1), self.piece_on(unit, day)
        had = sum(row.quantity for row in self.leases_of(unit, company, day - 1))
        has = sum(row.quantity for row in self.leases_of(unit, company, day))
        changes: list[tuple[Piece, int]] = []
        if (
            before
            and after
            and (before.unit_type, before.measure) == (after.unit_type, after.measure)
        ):
            changes = [(after, has - had)]
        else:
            changes = [(before, -had)] if before else []
            changes += [(after, has)] if after else []
        for piece, change in changes:
            if change:
                name = "taken_up" if change > 0 else "given_back"
                if self.is_recast(unit, company, day):
                    self.add(piece, no, "remeasured", change)
                else:
                    self.add(piece, no, name, abs(change))

    def counts(self, row: Row) -> bool:
        return any(row in self.leases_on(row.unit, day) for day in range(-10, HORIZON))

    def end_of(self, row: Row) -> int | None:
        """The first day after a lease, whatever rows it goes on in."""
        if row.until is None:
            return None
        onward = [
            self.end_of(other)
            for other in self.rows
            if other.kind == "lease"
            and other.commitment == row.commitment
            and other.first == row.until
            and self.counts(other)
            and (other.unit == row.unit or self.book.usable[row.unit][1] == row.until)
        ]
        if None in onward:
            return None
        return max([row.until, *(end for end in onward if end is not None)])

    def _terms(self, no: int, last: int) -> None:
        for unit in self.units:
            for row in self.leases_on(unit, last):
                piece, end = self.piece_on(unit, last), self.end_of(row)
                assert piece
                if end is None:
                    self.add(piece, no, "open_ended", row.quantity)
                    continue
                self.add(piece, no, "term_area", row.quantity)
                self.add(piece, no, "term_area_days", row.quantity * (end - last))
                self.add(piece, no, f"last day {end - 1}", row.quantity)

    def _voids(self, no: int, first: int, until: int) -> None:
        for unit in self.units:
            let = [bool(self.leases_on(unit, day)) for day in range(HORIZON)]
            for day in range(max(first, 1), until):
                piece = self.piece_on(unit, day)
                if let[day] and not let[day - 1] and any(let[:day]) and piece:
                    since = max(one for one in range(day) if let[one]) + 1
                    self.add(piece, no, "voids", 1, measured=False)
                    self.add(piece, no, "void_days", day - since, measured=False)
            last = until - 1
            piece = self.piece_on(unit, last)
            if piece and not let[last] and any(let[:last]):
                since = max(one for one in range(last) if let[one]) + 1
                self.add(piece, no, "running_voids", 1, measured=False)
                self.add(piece, no, "running_days", last - since + 1, measured=False)

    def _space(self, unit: str) -> frozenset[str]:
        space = {unit}
        for _ in self.book.splits:
            for recorded, parent, children in self.book.splits:
                if recorded <= self.as_of and space & {parent, *children}:
                    space |= {parent, *children}
        return frozenset(space)

    def _take_up(self, no: int, last: int) -> None:
        made = {c for when, _, children in self.book.splits if when <= self.as_of for c in children}
        for space in {self._space(unit) for unit in self.units}:
            for measure in ("m2", "place"):
                roots = []
                for unit in space - made:
                    pieces = [p for p in self.pieces if p.unit == unit]
                    if pieces:
                        start = min(d for d in range(-10, HORIZON) if self.piece_on(unit, d))
                        root = self.piece_on(unit, start)
                        assert root
                        if root.measure == measure:
                            roots.append((start, unit, root))
                out = [root for root in sorted(roots, key=lambda r: r[:2]) if root[0] <= last]
                if not out:
                    continue
                launched = sum(root.capacity for *_, root in out)
                ever = sum(
                    max(
                        sum(
                            row.quantity
                            for row in self.leases_on(unit, day)
                            if (there := self.piece_on(unit, day)) and there.measure == measure
                        )
                        for day in range(last + 1)
                    )
                    for unit in space
                )
                shown = min(roots, key=lambda root: root[:2])[2]
                self.add(shown, no, "launched", launched)
                self.add(shown, no, "ever_leased", min(launched, ever))

    def _ends(self, first: int, until: int) -> list[tuple[str, str, int]]:
        return [
            (unit, company, day)
            for unit in self.units
            for company in self.tenants(unit)
            for day in range(first, min(until, self.as_of + 1))
            if self.leases_of(unit, company, day - 1)
            and not self.leases_of(unit, company, day)
            and not self.is_recast(unit, company, day)
        ]

    def _later_start(self, company: str, stage: int, day: int) -> bool:
        return any(
            self.leases_of(unit, company, near)
            and not self.leases_of(unit, company, near - 1)
            and (piece := self.piece_on(unit, near)) is not None
            and STAGES.index(piece.unit_type) > stage
            and not self.is_recast(unit, company, near)
            for unit in self.units
            for near in range(day - 180, day + 181)
        )

    def _relay(self, no: int, first: int, until: int) -> None:
        moved: set[tuple[str, str]] = set()
        counted: set[tuple[str, str]] = set()
        ends = self._ends(first, until)
        for unit, company, day in ends:
            piece = self.piece_on(unit, day - 1)
            assert piece
            self.add(piece, no, "came_to_end", 1, measured=False)
            stage = STAGES.index(piece.unit_type)
            if stage == len(STAGES) - 1:
                continue
            gone = not any(
                self.leases_of(other, company, later)
                for other in self.units
                for later in range(day, HORIZON)
            )
            on = self._later_start(company, stage, day)
            for key in self.keys(piece):
                if on:
                    moved.add((key, company))
                if on or gone:
                    counted.add((key, company))
        for name, firms in (("moved_on", moved), ("moved_or_left", counted)):
            for key, _ in firms:
                place = (key, no, "", name)
                self.totals[place] = self.totals.get(place, Decimal(0)) + 1
        for unit, _, day in self._renewals(first, until):
            after = self.piece_on(unit, day)
            assert after
            self.add(after, no, "renewed", 1, measured=False)
            self.add(after, no, "came_to_end", 1, measured=False)

    def _renewals(self, first: int, until: int) -> set[tuple[str, str, int]]:
        return {
            (row.unit, row.company, row.until)
            for row in self.book.rows
            if row.kind == "lease"
            and row.live <= self.as_of
            and row.company
            and row.until is not None
            and first <= row.until < min(until, self.as_of + 1)
            and self.leases_of(row.unit, row.company, row.until - 1)
            and any(
                later.live > row.live for later in self.leases_of(row.unit, row.company, row.until)
            )
            and not self.bounds(row.unit, row.until)
        }

    def _pending(self) -> None:
        holds = [row for row in self.rows if row.kind == "hold"]
        for commitment in {row.commitment for row in holds}:
            own = [row for row in holds if row.commitment == commitment]
            days = [d for d in range(HORIZON) if any(r in self.rows_on(r.unit, d) for r in own)]
            for row in own:
                if days and row in self.rows_on(row.unit, days[0]):
                    piece = self.piece_on(row.unit, days[0])
                    assert piece
                    self.add(piece, 0, "pending", row.quantity)
        grouped = {unit for p in self.pieces for unit in [p.unit] if list(self.keys(p))}
        past = [row for row in self.book.rows if row.kind == "hold" and row.live <= self.as_of]
        for commitment in {row.commitment for row in past}:
            own = [row for row in past if row.commitment == commitment]
            live = any(within(self.as_of, row.live, row.dead) for row in own)
            if live or not any(row.unit in grouped for row in own):
                continue
            leased = any(
                row.kind == "lease" and row.commitment == commitment and row.live <= self.as_of
                for row in self.book.rows
            )
            for name in ["holds_ended", "holds_leased"] if leased else ["holds_ended"]:
                place = (None, 0, "", name)
                self.totals[place] = self.totals.get(place, Decimal(0)) + 1
