"""The statement against the oracle on random ledgers; and that broken statements are caught."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.kernel.clock import civil_day
from app.kernel.period import Period
from app.kpis import statement as sql
from app.kpis.asked import GroupBy
from tests.kpis.oracle import Book, Oracle, Piece
from tests.kpis.worlds import DAY_0, Places, day, draw_book, instant, make_places, write_book

Amounts = dict[tuple[str | None, int, str, str], Decimal]
#: Periods of the rounds, as numbers of days.
PERIODS = [(60, 150), (150, 300), (300, 301), (301, 480)]


@pytest.fixture
def places(session: Session) -> Places:
    return make_places(session)


def keys_of(places: Places, group_by: GroupBy) -> Callable[[Piece], Iterable[str]]:
    """To which groups a piece belongs: unit c lies in the inner park, the others in the outer."""

    def keys(piece: Piece) -> Iterable[str]:
        park = places.parks[1 if piece.unit == "c" else 0]
        if group_by is GroupBy.PARK:
            return [str(park.id)]
        if group_by is GroupBy.ZONE:
            return [str(park.zone_id)]
        if group_by is GroupBy.TYPE:
            return [piece.unit_type]
        if group_by is GroupBy.PROGRAMME:
            # The whole programme has the project's building too.
            inner = [str(places.project.id)] if piece.unit == "c" else []
            return [str(places.programme.id), *inner]
        return ["all"]

    return keys


def in_database(session: Session, group_by: GroupBy, as_of: int) -> Amounts:
    """What the statement adds up, without zeros."""
    known = instant(as_of)
    assert known
    query = sql.statement(
        group_by,
        [Period(day(first) or DAY_0, day(until)) for first, until in PERIODS],
        as_of=known,
        today=civil_day(known),
        park_ids=None,
        places={},
        types=(),
    )
    session.execute(text("SELECT set_config('enable_nestloop', 'off', true)"))
    return {
        (key, int(no), measure, name): amount
        for key, no, measure, name, amount in session.execute(query)
        if amount and name != "units"
    }


def by_oracle(book: Book, places: Places, group_by: GroupBy, as_of: int) -> Amounts:
    """The same by brute force, with last days gathered into years."""
    found: Amounts = {}
    parts = Oracle(book, as_of, keys_of(places, group_by)).parts(PERIODS)
    for (key, no, measure, name), amount in parts.items():
        shown = name
        if name.startswith("last day "):
            last = DAY_0 + timedelta(days=int(name.removeprefix("last day ")))
            shown = f"ends:{last.year}"
        place = (key, no, measure, shown)
        found[place] = found.get(place, Decimal(0)) + amount
    return found


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    seed=st.integers(0, 2**32),
    tries=st.integers(0, 25),
    group_by=st.sampled_from(list(GroupBy)),
    as_of=st.integers(10, 55),
)
def test_the_statement_agrees_with_the_oracle(  # noqa: PLR0917
    session: Session, places: Places, seed: int, tries: int, group_by: GroupBy, as_of: int
) -> None:
    attempt = session.begin_nested()
    try:
        book = write_book(session, places, draw_book(seed, tries))
        assert in_database(session, group_by, as_of * 10) == by_oracle(
            book, places, group_by, as_of * 10
        )
    finally:
        attempt.rollback()


#: Statements that are wrong in one place: the block, what stands there, and what is put instead.
BROKEN = {
    "holds counted as leased": ("_BASE", "kind = 'lease'", "kind IN ('lease', 'hold')"),
    "holds shown as leased": ("_STOCKS", "THEN 'held'", "THEN 'leased'"),
    "beliefs of claims ignored": ("_BASE", "WHERE c.live @> :as_of", "WHERE true"),
    "beliefs of units ignored": ("_BASE", sql._BELIEVED, "t.known_until IS NULL"),
    "terms that do not matter cut": (
        "_BASE",
        "t.capacity, t.usable\n",
        "t.capacity, t.usable, t.valid\n",
    ),
    "planned units counted": ("_BASE", "t.physical_state <> 'planned' AND", ""),
    "claims not cut at the unit's terms": (
        "_BASE",
        "c.period * k.days AS days",
        "c.period AS days",
    ),
    "buildings of two programmes counted twice": (
        "_BASE",
        "SELECT DISTINCT w.programme_id",
        "SELECT w.programme_id",
    ),
    "offers: the most taken": ("_STOCKS", "min(used)", "max(used)"),
    "offers: no day but the first": ("_STOCKS", "upper(b.days) > p.last", "false"),
    "renewals taken up anew": ("_MOVES", "FROM steps s", "FROM edges s"),
    "new measurements taken up": ("_MOVES", "CASE WHEN r.day IS NOT NULL", "CASE WHEN false"),
    "moves of the last day missed": ("_MOVES", "s.day < p.until", "s.day < p.last"),
    "leases end where their unit changes": (
        "_TERMS",
        "lower(b.period) = upper(a.period)",
        "false",
    ),
    "terms a day short": ("_TERMS", "(ends - last)", "(ends - last - 1)"),
    "years by the first day not leased": ("_TERMS", "year FROM ends - 1)", "year FROM ends)"),
    "running voids a day short": ("_VOIDS", "max(upper(r.run)) + 1", "max(upper(r.run))"),
    "voids of other periods": ("_VOIDS", "g.day >= p.first AND", ""),
    "splits launched anew": ("_TAKE_UP", "m.part = 'child'", "false"),
    "splits no kin": ("_TAKE_UP", "a.event_id = e.id", "false"),
    "more leased than launched": ("_TAKE_UP", "least(l.area,", "greatest(0,"),
    "moving to the same type is moving on": (
        "_RELAY",
        "b.unit_type) > array",
        "b.unit_type) >= array",
    ),
    "moving on at any time": ("_RELAY", "AND b.day BETWEEN", "OR b.day BETWEEN"),
    "only firms that left in the denominator": ("_RELAY", "moved_on OR gone", "gone"),
    "firms that stay in the denominator": ("_RELAY", "moved_on OR gone", "true"),
    "ends to come have outcomes": ("_RELAY", "upper(s.run) <= :today AND", ""),
    "every cut renews": ("_RELAY", "b.since > lower(r.live)", "true"),
    "holds counted on each of their rows": ("_PENDING", "WHERE h.day = h.first", ""),
    "live holds have ended": ("_PENDING", "NOT bool_or(c.live @> :as_of)", "true"),
    "leases of later count": ("_PENDING", "AND lower(l.live) <= :as_of", ""),
}

#: Ledgers on which, between them, each of these shows. On most others some do not.
TELLING = (0, 2, 3, 4, 7, 8, 10, 11, 16, 18, 23, 28, 55)


def test_each_broken_statement_is_caught(
    session: Session, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    undetected = dict(BROKEN)
    for block, right, _ in BROKEN.values():
        assert right in getattr(sql, block)
    for seed in TELLING:
        attempt = session.begin_nested()
        book = write_book(session, places, draw_book(seed, 25))
        group_by, as_of = list(GroupBy)[seed % 5], 200 + seed % 30 * 10
        right_answer = by_oracle(book, places, group_by, as_of)
        assert in_database(session, group_by, as_of) == right_answer
        for name, (block, right, wrong) in list(undetected.items()):
            with monkeypatch.context() as patched:
                patched.setattr(sql, block, getattr(sql, block).replace(right, wrong))
                with session.begin_nested() as trial:
                    if in_database(session, group_by, as_of) != right_answer:
                        del undetected[name]
                    trial.rollback()
        attempt.rollback()
        if not undetected:
            break
    assert undetected == {}


@pytest.mark.parametrize("seed", range(12))
def test_net_absorption_is_the_change_of_what_is_leased(
    session: Session, places: Places, seed: int
) -> None:
    write_book(session, places, draw_book(seed, 25))
    amounts = in_database(session, GroupBy.TYPE, 480)
    day_before = {1: None, 2: 1, 3: 2, 4: 3}
    tried = 0
    for key, no, measure in {place[:3] for place in amounts}:
        before = day_before.get(no)
        if not measure or before is None:
            continue

        def part(name: str, of: int = no, of_key: str | None = key, by: str = measure) -> Decimal:
            return amounts.get((of_key, of, by, name), Decimal(0))

        net = part("taken_up") - part("given_back")
        assert part("leased") - part("leased", before) == net + part("remeasured")
        tried += 1
    assert tried
