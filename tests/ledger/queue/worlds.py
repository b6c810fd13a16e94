"""Small queues for tests: made by hand or drawn, and replayed once more the plain way."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from hypothesis import strategies as st

from app.ledger.queue.line import Entry, QueueState, Standing, Taken, Wanted

DAY_0 = date(2027, 1, 1)
INSTANT_0 = datetime(2026, 11, 1, tzinfo=UTC)
HALL, LAB = UUID(int=1), UUID(int=2)
#: The hall is let in parts of m², the laboratory in places.
CAPACITY = {HALL: Decimal(10), LAB: Decimal("2.5")}
OFFER_HOURS = 3
#: All drawn days lie before DAYS, all drawn instants before HOURS; open ends go on for ever.
DAYS, HOURS = 8, 22

IN_LINE = (QueueState.WAITING, QueueState.OFFERED)


def day(number: int) -> date:
    return DAY_0 + timedelta(days=number)


def at(hour: float) -> datetime:
    return INSTANT_0 + timedelta(hours=hour)


def entry(
    number: int,
    joined: float,
    *wanted: Wanted,
    left: float | None = None,
    days: tuple[int, int | None] = (0, None),
    company: int | None = None,
    offer_hours: int = OFFER_HOURS,
) -> Entry:
    """An entry by numbers; all of the hall, from day 0 on, when nothing else is said."""
    return Entry(
        id=UUID(int=number),
        company_id=UUID(int=1000 + (number if company is None else company)),
        joined_at=at(joined),
        left_at=None if left is None else at(left),
        wanted=wanted or (Wanted(HALL),),
        start=day(days[0]),
        end=None if days[1] is None else day(days[1]),
        offer_hours=offer_hours,
    )


def taken(
    quantity: str,
    live: tuple[float, float | None],
    *,
    unit_id: UUID = HALL,
    days: tuple[int, int | None] = (0, None),
) -> Taken:
    return Taken(
        unit_id=unit_id,
        quantity=Decimal(quantity),
        start=day(days[0]),
        end=None if days[1] is None else day(days[1]),
        live_from=at(live[0]),
        live_until=None if live[1] is None else at(live[1]),
    )


@dataclass(frozen=True)
class World:
    """A log."""

    entries: tuple[Entry, ...]
    taken: tuple[Taken, ...]

    def in_order(self) -> list[Entry]:
        return sorted(self.entries, key=lambda one: (one.joined_at, one.id))

    def live(self, now: datetime) -> list[Taken]:
        return [
            one
            for one in self.taken
            if one.live_from <= now and (one.live_until is None or now < one.live_until)
        ]


def days_of(one: Entry | Taken) -> set[int]:
    """The days it covers; DAYS stands for all after."""
    return {
        number
        for number in range(DAYS + 1)
        if one.start <= day(number) and (one.end is None or day(number) < one.end)
    }


def parts_of(one: Entry | Taken) -> dict[UUID, Decimal]:
    """How much of which unit."""
    if isinstance(one, Taken):
        return {one.unit_id: one.quantity}
    return {
        wish.unit_id: CAPACITY[wish.unit_id] if wish.quantity is None else wish.quantity
        for wish in one.wanted
    }


def sum_taken(others: Iterable[Entry | Taken], unit_id: UUID, number: int) -> Decimal:
    """The sum of what others take of a unit on one day."""
    return sum(
        (parts_of(one).get(unit_id, Decimal(0)) for one in others if number in days_of(one)),
        Decimal(0),
    )


def fits(wish: Entry, others: Iterable[Entry | Taken]) -> bool:
    """Whether a wish fits beside others, looked up day by day."""
    others = list(others)
    return all(
        sum_taken(others, unit_id, number) + quantity <= CAPACITY[unit_id]
        for unit_id, quantity in parts_of(wish).items()
        for number in days_of(wish)
    )


def compete(one: Entry, other: Entry) -> bool:
    return bool(days_of(one) & days_of(other)) and bool(parts_of(one).keys() & parts_of(other))


def plain_replay(world: World, now_hour: int) -> Mapping[UUID, Standing]:
    """The same semantics hour by hour and day by day, with nothing remembered but the offers."""
    offers: dict[UUID, datetime] = {}
    out: dict[UUID, tuple[QueueState, datetime | None]] = {}
    for hour in range(now_hour + 1):
        now, too_old = at(hour), at(hour - OFFER_HOURS)
        in_line = [one for one in world.in_order() if one.joined_at <= now and one.id not in out]
        for one in in_line:
            if one.id in offers and offers[one.id] <= too_old:
                out[one.id] = QueueState.PASSED, offers.pop(one.id)
            elif one.left_at is not None and one.left_at <= now:
                out[one.id] = QueueState.LEFT, offers.pop(one.id, None)
        in_line = [one for one in in_line if one.id not in out]
        held: list[Entry | Taken] = [*world.live(now)]
        for one in [one for one in in_line if one.id in offers]:
            if fits(one, held):
                held.append(one)
            else:
                del offers[one.id]
        for one in [one for one in in_line if one.id not in offers]:
            if fits(one, held):
                offers[one.id] = now
                held.append(one)
    return _standings(world, at(now_hour), offers, out)


def _standings(
    world: World,
    now: datetime,
    offers: Mapping[UUID, datetime],
    out: Mapping[UUID, tuple[QueueState, datetime | None]],
) -> Mapping[UUID, Standing]:
    standings = {}
    ahead: list[Entry] = []
    for one in world.in_order():
        if one.joined_at > now:
            continue
        position = None
        if one.id not in out:
            position = 1 + sum(compete(one, before) for before in ahead)
            ahead.append(one)
        in_line = QueueState.OFFERED if one.id in offers else QueueState.WAITING
        state, offered_at = out.get(one.id, (in_line, offers.get(one.id)))
        expires_at = None if offered_at is None else offered_at + timedelta(hours=OFFER_HOURS)
        standings[one.id] = Standing(state, position, offered_at, expires_at)
    return standings


def _days() -> st.SearchStrategy[tuple[int, int | None]]:
    return st.tuples(st.sampled_from([0, 0, 0, 1, 2, 3, 4]), st.none() | st.integers(1, 3)).map(
        lambda pair: (pair[0], None if pair[1] is None else pair[0] + pair[1])
    )


def _quantities(unit_id: UUID) -> st.SearchStrategy[Decimal]:
    # The smaller of two: small parts often fit side by side, or beside a claim.
    halves = st.integers(1, int(CAPACITY[unit_id] * 2))
    return st.tuples(halves, halves).map(lambda pair: Decimal(min(pair)) / 2)


@st.composite
def _wishes(draw: st.DrawFn) -> tuple[Wanted, ...]:
    units = draw(st.sampled_from([[HALL], [HALL], [LAB], [LAB, HALL]]))
    return tuple(Wanted(unit_id, draw(st.none() | _quantities(unit_id))) for unit_id in units)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Up to seven entries and eight claims; claims may take what is offered, or overbook."""
    entries = []
    for number in range(draw(st.integers(1, 7))):
        joined = draw(st.integers(0, 10))
        stays = draw(st.none() | st.integers(0, 10))
        left = None if stays is None else joined + stays
        entries.append(
            entry(
                # Ids against the order of joining: ties must be told apart by id, not by place.
                draw(st.integers(0, 9)) * 100 + number,
                joined,
                *draw(_wishes()),
                left=left,
                days=draw(_days()),
                company=draw(st.integers(0, 3)),
            )
        )
    claims = []
    for _ in range(draw(st.integers(0, 8))):
        unit_id = draw(st.sampled_from([HALL, HALL, LAB]))
        begins = draw(st.integers(0, 14))
        lasts = draw(st.none() | st.integers(1, 5))
        claims.append(
            taken(
                str(draw(_quantities(unit_id))),
                (begins, None if lasts is None else begins + lasts),
                unit_id=unit_id,
                days=draw(_days()),
            )
        )
    return World(tuple(entries), tuple(claims))
