"""Random work on the ledger, beside the model of it; every answer and every day is compared."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from app.database.session import transaction
from app.kernel.errors import SpaceRelayError
from app.kernel.period import Period
from app.ledger import holds, leases
from app.ledger.holds import HoldLimits
from app.ledger.orders import Order, Wanted
from app.ledger.units.changing import Change, remeasure
from app.ledger.units.merging import Merger, merge_units
from app.ledger.units.splitting import Part, Split, split_unit
from app.models.space import Building
from app.security.actors import Actor, ActorKind, Role
from tests import factories as make
from tests.ledger.stateful import clock
from tests.ledger.stateful.model import DAYS, Model, Row, Unit

DAY_0 = date(2030, 1, 1)
STAFF = Actor(kind=ActorKind.STAFF, label="machine", role=Role.ADMIN)
LIMITS = HoldLimits(
    hours_default=24,
    hours_max=72,
    held_units_max=10_000,
    total_hours_firm_max=100,
    total_hours_agent_max=100,
    total_hours_manager_max=100,
)
#: Where a row's quantities are counted on each day, without the functions under test.
_TAKEN = text("""
    SELECT unit_id, d AS day, sum(quantity) AS taken
    FROM claims, generate_series(0, :days - 1) d
    WHERE unit_id = ANY (:units) AND period @> DATE '2030-01-01' + d
        AND live @> CAST(:as_of AS timestamptz)
    GROUP BY unit_id, d""")
#: Each piece of a unit gives the free days of all its days.
_FREE = text("""
    SELECT u.id, u.terms_id, lower(stretch), upper(stretch) FROM unit_terms u LEFT JOIN LATERAL
        unnest(free_days(u.id, u.capacity, u.usable, u.valid, coalesce(u.min_part, u.capacity),
            :as_of) * datemultirange(daterange('2030-01-01', DATE '2030-01-01' + :days)))
        AS stretch ON true
    WHERE u.id = ANY (:units) AND u.known_from <= :as_of
        AND (u.known_until IS NULL OR u.known_until > :as_of)
    ORDER BY 1, 2, 3""")

some_days = st.tuples(st.integers(0, DAYS - 12), st.integers(1, 8))
parts = st.sampled_from([None, 200, 300, 500, 800, 900])


def on(day: int) -> date:
    return DAY_0 + timedelta(days=day)


class Ledger(RuleBasedStateMachine):
    """Two rooms that are let whole and two that are let in parts, on one floor."""

    engine: ClassVar[Engine]
    #: One building for all machines, of a floor for each.
    building: ClassVar[Building]
    floors: ClassVar[Iterator[int]]

    def __init__(self) -> None:
        super().__init__()
        self.session = Session(self.engine, expire_on_commit=False)
        self.reader = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self.model = Model()
        self.seen: list[tuple[datetime, Any, dict[tuple[UUID, int], int]]] = []

    def teardown(self) -> None:
        """What was seen at an instant is what is said of that instant ever after."""
        try:
            for instant, free, taken in self.seen:
                assert self._free(instant) == free
                assert self._taken(instant) == taken
        finally:
            self.reader.close()
            self.session.close()

    @initialize()
    def units(self) -> None:
        floor = make.make_floor(self.session, building=self.building, level_index=next(self.floors))
        self.company = make.make_company(self.session).id
        for slot, terms in enumerate(
            [
                {},
                {},
                {"divisible": True, "min_part": Decimal(200), "remainder_rule": "lettable"},
                {"divisible": True, "min_part": Decimal(200), "remainder_rule": "any"},
            ]
        ):
            row = make.make_unit(
                self.session,
                floor=floor,
                slot=slot,
                slots=4,
                area_m2="1000.00",
                internal_area_m2=Decimal(800),
                **terms,
            )
            self.model.units[row.id] = Unit(
                row.id,
                (1000,) * DAYS,
                200 if "min_part" in terms else None,
                lettable=terms.get("remainder_rule") == "lettable",
            )
        # Neighbours that are let alike can be merged, and so can the halves of one unit.
        first, second, *_ = self.model.units
        self.pairs = [(first, second)]
        self.session.commit()

    # What is done: each step is tried on the ledger, and the model says what must come of it.

    def _try(self, work: Any) -> tuple[Any, str | None]:
        try:
            with transaction(self.session):
                return work(), None
        except SpaceRelayError as refusal:
            return None, refusal.slug

    def _order(self, wanted: dict[UUID, int | None], days: tuple[int, int], clearing: int) -> Order:
        start, length = days
        return Order(
            units=[
                Wanted(unit, None if quantity is None else Decimal(quantity))
                for unit, quantity in wanted.items()
            ],
            period=Period(on(start), on(start + length)),
            company_id=self.company,
            clearing_days=clearing,
        )

    def _wish(self, picks: list[tuple[int, int | None]]) -> dict[UUID, int | None]:
        units = list(self.model.units)
        return {units[number % len(units)]: quantity for number, quantity in picks}

    def promise(
        self,
        wanted: dict[UUID, int | None],
        days: tuple[int, int],
        *,
        clearing: int,
        hours: int | None,
    ) -> UUID | None:
        """Hold units for so many hours, or lease them; the id of what came of it."""
        start, length = days
        order = self._order(wanted, days, clearing)
        expected = self.model.refusal(wanted, start, start + length, self._now(), clearing)
        if hours is None:
            made, refused = self._try(lambda: leases.sign_lease(self.session, STAFF, order))
        else:
            made, refused = self._try(
                lambda: holds.hold_units(self.session, STAFF, order, LIMITS, hours)
            )
        assert refused == expected, (refused, expected)
        if made is None:
            return None
        live = made.lines[0].live
        kind = "lease" if hours is None else "hold"
        self.model.promise(
            made.id, kind, wanted, (start, start + length, clearing), (live.lower, live.upper)
        )
        id_: UUID = made.id
        return id_

    @rule(hours=st.sampled_from([0.5, 5, 40]))
    def time_passes(self, hours: float) -> None:
        clock.advance(self.reader, hours)

    @rule()
    def look(self) -> None:
        """Remember what is known now."""
        now = self._now()
        self.seen.append((now, self._free(now), self._taken(now)))

    # What must hold after every step.

    @invariant()
    def the_ledger_says_what_the_model_says(self) -> None:
        if not self.model.units:
            return
        now = self._now()
        assert self._taken(now) == self.model.taken(now)
        free = self.model.free(now)
        assert min(free.values()) >= 0, "promised twice"
        assert self._free(now) == {
            unit.id: [
                day
                for day, size in enumerate(unit.sizes)
                if size and free[unit.id, day] >= (unit.min_part or size)
            ]
            for unit in self.model.units.values()
        }

    def _now(self) -> datetime:
        return clock.read(self.reader)

    def _asked(self, as_of: datetime) -> dict[str, Any]:
        return {"units": list(self.model.units), "days": DAYS, "as_of": as_of}

    def _taken(self, as_of: datetime) -> dict[tuple[UUID, int], int]:
        found = self.reader.execute(_TAKEN, self._asked(as_of)).all()
        return {(row.unit_id, row.day): int(row.taken) for row in found}

    def _free(self, as_of: datetime) -> dict[UUID, list[int]]:
        found = self.reader.execute(_FREE, self._asked(as_of)).all()
        pieces: dict[UUID, dict[UUID, list[int]]] = {}
        for unit, piece, start, end in found:
            days = pieces.setdefault(unit, {}).setdefault(piece, [])
            if start is not None:
                days += range((start - DAY_0).days, (end - DAY_0).days)
        free = {}
        for unit, said in pieces.items():
            first, *others = said.values()
            assert all(other == first for other in others), "the pieces of a unit disagree"
            free[unit] = first
        return free


class Promises(Ledger):
    """Holds, leases and bundles of them come and go."""

    promises = Bundle("promises")

    @rule(
        target=promises,
        picks=st.lists(st.tuples(st.integers(0, 7), parts), min_size=1, max_size=3),
        days=some_days,
        clearing=st.sampled_from([0, 3]),
        hours=st.sampled_from([None, 2, 30]),
    )
    def place(
        self,
        picks: list[tuple[int, int | None]],
        days: tuple[int, int],
        *,
        clearing: int,
        hours: int | None,
    ) -> Any:
        """A hold of so many hours, or a lease; of one unit or a bundle."""
        made = self.promise(self._wish(picks), days, clearing=clearing, hours=hours)
        return multiple() if made is None else made

    def _held(self, commitment: UUID) -> tuple[list[Row], str | None]:
        """The live rows of a hold, or why there are none."""
        live = self.model.live(self._now(), commitment)
        rows = [row for row in self.model.rows if row.commitment == commitment]
        if not any(row.kind == "hold" for row in rows):
            return [], "not-found"
        if any(row.kind == "lease" for row in rows):
            return [], "hold-confirmed"
        if live:
            return live, None
        released = commitment in self.released
        return [], "hold-released" if released else "hold-expired"

    @initialize()
    def nothing_released(self) -> None:
        self.released: set[UUID] = set()

    @rule(commitment=promises)
    def confirm(self, commitment: UUID) -> None:
        live, expected = self._held(commitment)
        made, refused = self._try(lambda: holds.confirm_hold(self.session, STAFF, commitment))
        assert refused == expected, (refused, expected)
        if made is not None:
            self.model.close(live, made.lines[0].live.lower)
            for row in live:
                kind = "lease" if row.kind == "hold" else row.kind
                self.model.add(row, made.lines[0].live.lower, kind=kind, believed_until=None)

    @rule(commitment=promises)
    def release(self, commitment: UUID) -> None:
        live, expected = self._held(commitment)
        made, refused = self._try(lambda: holds.release_hold(self.session, STAFF, commitment))
        assert refused == expected, (refused, expected)
        if made is not None:
            self.released.add(commitment)
            self.model.close(live, self._closing_instant(commitment))

    @rule(commitment=promises, hours=st.sampled_from([1, 40, 90]))
    def extend(self, commitment: UUID, hours: int) -> None:
        live, expected = self._held(commitment)
        until = live[0].believed_until if live else None
        if until is not None:
            rows = [row for row in self.model.rows if row.commitment == commitment]
            placed = min(row.believed_from for row in rows)
            if until + timedelta(hours=hours) > placed + timedelta(hours=100):
                expected = "hold-too-long"
        made, refused = self._try(
            lambda: holds.extend_hold(self.session, STAFF, commitment, LIMITS, hours)
        )
        assert refused == expected, (refused, expected)
        if made is not None:
            line = made.lines[0].live
            assert until is not None
            assert line.upper == until + timedelta(hours=hours)
            self.model.rewrite(live, line.lower, line.upper)

    @rule(commitment=promises, day=st.integers(0, DAYS))
    def terminate(self, commitment: UUID, day: int) -> None:
        rows = [row for row in self.model.rows if row.commitment == commitment]
        live = [row for row in self.model.live(self._now(), commitment) if row.kind == "lease"]
        clearing = [
            row for row in self.model.live(self._now(), commitment) if row.kind == "clearing"
        ]
        expected = self._why_not_terminated(rows, live, day)
        made, refused = self._try(
            lambda: leases.terminate_lease(self.session, STAFF, commitment, on(day))
        )
        if refused == "unit-occupied" and expected is None:
            raise AssertionError("the clearing after a shorter lease lies in its own days")
        assert refused == expected, (refused, expected)
        if made is None:
            return
        cut = [row for row in live if row.end > day]
        instant = self._closing_instant(commitment)
        self.model.close([*cut, *clearing], instant)
        for row in cut:
            self.model.add(row, instant, end=min(row.end, day))
        if day > min(row.start for row in live) and clearing:
            days = max(row.end for row in clearing) - max(row.end for row in live)
            # The last row of each unit: clearing takes what the lease took.
            for row in {row.unit: row for row in cut}.values():
                self.model.add(row, instant, start=day, end=day + days, kind="clearing")

    def _why_not_terminated(self, rows: list[Row], live: list[Row], day: int) -> str | None:
        if not any(row.kind == "lease" for row in rows):
            return "not-found"
        if not live:
            return "lease-already-ended"
        if day < min(row.start for row in live):
            return "invalid-input"
        if day >= max(row.end for row in live):
            return "lease-already-ended"
        return None

    def _closing_instant(self, commitment: UUID) -> datetime:
        found: datetime = self.reader.execute(
            text("SELECT max(upper(live)) FROM claims WHERE commitment_id = :id"),
            {"id": commitment},
        ).scalar_one()
        return found


class Changes(Ledger):
    """Units are split, merged and measured anew under what is promised of them."""

    def _lasting(self, number: int) -> tuple[Unit, int]:
        """A unit that does not end, and the first day on which it is one."""
        lasting = [unit for unit in self.model.units.values() if unit.sizes[-1]]
        unit = lasting[number % len(lasting)]
        return unit, self._begins(unit.id)

    def _begins(self, unit: UUID) -> int:
        return next(day for day, size in enumerate(self.model.units[unit].sizes) if size)

    @rule(number=st.integers(0, 40), day=st.integers(1, DAYS - 12))
    def split(self, number: int, day: int) -> None:
        unit, begins = self._lasting(number)
        sizes = set(unit.sizes[max(day, begins) :])
        if min(sizes) < 400:
            return
        expected = None
        if not all(row.whole for row in self.model.since(unit.id, day, self._now())):
            expected = "unit-claims-block"
        if len(sizes) > 1:
            expected = "unit-changes-later"
        if begins and day <= begins:
            expected = "invalid-input"
        half = Decimal(min(sizes)) / 2
        codes = [f"split-{make.number()}" for _ in range(2)]
        order = Split(
            effective_on=on(day),
            parts=[Part(code, leasable_m2=half, internal_m2=half * 4 / 5) for code in codes],
            shares=[0.5, 0.5],
        )
        made, refused = self._try(lambda: split_unit(self.session, STAFF, str(unit.id), order))
        assert refused == expected, (refused, expected)
        if made is not None:
            first, second = self._ids(codes)
            self.model.split(unit.id, day, [first, second], made.recorded_at)
            self.pairs.append((first, second))

    @rule(number=st.integers(0, 40), day=st.integers(1, DAYS - 12))
    def merge(self, number: int, day: int) -> None:
        pairs = [
            pair for pair in self.pairs if all(self.model.units[unit].sizes[-1] for unit in pair)
        ]
        if not pairs:
            return
        pair = pairs[number % len(pairs)]
        begins = max(map(self._begins, pair))
        expected = None
        if not self.model.is_mergeable(pair, day, self._now()):
            expected = "unit-claims-block"
        if begins and day <= begins:
            expected = "invalid-input"
        code = f"merged-{make.number()}"
        order = Merger(effective_on=on(day), units=[str(unit) for unit in pair], code=code)
        made, refused = self._try(lambda: merge_units(self.session, STAFF, order))
        assert refused == expected, (refused, expected)
        if made is not None:
            (merged,) = self._ids([code])
            self.model.merge(pair, day, merged, made.recorded_at)

    @rule(
        number=st.integers(0, 40),
        day=st.integers(1, DAYS - 12),
        size=st.sampled_from([400, 800, 960, 1000, 1200]),
    )
    def remeasure(self, number: int, day: int, size: int) -> None:
        unit, begins = self._lasting(number)
        expected = None
        if not self.model.fits(unit.id, day, size, self._now()):
            expected = "unit-claims-block"
        if day < begins:
            expected = "invalid-input"
        change = Change(
            effective_on=on(day),
            changes={
                "leasable_area_m2": Decimal(size),
                "internal_area_m2": Decimal(size) * 4 / 5,
                "area_method": f"survey {make.number()}",
            },
        )
        made, refused = self._try(lambda: remeasure(self.session, STAFF, str(unit.id), change))
        assert refused == expected, (refused, expected)
        if made is not None and made.recorded_at is not None:
            self.model.remeasure(unit.id, day, size, made.recorded_at)

    def _ids(self, codes: list[str]) -> list[UUID]:
        found = self.reader.execute(
            text("SELECT code, id FROM units WHERE code = ANY (:codes)"), {"codes": codes}
        ).all()
        ids = {row.code: row.id for row in found}
        return [ids[code] for code in codes]


class ChangeMachine(Changes):
    """Changes of units under few, long leases."""

    @rule(
        number=st.integers(0, 40),
        quantity=st.sampled_from([None, None, 500]),
        start=st.integers(0, 20),
        length=st.integers(6, 14),
    )
    def let(self, number: int, quantity: int | None, *, start: int, length: int) -> None:
        unit, _ = self._lasting(number)
        self.promise({unit.id: quantity}, (start, length), clearing=0, hours=None)

    @rule(number=st.integers(0, 40), start=st.integers(0, 20), length=st.integers(6, 14))
    def let_both(self, number: int, *, start: int, length: int) -> None:
        """A bundle of two that may become one."""
        pair = self.pairs[number % len(self.pairs)]
        self.promise(dict.fromkeys(pair), (start, length), clearing=0, hours=None)


class LedgerMachine(Promises, Changes):
    """Everything at once."""
