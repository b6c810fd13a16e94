"""A floor on which everything happens to units and promises, in random order, on random days."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app.kernel.errors import SpaceRelayError
from app.kernel.period import Period
from app.ledger.holds import HoldLimits, hold_units
from app.ledger.leases import sign_lease, terminate_lease
from app.ledger.orders import Order, Wanted
from app.ledger.units.changing import Change, change_terms, remeasure
from app.ledger.units.merging import Merger, merge_units
from app.ledger.units.splitting import Part, Split, split_unit
from app.models.space import Unit, unit_terms
from app.security.actors import Actor, ActorKind, Role
from tests import factories as make

ADMIN = Actor(kind=ActorKind.STAFF, label="walker", role=Role.ADMIN)
#: Days on which things happen: long past, around now, and to come.
DAYS = [date(year, month, 1) for year in range(2024, 2031) for month in (1, 5, 9)]
_LIMITS = HoldLimits(**{one.name: 10_000 for one in fields(HoldLimits)})


@dataclass
class Walk:
    """One floor of four units, each 1,000 m², and a generator of what happens there."""

    session: Session
    seed: int
    remeasures: bool = False
    done: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._draw = random.Random(self.seed)  # noqa: S311  (a seeded walk)
        self.floor = make.make_floor(self.session)
        for slot in range(4):
            divisible = {"divisible": True, "min_part": Decimal(50)} if slot % 2 else {}
            make.make_unit(
                self.session, floor=self.floor, slot=slot, slots=4, area_m2="1000.00", **divisible
            )
        self.company = make.make_company(self.session)

    def step(self) -> bool:
        """Do one thing, or be refused."""
        acts: list[Callable[[], object]] = [
            *(self._terms, self._split, self._split, self._merge, self._merge),
            *(self._lease, self._hold, self._terminate),
            *([self._remeasure] if self.remeasures else []),
        ]
        act = self._draw.choice(acts)
        attempt = self.session.begin_nested()
        try:
            act()
        except SpaceRelayError as error:
            attempt.rollback()
            self.refused.append(f"{act.__name__} {error.slug}")
            return False
        attempt.commit()
        self.done.append(act.__name__)
        return True

    def now(self) -> datetime:
        found: datetime = self.session.execute(select(func.clock_timestamp())).scalar_one()
        return found

    def present(self, day: date) -> list[Any]:
        """The units of the floor on a day as believed now: code, areas and capacity."""
        terms = unit_terms.c
        return list(
            self.session.execute(
                select(
                    terms.code, terms.leasable_area_m2, terms.internal_area_m2, terms.capacity
                ).where(
                    terms.floor_id == self.floor.id,
                    terms.known_until.is_(None),
                    terms.valid.op("@>")(day),
                )
            )
        )

    def _unit(self) -> Any:
        units = self.session.execute(
            select(Unit.id, Unit.code, func.lower(Unit.usable).label("begins")).where(
                Unit.floor_id == self.floor.id, func.upper_inf(Unit.valid)
            ).order_by(Unit.code)
        ).all()  # fmt: skip
        return self._draw.choice(units)

    def _day(self, unit: Any) -> date:
        """Mostly a day on which the unit is there."""
        days = [day for day in DAYS if day > unit.begins]
        return self._draw.choice(days if days and self._draw.random() < 0.9 else DAYS)

    def _period(self, unit: Any) -> Period:
        days = [day for day in DAYS if day >= unit.begins]
        start, end = sorted(self._draw.sample(days if len(days) > 1 else DAYS, 2))
        return Period(start, None if self._draw.random() < 0.3 else end)

    def _terms(self) -> None:
        until = self._draw.choice([None, date(2031, 1, 1)])
        rent = Decimal(self._draw.randint(1, 5))
        unit = self._unit()
        change = Change(self._day(unit), {"rent_cny_per_m2_day": rent}, until)
        change_terms(self.session, ADMIN, unit.code, change)

    def _remeasure(self) -> None:
        area = Decimal(self._draw.randint(20_000, 150_000)) / 100
        changes = {
            "leasable_area_m2": area,
            "internal_area_m2": (area * Decimal("0.8")).quantize(Decimal("0.01")),
            "area_method": "measured",
        }
        unit = self._unit()
        remeasure(self.session, ADMIN, unit.code, Change(self._day(unit), changes))

    def _split(self) -> None:
        unit = self._unit()
        count = self._draw.randint(2, 3)
        codes = [f"w-{make.number()}" for _ in range(count)]
        partial = self.session.execute(
            text("SELECT DISTINCT commitment_id FROM claims WHERE unit_id = :unit AND NOT whole"
                 " AND live @> clock_timestamp()"),
            {"unit": unit.id},
        ).scalars()  # fmt: skip
        split_unit(
            self.session,
            ADMIN,
            unit.code,
            Split(
                self._day(unit),
                [Part(code) for code in codes],
                shares=[self._draw.uniform(0.2, 1) for _ in codes],
                assign={one: self._draw.choice(codes) for one in partial}
                if self._draw.random() < 0.5
                else {},
            ),
        )

    def _merge(self) -> None:
        one, two = self._unit(), self._unit()
        later = max(one, two, key=lambda unit: unit.begins)
        facts = {"rent_cny_per_m2_day": Decimal(3), "min_part": None}
        codes = sorted([one.code, two.code])
        order = Merger(self._day(later), codes, f"w-{make.number()}", facts=facts)
        merge_units(self.session, ADMIN, order)

    def _order(self) -> Order:
        unit = self._unit()
        quantity = Decimal(self._draw.randint(50, 200)) if self._draw.random() < 0.5 else None
        return Order([Wanted(unit.id, quantity)], self._period(unit), self.company.id)

    def _lease(self) -> None:
        sign_lease(self.session, ADMIN, self._order())

    def _hold(self) -> None:
        hold_units(self.session, ADMIN, self._order(), _LIMITS)

    def _terminate(self) -> None:
        leases = self.session.execute(
            text("SELECT DISTINCT commitment_id FROM claims WHERE kind = 'lease'"
                 " AND company_id = :company AND live @> clock_timestamp() ORDER BY 1"),
            {"company": self.company.id},
        ).scalars().all()  # fmt: skip
        if leases:
            terminate_lease(self.session, ADMIN, self._draw.choice(leases), self._draw.choice(DAYS))
