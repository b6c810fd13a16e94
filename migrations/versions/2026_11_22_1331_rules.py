"""Rules that hold against plain SQL: geometry nests, nothing is promised twice, history stays.

Locks nothing that exists: it runs on an empty database, in well under a second.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Child, parent, the column that points at the parent, columns both must agree on, and the name
# of the rule. One centimetre (1e-7 degrees) is forgiven: neighbours digitised from one drawing
# differ by that much, and floating-point corners never meet a rotated wall exactly.
NESTS = (
    ("parks", "parks", "parent_park_id", (), "park_inside_park"),
    ("park_blocks", "parks", "park_id", (), "block_inside_park"),
    ("parcels", "parks", "park_id", (), "parcel_inside_park"),
    ("buildings", "parcels", "parcel_id", ("park_id",), "building_inside_parcel"),
    ("floors", "buildings", "building_id", ("park_id",), "floor_inside_building"),
    ("units", "floors", "floor_id", ("building_id", "park_id"), "unit_inside_floor"),
)
# Where siblings may not overlap: what makes two rows siblings, and the name of the rule. More
# than 0.01 m² in common is an overlap.
APART = {
    "parcels": ("true", "parcels_apart"),
    "buildings": ("b.parcel_id = a.parcel_id", "buildings_apart"),
    "units": ("b.floor_id = a.floor_id AND b.usable && a.usable", "units_apart"),
}


def nesting_check(child: str, parent: str, key: str, agree: tuple[str, ...], rule: str) -> str:
    """A function that checks rows of ``child``, by id, and takes the parents' locks first."""
    optional = "p.geom IS NOT NULL AND" if child in {"parks", "park_blocks"} else ""
    missing = "" if optional else "p.geom IS NULL OR"
    mismatch = " OR ".join(f"c.{column} <> p.{column}" for column in agree)
    agreement = (
        f"""
    SELECT c.id INTO bad FROM {child} c JOIN {parent} p ON p.id = c.{key}
    WHERE c.id = ANY (changed) AND ({mismatch}) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '{child} row % disagrees with its {parent} row on {", ".join(agree)}', bad
            USING ERRCODE = 'check_violation', CONSTRAINT = '{rule}', TABLE = '{child}',
                  DETAIL = format('%s of {child} must name the same {", ".join(agree)}', bad);
    END IF;"""
        if agree
        else ""
    )
    # Plots of different parks are neighbours too, so their parents' locks are not enough.
    alone = (
        "\n    PERFORM pg_advisory_xact_lock(hashtext('parcels_apart'));"
        if child == "parcels"
        else ""
    )
    apart = ""
    if child in APART:
        siblings, apart_rule = APART[child]
        apart = f"""
    SELECT a.id, b.id INTO bad, other FROM {child} a
    JOIN {child} b ON b.id <> a.id AND b.geom && a.geom AND {siblings}
    WHERE a.id = ANY (changed) AND ST_Relate(a.geom, b.geom, 'T********')
        AND ST_Area(ST_Intersection(a.geom, b.geom)::geography) > 0.01 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '{child} % and % overlap', bad, other
            USING ERRCODE = 'check_violation', CONSTRAINT = '{apart_rule}', TABLE = '{child}',
                  DETAIL = format('%s overlaps %s by more than 0.01 m²', bad, other);
    END IF;"""
    return f"""
CREATE FUNCTION check_{child}_geometry(changed uuid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    bad uuid;
    other uuid;
BEGIN{alone}
    PERFORM 1 FROM {parent} WHERE id IN (SELECT {key} FROM {child} WHERE id = ANY (changed))
        ORDER BY id FOR NO KEY UPDATE;{agreement}
    SELECT c.id INTO bad FROM {child} c JOIN {parent} p ON p.id = c.{key}
    WHERE c.id = ANY (changed) AND c.geom IS NOT NULL AND {optional}
        ({missing} NOT (ST_CoveredBy(c.geom, p.geom)
            OR ST_CoveredBy(c.geom, ST_Buffer(p.geom, 1e-7, 'join=mitre')))) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '{child} row % is not inside its {parent} row', bad
            USING ERRCODE = 'check_violation', CONSTRAINT = '{rule}', TABLE = '{child}',
                  DETAIL = format('%s reaches more than 1 cm outside', bad);
    END IF;{apart}
END $$"""


def nesting_triggers(child: str, parent: str, key: str, agree: tuple[str, ...]) -> list[str]:
    """Triggers that call the check: per statement for inserts, so that COPY stays quick."""
    watched = [key, *agree, "geom"] + (["usable"] if child == "units" else [])
    changed = " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in watched)
    suffix = f"{child}_in_{parent}"
    return [
        f"""
CREATE FUNCTION on_insert_{child}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM check_{child}_geometry((SELECT array_agg(id) FROM added));
    RETURN NULL;
END $$""",
        f"""
CREATE FUNCTION on_update_{child}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM check_{child}_geometry(ARRAY[NEW.id]);
    RETURN NULL;
END $$""",
        f"""
CREATE FUNCTION on_reshape_{suffix}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM check_{child}_geometry(ARRAY(SELECT id FROM {child} WHERE {key} = NEW.id));
    RETURN NULL;
END $$""",
        f"""
CREATE TRIGGER {child}_inserted AFTER INSERT ON {child} REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION on_insert_{child}()""",
        f"""
CREATE TRIGGER {child}_updated AFTER UPDATE ON {child} FOR EACH ROW
WHEN ({changed}) EXECUTE FUNCTION on_update_{child}()""",
        f"""
CREATE TRIGGER {suffix}_reshaped AFTER UPDATE ON {parent} FOR EACH ROW
WHEN (OLD.geom IS DISTINCT FROM NEW.geom
    {" ".join(f"OR OLD.{c} IS DISTINCT FROM NEW.{c}" for c in agree)})
EXECUTE FUNCTION on_reshape_{suffix}()""",
    ]


LEDGER = [
    # Days of a unit on which at least `need` is free, as known at an instant. Every answer about
    # availability comes from here.
    """
CREATE FUNCTION free_days(
    the_unit uuid, the_capacity numeric, the_usable daterange, need numeric, as_of timestamptz
) RETURNS datemultirange LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT datemultirange(the_usable) - coalesce((
        SELECT range_agg(daterange(day, next_day)) FROM (
            SELECT day, lead(day) OVER by_day AS next_day, sum(delta) OVER by_day AS used
            FROM (
                SELECT day, sum(delta) AS delta FROM (
                    SELECT lower(period) AS day, quantity AS delta
                    FROM claims WHERE unit_id = the_unit AND live @> as_of
                    UNION ALL
                    SELECT upper(period), -quantity
                    FROM claims WHERE unit_id = the_unit AND live @> as_of
                        AND NOT upper_inf(period)
                ) edges GROUP BY day
            ) steps WINDOW by_day AS (ORDER BY day)
        ) levels WHERE used > the_capacity - need
    ), datemultirange())
$$""",
    # The most that is taken on any day of a period by claims whose belief overlaps `believed`.
    # An end on day d frees day d, because periods are half-open.
    """
CREATE FUNCTION peak_quantity(the_unit uuid, within daterange, believed tstzrange)
RETURNS numeric LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(max(used), 0) FROM (
        SELECT sum(delta) OVER (ORDER BY day) AS used FROM (
            SELECT day, sum(delta) AS delta FROM (
                SELECT lower(period * within) AS day, quantity AS delta
                FROM claims WHERE unit_id = the_unit AND period && within AND live && believed
                UNION ALL
                SELECT upper(period * within), -quantity
                FROM claims WHERE unit_id = the_unit AND period && within AND live && believed
                    AND NOT upper_inf(period * within)
            ) edges GROUP BY day
        ) steps
    ) levels
$$""",
    # Writing the unit's row, rather than only locking it, makes a stale snapshot fail at every
    # isolation level; the peak is read by a later statement, which sees what the lock waited for.
    """
CREATE FUNCTION before_claim_insert() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    the_unit units%ROWTYPE;
    taken numeric;
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
    -- What goes on was allowed when it began, also where the unit was measured anew since.
    IF NOT EXISTS (SELECT FROM claims WHERE id = NEW.supersedes_id AND unit_id = NEW.unit_id
                   AND quantity = NEW.quantity AND whole = NEW.whole)
        AND (NEW.quantity > the_unit.capacity OR NEW.whole <> (NEW.quantity = the_unit.capacity)
        OR NOT NEW.whole AND (NOT the_unit.divisible OR NEW.quantity < the_unit.min_part)) THEN
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
END $$""",
    """
CREATE TRIGGER claims_checked BEFORE INSERT ON claims
FOR EACH ROW EXECUTE FUNCTION before_claim_insert()""",
    # The one edit a claim knows: its belief is closed now, once, by someone. Closing it as of an
    # earlier instant would change what was known then.
    """
CREATE FUNCTION before_claim_update() RETURNS trigger LANGUAGE plpgsql AS $$
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
    UPDATE units SET version = version + 1 WHERE id = NEW.unit_id;
    RETURN NEW;
END $$""",
    """
CREATE TRIGGER claims_only_close BEFORE UPDATE ON claims
FOR EACH ROW EXECUTE FUNCTION before_claim_update()""",
    """
CREATE FUNCTION refuse_loss_of_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% keeps its history', TG_TABLE_NAME USING
        ERRCODE = 'restrict_violation', CONSTRAINT = TG_TABLE_NAME || '_keep_history',
        TABLE = TG_TABLE_NAME;
END $$""",
    """
CREATE TRIGGER claims_keep_history BEFORE DELETE OR TRUNCATE ON claims
FOR EACH STATEMENT EXECUTE FUNCTION refuse_loss_of_history()""",
    """
CREATE TRIGGER pipeline_stage_entries_keep_history
BEFORE UPDATE OR DELETE OR TRUNCATE ON pipeline_stage_entries
FOR EACH STATEMENT EXECUTE FUNCTION refuse_loss_of_history()""",
    # A unit's own terms may not shrink under what is already promised.
    """
CREATE FUNCTION before_unit_shrinks() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    now_on tstzrange := tstzrange(clock_timestamp(), NULL);
BEGIN
    IF EXISTS (SELECT FROM claims WHERE unit_id = NEW.id AND live && now_on
               AND NOT period <@ NEW.usable)
        OR peak_quantity(NEW.id, NEW.usable, now_on) > NEW.capacity THEN
        RAISE EXCEPTION 'unit % is promised beyond its new terms', NEW.code USING
            ERRCODE = 'check_violation', CONSTRAINT = 'units_keep_promises', TABLE = 'units';
    END IF;
    RETURN NEW;
END $$""",
    """
CREATE TRIGGER units_keep_promises BEFORE UPDATE OF capacity, usable ON units
FOR EACH ROW WHEN (OLD.capacity IS DISTINCT FROM NEW.capacity
    OR OLD.usable IS DISTINCT FROM NEW.usable)
EXECUTE FUNCTION before_unit_shrinks()""",
]


def upgrade() -> None:
    for child, parent, key, agree, rule in NESTS:
        op.execute(nesting_check(child, parent, key, agree, rule))
        for statement in nesting_triggers(child, parent, key, agree):
            op.execute(statement)
    for statement in LEDGER:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER units_keep_promises ON units")
    op.execute("DROP TRIGGER pipeline_stage_entries_keep_history ON pipeline_stage_entries")
    for trigger in ("claims_keep_history", "claims_only_close", "claims_checked"):
        op.execute(f"DROP TRIGGER {trigger} ON claims")
    for function in (
        "before_unit_shrinks()",
        "refuse_loss_of_history()",
        "before_claim_update()",
        "before_claim_insert()",
        "peak_quantity(uuid, daterange, tstzrange)",
        "free_days(uuid, numeric, daterange, numeric, timestamptz)",
    ):
        op.execute(f"DROP FUNCTION {function}")
    for child, parent, *_ in reversed(NESTS):
        op.execute(f"DROP TRIGGER {child}_in_{parent}_reshaped ON {parent}")
        op.execute(f"DROP TRIGGER {child}_updated ON {child}")
        op.execute(f"DROP TRIGGER {child}_inserted ON {child}")
        op.execute(f"DROP FUNCTION on_reshape_{child}_in_{parent}()")
        op.execute(f"DROP FUNCTION on_update_{child}()")
        op.execute(f"DROP FUNCTION on_insert_{child}()")
        op.execute(f"DROP FUNCTION check_{child}_geometry(uuid[])")
