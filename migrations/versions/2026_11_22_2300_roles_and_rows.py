"""Row-level security under every table with a firm in it, and the days taken without one.

The roles themselves are made before any migration runs (app/database/roles.py). Locks each table
for an instant; writes no row.
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# What a transaction was told (app/security/rows.py). As sub-selects, so that they are worked out
# once for a statement and not for every row.
_AUDIENCE = "(SELECT current_setting('app.audience', true))"
_FIRM = "(SELECT nullif(current_setting('app.firm_id', true), '')::uuid)"
_ACTOR = "(SELECT nullif(current_setting('app.actor', true), ''))"
_PARKS = "(SELECT string_to_array(nullif(current_setting('app.park_ids', true), ''), ',')::uuid[])"
_KNOWN = f"{_AUDIENCE} IN ('staff', 'system')"
_EVERY_PARK = f"{_KNOWN} AND {_PARKS} IS NULL"


def _in_parks(column: str) -> str:
    return f"{_KNOWN} AND ({_PARKS} IS NULL OR {column} = ANY ({_PARKS}::uuid[]))"


def _with(table: str, column: str, parent: str) -> str:
    """Whoever sees a row of ``parent`` sees those that belong to it."""
    return f"EXISTS (SELECT FROM {parent} whole WHERE whole.id = {table}.{column})"


def _of(table: str, column: str, parent: str, *, seen_by: str = _EVERY_PARK) -> str:
    return f"{seen_by} OR {_with(table, column, parent)}"


_OWN = f"{_KNOWN} OR company_id = {_FIRM}"
_OF_LEASE = "EXISTS (SELECT FROM claims c WHERE c.commitment_id = {0}.commitment_id)"

#: What is seen of each table, and may be written. Demand is all parks' to meet; the ledger is each
#: park's own.
ROWS = {
    "companies": f"{_KNOWN} OR id = {_FIRM}",
    "pipeline_assets": _OWN,
    "pipeline_stage_entries": _of(
        "pipeline_stage_entries", "pipeline_asset_id", "pipeline_assets", seen_by=_KNOWN
    ),
    "space_requests": _OWN,
    "match_events": _of("match_events", "request_id", "space_requests", seen_by=_KNOWN),
    "watched_requests": _of("watched_requests", "request_id", "space_requests", seen_by=_KNOWN),
    # An answer that names firms is for staff of all the parks that it may name firms of.
    "match_receipts": f"""{_EVERY_PARK}
        OR (NOT names_firms OR {_KNOWN} AND park_ids <@ {_PARKS})
            AND {_with("match_receipts", "request_id", "space_requests")}""",
    "claims": f"{_in_parks('park_id')} OR company_id = {_FIRM}",
    "lease_terms": f"{_EVERY_PARK} OR {_OF_LEASE.format('lease_terms')}",
    "lease_events": f"{_in_parks('park_id')} OR {_OF_LEASE.format('lease_events')}",
    "rights": f"{_in_parks('park_id')} OR company_id = {_FIRM}",
    "right_footprints": _of("right_footprints", "right_id", "rights"),
    "right_seniorities": _of("right_seniorities", "junior_id", "rights"),
    "right_notices": _of("right_notices", "right_id", "rights"),
    "right_clearances": _of("right_clearances", "right_id", "rights"),
    "queue_entries": f"""{_EVERY_PARK} OR company_id = {_FIRM}
        OR {_KNOWN} AND queue_entry_in_parks(id, {_PARKS}::uuid[])""",
    "queue_wants": _of("queue_wants", "entry_id", "queue_entries"),
    "credentials": _OWN,
    # What was answered to somebody is that caller's own.
    "idempotent_answers": f"{_AUDIENCE} = 'system' OR actor = {_ACTOR}",
}
#: What may be written, where that is not what is seen: an entry comes before what it wants, and is
#: of no park until then.
WRITTEN = {
    "queue_entries": _OWN,
    "queue_wants": f"""{_with("queue_wants", "entry_id", "queue_entries")}
        OR {_KNOWN} AND EXISTS (SELECT FROM units u WHERE u.id = queue_wants.unit_id
            AND ({_PARKS} IS NULL OR u.park_id = ANY ({_PARKS}::uuid[])))""",
}
#: What the role that sees everything of it needs, for the view and the function below.
LEDGER_ROWS = ("claims", "queue_wants")

# Which days are taken, by whomever. Its owner sees all claims; whoever reads it sees no firm.
OCCUPANCY = """
CREATE VIEW occupancy AS
SELECT commitment_id, park_id, unit_id, kind, quantity, whole, period, live, was_to_lapse_at,
    made_xid, closed_xid
FROM claims"""
# A function, because a policy of entries that reads wants, whose policy reads entries, has no end.
IN_PARKS = """
CREATE FUNCTION queue_entry_in_parks(entry uuid, parks uuid[]) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM queue_wants w JOIN units u ON u.id = w.unit_id
        WHERE w.entry_id = entry AND u.park_id = ANY (parks))
$$"""
#: They judge what is free by what all have, not by what whoever asks may see.
READ_OCCUPANCY = (
    "free_days(uuid, numeric, daterange, numeric, timestamptz)",
    "peak_quantity(uuid, daterange, tstzrange)",
    "stepped_free_days(uuid, numeric, daterange, daterange, numeric, timestamptz)",
    "stepped_free_quantity(uuid, numeric, daterange, daterange, timestamptz)",
    "check_unit_terms()",
)


def _reads(before: str, after: str) -> None:
    """Let the functions of ``READ_OCCUPANCY`` read another relation."""
    for function in READ_OCCUPANCY:
        op.execute(f"""
            DO $$ BEGIN
                EXECUTE replace(pg_get_functiondef('{function}'::regprocedure),
                    'FROM {before} WHERE unit_id', 'FROM {after} WHERE unit_id');
            END $$""")


def upgrade() -> None:
    op.execute(OCCUPANCY)
    op.execute(IN_PARKS)
    _reads("claims", "occupancy")
    for table, seen in ROWS.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        written = WRITTEN.get(table, seen)
        op.execute(
            f"CREATE POLICY {table}_rows ON {table} TO space_relay_app"
            f" USING ({seen}) WITH CHECK ({written})"
        )
    for table in LEDGER_ROWS:
        op.execute(f"CREATE POLICY {table}_all ON {table} TO space_relay_ledger USING (true)")


def downgrade() -> None:
    _reads("occupancy", "claims")
    op.execute("DROP VIEW occupancy")
    for table in LEDGER_ROWS:
        op.execute(f"DROP POLICY {table}_all ON {table}")
    for table in ROWS:
        op.execute(f"DROP POLICY {table}_rows ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    op.execute("DROP FUNCTION queue_entry_in_parks(uuid, uuid[])")
