"""Fills the ledger: leases, works and reservations, so that about 30 % stands empty.

Vacancy is nothing but claims: a unit is free on a day because no claim covers it. The share is that
of Shanghai's business and industrial parks in the third quarter of 2025, 30.5 % (nairen.com.cn).
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import groupby
from uuid import UUID

from app.kernel.clock import SHANGHAI
from app.kernel.ids import reference_id
from app.kernel.period import Period
from app.kernel.terms import PipelineStage, UnitType
from app.seeding.draw import Draw, add_months
from app.seeding.files import Reference
from app.seeding.firms import Firm
from app.seeding.records import Claim, Since, Unit
from app.seeding.space import AS_OF, Space

#: Share of the lettable area that is free on AS_OF.
VACANCY = 0.30
_FIRST_END = date(2026, 12, 1)
_LAST_END = date(2036, 12, 31)
#: Units that one tenant takes together, by one lease: mostly one alone.
Lot = Sequence[Unit]
_WORKS_PCT, _FOLLOWED_PCT, _STARTING_LATER_PCT, _PRELET_PCT = 2, 5, 5, 35
_NEEDS: Mapping[UnitType, frozenset[PipelineStage]] = {
    UnitType.INCUBATION: frozenset({PipelineStage.DISCOVERY, PipelineStage.PRECLINICAL}),
    UnitType.ACCELERATION: frozenset({PipelineStage.PRECLINICAL, PipelineStage.IND}),
    UnitType.PILOT: frozenset({PipelineStage.PHASE_1, PipelineStage.PHASE_2}),
    UnitType.HQ_RD: frozenset(
        {PipelineStage.PHASE_2, PipelineStage.PHASE_3, PipelineStage.NDA, PipelineStage.MARKETED}
    ),
    UnitType.PRODUCTION: frozenset(
        {PipelineStage.PHASE_3, PipelineStage.NDA, PipelineStage.MARKETED}
    ),
}


class Ledger:
    """Draws the claims on all units."""

    def __init__(
        self, reference: Reference, space: Space, firms: list[Firm], hosts: set[UUID], seed: int
    ) -> None:
        """``hosts`` are the units that shared facilities stand in."""
        self._reference = reference
        self._space = space
        self._hosts = hosts
        self._seed = seed
        self._tenants: dict[str, list[UUID]] = {
            kind.value: [firm.company.id for firm in firms if firm.furthest in stages]
            for kind, stages in _NEEDS.items()
        }
        #: What earlier sites let too little (or too much), by measure; the next one makes it up.
        self._owed = {"m2": 0.0, "place": 0.0}
        self._zones = {site.code: reference.parks[site.park].zone for site in reference.sites}

    def claims(self) -> Iterator[Claim]:
        """All claims, in an order that depends on the seed only."""
        for site in self._reference.sites:
            draw = Draw(self._seed, f"leases/{site.code}")
            units = self._space.site_units[site.code]
            if site.own_use:
                yield from self._own_use(units, draw)
                continue
            ready = [unit for unit in units if unit.usable.start <= AS_OF]
            yield from self._standing(ready, self._zones[site.code], draw)
            coming = [unit for unit in units if unit.usable.start > AS_OF]
            for lot in self._lots(coming, draw):
                if draw.chance(_PRELET_PCT):
                    yield from self._lease(lot, self._zones[site.code], lot[0].usable.start, draw)

    def _lots(self, units: list[Unit], draw: Draw) -> Iterator[Lot]:
        """What is let together: plants are runs of whole floors, everything else is one unit.

        A plant of 2,000-15,000 m² was published (51ldb.com) where a floor has at most 4,000 m².
        """
        sizes = self._reference.unit_types[UnitType.PRODUCTION].area_m2
        for _, inside in groupby(units, key=lambda unit: unit.building_id):
            plant: list[Unit] = []
            wanted = 0.0
            for _, on_floor in groupby(inside, key=lambda unit: unit.floor_id):
                floor = list(on_floor)
                if floor[0].unit_type != UnitType.PRODUCTION or self._hosts & {u.id for u in floor}:
                    yield from ([unit] for unit in floor)
                    continue
                if plant and _capacity(plant) + _capacity(floor) / 2 > wanted:
                    yield plant
                    plant = []
                wanted = wanted if plant else draw.triangular(sizes)
                plant = plant + floor
            if plant:
                yield plant

    def _own_use(self, units: list[Unit], draw: Draw) -> Iterator[Claim]:
        """One firm has all of it, without an end."""
        company = draw.pick(self._tenants[UnitType.PRODUCTION])
        for unit in units:
            signed = unit.usable.start - timedelta(days=90)
            yield from self._claims([unit], "lease", unit.usable, signed, company)

    def _standing(self, units: list[Unit], zone: str, draw: Draw) -> Iterator[Claim]:
        """Take lots in random order until only the vacant share is left."""
        for measure in ("m2", "place"):
            pool = [unit for unit in units if unit.capacity_measure == measure]
            lots = list(self._lots(pool, draw))
            order = [lots[int(place)] for place in draw.random.permutation(len(lots))]
            owed = _capacity(pool) * (1 - VACANCY) + self._owed[measure]
            for lot in order:
                for claim in self._claims_of(lot, zone, draw, owed):
                    if claim.period.start <= AS_OF:
                        owed -= float(claim.quantity)
                    yield claim
            self._owed[measure] = owed

    def _claims_of(self, lot: Lot, zone: str, draw: Draw, owed: float) -> Iterator[Claim]:
        """Claims on one lot, given how much of the site must still be let today."""
        if lot[0].id in self._hosts:
            yield from self._reservation(lot)
        elif lot[0].capacity_measure == "place":
            yield from self._places(lot, zone, draw)
        elif _capacity(lot) / 2 <= owed:
            yield from self._taken(lot, zone, draw)
        elif draw.chance(_STARTING_LATER_PCT):
            start = add_months(date(2027, 1, 1), draw.whole(0, 8))
            yield from self._lease(lot, zone, start, draw)

    def _taken(self, lot: Lot, zone: str, draw: Draw) -> Iterator[Claim]:
        unit = lot[0]
        if draw.chance(_WORKS_PCT):
            period = Period(date(2026, 9, 1), add_months(date(2027, 1, 1), draw.whole(0, 5)))
            start = max(period.start, unit.usable.start)
            yield from self._claims(lot, "works", Period(start, period.end), start, None)
            return
        if unit.divisible:
            # The tenant took the better half; the rest is let in parts.
            part = (unit.capacity * 3 / 5).quantize(Decimal(1))
            yield from self._running(lot, zone, draw, part)
            return
        leases = list(self._running(lot, zone, draw))
        yield from leases
        end = leases[0].period.end
        is_room = end is not None and add_months(end, unit.min_term_months) <= _LAST_END
        if end is not None and is_room and draw.chance(_FOLLOWED_PCT):
            yield from self._lease(lot, zone, end, draw, number=2)

    def _places(self, hall: Lot, zone: str, draw: Draw) -> Iterator[Claim]:
        """Several small tenants share a bench hall."""
        free = int(_capacity(hall))
        kept = round(free * (VACANCY - 0.15 + 0.3 * float(draw.random.random())))
        number = 0
        while free > kept:
            number += 1
            places = min(free - kept, draw.whole(2, 12))
            free -= places
            yield from self._running(hall, zone, draw, Decimal(places), number=number)

    def _running(
        self, lot: Lot, zone: str, draw: Draw, quantity: Decimal | None = None, *, number: int = 1
    ) -> Iterator[Claim]:
        """A lease that covers AS_OF and ends between December 2026 and 2036."""
        unit = lot[0]
        months = draw.whole(unit.min_term_months, unit.max_term_months)
        served = int(months * float(draw.random.random()))
        start = max(add_months(date(2026, 11, 1), -served), unit.usable.start)
        end = add_months(start, months)
        if end < _FIRST_END:
            end = add_months(_FIRST_END, draw.whole(0, 3))
        return self._claims(
            lot,
            "lease",
            Period(start, min(end, _LAST_END)),
            start - timedelta(days=draw.whole(20, 150)),
            self._tenant(unit, zone, draw),
            quantity=quantity,
            number=number,
        )

    def _lease(
        self, lot: Lot, zone: str, start: date, draw: Draw, *, number: int = 1
    ) -> Iterator[Claim]:
        """A lease signed by now that starts on a later day."""
        unit = lot[0]
        end = add_months(start, draw.whole(unit.min_term_months, unit.max_term_months))
        end = max(min(end, _LAST_END), add_months(start, unit.min_term_months))
        signed = AS_OF - timedelta(days=draw.whole(5, 120))
        return self._claims(
            lot, "lease", Period(start, end), signed, self._tenant(unit, zone, draw), number=number
        )

    def _reservation(self, lot: Lot) -> Iterator[Claim]:
        """A shared facility stands in the unit."""
        usable = lot[0].usable
        return self._claims(lot, "reservation", usable, usable.start, None)

    def _tenant(self, unit: Unit, zone: str, draw: Draw) -> UUID:
        """A firm whose stage asks for this space; firms keep to one zone where there are enough."""
        candidates = self._tenants[unit.unit_type]
        zones = [row.code for row in self._reference.zones]
        near = candidates[zones.index(zone) :: len(zones)]
        return draw.pick(near if near and draw.chance(80) else candidates)

    def _claims(
        self,
        lot: Lot,
        kind: str,
        period: Period,
        signed: date,
        company: UUID | None,
        *,
        quantity: Decimal | None = None,
        number: int = 1,
    ) -> Iterator[Claim]:
        """One promise of all units of the lot; ``quantity`` is of a single one."""
        for unit in lot:
            taken = unit.capacity if quantity is None else quantity
            yield Claim(
                id=reference_id("claims", f"{unit.code}/{number}"),
                commitment_id=reference_id("commitments", f"{lot[0].code}/{number}"),
                park_id=unit.park_id,
                unit_id=unit.id,
                company_id=company,
                kind=kind,
                quantity=taken,
                whole=taken == unit.capacity,
                period=period,
                live=Since(_at_ten(min(signed, AS_OF - timedelta(days=1)))),
                placed_by="seed",
                synthetic=True,
            )


def _capacity(units: Lot) -> float:
    return sum(float(unit.capacity) for unit in units)


def _at_ten(day: date) -> datetime:
    """Ten in the morning in Shanghai, in UTC."""
    return datetime.combine(day, time(10), tzinfo=SHANGHAI).astimezone(UTC)
