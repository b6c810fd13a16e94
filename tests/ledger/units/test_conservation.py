"""Whatever happens on a floor, its ground, areas, rights and promises are neither lost nor made."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from graphlib import TopologicalSorter
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.inventory import partition
from app.ledger.units import splitting
from app.models.right import Right
from app.models.space import Unit
from app.models.unit_event import UnitEventUnit
from tests import factories as make
from tests.ledger.units.walk import DAYS, Walk

STEPS = 50
#: What a day's outlines may differ by, m²: merged outlines are drawn to 0.1 mm.
DRAWN_M2 = 0.05
PROBES = [date(2023, 1, 1), *DAYS[::4], date(2035, 1, 1)]

_GROUND = text("""
    WITH present AS (
        SELECT geom FROM unit_terms
        WHERE floor_id = :floor AND known_until IS NULL AND valid @> CAST(:day AS date)
    ), ground AS (
        SELECT ST_Union(geom) AS geom, sum(ST_Area(geom::geography)) AS total FROM present
    )
    SELECT ST_Area(ground.geom::geography) AS covered, ground.total,
        ST_Area(ST_Intersection(ground.geom, f.geom)::geography) AS bound
    FROM ground, right_footprints f WHERE f.right_id = :right""")


@dataclass(frozen=True)
class Ground:
    """What of a floor is there on a day: m² covered, m² in all units together, m² bound."""

    covered: float
    total: float
    bound: float
    leasable: Decimal
    internal: Decimal


def ground(walk: Walk, right: UUID, day: date) -> Ground:
    row = walk.session.execute(_GROUND, {"floor": walk.floor.id, "day": day, "right": right}).one()
    present = walk.present(day)
    return Ground(
        row.covered,
        row.total,
        row.bound,
        sum((unit.leasable_area_m2 for unit in present), Decimal()),
        sum((unit.internal_area_m2 for unit in present), Decimal()),
    )


def grant(walk: Walk) -> UUID:
    """A right to a strip across the middle of the floor, through all its units."""
    right: Right = make.add(
        walk.session,
        Right(
            park_id=walk.floor.park_id,
            kind="expansion",
            company_id=walk.company.id,
            rank=1,
            binds=Range(date(2024, 1, 1), None),
            notice_days=30,
            known=Range(walk.now(), None),
            recorded_by="tests",
        ),
    )
    walk.session.execute(
        text("""
            INSERT INTO right_footprints (right_id, floor_id, geom)
            SELECT :right, id, ST_Multi(ST_MakeEnvelope(
                ST_XMin(geom) + 0.1 * (ST_XMax(geom) - ST_XMin(geom)),
                ST_YMin(geom) + 0.3 * (ST_YMax(geom) - ST_YMin(geom)),
                ST_XMin(geom) + 0.8 * (ST_XMax(geom) - ST_XMin(geom)),
                ST_YMin(geom) + 0.7 * (ST_YMax(geom) - ST_YMin(geom)), 4326))
            FROM floors WHERE id = :floor"""),
        {"right": right.id, "floor": walk.floor.id},
    )
    return right.id


def lineage(session: Session, floor: UUID) -> dict[UUID, set[UUID]]:
    """Of each unit of a floor, those it was made of."""
    mine, other = UnitEventUnit.__table__.alias("mine"), UnitEventUnit.__table__.alias("other")
    graph: dict[UUID, set[UUID]] = {
        unit: set() for unit in session.scalars(select(Unit.id).where(Unit.floor_id == floor))
    }
    for child, parent in session.execute(
        select(mine.c.unit_id, other.c.unit_id).where(
            mine.c.event_id == other.c.event_id,
            mine.c.part == "child",
            other.c.part == "parent",
            mine.c.unit_id.in_(graph),
        )
    ):
        graph[child].add(parent)
    return graph


def lost(before: Ground, after: Ground) -> Iterator[str]:
    """What differs between two days of one floor."""
    for name in ("covered", "total", "bound"):
        if abs(getattr(before, name) - getattr(after, name)) > DRAWN_M2:
            yield f"{name} {getattr(before, name)} {getattr(after, name)}"
    for name in ("leasable", "internal"):
        if getattr(before, name) != getattr(after, name):
            yield f"{name} {getattr(before, name)} {getattr(after, name)}"


@pytest.mark.parametrize("seed", range(8))
def test_any_walk_conserves_the_floor(session: Session, seed: int) -> None:
    walk = Walk(session, seed)
    right = grant(walk)
    at_first = ground(walk, right, PROBES[0])
    for _ in range(STEPS):
        if walk.step():
            for day in PROBES:
                assert list(lost(at_first, ground(walk, right, day))) == [], walk.done
    # Enough went through, and enough was refused, to mean something.
    assert {"_split", "_merge", "_terms", "_lease"} <= set(walk.done), walk.refused
    graph = lineage(session, walk.floor.id)
    order = list(TopologicalSorter(graph).static_order())
    assert set(order) == set(graph)
    assert sum(1 for parents in graph.values() if parents) >= 4
    overbooked = session.execute(
        text("""
            SELECT count(*) FROM unit_terms u WHERE u.floor_id = :floor AND u.known_until IS NULL
                AND u.valid && u.usable AND peak_quantity(u.id, u.valid * u.usable,
                    tstzrange(clock_timestamp(), NULL)) > u.capacity"""),
        {"floor": walk.floor.id},
    ).scalar_one()
    assert overbooked == 0


def test_parts_that_do_not_add_up_are_found_by_the_walk(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control: with parts a square metre too large, and the check that sees it left out."""
    honest = partition.shared_out

    def generous(total: Decimal, weights: Any, *more: Any) -> list[Decimal]:
        first, *others = honest(total, weights, *more)
        return [first + 1, *others]

    monkeypatch.setattr(splitting, "shared_out", generous)
    monkeypatch.setattr(splitting, "misfits", lambda *_: [])
    walk = Walk(session, 1)
    right = grant(walk)
    at_first = ground(walk, right, PROBES[0])
    for _ in range(STEPS):
        walk.step()
    assert [day for day in PROBES if list(lost(at_first, ground(walk, right, day)))]


def test_a_parent_that_does_not_end_is_found_by_the_walk(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control: the split leaves the parent in force on its last day and after."""
    monkeypatch.setattr(splitting, "ended", lambda unit, _day: unit.pieces)
    session.execute(text("ALTER TABLE units DISABLE TRIGGER USER"))
    walk = Walk(session, 1)
    right = grant(walk)
    at_first = ground(walk, right, PROBES[0])
    for _ in range(STEPS):
        walk.step()
    assert [day for day in PROBES if list(lost(at_first, ground(walk, right, day)))]
