"""Geometry nests and siblings keep apart, whoever writes: plain SQL and COPY included."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from geoalchemy2.shape import to_shape
from shapely import MultiPolygon, Polygon, box
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.models.space import Floor, Parcel
from tests import factories
from tests.factories import geometry

#: 1e-7 degrees is about a centimetre, which is forgiven; this much is not.
CENTIMETRE = 1e-7
METRE = 1e-5
#: A ring that crosses itself.
BOW_TIE = "POLYGON((121.6 31.2, 121.601 31.201, 121.601 31.2, 121.6 31.201, 121.6 31.2))"


@contextmanager
def _refused(constraint: str) -> Iterator[None]:
    with pytest.raises(DBAPIError) as caught:
        yield
    cause = caught.value.orig
    assert isinstance(cause, psycopg.Error)
    assert cause.diag.constraint_name == constraint


def _shifted(row: Any, metres_west: float) -> Polygon:
    west, south, east, north = to_shape(row.geom).bounds
    return box(west - metres_west * METRE, south, east - metres_west * METRE, north)


def _grown(row: Any, degrees: float) -> Polygon:
    west, south, east, north = to_shape(row.geom).bounds
    return box(west - degrees, south, east, north)


def _set(session: Session, table: str, id_: Any, **values: Any) -> None:
    assigned = ", ".join(f"{name} = :{name}" for name in values)
    update = f"UPDATE {table} SET {assigned} WHERE id = :id"  # noqa: S608
    session.execute(text(update), {"id": id_, **values})


def _wkt(shape: Polygon) -> str:
    return f"SRID=4326;{shape.wkt}"


# --- inside the parent -------------------------------------------------------------------------


def _nested_park(session: Session, ground: tuple[float, float, float, float]) -> Any:
    parent = factories.make_park(session)
    return factories.make_park(
        session, zone_id=parent.zone_id, parent_park_id=parent.id, ground=ground
    )


def test_a_nested_park_lies_in_its_park(session: Session) -> None:
    _nested_park(session, (121.60, 31.20, 121.605, 31.205))

    with _refused("park_inside_park"):
        _nested_park(session, (121.599, 31.20, 121.605, 31.205))


def test_a_parcel_lies_in_its_park(session: Session) -> None:
    park = factories.make_park(session)

    with _refused("parcel_inside_park"):
        factories.make_parcel(
            session, park_id=park.id, geom=geometry(box(121.5999, 31.2, 121.6005, 31.201))
        )


def test_a_park_without_an_outline_holds_no_parcel(session: Session) -> None:
    park = factories.make_park(session, geom=None)

    with _refused("parcel_inside_park"):
        factories.make_parcel(session, park_id=park.id)


def test_a_block_lies_in_its_park(session: Session) -> None:
    park = factories.make_park(session)
    block = {
        "park": park.id,
        "inside": _wkt(box(121.600, 31.200, 121.604, 31.204)),
        "outside": _wkt(box(121.590, 31.200, 121.604, 31.204)),
    }
    insert = (
        "INSERT INTO park_blocks"
        " (park_id, seq, name_zh, name_en, geom, geometry_quality, source, confidence)"
        " VALUES (:park, {seq}, '一区', 'Block', ST_GeomFromEWKT({which}), 'schematic', 't',"
        " 'assumption')"
    )
    session.execute(text(insert.format(seq=1, which=":inside")), block)

    with _refused("block_inside_park"):
        session.execute(text(insert.format(seq=2, which=":outside")), block)


@pytest.mark.parametrize(
    ("make", "child_of", "constraint"),
    [
        (factories.make_building, "parcel", "building_inside_parcel"),
        (factories.make_floor, "building", "floor_inside_building"),
        (factories.make_unit, "floor", "unit_inside_floor"),
    ],
)
def test_a_thing_reaching_a_metre_out_of_its_parent_is_refused(
    session: Session, make: Callable[..., Any], child_of: str, constraint: str
) -> None:
    parent = getattr(factories, f"make_{child_of}")(session)
    out = geometry(_grown(parent, METRE))

    with _refused(constraint):
        make(session, **{child_of: parent}, geom=out)


@pytest.mark.parametrize(
    ("make", "child_of"),
    [
        (factories.make_building, "parcel"),
        (factories.make_floor, "building"),
        (factories.make_unit, "floor"),
    ],
)
def test_a_centimetre_is_forgiven(
    session: Session, make: Callable[..., Any], child_of: str
) -> None:
    parent = getattr(factories, f"make_{child_of}")(session)

    row = make(session, **{child_of: parent}, geom=geometry(_grown(parent, 0.9 * CENTIMETRE)))

    session.refresh(row)
    assert to_shape(row.geom).area > to_shape(parent.geom).area
    with _refused(f"{row.__tablename__[:-1]}_inside_{child_of}"):
        _set(session, row.__tablename__, row.id, geom=_wkt(_grown(parent, 3 * CENTIMETRE)))


@pytest.mark.parametrize("table", ["parks", "parcels", "buildings", "floors"])
def test_a_parent_may_not_shrink_away_from_what_it_holds(session: Session, table: str) -> None:
    unit = factories.make_unit(session)
    ids = session.execute(
        text(
            "SELECT u.park_id AS parks, b.parcel_id AS parcels, b.id AS buildings,"
            " u.floor_id AS floors FROM units u JOIN buildings b ON b.id = u.building_id"
            " WHERE u.id = :unit"
        ),
        {"unit": unit.id},
    ).one()
    rule = {
        "parks": "parcel_inside_park",
        "parcels": "building_inside_parcel",
        "buildings": "floor_inside_building",
        "floors": "unit_inside_floor",
    }[table]
    smaller = "ST_Scale(geom, ST_MakePoint(0.01, 0.01), ST_Centroid(geom))"

    update = f"UPDATE {table} SET geom = {smaller} WHERE id = :id"  # noqa: S608

    with _refused(rule):
        session.execute(text(update), {"id": getattr(ids, table)})


def test_a_parent_may_grow_and_a_unit_may_shrink(session: Session) -> None:
    unit = factories.make_unit(session)
    west, south, east, north = to_shape(unit.geom).bounds

    _set(session, "units", unit.id, geom=_wkt(box(west, south, (west + east) / 2, north)))
    session.execute(
        text("UPDATE parks SET geom = ST_Multi(ST_Expand(geom, 0.001)) WHERE id = :id"),
        {"id": unit.park_id},
    )


def test_moving_a_unit_to_another_floor_checks_it_there(session: Session) -> None:
    unit, elsewhere = factories.make_unit(session), factories.make_floor(session)

    with _refused("unit_inside_floor"):
        _set(
            session,
            "units",
            unit.id,
            floor_id=elsewhere.id,
            building_id=elsewhere.building_id,
            park_id=elsewhere.park_id,
        )


# --- the same park all the way down --------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "child_of", "constraint"),
    [
        (factories.make_building, "parcel", "building_inside_parcel"),
        (factories.make_floor, "building", "floor_inside_building"),
        (factories.make_unit, "floor", "unit_inside_floor"),
    ],
)
def test_a_child_names_the_park_of_its_parent(
    session: Session, make: Callable[..., Any], child_of: str, constraint: str
) -> None:
    parent = getattr(factories, f"make_{child_of}")(session)
    other_park = factories.make_park(session)

    with _refused(constraint):
        make(session, **{child_of: parent}, park_id=other_park.id)


def test_a_unit_names_the_building_of_its_floor(session: Session) -> None:
    floor = factories.make_floor(session)
    other = factories.make_building(session)

    with _refused("unit_inside_floor"):
        factories.make_unit(session, floor=floor, building_id=other.id)


def test_a_building_does_not_change_park_alone(session: Session) -> None:
    floor = factories.make_floor(session)
    other_park = factories.make_park(session)

    with _refused("building_inside_parcel"):
        _set(session, "buildings", floor.building_id, park_id=other_park.id)


# --- apart from siblings -------------------------------------------------------------------------


def test_units_of_a_floor_keep_apart(session: Session) -> None:
    floor = factories.make_floor(session)
    factories.make_unit(session, floor=floor, slot=0, slots=2)
    right = factories.make_unit(session, floor=floor, slot=1, slots=2)

    with _refused("units_apart"):
        _set(session, "units", right.id, geom=_wkt(_shifted(right, 1)))


def test_units_may_share_a_wall_that_is_a_centimetre_off(session: Session) -> None:
    floor = factories.make_floor(session)
    west, south, east, _ = to_shape(floor.geom).bounds
    middle, top = (west + east) / 2, south + 5 * METRE  # five metres of common wall
    factories.make_unit(session, floor=floor, geom=geometry(box(west, south, middle, top)))

    factories.make_unit(
        session,
        floor=floor,
        geom=geometry(box(middle - 0.1 * CENTIMETRE, south, east, top)),
    )


def test_units_of_different_days_may_cover_the_same_ground(session: Session) -> None:
    before = factories.make_unit(session)
    session.execute(
        text("UPDATE units SET usable = '[2020-01-01,2027-01-01)' WHERE id = :id"),
        {"id": before.id},
    )
    floor = session.get_one(Floor, before.floor_id)
    after = factories.make_unit(session, floor=floor, usable=Range(date(2027, 1, 1), None))

    with _refused("units_apart"):
        session.execute(
            text("UPDATE units SET usable = '[2026-12-31,)' WHERE id = :id"), {"id": after.id}
        )


def test_units_of_different_floors_may_stand_above_each_other(session: Session) -> None:
    building = factories.make_building(session)
    ground = factories.make_floor(session, building=building)
    upper = factories.make_floor(session, building=building, level_index=1, level_name="2F")

    units = [factories.make_unit(session, floor=floor) for floor in (ground, upper)]

    assert to_shape(units[0].geom).equals(to_shape(units[1].geom))


def test_parcels_keep_apart_across_parks(session: Session) -> None:
    parcel = factories.make_parcel(session)
    other_park = factories.make_park(session)

    with _refused("parcels_apart"):
        factories.make_parcel(session, park_id=other_park.id, geom=geometry(_shifted(parcel, -10)))


def test_buildings_of_a_parcel_keep_apart(session: Session) -> None:
    building = factories.make_building(session)
    parcel = session.get_one(Parcel, building.parcel_id)

    with _refused("buildings_apart"):
        factories.make_building(session, parcel=parcel)


def test_overlaps_within_one_statement_are_seen_and_copy_is_checked_too(session: Session) -> None:
    floor = factories.make_floor(session)
    unit = factories.make_unit(session, floor=floor)
    columns = (
        "park_id, building_id, floor_id, code, name_zh, name_en, unit_type, physical_state, usable,"
        " capacity_measure, capacity, leasable_area_m2, internal_area_m2, area_method,"
        " is_ground_floor, source, confidence, geometry_quality, geom"
    )
    session.execute(
        text("CREATE TEMP TABLE copied ON COMMIT DROP AS SELECT * FROM units WHERE id = :id"),
        {"id": unit.id},
    )
    session.execute(text("DELETE FROM units WHERE id = :id"), {"id": unit.id})
    driver = session.connection().connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    with driver.cursor() as cursor:
        cursor.execute(f"SELECT {columns} FROM copied")  # noqa: S608
        row = cursor.fetchone()
        assert row is not None
        with pytest.raises(psycopg.errors.CheckViolation) as caught:  # noqa: PT012, SIM117
            with cursor.copy(f"COPY units ({columns}) FROM STDIN") as copy:
                for code in ("copied-1", "copied-2"):
                    copy.write_row([*row[:3], code, *row[4:]])
    assert caught.value.diag.constraint_name == "units_apart"


# --- what a row is on its own --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "table"),
    [
        (factories.make_parcel, "parcels"),
        (factories.make_building, "buildings"),
        (factories.make_floor, "floors"),
        (factories.make_unit, "units"),
    ],
)
@pytest.mark.parametrize("wkt", [BOW_TIE, "POLYGON EMPTY"])
def test_an_outline_is_valid_and_not_empty(
    session: Session, make: Callable[..., Any], table: str, wkt: str
) -> None:
    row = make(session)

    with _refused(f"ck_{table}_geom_valid"):
        _set(session, table, row.id, geom=f"SRID=4326;{wkt}")


def test_outlines_of_zones_and_parks_may_be_missing_but_not_invalid(session: Session) -> None:
    park = factories.make_park(session, geom=None)
    zone = factories.make_zone(session)
    assert (park.geometric_area_m2, zone.geometric_area_m2) == (None, None)

    with _refused("ck_zones_geom_valid"):
        _set(session, "zones", zone.id, geom=f"SRID=4326;MULTI{BOW_TIE.replace('((', '(((')})")


def test_a_unit_cannot_be_drawn_as_a_multipolygon(session: Session) -> None:
    unit = factories.make_unit(session)

    with pytest.raises(DBAPIError, match="Geometry type"):
        _set(
            session,
            "units",
            unit.id,
            geom=f"SRID=4326;{MultiPolygon([_shifted(unit, 0)]).wkt}",
        )


@pytest.mark.parametrize(
    ("make", "column", "value", "rule"),
    [
        (factories.make_zone, "published_area_m2", 0, "published_area_positive"),
        (factories.make_park, "published_area_m2", 0, "published_area_positive"),
        (factories.make_park, "planned_floor_area_m2", -1, "planned_floor_area_positive"),
        (factories.make_parcel, "published_area_m2", 0, "published_area_positive"),
        (factories.make_parcel, "floor_area_ratio_max", 0, "floor_area_ratio_positive"),
        (factories.make_parcel, "building_density_max_pct", 101, "percentages"),
        (
            factories.make_building,
            "gross_floor_area_m2",
            0,
            "gross_floor_area_positive",
        ),
        (factories.make_building, "floors_above", 0, "floors_counted"),
        (factories.make_floor, "gross_floor_area_m2", 0, "gross_floor_area_positive"),
        (factories.make_floor, "floor_load_kn_m2", 0, "floor_load_positive"),
        (factories.make_floor, "clear_height_m", 7, "heights"),
        (factories.make_unit, "internal_area_m2", 0, "areas"),
        (factories.make_unit, "internal_area_m2", 2001, "areas"),
        (factories.make_unit, "capacity", 1999, "capacity_is_its_area"),
        (factories.make_unit, "min_part", 10, "min_part"),
        (factories.make_unit, "clear_height_m", 0, "technical_values"),
        (factories.make_unit, "biosafety_level", 5, "biosafety_level_known"),
        (factories.make_unit, "unit_type", "attic", "unit_type_known"),
        (factories.make_unit, "usable", "empty", "usable_has_start"),
        (factories.make_unit, "usable", "(,2027-01-01)", "usable_has_start"),
    ],
)
def test_a_figure_out_of_its_range_is_refused(
    session: Session, make: Callable[..., Any], column: str, value: object, rule: str
) -> None:
    row = make(session)
    table = row.__tablename__
    kind = {"usable": "daterange", "unit_type": "text"}.get(column, "numeric")
    given = f"CAST(CAST(:value AS text) AS {kind})"
    update = f"UPDATE {table} SET {column} = {given} WHERE id = :id"  # noqa: S608

    with _refused(f"ck_{table}_{rule}"):
        session.execute(text(update), {"id": row.id, "value": str(value)})


def test_the_drawn_area_is_geodesic_and_follows_the_outline(session: Session) -> None:
    parcel = factories.make_parcel(session, geom=geometry(box(121.6, 31.2, 121.6009, 31.2009)))
    session.refresh(parcel)
    assert parcel.geometric_area_m2 == pytest.approx(8_560, rel=1e-3)

    _set(session, "parcels", parcel.id, geom=_wkt(box(121.6, 31.2, 121.60045, 31.2009)))

    session.refresh(parcel)
    assert parcel.geometric_area_m2 == pytest.approx(4_280, rel=1e-3)
    with pytest.raises(DBAPIError, match="geometric_area_m2"):
        _set(session, "parcels", parcel.id, geometric_area_m2=Decimal(1))


@pytest.mark.parametrize("table", ["zones", "parks", "parcels", "buildings", "floors"])
def test_what_holds_something_is_not_deleted(session: Session, table: str) -> None:
    factories.make_unit(session)

    with pytest.raises(DBAPIError) as caught:
        session.execute(text(f"DELETE FROM {table}"))  # noqa: S608

    assert isinstance(caught.value.orig, psycopg.errors.ForeignKeyViolation)
