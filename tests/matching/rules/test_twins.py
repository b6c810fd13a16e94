"""Each constraint means one thing: its form, its SQL, and a plain oracle agree on every unit."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapely import Polygon, box
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.matching.engine.judge import broken, candidate_of
from app.matching.engine.program import make_program
from app.matching.rules.constraint import Constraint
from app.matching.rules.ground import is_near, metres_to, places_of
from app.matching.rules.table import BY_KEY, CONSTRAINTS
from tests.matching.rules.worlds import (
    BOUNDS,
    RECORD,
    Row,
    World,
    make_demand,
    make_world,
    satisfies,
    seeded,
)

ROWS = f"""(SELECT r.*, ST_SetSRID(ST_MakePoint(r.lon, r.lat), 4326) AS centre
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r({RECORD})) AS c"""  # noqa: S608
#: Rules that read a bound in a sentence of their own.
OTHER_BOUNDS = frozenset({"places", "term_months", "availability", "power_left", "fire_storey"})

Verdicts = dict[str, list[bool]]


def by_sql(
    session: Session, rows: Sequence[Row], needs: Mapping[str, Any], table: Sequence[Constraint]
) -> Verdicts:
    """What PostgreSQL says of each row, by key."""
    asked = [one for one in table if one.key in needs]
    said = ", ".join(f"coalesce({one.sql}, false) AS v_{one.key}" for one in asked)
    values: dict[str, Any] = {"rows": json.dumps(list(rows), default=str)}
    for one in asked:
        values |= one.params(needs[one.key])
    found = session.execute(text(f"SELECT {said} FROM {ROWS} ORDER BY c.code"), values)  # noqa: S608
    answers = found.mappings().all()
    return {one.key: [answer[f"v_{one.key}"] for answer in answers] for one in asked}


def by_form(world: World, seed: int) -> Verdicts:
    """What the forms say, read by the plain judge."""
    program = make_program(world.segment, make_demand(seed), CONSTRAINTS)
    masks = [broken(program, candidate_of(program, row)) for row in world.at]
    return {
        one.key: [not mask >> bit & 1 for mask in masks] for bit, one in enumerate(program.active)
    }


def disagreements(session: Session, seed: int, table: Sequence[Constraint]) -> set[str]:
    """Keys of the constraints whose SQL says other than their form, on the units of a seed."""
    world = make_world(seed)
    asked, formed = by_sql(session, world.rows, make_demand(seed).hard, table), by_form(world, seed)
    return {key for key in formed if formed[key] != asked[key]}


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32))
def test_form_sql_and_oracle_agree_on_every_constraint(session: Session, seed: int) -> None:
    world = make_world(seed)
    needs = make_demand(seed).hard
    asked, formed = by_sql(session, world.rows, needs, CONSTRAINTS), by_form(world, seed)

    assert set(formed) == set(BY_KEY)
    for key, need in needs.items():
        assert formed[key] == asked[key], key
        assert formed[key] == [satisfies(row, key, need) for row in world.rows], key


def test_every_constraint_refuses_some_and_lets_some_pass() -> None:
    said: dict[str, set[bool]] = {key: set() for key in BY_KEY}
    for seed in range(12):
        for key, verdicts in by_form(make_world(seed), seed).items():
            said[key] |= set(verdicts)
    assert {key for key, seen in said.items() if seen != {True, False}} == set()


def test_strict_comparisons_are_found(session: Session) -> None:
    strict = tuple(
        replace(one, sql=one.sql.replace(">=", ">").replace("<=", "<"))
        if one.key in BOUNDS | OTHER_BOUNDS
        else one
        for one in CONSTRAINTS
    )
    found: set[str] = set()
    for seed in range(200):
        found |= disagreements(session, seed, strict)
        if found == BOUNDS | OTHER_BOUNDS:
            break
    assert found == BOUNDS | OTHER_BOUNDS


@pytest.mark.parametrize(
    ("key", "right", "wrong"),
    [
        ("within", "ST_Covers", "ST_Contains"),
        ("near", "::geography", ""),
        ("term_months", "c.max_term_months IS NULL OR ", ""),
        ("land_use", "replace(c.land_use_code, '+', '/')", "c.land_use_code"),
        ("places", "c.capacity_measure = 'place' AND ", ""),
        ("whole_floor", "units_on_floor", "units_in_building"),
        ("fire_storey", "coalesce(c.floors_above <= :fire_storey_floors, false)", "false"),
    ],
)
def test_a_twin_that_means_something_else_is_found(
    session: Session, key: str, right: str, wrong: str
) -> None:
    assert right in BY_KEY[key].sql
    broken_twin = replace(BY_KEY[key], sql=BY_KEY[key].sql.replace(right, wrong))
    table = tuple(broken_twin if one.key == key else one for one in CONSTRAINTS)
    if key == "fire_storey":
        # PostgreSQL must know the type of a value that is no longer compared.
        table = tuple(
            replace(one, sql=f"{one.sql} AND :fire_storey_floors < 100") if one.key == key else one
            for one in table
        )
    assert any(disagreements(session, seed, table) == {key} for seed in range(60))


def test_what_is_not_recorded_satisfies_no_need() -> None:
    world = make_world(7, known=0.0)
    # Everything else is never unknown: it comes from keys, geometry or the landlord's limits.
    always = {"unit_type", "min_area_m2", "max_area_m2", "places", "term_months", "land_use"}
    always |= {"zones", "parks", "ground_floor", "special_goods_import_pilot", "fire_storey"}
    always |= {"near", "within", "availability", "whole_floor", "whole_building", "physical_state"}
    formed = by_form(world, 1)
    assert {key for key in BY_KEY if any(formed[key])} <= always


def test_distances_are_those_of_postgis_to_the_millimetre(session: Session) -> None:
    rng = seeded(5)
    centres = np.array([(120 + 2 * rng.random(), 30 + 2 * rng.random()) for _ in range(300)])
    point = {"lon": 121.5, "lat": 31.2}
    ours = metres_to(centres, point)
    theirs = session.execute(
        text(
            "SELECT ST_Distance(ST_SetSRID(ST_MakePoint(lon, lat), 4326)::geography,"
            " ST_SetSRID(ST_MakePoint(:lon, :lat), 4326)::geography)"
            " FROM unnest(CAST(:lons AS float8[]), CAST(:lats AS float8[]))"
            " WITH ORDINALITY AS c (lon, lat, place) ORDER BY place"
        ),
        point | {"lons": centres[:, 0].tolist(), "lats": centres[:, 1].tolist()},
    ).scalars()

    assert np.abs(ours - np.array(list(theirs))).max() < 1e-6


def test_near_is_exact_at_the_boundary_and_the_box_leaves_nothing_out() -> None:
    near = BY_KEY["near"]
    for seed in range(20):
        world = make_world(seed)
        rng = seeded(seed)
        point = {"lon": 121.5 + rng.random() / 4, "lat": 31.125 + rng.random() / 4}
        centres = world.segment.buildings.centre
        distances = metres_to(centres, point)
        for place, metres in enumerate(distances):
            for more, inside in ((0.001, True), (0.0, True), (-0.001, False)):
                need = point | {"within_m": float(metres) + more}
                truths = near.form(world.segment, need).ok  # type: ignore[union-attr]
                assert truths[place] == inside
                assert list(truths) == list(distances <= need["within_m"])


@pytest.mark.parametrize("lat", [-89.9, -60.0, 0.0, 31.2, 75.0, 89.9])
@pytest.mark.parametrize("lon", [-180.0, -179.99, 0.0, 121.5, 180.0])
def test_the_way_through_the_earth_decides_as_geodesics_do_anywhere(lat: float, lon: float) -> None:
    rng = np.random.default_rng(3)
    reach = 2.5 / max(0.01, np.cos(np.radians(lat)))
    centres = np.column_stack(
        [
            (lon + rng.uniform(-reach, reach, 4000) + 180) % 360 - 180,
            np.clip(lat + rng.uniform(-2.5, 2.5, 4000), -90, 90),
        ]
    )
    metres = metres_to(centres, {"lon": lon, "lat": lat})
    for within in (0.0, 1.0, 50_000.0, 200_000.0, 2e7, *metres[:20]):
        near = is_near(places_of(centres), {"lon": lon, "lat": lat, "within_m": within})
        assert np.array_equal(near, metres <= within)
    assert (metres <= 200_000).any()


def test_an_area_of_several_parts_takes_in_each(session: Session) -> None:
    from app.matching.rules.ground import AreaNeed  # noqa: PLC0415

    world = make_world(11)
    parts = box(121.5, 31.125, 121.53125, 31.375) | box(121.625, 31.125, 121.75, 31.25)
    assert not isinstance(parts, Polygon)
    need = AreaNeed(parts)
    said = by_sql(session, world.rows, {"within": need}, [BY_KEY["within"]])["within"]
    truths = BY_KEY["within"].form(world.segment, need).ok  # type: ignore[union-attr]
    ours = [bool(truths[world.segment.building_of(row)]) for row in world.at]
    assert ours == said
    assert set(ours) == {True, False}
