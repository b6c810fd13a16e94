"""Which units share a wall, and which buildings a passage joins.

Locks buildings (for a unique index over some thousands of rows) and units (for two triggers), both
for an instant; then measures the walls of all floors, which takes seconds for each 10,000 units and
locks floors against changes of their units' outlines only.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

#: Outlines no further apart than this, m, have only a wall between them.
WALL_TOLERANCE_M = 0.4
#: Less than a door's width, m, opens nothing.
MIN_SHARED_WALL_M = 1.5
#: Sine of the largest angle, 15 degrees, between outlines that run beside each other.
_BESIDE = 0.26
#: Metres: CGCS2000, 3-degree Gauss-Krüger zone of 120° E. Lengths are 0.03 % too long in Shanghai.
_METRES = 4549

MEASURE = f"""
CREATE FUNCTION shared_wall_m(one geometry, other geometry) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    -- Edges are compared one by one, and reach sideways only: at a corner nothing runs beside
    -- anything, however near it is.
    SELECT coalesce(sum(ST_Length(ST_Intersection(edge.geom, beside.strip))), 0)
    FROM ST_DumpSegments(ST_Boundary(one)) AS edge, LATERAL (
        SELECT ST_Union(ST_Buffer(wall.geom, {WALL_TOLERANCE_M}, 'endcap=flat')) AS strip
        FROM ST_DumpSegments(ST_Boundary(other)) AS wall
        WHERE ST_DWithin(edge.geom, wall.geom, {WALL_TOLERANCE_M})
            AND abs(sin(ST_Azimuth(ST_StartPoint(edge.geom), ST_EndPoint(edge.geom))
                - ST_Azimuth(ST_StartPoint(wall.geom), ST_EndPoint(wall.geom)))) < {_BESIDE}
    ) AS beside
$$"""

# The floors are locked first, as every change of an outline does: of two transactions that draw on
# one floor the later one sees what the earlier one drew. A unit that moves to another floor needs
# both floors named.
REFRESH = f"""
CREATE FUNCTION refresh_unit_walls(floor_ids uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM floors WHERE id = ANY (floor_ids) ORDER BY id FOR NO KEY UPDATE;
    WITH rooms AS MATERIALIZED (
        SELECT id, floor_id, usable, ST_Transform(geom, {_METRES}) AS outline
        FROM units WHERE floor_id = ANY (floor_ids)
    ), measured AS MATERIALIZED (
        SELECT a.id AS unit_id, b.id AS neighbour_id,
            shared_wall_m(a.outline, b.outline)::numeric(8, 2) AS shared_wall_m
        FROM rooms a JOIN rooms b ON b.floor_id = a.floor_id AND a.id < b.id
            -- What was split is no neighbour of its parts: they never exist on one day.
            AND a.usable && b.usable AND ST_DWithin(a.outline, b.outline, {WALL_TOLERANCE_M})
    ), wanted AS MATERIALIZED (
        SELECT * FROM measured WHERE shared_wall_m >= {MIN_SHARED_WALL_M}
    ), gone AS (
        DELETE FROM unit_walls w USING rooms r
        WHERE r.id = w.unit_id AND NOT EXISTS (
            SELECT FROM wanted v WHERE v.unit_id = w.unit_id AND v.neighbour_id = w.neighbour_id)
    )
    INSERT INTO unit_walls SELECT * FROM wanted
    ON CONFLICT (unit_id, neighbour_id) DO UPDATE SET shared_wall_m = excluded.shared_wall_m
        WHERE unit_walls.shared_wall_m <> excluded.shared_wall_m;
END $$"""

# A loader that sends many units at once says `SET LOCAL space_relay.walls = 'later'` and calls
# refresh_unit_walls itself, once.
TRIGGERS = (
    """
CREATE FUNCTION on_units_drawn() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('space_relay.walls', true) IS DISTINCT FROM 'later' THEN
        PERFORM refresh_unit_walls(ARRAY(SELECT DISTINCT floor_id FROM added));
    END IF;
    RETURN NULL;
END $$""",
    """
CREATE FUNCTION on_unit_redrawn() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('space_relay.walls', true) IS DISTINCT FROM 'later' THEN
        PERFORM refresh_unit_walls(ARRAY[OLD.floor_id, NEW.floor_id]);
    END IF;
    RETURN NULL;
END $$""",
    """
CREATE TRIGGER units_walls_drawn AFTER INSERT ON units REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION on_units_drawn()""",
    """
CREATE TRIGGER units_walls_redrawn AFTER UPDATE OF geom, floor_id, usable ON units
FOR EACH ROW WHEN (OLD.geom IS DISTINCT FROM NEW.geom OR OLD.floor_id <> NEW.floor_id
    OR OLD.usable <> NEW.usable)
EXECUTE FUNCTION on_unit_redrawn()""",
)

# Who follows space learns of walls and passages as of units: by building.
NOTING = (
    """
CREATE FUNCTION on_unit_walls() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM note_space_changes(ARRAY(
        SELECT DISTINCT u.building_id FROM changed w JOIN units u ON u.id = w.unit_id));
    RETURN NULL;
END $$""",
    """
CREATE FUNCTION on_building_links() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM note_space_changes(ARRAY(
        SELECT building_a_id FROM changed UNION SELECT building_b_id FROM changed));
    RETURN NULL;
END $$""",
    *(
        f"""
CREATE TRIGGER {table}_note_{event} AFTER {event} ON {table}
REFERENCING {side} TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION on_{table}()"""
        for table in ("unit_walls", "building_links")
        for event, side in (("insert", "NEW"), ("delete", "OLD"))
    ),
    """
CREATE TRIGGER unit_walls_note_update AFTER UPDATE ON unit_walls
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION on_unit_walls()""",
    # A passage may be led to other buildings: those it joined are noted too.
    """
CREATE TRIGGER building_links_note_update AFTER UPDATE ON building_links
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION on_building_links()""",
    """
CREATE TRIGGER building_links_note_update_from AFTER UPDATE ON building_links
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION on_building_links()""",
)


# A dump that is restored has an empty search path, under which two geometries cannot be compared:
# triggers that compare them in their WHEN would be left out. Bytes can be compared anywhere.
RESTORABLE = """
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT t.tgname, t.tgrelid::regclass AS of_table, pg_get_triggerdef(t.oid) AS definition
        FROM pg_trigger t
        WHERE NOT t.tgisinternal
            AND pg_get_triggerdef(t.oid) LIKE '%old.geom IS DISTINCT FROM new.geom%'
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', one.tgname, one.of_table);
        EXECUTE replace(one.definition, 'old.geom IS DISTINCT FROM new.geom',
            'public.ST_AsBinary(old.geom) IS DISTINCT FROM public.ST_AsBinary(new.geom)');
    END LOOP;
END $$"""


def upgrade() -> None:
    op.create_unique_constraint(op.f("uq_buildings_id_park_id"), "buildings", ["id", "park_id"])
    _create_tables()
    for statement in (MEASURE, REFRESH, *TRIGGERS, *NOTING, RESTORABLE):
        op.execute(statement)
    op.execute("SELECT refresh_unit_walls(ARRAY(SELECT id FROM floors))")


def _create_tables() -> None:
    op.create_table(
        "unit_walls",
        sa.Column("unit_id", sa.Uuid(), nullable=False),
        sa.Column("neighbour_id", sa.Uuid(), nullable=False),
        sa.Column(
            "shared_wall_m",
            sa.Numeric(precision=8, scale=2),
            nullable=False,
            comment="length along which the outlines run beside each other, m",
        ),
        sa.CheckConstraint("unit_id < neighbour_id", name=op.f("ck_unit_walls_in_order")),
        sa.CheckConstraint("shared_wall_m > 0", name=op.f("ck_unit_walls_shared_wall_positive")),
        sa.ForeignKeyConstraint(
            ["unit_id"], ["units.id"], name=op.f("fk_unit_walls_unit_id_units"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["neighbour_id"],
            ["units.id"],
            name=op.f("fk_unit_walls_neighbour_id_units"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("unit_id", "neighbour_id", name=op.f("pk_unit_walls")),
    )
    op.create_index(op.f("ix_unit_walls_neighbour_id"), "unit_walls", ["neighbour_id"])
    ends = ("a", "b")
    op.create_table(
        "building_links",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("park_id", sa.Uuid(), nullable=False),
        *(
            column
            for end in ends
            for column in (
                sa.Column(f"building_{end}_id", sa.Uuid(), nullable=False),
                sa.Column(
                    f"level_{end}",
                    sa.SmallInteger(),
                    nullable=False,
                    comment=f"level_index of the floor in {end}",
                ),
            )
        ),
        sa.Column(
            "source",
            sa.Text(),
            nullable=False,
            comment="来源: who published the facts, or which rule made them",
        ),
        sa.Column(
            "confidence",
            sa.Text(),
            nullable=False,
            comment="published | derived | assumption",
        ),
        sa.Column(
            "synthetic",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="made up for demonstration",
        ),
        sa.CheckConstraint(
            "confidence IN ('published', 'derived', 'assumption')",
            name=op.f("ck_building_links_confidence_known"),
        ),
        sa.CheckConstraint(
            "building_a_id < building_b_id", name=op.f("ck_building_links_in_order")
        ),
        *(
            constraint
            for end in ends
            for constraint in (
                sa.ForeignKeyConstraint(
                    [f"building_{end}_id", "park_id"],
                    ["buildings.id", "buildings.park_id"],
                    name=op.f(f"fk_building_links_building_{end}_id_park_id_buildings"),
                    ondelete="RESTRICT",
                ),
                sa.ForeignKeyConstraint(
                    [f"building_{end}_id", f"level_{end}"],
                    ["floors.building_id", "floors.level_index"],
                    name=op.f(f"fk_building_links_building_{end}_id_level_{end}_floors"),
                    ondelete="RESTRICT",
                ),
            )
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_building_links")),
        sa.UniqueConstraint(
            "building_a_id",
            "level_a",
            "building_b_id",
            "level_b",
            name=op.f("uq_building_links_building_a_id_level_a_building_b_id_level_b"),
        ),
    )
    for name in ("building_b_id", "park_id"):
        op.create_index(op.f(f"ix_building_links_{name}"), "building_links", [name])


def downgrade() -> None:
    for trigger in ("units_walls_redrawn", "units_walls_drawn"):
        op.execute(f"DROP TRIGGER {trigger} ON units")
    for function in (
        "on_unit_redrawn()",
        "on_units_drawn()",
        "refresh_unit_walls(uuid[])",
        "shared_wall_m(geometry, geometry)",
    ):
        op.execute(f"DROP FUNCTION {function}")
    op.drop_table("building_links")
    op.drop_table("unit_walls")
    for function in ("on_building_links()", "on_unit_walls()"):
        op.execute(f"DROP FUNCTION {function}")
    op.drop_constraint(op.f("uq_buildings_id_park_id"), "buildings")
