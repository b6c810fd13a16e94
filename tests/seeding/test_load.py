import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.demand.request_schemas import SpaceRequestIn
from app.demand.requests import create_request
from app.demand.rules import load_rules
from app.kernel.errors import InvalidInputError
from app.models.company import SpaceRequest
from app.security.actors import Actor, ActorKind, Role
from app.seeding.service import ReferenceConflictError, generate_park, seed
from app.seeding.totals import OVERPROMISED
from tests.conftest import DATA_DAY
from tests.seeding.conftest import DATA

KNOWN = f"{DATA_DAY} 12:00+08"
VACANCY = """
SELECT u.capacity_measure,
    sum(u.capacity) FILTER (
        WHERE NOT u.divisible AND free_days(u.id, u.capacity, u.usable, u.capacity, :known)
            @> CAST(:day AS date)
    ) / sum(u.capacity) FILTER (WHERE NOT u.divisible) AS free
FROM units u JOIN parks p ON p.id = u.park_id JOIN zones z ON z.id = p.zone_id
WHERE u.usable @> CAST(:day AS date) AND z.code LIKE :zone
GROUP BY u.capacity_measure
"""


def _floor_area(session: Session, programme: str) -> object:
    return session.scalar(
        text(
            "SELECT sum(f.gross_floor_area_m2) FROM programmes p"
            " JOIN programme_buildings pb ON pb.programme_id = p.id"
            " JOIN floors f USING (building_id) WHERE p.code = :code"
        ),
        {"code": programme},
    )


def _vacancy(session: Session, zone: str = "%") -> Mapping[str, float]:
    rows = session.execute(text(VACANCY), {"known": KNOWN, "day": DATA_DAY, "zone": zone})
    return {measure: float(free) for measure, free in rows if free is not None}


@pytest.mark.parametrize(
    ("programme", "area_m2"),
    [("standard_plants", 5_000_000), ("cell_gene_park", 1_000_000), ("gene_island", 160_000)],
)
def test_the_floors_in_the_database_sum_to_the_programme(
    seeded_session: Session, programme: str, area_m2: int
) -> None:
    assert _floor_area(seeded_session, programme) == area_m2


def test_buildings_are_the_sum_of_their_floors_and_units_fit_on_them(
    seeded_session: Session,
) -> None:
    wrong = seeded_session.scalar(
        text(
            "SELECT count(*) FROM buildings b WHERE b.gross_floor_area_m2 <>"
            " (SELECT sum(gross_floor_area_m2) FROM floors WHERE building_id = b.id)"
        )
    )
    crowded = seeded_session.scalar(
        text(
            "SELECT count(*) FROM floors f WHERE f.gross_floor_area_m2 <"
            " (SELECT sum(leasable_area_m2) FROM units WHERE floor_id = f.id)"
        )
    )

    assert (wrong, crowded) == (0, 0)


def test_projects_started_in_2023_sum_to_the_published_figure(seeded_session: Session) -> None:
    started = seeded_session.scalar(
        text(
            "SELECT sum(m.floor_area_m2) FROM programme_milestones m"
            " JOIN programmes p ON p.id = m.programme_id"
            " WHERE m.step = 'started' AND extract(year FROM m.actual_on) = 2023"
            " AND p.parent_programme_id IS NOT NULL"
        )
    )

    assert started == 1_800_000


def test_about_thirty_percent_stand_empty_and_only_claims_say_so(seeded_session: Session) -> None:
    vacancy = _vacancy(seeded_session)

    assert 0.28 <= vacancy["m2"] <= 0.32


def test_every_zone_has_something_free_and_something_let(seeded_session: Session) -> None:
    zones = list(
        seeded_session.scalars(
            text("SELECT code FROM zones WHERE geom IS NOT NULL ORDER BY seq LIMIT 7")
        )
    )

    assert len(zones) == 7
    assert all(0.15 <= _vacancy(seeded_session, zone)["m2"] <= 0.45 for zone in zones)


def test_bench_halls_are_shared_and_have_places_left(seeded_session: Session) -> None:
    taken, places = seeded_session.execute(
        text(
            "SELECT sum(quantity), (SELECT sum(capacity) FROM units"
            " WHERE capacity_measure = 'place') FROM claims c JOIN units u ON u.id = c.unit_id"
            " WHERE u.capacity_measure = 'place' AND c.period @> CAST(:day AS date)"
        ),
        {"day": DATA_DAY},
    ).one()

    assert 0.6 <= float(taken / places) <= 0.8


def test_no_lease_is_signed_in_the_future_and_ends_are_staggered(seeded_session: Session) -> None:
    latest, first_end, last_end, ends = seeded_session.execute(
        text(
            "SELECT max(lower(live)), min(upper(period)), max(upper(period)),"
            " count(DISTINCT upper(period)) FROM claims WHERE kind = 'lease'"
        )
    ).one()

    assert latest.date().isoformat() <= DATA_DAY
    assert first_end.isoformat() >= "2026-12-01"
    assert last_end.isoformat() <= "2036-12-31"
    assert ends > 100


def test_no_unit_is_promised_twice_on_any_day(seeded_session: Session) -> None:
    parks = list(seeded_session.scalars(text("SELECT id FROM parks")))

    assert _overpromised(seeded_session, parks) == 0


def _overpromised(session: Session, parks: list[object]) -> object:
    cursor = session.connection().connection.cursor()
    cursor.execute(OVERPROMISED, {"parks": parks})
    row = cursor.fetchone()
    return row[0] if row else None


def test_the_check_for_double_promises_sees_one(own_seeded_engine: Engine) -> None:
    """Control arm: with every guard off, a second lease on the same days is found."""
    with Session(own_seeded_engine) as session:
        session.execute(text("ALTER TABLE claims DISABLE TRIGGER USER"))
        session.execute(text("ALTER TABLE claims DROP CONSTRAINT ex_claims_whole_unit"))
        session.execute(
            text(
                "INSERT INTO claims (commitment_id, park_id, unit_id, company_id, kind, quantity,"
                " whole, period, live, placed_by) SELECT gen_random_uuid(), park_id, unit_id,"
                " company_id, kind, quantity, whole, period, live, 'test'"
                " FROM claims WHERE whole LIMIT 1"
            )
        )
        parks = list(session.scalars(text("SELECT id FROM parks")))

        assert _overpromised(session, parks) == 1


def test_what_is_not_delivered_yet_cannot_be_used_today(seeded_session: Session) -> None:
    states = seeded_session.execute(
        text(
            "SELECT physical_state, bool_or(usable @> CAST(:day AS date)),"
            " bool_and(usable @> CAST(:day AS date)) FROM units GROUP BY 1"
        ),
        {"day": DATA_DAY},
    ).all()
    usable = {state: (some, every) for state, some, every in states}

    assert usable["fitted"] == usable["shell"] == (True, True)
    assert usable["under_construction"] == (False, False)


@pytest.mark.parametrize(
    "table",
    ["zones", "parks", "park_blocks", "parcels", "programmes", "programme_milestones",
     "buildings", "floors", "units", "shared_facilities", "companies", "pipeline_assets"],
)  # fmt: skip
def test_every_row_has_a_source_and_a_confidence(seeded_session: Session, table: str) -> None:
    rows, bare = seeded_session.execute(
        text(
            f"SELECT count(*), count(*) FILTER (WHERE source = '' OR confidence = '') FROM {table}"  # noqa: S608
        )
    ).one()

    assert rows > 0
    assert bare == 0


def test_reserved_land_and_all_kinds_of_facilities_are_there(seeded_session: Session) -> None:
    reserved = seeded_session.scalar(text("SELECT count(*) FROM parcels WHERE tenure = 'reserve'"))
    kinds = set(
        seeded_session.scalars(text("SELECT DISTINCT facility_type FROM shared_facilities"))
    )

    assert reserved is not None
    assert reserved > 50
    assert kinds == {
        "bsl_lab", "cdmo_line", "biobank", "animal_facility", "isotope_waste", "hospital",
        "metro_station",
    }  # fmt: skip


def test_walls_are_those_of_the_rooms_along_the_corridors(seeded_session: Session) -> None:
    """Three rooms and more stand in two rows; two have the core between them."""
    floors = seeded_session.execute(
        text(
            "SELECT count(DISTINCT u.id), count(w.unit_id) FROM units u"
            " LEFT JOIN unit_walls w ON w.unit_id = u.id GROUP BY u.floor_id"
        )
    ).all()

    assert sum(rooms > 2 for rooms, _ in floors) > 200
    for rooms, walls in floors:
        along_both = (-(-rooms // 2) - 1) + (rooms // 2 - 1) if rooms > 2 else 0
        assert walls == along_both


def test_a_request_is_stored_as_the_service_would_have_stored_it(
    seeded_session: Session,
) -> None:
    rules = load_rules(DATA)
    staff = Actor(ActorKind.STAFF, "tests", role=Role.ADMIN)
    now = datetime(2026, 11, 1, 4, tzinfo=UTC)
    rows = seeded_session.scalars(select(SpaceRequest)).all()

    assert len(rows) >= 13
    for row in rows:
        body = SpaceRequestIn.model_validate(row.stated)
        filed = create_request(seeded_session, staff, body, rules=rules, now=now)
        assert filed.unit_type == row.unit_type
        assert filed.stated == row.stated
        assert [need.model_dump(mode="json") for need in filed.needs] == row.needs


def test_passages_join_neighbours_of_one_park(seeded_session: Session) -> None:
    parks, longest = seeded_session.execute(
        text(
            "SELECT count(DISTINCT l.park_id), max(ST_Distance(a.geom::geography,"
            " b.geom::geography)) FROM building_links l"
            " JOIN buildings a ON a.id = building_a_id JOIN buildings b ON b.id = building_b_id"
        )
    ).one()

    assert parks >= 3
    assert longest < 30


def test_loading_again_changes_nothing(own_seeded_engine: Engine) -> None:
    with Session(own_seeded_engine) as session:
        before = session.scalar(text("SELECT count(*) FROM units"))
        report = seed(session, DATA)

        assert not report.loaded
        assert report.rows == {}
        assert report.totals["standard_plants_m2"] == "5000000.00"
        assert session.scalar(text("SELECT count(*) FROM units")) == before


def test_other_files_or_another_seed_are_refused_on_a_loaded_database(
    own_seeded_engine: Engine, tmp_path: Path
) -> None:
    shutil.copytree(DATA / "shanghai", tmp_path / "shanghai")
    firms = tmp_path / "shanghai" / "firms.toml"
    firms.write_text(firms.read_text("utf-8").replace("count = 1400", "count = 1401"), "utf-8")
    with Session(own_seeded_engine) as session:
        with pytest.raises(ReferenceConflictError, match="Nothing was changed"):
            seed(session, tmp_path)
        with pytest.raises(ReferenceConflictError, match="another seed"):
            seed(session, DATA, seed=1)

        assert session.scalar(text("SELECT count(*) FROM companies")) == 1400


class TestBenchmarkParks:
    def test_exactly_as_many_units_as_asked_for(self, own_engine: Engine) -> None:
        heard: list[tuple[str, int, int]] = []
        with Session(own_engine) as session:
            report = generate_park(
                session, units=1_234, seed=5, progress=lambda *told: heard.append(told)
            )
            again = generate_park(session, units=1_234, seed=5)
            units, outside = session.execute(
                text(
                    "SELECT count(*), count(*) FILTER (WHERE NOT ST_Within(ST_Centroid(u.geom),"
                    " ST_MakeEnvelope(120.8, 30.6, 122.3, 31.9, 4326))) FROM units u"
                )
            ).one()
            let = session.scalar(text("SELECT count(DISTINCT unit_id) FROM claims")) or 0

        assert report.loaded
        assert not again.loaded
        assert (units, outside) == (1_234, 0)
        assert 0.70 <= let / units <= 0.85
        assert heard[-1] == ("generating units", 1_234, 1_234)

    @pytest.mark.parametrize("units", [1_234, 1_000])
    def test_walls_are_those_that_would_be_measured(self, own_engine: Engine, units: int) -> None:
        """Also where the last floor is cut short."""
        walls = text("SELECT unit_id, neighbour_id, shared_wall_m FROM unit_walls")
        with Session(own_engine) as session:
            generate_park(session, units=units, seed=5)
            laid_out = {(row[0], row[1]): row[2] for row in session.execute(walls)}
            session.execute(text("DELETE FROM unit_walls"))
            session.execute(text("SELECT refresh_unit_walls(ARRAY(SELECT id FROM floors))"))
            measured = {(row[0], row[1]): row[2] for row in session.execute(walls)}

        assert len(measured) > units / 3
        assert laid_out.keys() == measured.keys()
        # The plane in which the database measures is a little larger than the ground.
        assert all(abs(laid_out[pair] / measured[pair] - 1) < 0.001 for pair in measured)

    def test_more_may_be_let(self, own_engine: Engine) -> None:
        with Session(own_engine) as session:
            generate_park(session, units=1_000, seed=6, let_pct=95)
            let = session.scalar(text("SELECT count(DISTINCT unit_id) FROM claims")) or 0

            assert 930 <= let <= 970
            with pytest.raises(ReferenceConflictError, match="share let"):
                generate_park(session, units=1_000, seed=6)
            with pytest.raises(InvalidInputError, match="cannot be let"):
                generate_park(session, units=1_000, seed=8, let_pct=101)

    def test_rows_depend_on_the_seed_only(self, own_engine: Engine) -> None:
        digest = text(
            "SELECT md5(string_agg(u::text, '' ORDER BY code)) FROM (SELECT code, id,"
            " ST_AsEWKB(geom), leasable_area_m2, floor_load_kn_m2 FROM units) u"
        )
        with own_engine.connect() as connection:
            found = []
            for _ in range(2):
                outer = connection.begin()
                with Session(connection, join_transaction_mode="create_savepoint") as session:
                    generate_park(session, units=700, seed=9)
                    found.append(session.scalar(digest))
                outer.rollback()

        assert found[0] == found[1]

    def test_two_seeds_stand_side_by_side_and_beside_the_reference(
        self, own_seeded_engine: Engine
    ) -> None:
        with Session(own_seeded_engine) as session:
            generate_park(session, units=300, seed=1)
            generate_park(session, units=300, seed=2)
            assert not seed(session, DATA).loaded
            parks = list(session.scalars(text("SELECT id FROM parks WHERE code LIKE 'bench%'")))

            assert len(parks) == 2
            assert _overpromised(session, parks) == 0

    def test_the_ledger_guards_generated_units_too(self, own_engine: Engine) -> None:
        """The trigger that is off during the load is on again after it."""
        with Session(own_engine) as session:
            generate_park(session, units=100, seed=3)
            with pytest.raises(IntegrityError, match="taken of"):
                session.execute(
                    text(
                        "INSERT INTO claims (commitment_id, park_id, unit_id, company_id, kind,"
                        " quantity, whole, period, live, placed_by) SELECT gen_random_uuid(),"
                        " park_id, unit_id, company_id, kind, quantity, whole, period,"
                        " tstzrange(now(), NULL), 'test' FROM claims LIMIT 1"
                    )
                )

    def test_another_size_for_the_same_seed_is_refused(self, own_engine: Engine) -> None:
        with Session(own_engine) as session:
            generate_park(session, units=50, seed=4)
            with pytest.raises(ReferenceConflictError, match="choose another seed"):
                generate_park(session, units=51, seed=4)

    @pytest.mark.parametrize("units", [0, -1, 10**9])
    def test_sizes_that_cannot_be_made_are_refused(self, session: Session, units: int) -> None:
        with pytest.raises(InvalidInputError):
            generate_park(session, units=units, seed=1)
