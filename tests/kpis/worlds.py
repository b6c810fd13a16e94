"""Random small ledgers, written to the database and to the oracle's book alike."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.models.programme import Programme, ProgrammeBuilding
from app.models.space import Floor, Park, Unit, UnitVersion
from tests import factories as make
from tests.kpis.oracle import STAGES, Book, Piece, Row

#: Day 360 is the first of January, so that leases end with a year.
DAY_0 = date(2025, 1, 6)
INSTANT_0 = datetime(2025, 1, 6, 4, tzinfo=UTC)
#: A step of the drawn numbers, in days: windows of 180 days are then neither all nor nothing.
STEP = 10
COMPANIES = ("firm-0", "firm-1", "firm-2", "firm-3")
KINDS = ("lease",) * 6 + ("hold",) * 3 + ("works", "out_of_service", "clearing", "reservation")


def day(number: int | None) -> date | None:
    return None if number is None else DAY_0 + timedelta(days=number)


def instant(number: int | None) -> datetime | None:
    return None if number is None else INSTANT_0 + timedelta(days=number)


@dataclass(frozen=True)
class Places:
    """A park in one zone, a park inside it that belongs to another, and two nested programmes."""

    floors: tuple[Floor, Floor]
    parks: tuple[Park, Park]
    programme: Programme
    project: Programme
    companies: dict[str, UUID]


def make_places(session: Session) -> Places:
    outer = make.make_park(session)
    inner = make.make_park(session, parent_park_id=outer.id)
    floors = []
    for park in (outer, inner):
        parcel = make.make_parcel(session, park_id=park.id)
        building = make.make_building(session, parcel=parcel)
        floors.append(make.make_floor(session, building=building))
    programmes: list[Programme] = []
    for number in range(2):
        above = programmes[0].id if programmes else None
        programme = Programme(
            code=f"plan-{make.number()}",
            name_zh="测试计划",
            name_en="Test programme",
            seq=number,
            parent_programme_id=above,
            **make.MADE_UP,
        )
        make.add(session, programme)
        programmes.append(programme)
    # The second building counts towards the project, and once more towards the programme itself.
    for plan, place in ((0, 0), (1, 1), (0, 1)):
        make.add(
            session,
            ProgrammeBuilding(
                programme_id=programmes[plan].id, building_id=floors[place].building_id
            ),
        )
    companies = {name: make.make_company(session).id for name in COMPANIES}
    return Places((floors[0], floors[1]), (outer, inner), programmes[0], programmes[1], companies)


def draw_book(seed: int, tries: int) -> Book:
    """Four units: one that changes, one that was known otherwise, one of places, one that splits.

    The second one's other terms, such as its rent, change too, which is nobody's concern here.

    What cannot be true (more than there is) is not yet weeded out: the database refuses it.
    """
    dice = random.Random(seed)  # noqa: S311  (tests)

    def kind() -> str:
        return dice.choice(STAGES)

    change, split = dice.randint(5, 40) * STEP, dice.randint(5, 40) * STEP
    learnt, told = dice.randint(5, 40) * STEP, dice.randint(-5, 40) * STEP
    usable: dict[str, tuple[int, int | None]] = {
        "a": (dice.randint(0, 10) * STEP, None),
        "b": (0, None if dice.random() < 0.5 else dice.randint(30, 60) * STEP),
        "c": (dice.randint(0, 5) * STEP, None),
        "d": (0, split),
        "e": (split, None),
        "f": (split, None),
    }
    same, better, rent = kind(), kind(), dice.randint(5, 40) * STEP
    pieces = [
        Piece("a", same, "m2", 8, until=change, planned=dice.random() < 0.3),
        Piece(
            "a",
            same if dice.random() < 0.3 else kind(),
            "m2",
            dice.choice([8, 8, 9, 10]),
            first=change,
        ),
        Piece("b", kind(), "m2", dice.randint(6, 10), forgotten=learnt),
        Piece("b", better, "m2", 10, until=rent, known=learnt),
        Piece("b", better, "m2", 10, first=rent, known=learnt),
        Piece("c", kind(), "place", 10),
        Piece("d", kind(), "m2", 10, until=split),
        Piece("e", kind(), "m2", 4, first=split, known=told),
        Piece("f", kind(), "m2", 6, first=split, known=told),
    ]
    rows: list[Row] = []
    for number in range(tries):
        rows += _draw_rows(dice, f"deal-{number}", change, split, pieces, rows)
    return Book(usable, pieces, rows, [(told, "d", ("e", "f"))])


def _draw_rows(  # noqa: PLR0917
    dice: random.Random,
    commitment: str,
    change: int,
    split: int,
    pieces: list[Piece],
    before: list[Row],
) -> Iterator[Row]:
    """A claim, cut where its unit changes, and sometimes what becomes of it later."""
    unit = dice.choice("aabbccddef")
    first = dice.randint(0, 45) * STEP
    until = None if dice.random() < 0.2 else first + dice.randint(1, 25) * STEP
    company: str | None = dice.choice(COMPANIES)
    kind = dice.choice(KINDS)
    leases = [row for row in before if row.kind == "lease" and row.until is not None]
    if leases and dice.random() < 0.35:
        # A firm renews, follows itself elsewhere, or someone follows it.
        earlier = dice.choice(leases)
        assert earlier.until is not None
        unit, first, kind = earlier.unit, earlier.until, "lease"
        until = first + dice.randint(1, 25) * STEP
        if dice.random() < 0.6:
            company = earlier.company
        if dice.random() < 0.4:
            unit, first = dice.choice("abcdef"), max(0, first + dice.randint(-20, 20) * STEP)
            until = first + dice.randint(1, 25) * STEP
    quantity = dice.choice([10, 10, 10, dice.randint(1, 10)])
    live = dice.randint(0, 45) * STEP - 5
    dead = None if dice.random() < 0.6 and kind != "hold" else live + dice.randint(1, 20) * STEP
    row = Row(unit, company, commitment, kind, quantity, first, until, live, dead)
    yield from _cut(row, change, split, pieces)
    if dead is not None and kind in {"hold", "lease"} and dice.random() < 0.7:
        signed = dead + dice.choice([0, 0, 0, 5 * STEP])
        later = replace(row, kind="lease", live=signed, dead=None, id=next(_ids))
        if kind == "lease" and until is not None:
            later = replace(later, until=until + dice.randint(-3, 6) * STEP)
        if later.until is None or later.until > later.first:
            yield from _cut(later, change, split, pieces)


def _cut(row: Row, change: int, split: int, pieces: list[Piece]) -> Iterator[Row]:
    at = {"a": change, "d": split}.get(row.unit)
    sizes = {(p.unit, p.first): p.capacity for p in pieces if p.forgotten is None}

    def fitted(one: Row, piece_first: int | None) -> Row:
        size = sizes[one.unit, piece_first]
        return replace(one, quantity=min(one.quantity, size), id=next(_ids))

    if row.unit in "ef" and row.first < split:
        return
    if row.unit == "a" and sizes["a", None] == sizes["a", change]:
        # The unit changes, but not its size: one row stays one.
        at = None
    if at is None or (row.until is not None and row.until <= at):
        yield fitted(row, split if row.unit in "ef" else None)
    elif row.first >= at:
        if row.unit == "a":
            yield fitted(row, change)
    else:
        yield fitted(replace(row, until=at), None)
        rest = replace(row, first=at)
        onward = [rest] if row.unit == "a" else [replace(rest, unit="e"), replace(rest, unit="f")]
        for one in onward:
            yield fitted(one, at)


_ids = iter(range(1_000_000, 10**9))


def write_book(session: Session, places: Places, book: Book) -> Book:
    """Write it, without what the ledger refuses; what remains is what was written."""
    # Beliefs of the past are written as they would have been, had the test run then.
    for trigger in ("unit_versions_only_close", "unit_versions_keep_promises"):
        session.execute(text(f"ALTER TABLE unit_versions DISABLE TRIGGER {trigger}"))
    units = {}
    for name in book.usable:
        pieces = [piece for piece in book.pieces if piece.unit == name]
        row = pieces[-1]
        floor = places.floors[0 if name in "abdef" else 1]
        slots = {"a": 0, "b": 1, "d": 2, "e": 2, "f": 3}
        units[name] = make.make_unit(
            session,
            floor=floor,
            slot=slots.get(name, 0),
            slots=4,
            code=f"{name}-{make.number()}",
            usable=Range(day(book.usable[name][0]), day(book.usable[name][1])),
            **_facts(row),
            known_from=instant(row.known),
        )
        for piece in pieces[:-1]:
            _write_piece(session, units[name], piece)
    for recorded, parent, children in book.splits:
        _write_split(
            session,
            places.parks[0].id,
            recorded,
            book.usable[parent][1] or 0,
            [(units[parent].id, "parent"), *((units[child].id, "child") for child in children)],
        )
    commitments: dict[str, UUID] = {}
    kept = []
    for claim in book.rows:
        commitment = commitments.setdefault(claim.commitment, uuid4())
        fact = next(
            p
            for p in book.pieces
            if p.unit == claim.unit
            and p.forgotten is None
            and (p.first is None or p.first <= claim.first)
            and (p.until is None or claim.first < p.until)
        )
        try:
            with session.begin_nested():
                make.make_claim(
                    session,
                    units[claim.unit],
                    day(claim.first) or DAY_0,
                    day(claim.until),
                    company_id=places.companies[claim.company or COMPANIES[0]],
                    commitment_id=commitment,
                    kind=claim.kind,
                    quantity=Decimal(claim.quantity),
                    whole=claim.quantity == fact.capacity,
                    live=Range(instant(claim.live), instant(claim.dead)),
                )
        except DBAPIError:
            continue
        kept.append(claim)
    return replace(book, rows=kept)


def _facts(piece: Piece) -> dict[str, object]:
    size = Decimal(piece.capacity)
    return {
        "unit_type": piece.unit_type,
        "capacity_measure": piece.measure,
        "capacity": size,
        "leasable_area_m2": size,
        "internal_area_m2": size,
        "divisible": True,
        "min_part": Decimal(1),
        "physical_state": "planned" if piece.planned else "shell",
        "valid": Range(day(piece.first), day(piece.until)),
    }


def _write_piece(session: Session, unit: Unit, piece: Piece) -> None:
    """A belief beside the unit's row: an earlier one, or one for earlier days."""
    own = {"geometric_area_m2", "terms_id", "known"}
    copied = {
        column.name: getattr(unit, column.name)
        for column in UnitVersion.__table__.columns
        if column.name not in own
    }
    known = Range(instant(piece.known), instant(piece.forgotten))
    make.add(session, UnitVersion(**(copied | _facts(piece)), known=known))


def _write_split(
    session: Session, park_id: UUID, recorded: int, on: int, units: list[tuple[UUID, str]]
) -> None:
    event_id = uuid4()
    session.execute(
        text(
            "INSERT INTO unit_events (id, park_id, kind, effective_on, recorded_at, recorded_by,"
            " changes) VALUES (:id, :park, 'split', :on, :at, 'tests', '{}')"
        ),
        {"id": event_id, "park": park_id, "on": day(on), "at": instant(recorded)},
    )
    for unit_id, part in units:
        session.execute(
            text("INSERT INTO unit_event_units VALUES (:event, :unit, :part)"),
            {"event": event_id, "unit": unit_id, "part": part},
        )
