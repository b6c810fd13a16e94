"""Rules of the ledger in full: what was known stays known, capacity in steps, rows only close.

Locks units and claims for an instant (their triggers are replaced); writes no row.
"""

from alembic import context, op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

#: What is known of a unit, and kept when it changes.
FACTS = (
    *("name_zh", "name_en", "unit_type", "carrier_type", "physical_state", "usable"),
    *("capacity_measure", "capacity", "divisible", "min_part", "remainder_rule"),
    *("leasable_area_m2", "internal_area_m2", "area_method", "area_measured_on"),
    *("area_tolerance_pct", "rent_cny_per_m2_day", "rent_cny_per_place_month"),
    *("min_term_months", "max_term_months", "is_ground_floor", "clear_height_m"),
    *("floor_load_kn_m2", "power_kva", "power_density_w_m2", "cleanroom_grade"),
    *("biosafety_level", "fire_hazard_class", "waste_water_t_per_day", "freight_lift_t"),
    *("hoist_opening", "dual_power_feed", "steam", "gas", "purified_water"),
    *("animal_facility", "cold_storage_m2", "isotope_class", "vibration_class", "geom", "valid"),
    *("source_datum", "geometry_quality", "position_accuracy_m", "source", "confidence"),
    "synthetic",
)
IDENTITY = ("id", "fid", "park_id", "building_id", "floor_id", "code", "version")
_SHOWN = ", ".join((*IDENTITY, *FACTS, "geometric_area_m2"))
_KEPT = ", ".join((*IDENTITY, *FACTS))
_OLD = ", ".join(f"OLD.{name}" for name in (*IDENTITY, *FACTS))
_CHANGED = " OR ".join(f"OLD.{name} IS DISTINCT FROM NEW.{name}" for name in FACTS)

VIEW = f"""
CREATE VIEW unit_terms WITH (security_invoker = true) AS
SELECT id AS terms_id, {_SHOWN}, known_from, NULL::timestamptz AS known_until FROM units
UNION ALL
SELECT terms_id, {_SHOWN}, lower(known), upper(known) FROM unit_versions"""

# Days on which a unit's facts differ from those at hand count as if so much more, or less, were
# taken: then one sweep over the days serves every capacity. Units that never change skip all this.
_STEPPED_EDGES = """
    SELECT lower(period) AS day, quantity AS delta
    FROM claims WHERE unit_id = the_unit AND live @> as_of
    UNION ALL
    SELECT upper(period), -quantity
    FROM claims WHERE unit_id = the_unit AND live @> as_of AND NOT upper_inf(period)
    UNION ALL
    SELECT coalesce(lower(valid), '-infinity'), the_capacity - capacity
    FROM unit_terms WHERE id = the_unit AND known_from <= as_of
        AND (known_until IS NULL OR known_until > as_of) AND NOT valid && the_valid
    UNION ALL
    SELECT upper(valid), capacity - the_capacity
    FROM unit_terms WHERE id = the_unit AND known_from <= as_of
        AND (known_until IS NULL OR known_until > as_of) AND NOT valid && the_valid
        AND NOT upper_inf(valid)"""

AVAILABILITY = [
    # As free_days of five arguments, for a unit whose capacity is `the_capacity` only on the days
    # `the_valid`. What is let only whole is free where nothing is taken, however large it is then.
    f"""
CREATE FUNCTION stepped_free_days(
    the_unit uuid, the_capacity numeric, the_usable daterange, the_valid daterange, need numeric,
    as_of timestamptz
) RETURNS datemultirange LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT datemultirange(the_usable) - coalesce((
        SELECT range_agg(daterange(day, next_day)) FROM (
            SELECT day, lead(day) OVER by_day AS next_day, sum(delta) OVER by_day AS used
            FROM (SELECT day, sum(delta) AS delta FROM ({_STEPPED_EDGES}) edges GROUP BY day) steps
            WINDOW by_day AS (ORDER BY day)
        ) levels WHERE used > the_capacity - need
    ), datemultirange())
$$""",
    """
CREATE FUNCTION free_days(
    the_unit uuid, the_capacity numeric, the_usable daterange, the_valid daterange, need numeric,
    as_of timestamptz
) RETURNS datemultirange LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN lower_inf(the_valid) AND upper_inf(the_valid) OR need >= the_capacity
        THEN free_days(the_unit, the_capacity, the_usable, need, as_of)
        ELSE stepped_free_days(the_unit, the_capacity, the_usable, the_valid, need, as_of) END
$$""",
    f"""
CREATE FUNCTION stepped_free_quantity(
    the_unit uuid, the_capacity numeric, the_valid daterange, within daterange, as_of timestamptz
) RETURNS numeric LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT the_capacity - coalesce(max(used), 0) FROM (
        SELECT daterange(day, lead(day) OVER by_day) AS days, sum(delta) OVER by_day AS used
        FROM (
            SELECT day, sum(delta) AS delta FROM (
                SELECT '-infinity'::date AS day, 0::numeric AS delta
                UNION ALL {_STEPPED_EDGES}
            ) edges GROUP BY day
        ) steps WINDOW by_day AS (ORDER BY day)
    ) levels WHERE days && within
$$""",
    # What is free on every day of a period.
    """
CREATE FUNCTION free_quantity(
    the_unit uuid, the_capacity numeric, the_valid daterange, within daterange, as_of timestamptz
) RETURNS numeric LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN lower_inf(the_valid) AND upper_inf(the_valid)
        THEN the_capacity - peak_quantity(the_unit, within, tstzrange(as_of, as_of, '[]'))
        ELSE stepped_free_quantity(the_unit, the_capacity, the_valid, within, as_of) END
$$""",
]

REPLACED = ("before_claim_insert", "before_claim_update")
CLAIM_TRIGGER = """
CREATE OR REPLACE FUNCTION before_claim_insert() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    the_unit units%ROWTYPE;
    taken numeric;
    spans int;
    covered boolean;
BEGIN
    UPDATE units SET version = version + 1 WHERE id = NEW.unit_id RETURNING * INTO the_unit;
    IF NOT FOUND THEN
        RETURN NEW;  -- the foreign key says it better
    END IF;
    -- Only a made-up history may begin before it is written.
    IF lower(NEW.live) > clock_timestamp() + interval '5 seconds'
        OR NOT NEW.synthetic AND lower(NEW.live) < clock_timestamp() - interval '60 seconds' THEN
        RAISE EXCEPTION 'a claim is believed from when it is made' USING
            ERRCODE = 'check_violation', CONSTRAINT = 'claims_believed_now', TABLE = 'claims';
    END IF;
    IF NOT NEW.period <@ the_unit.usable THEN
        RAISE EXCEPTION 'unit % is usable only in %', the_unit.code, the_unit.usable USING
            ERRCODE = 'check_violation', CONSTRAINT = 'claims_while_usable', TABLE = 'claims',
            DETAIL = the_unit.usable::text;
    END IF;
    IF NOT NEW.period <@ the_unit.valid THEN
        -- A quantity means one thing only where the capacity is one: whoever spans a change of it
        -- writes a claim for each side.
        SELECT count(DISTINCT (capacity, divisible, min_part)), range_agg(valid) @> NEW.period,
            min(capacity), bool_and(divisible), min(min_part)
        INTO spans, covered, the_unit.capacity, the_unit.divisible, the_unit.min_part
        FROM unit_terms WHERE id = NEW.unit_id AND known_until IS NULL AND valid && NEW.period;
        IF spans <> 1 OR NOT covered THEN
            RAISE EXCEPTION 'unit % is not of one size in %', the_unit.code, NEW.period USING
                ERRCODE = 'check_violation', CONSTRAINT = 'claims_within_one_size',
                TABLE = 'claims';
        END IF;
    END IF;
    -- What goes on was allowed when it began, also where the unit's terms changed since.
    IF NOT EXISTS (SELECT FROM claims WHERE id = NEW.supersedes_id AND unit_id = NEW.unit_id
                   AND quantity = NEW.quantity AND whole = NEW.whole)
        AND (NEW.quantity > the_unit.capacity OR NEW.whole <> (NEW.quantity = the_unit.capacity)
        OR NOT NEW.whole AND (NOT the_unit.divisible OR NEW.quantity < the_unit.min_part
            AND NEW.kind NOT IN ('works', 'out_of_service'))
        -- Half a place is nobody's.
        OR the_unit.capacity_measure = 'place' AND NEW.quantity <> trunc(NEW.quantity)) THEN
        RAISE EXCEPTION 'unit % cannot give %', the_unit.code, NEW.quantity USING
            ERRCODE = 'check_violation', CONSTRAINT = 'claims_quantity_allowed', TABLE = 'claims';
    END IF;
    taken := peak_quantity(NEW.unit_id, NEW.period, NEW.live);
    IF taken + NEW.quantity > the_unit.capacity THEN
        RAISE EXCEPTION 'unit % has % taken of % in %',
            the_unit.code, taken, the_unit.capacity, NEW.period USING
            ERRCODE = 'exclusion_violation', CONSTRAINT = 'claims_within_capacity',
            TABLE = 'claims';
    END IF;
    RETURN NEW;
END $$"""

# As before, and what a claim was to lapse at is kept: an answer of before must not change.
CLOSING_TRIGGER = """
CREATE OR REPLACE FUNCTION before_claim_update() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    kept claims%ROWTYPE := OLD;
BEGIN
    kept.live := NEW.live;
    kept.closed_by := NEW.closed_by;
    IF NEW IS DISTINCT FROM kept OR OLD.closed_by IS NOT NULL OR NEW.closed_by IS NULL
        OR lower(NEW.live) IS DISTINCT FROM lower(OLD.live) OR upper_inf(NEW.live)
        OR upper(NEW.live) > upper(OLD.live)
        OR upper(NEW.live) NOT BETWEEN clock_timestamp() - interval '5 seconds'
            AND clock_timestamp() + interval '5 seconds' THEN
        RAISE EXCEPTION 'claims are closed and superseded, never edited' USING
            ERRCODE = 'restrict_violation', CONSTRAINT = 'claims_only_close', TABLE = 'claims';
    END IF;
    NEW.was_to_lapse_at := upper(OLD.live);
    UPDATE units SET version = version + 1 WHERE id = NEW.unit_id;
    RETURN NEW;
END $$"""

HISTORY = [
    # Every edit of a unit's facts leaves what was believed before behind, whoever makes it.
    f"""
CREATE FUNCTION before_unit_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT ({_CHANGED}) AND NEW.known_from = OLD.known_from THEN
        RETURN NEW;
    END IF;
    IF NEW.known_from = OLD.known_from THEN
        NEW.known_from := clock_timestamp();
    END IF;
    IF NEW.known_from <= OLD.known_from
        OR NEW.known_from NOT BETWEEN clock_timestamp() - interval '60 seconds'
            AND clock_timestamp() + interval '5 seconds' THEN
        RAISE EXCEPTION 'what is known of a unit changes from now on' USING
            ERRCODE = 'check_violation', CONSTRAINT = 'units_known_now', TABLE = 'units';
    END IF;
    IF NEW.version = OLD.version THEN
        NEW.version := OLD.version + 1;
    END IF;
    INSERT INTO unit_versions ({_KEPT}, known)
    VALUES ({_OLD}, tstzrange(OLD.known_from, NEW.known_from));
    RETURN NEW;
END $$""",
    f"""
CREATE TRIGGER units_keep_history BEFORE UPDATE OF {", ".join(FACTS)}, known_from ON units
FOR EACH ROW EXECUTE FUNCTION before_unit_update()""",
    """
CREATE FUNCTION before_unit_version() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    kept unit_versions%ROWTYPE;
    now_at CONSTANT timestamptz := clock_timestamp();
BEGIN
    IF pg_trigger_depth() = 1 THEN
        -- As every claim does: who writes of a unit writes its row, so that no two pass each other.
        UPDATE units SET version = version + 1 WHERE id = NEW.id;
    END IF;
    IF TG_OP = 'INSERT' THEN
        -- The past is written by the trigger above alone.
        IF pg_trigger_depth() = 1 AND (NOT upper_inf(NEW.known)
            OR lower(NEW.known) NOT BETWEEN now_at - interval '60 seconds'
                AND now_at + interval '5 seconds') THEN
            RAISE EXCEPTION 'terms are believed from when they are written' USING
                ERRCODE = 'check_violation', CONSTRAINT = 'units_known_now',
                TABLE = 'unit_versions';
        END IF;
        RETURN NEW;
    END IF;
    kept := OLD;
    kept.known := NEW.known;
    kept.geometric_area_m2 := NEW.geometric_area_m2;  -- not yet worked out in a BEFORE trigger
    IF NEW IS DISTINCT FROM kept OR NOT upper_inf(OLD.known) OR upper_inf(NEW.known)
        OR lower(NEW.known) IS DISTINCT FROM lower(OLD.known)
        OR upper(NEW.known) NOT BETWEEN now_at - interval '60 seconds'
            AND now_at + interval '5 seconds' THEN
        RAISE EXCEPTION 'terms are closed and superseded, never edited' USING
            ERRCODE = 'restrict_violation', CONSTRAINT = 'unit_versions_only_close',
            TABLE = 'unit_versions';
    END IF;
    RETURN NEW;
END $$""",
    """
CREATE TRIGGER unit_versions_only_close BEFORE INSERT OR UPDATE ON unit_versions
FOR EACH ROW EXECUTE FUNCTION before_unit_version()""",
    """
CREATE TRIGGER unit_versions_keep_history BEFORE DELETE OR TRUNCATE ON unit_versions
FOR EACH STATEMENT EXECUTE FUNCTION refuse_loss_of_history()""",
    # Whatever is believed of a unit from now on leaves room, on every day, for what is promised.
    """
CREATE FUNCTION check_unit_terms() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    now_on CONSTANT tstzrange := tstzrange(clock_timestamp(), NULL);
    the_usable daterange;
BEGIN
    SELECT usable INTO the_usable FROM units WHERE id = NEW.id;
    IF EXISTS (SELECT FROM unit_versions v JOIN units u ON u.id = v.id
               WHERE v.id = NEW.id AND upper_inf(v.known) AND v.valid && u.valid) THEN
        RAISE EXCEPTION 'unit % has two truths for one day', NEW.code USING
            ERRCODE = 'exclusion_violation', CONSTRAINT = 'unit_terms_one_truth',
            TABLE = TG_TABLE_NAME;
    END IF;
    IF EXISTS (SELECT FROM claims WHERE unit_id = NEW.id AND live && now_on
               AND NOT period <@ the_usable)
        OR EXISTS (SELECT FROM unit_terms WHERE id = NEW.id AND known_until IS NULL
                   AND valid && the_usable
                   AND peak_quantity(NEW.id, valid * the_usable, now_on) > capacity) THEN
        RAISE EXCEPTION 'unit % is promised beyond its new terms', NEW.code USING
            ERRCODE = 'check_violation', CONSTRAINT = 'units_keep_promises', TABLE = 'units';
    END IF;
    RETURN NULL;
END $$""",
    # 一房一码: what names a unit never changes.
    """
CREATE FUNCTION refuse_another_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'unit % keeps its code', OLD.code USING
        ERRCODE = 'restrict_violation', CONSTRAINT = 'units_keep_their_code', TABLE = 'units';
END $$""",
    """
CREATE TRIGGER units_keep_their_code BEFORE UPDATE OF id, fid, code ON units
FOR EACH ROW WHEN (OLD.id <> NEW.id OR OLD.fid <> NEW.fid OR OLD.code <> NEW.code)
EXECUTE FUNCTION refuse_another_name()""",
    """
CREATE TRIGGER units_keep_promises AFTER UPDATE OF capacity, usable, valid ON units
FOR EACH ROW WHEN (OLD.capacity IS DISTINCT FROM NEW.capacity
    OR OLD.usable IS DISTINCT FROM NEW.usable OR OLD.valid IS DISTINCT FROM NEW.valid)
EXECUTE FUNCTION check_unit_terms()""",
    """
CREATE TRIGGER unit_versions_keep_promises AFTER INSERT ON unit_versions
FOR EACH ROW WHEN (upper_inf(NEW.known)) EXECUTE FUNCTION check_unit_terms()""",
]

# The arguments: the column that tells who closed the row, then what may change with it.
CLOSES_ONCE = """
CREATE FUNCTION closes_once() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before CONSTANT jsonb := to_jsonb(OLD);
    after CONSTANT jsonb := to_jsonb(NEW);
BEGIN
    IF before - TG_ARGV <> after - TG_ARGV
        OR before ->> TG_ARGV[0] IS NOT NULL OR after ->> TG_ARGV[0] IS NULL
        OR after ? 'known' AND (
            lower((after ->> 'known')::tstzrange) <> lower((before ->> 'known')::tstzrange)
            OR coalesce(upper((after ->> 'known')::tstzrange), 'infinity') NOT BETWEEN
                clock_timestamp() - interval '60 seconds'
                AND clock_timestamp() + interval '5 seconds') THEN
        RAISE EXCEPTION 'rows of % are closed once, never edited', TG_TABLE_NAME USING
            ERRCODE = 'restrict_violation', CONSTRAINT = TG_TABLE_NAME || '_only_close',
            TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$"""
CLOSING = {
    "rights": ("closed_by", "known"),
    "lease_terms": ("closed_by", "known"),
    "right_notices": ("answered_by", "answer", "answered_at", "reference"),
    "queue_entries": ("closed_by", "left_at", "outcome", "commitment_id"),
}
APPEND_ONLY = (
    *("unit_events", "unit_event_units", "lease_events", "right_footprints"),
    *("right_seniorities", "right_clearances", "queue_wants"),
)


def upgrade() -> None:
    op.execute(VIEW)
    for statement in AVAILABILITY:
        op.execute(statement)
    op.execute(CLAIM_TRIGGER)
    op.execute(CLOSING_TRIGGER)
    op.execute("DROP TRIGGER units_keep_promises ON units")
    op.execute("DROP FUNCTION before_unit_shrinks()")
    for statement in HISTORY:
        op.execute(statement)
    op.execute(CLOSES_ONCE)
    for table, columns in CLOSING.items():
        listed = ", ".join(f"'{column}'" for column in columns)
        op.execute(
            f"CREATE TRIGGER {table}_only_close BEFORE UPDATE ON {table}"
            f" FOR EACH ROW EXECUTE FUNCTION closes_once({listed})"
        )
    for table in (*CLOSING, *APPEND_ONLY):
        watched = "DELETE OR TRUNCATE" if table in CLOSING else "UPDATE OR DELETE OR TRUNCATE"
        op.execute(
            f"CREATE TRIGGER {table}_keep_history BEFORE {watched} ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_loss_of_history()"
        )


def downgrade() -> None:
    for table in (*CLOSING, *APPEND_ONLY):
        op.execute(f"DROP TRIGGER {table}_keep_history ON {table}")
    for table in CLOSING:
        op.execute(f"DROP TRIGGER {table}_only_close ON {table}")
    op.execute("DROP FUNCTION closes_once()")
    for trigger, table in (
        ("units_keep_promises", "units"),
        ("units_keep_history", "units"),
        ("units_keep_their_code", "units"),
        ("unit_versions_keep_promises", "unit_versions"),
        ("unit_versions_only_close", "unit_versions"),
        ("unit_versions_keep_history", "unit_versions"),
    ):
        op.execute(f"DROP TRIGGER {trigger} ON {table}")
    for function in (
        "check_unit_terms()",
        "refuse_another_name()",
        "before_unit_version()",
        "before_unit_update()",
        "free_quantity(uuid, numeric, daterange, daterange, timestamptz)",
        "stepped_free_quantity(uuid, numeric, daterange, daterange, timestamptz)",
        "free_days(uuid, numeric, daterange, daterange, numeric, timestamptz)",
        "stepped_free_days(uuid, numeric, daterange, daterange, numeric, timestamptz)",
    ):
        op.execute(f"DROP FUNCTION {function}")
    # The rules as they were, from the migration that wrote them.
    before = context.script.get_revision("0002").module.LEDGER
    for statement in before:
        if any(f"CREATE FUNCTION {name}()" in statement for name in REPLACED):
            op.execute(statement.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
        if "before_unit_shrinks()" in statement:
            op.execute(statement)
    op.execute("DROP VIEW unit_terms")
