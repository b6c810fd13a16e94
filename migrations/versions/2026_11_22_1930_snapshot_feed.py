"""The log that snapshots follow, and which transactions made and closed each claim.

Locks claims and the tables of space for an instant: columns with one value for all rows are added,
and triggers; no row is rewritten.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.models.space_change import Xid8

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

NOTING = [
    # One row for a building and transaction, however often it is written: a hundred claims in one
    # building are one entry. Nobody is notified: commits that notify wait for each other's flush,
    # and eight writers commit 40 % less; who follows looks often instead.
    """
CREATE FUNCTION note_space_change(building uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO space_changes (building_id) VALUES (building)
    ON CONFLICT (xid, building_id) DO NOTHING;
END $$""",
    """
CREATE FUNCTION note_space_changes(buildings uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO space_changes (building_id) SELECT DISTINCT unnest(buildings)
    ON CONFLICT (xid, building_id) DO NOTHING;
END $$""",
    # For what lies in a building.
    """
CREATE FUNCTION on_space_in_building() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM note_space_changes(ARRAY(SELECT DISTINCT building_id FROM changed));
    RETURN NULL;
END $$""",
    """
CREATE FUNCTION on_space_in_building_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM note_space_change(NEW.building_id);
    IF NEW.building_id <> OLD.building_id THEN
        PERFORM note_space_change(OLD.building_id);
    END IF;
    RETURN NULL;
END $$""",
    """
CREATE FUNCTION on_buildings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM note_space_changes(ARRAY(SELECT id FROM changed));
    RETURN NULL;
END $$""",
    """
CREATE FUNCTION on_parcel_of_buildings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM note_space_changes(ARRAY(SELECT id FROM buildings WHERE parcel_id = NEW.id));
    RETURN NULL;
END $$""",
    """
CREATE FUNCTION on_space_everywhere() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM note_space_change(NULL);
    RETURN NULL;
END $$""",
]
# Whoever writes a claim, or what was known of a unit, writes the unit's row, so that these take in
# both. Inserts and deletes are noted by the statement: a COPY of a million units stays quick.
TRIGGERS = [
    *(
        statement
        for table in ("floors", "units")
        for statement in (
            f"""
CREATE TRIGGER {table}_note_insert AFTER INSERT ON {table} REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION on_space_in_building()""",
            f"""
CREATE TRIGGER {table}_note_update AFTER UPDATE ON {table}
FOR EACH ROW EXECUTE FUNCTION on_space_in_building_updated()""",
            f"""
CREATE TRIGGER {table}_note_delete AFTER DELETE ON {table} REFERENCING OLD TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION on_space_in_building()""",
        )
    ),
    *(
        f"""
CREATE TRIGGER buildings_note_{event} AFTER {event} ON buildings
REFERENCING {side} TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION on_buildings()"""
        for event, side in (("insert", "NEW"), ("update", "NEW"), ("delete", "OLD"))
    ),
    """
CREATE TRIGGER parcels_note_update AFTER UPDATE ON parcels FOR EACH ROW
WHEN (OLD.land_use_code <> NEW.land_use_code) EXECUTE FUNCTION on_parcel_of_buildings()""",
    # A new park or zone has no building yet; one with buildings can only be changed.
    """
CREATE TRIGGER parks_note_update AFTER UPDATE ON parks FOR EACH ROW
WHEN (OLD.code <> NEW.code OR OLD.parent_park_id IS DISTINCT FROM NEW.parent_park_id
    OR OLD.zone_id <> NEW.zone_id
    OR OLD.special_goods_import_pilot IS DISTINCT FROM NEW.special_goods_import_pilot)
EXECUTE FUNCTION on_space_everywhere()""",
    """
CREATE TRIGGER zones_note_update AFTER UPDATE ON zones FOR EACH ROW
WHEN (OLD.code <> NEW.code) EXECUTE FUNCTION on_space_everywhere()""",
    """
CREATE TRIGGER shared_facilities_note AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE
ON shared_facilities FOR EACH STATEMENT EXECUTE FUNCTION on_space_everywhere()""",
]
# A snapshot that did not see a transaction can be read again as it was. The trigger's name puts it
# behind the one that refuses edits: `claims_only_close`.
CLAIMS = [
    """
CREATE FUNCTION before_claim_signed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.made_xid := pg_current_xact_id();
        NEW.closed_xid := NULL;
    ELSE
        NEW.closed_xid := pg_current_xact_id();
    END IF;
    RETURN NEW;
END $$""",
    """
CREATE TRIGGER claims_signed BEFORE INSERT ON claims FOR EACH ROW
WHEN (NEW.made_xid <> pg_current_xact_id() OR NEW.closed_xid IS NOT NULL)
EXECUTE FUNCTION before_claim_signed()""",
    """
CREATE TRIGGER claims_signed_closed BEFORE UPDATE ON claims FOR EACH ROW
EXECUTE FUNCTION before_claim_signed()""",
]
_NOTED = {
    "units": ("insert", "update", "delete"),
    "floors": ("insert", "update", "delete"),
    "buildings": ("insert", "update", "delete"),
    "parcels": ("update",),
    "parks": ("update",),
    "zones": ("update",),
}


def upgrade() -> None:
    op.create_table(
        "space_changes",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "xid",
            Xid8(),
            server_default=sa.text("pg_current_xact_id()"),
            nullable=False,
            comment="the transaction, never one inside it",
        ),
        sa.Column("building_id", sa.Uuid(), nullable=True, comment="null: everything"),
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_space_changes")),
        sa.UniqueConstraint(
            "xid",
            "building_id",
            name=op.f("uq_space_changes_xid_building_id"),
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.add_column(
        "claims",
        sa.Column(
            "made_xid",
            Xid8(),
            server_default=sa.text("pg_current_xact_id()"),
            nullable=False,
            comment="the transaction that made it",
        ),
    )
    op.add_column(
        "claims",
        sa.Column("closed_xid", Xid8(), nullable=True, comment="the transaction that closed it"),
    )
    op.add_column(
        "claims",
        sa.Column(
            "accepting",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="rules of the request that were knowingly waived when this was promised",
        ),
    )
    for statement in (*NOTING, *TRIGGERS, *CLAIMS):
        op.execute(statement)
    # Where the log begins: readers who are past this have missed nothing.
    op.execute("INSERT INTO space_changes (building_id) VALUES (NULL)")


def downgrade() -> None:
    for trigger in ("claims_signed_closed", "claims_signed"):
        op.execute(f"DROP TRIGGER {trigger} ON claims")
    op.execute("DROP TRIGGER shared_facilities_note ON shared_facilities")
    for table, events in _NOTED.items():
        for event in events:
            op.execute(f"DROP TRIGGER {table}_note_{event} ON {table}")
    for function in (
        "before_claim_signed()",
        "on_space_everywhere()",
        "on_parcel_of_buildings()",
        "on_buildings()",
        "on_space_in_building_updated()",
        "on_space_in_building()",
        "note_space_changes(uuid[])",
        "note_space_change(uuid)",
    ):
        op.execute(f"DROP FUNCTION {function}")
    for column in ("accepting", "closed_xid", "made_xid"):
        op.drop_column("claims", column)
    op.drop_table("space_changes")
