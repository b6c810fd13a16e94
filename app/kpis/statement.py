"""The one statement that adds up the parts of all figures, for all groups and periods at once.

It answers rows (key of the group, number of the period, measure, name of the part, amount). Parts
of no measure, such as counts of firms, have the measure ''. Rows of period 0 hold for all periods:
``units`` names each group that there is, and those without a key hold for all groups.

What is known of units at ``as_of`` (``known``) is one piece for each run of days on which a unit
may be used and keeps its size and type, and every claim believed then (``booked``) is cut to the
pieces of its unit, so that a split or a new measurement needs no special case afterwards. A
``step`` is a change of what a firm has of a unit from one day to the next; renewals in place cancel
out in it. A step is ``recast`` where the unit's size or type changes that day while the lease goes
on.
"""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ARRAY, Date, DateTime, Numeric, String, Text, Uuid, bindparam, text
from sqlalchemy.sql.selectable import TextualSelect

from app.inventory.places import Places
from app.kernel.period import Period
from app.kernel.terms import UnitType
from app.kpis.asked import GroupBy
from app.kpis.definitions import AVAILABLE_DAYS, RELAY, RELAY_DAYS

_BELIEVED = "t.known_from <= :as_of AND (t.known_until IS NULL OR t.known_until > :as_of)"
_LETTABLE = "t.physical_state <> 'planned' AND t.valid && t.usable"

#: How a piece of a unit gets the key of its group.
_KEYS = {
    GroupBy.ZONE: ("parks.zone_id::text", "JOIN parks ON parks.id = k.park_id"),
    GroupBy.PARK: ("k.park_id::text", ""),
    GroupBy.PROGRAMME: ("counted.programme_id::text", "JOIN counted USING (building_id)"),
    GroupBy.TYPE: ("k.unit_type", ""),
    GroupBy.NONE: ("'all'", ""),
}

_BASE = f"""
periods AS MATERIALIZED (
    SELECT no::int AS no, first, until, until - 1 AS last
    FROM unnest(:firsts, :untils) WITH ORDINALITY AS p (first, until, no)
),
within (programme_id, member) AS (
    SELECT id, id FROM programmes
    UNION
    SELECT w.programme_id, p.id FROM within w JOIN programmes p ON p.parent_programme_id = w.member
),
counted AS (
    SELECT DISTINCT w.programme_id, m.building_id
    FROM within w JOIN programme_buildings m ON m.programme_id = w.member
),
known AS MATERIALIZED (
    SELECT row_number() OVER () AS piece, t.*, t.valid * t.usable AS days
    FROM (
        SELECT t.id AS unit_id, t.code, t.park_id, t.building_id, t.unit_type,
            t.capacity_measure AS measure, t.capacity, t.usable,
            unnest(range_agg(t.valid)) AS valid
        FROM unit_terms t WHERE {_BELIEVED} AND {_LETTABLE} {{places}}
        GROUP BY t.id, t.code, t.park_id, t.building_id, t.unit_type, t.capacity_measure,
            t.capacity, t.usable
    ) t WHERE t.valid && t.usable
),
keyed AS MATERIALIZED (
    SELECT {{key}} AS key, k.piece, k.unit_id, k.unit_type, k.measure, k.capacity, k.days
    FROM known k {{keyed_by}}
    WHERE CAST(:types AS text[]) IS NULL OR k.unit_type = ANY (:types)
),
keys AS MATERIALIZED (SELECT DISTINCT key, unit_id, unit_type, measure FROM keyed),
booked AS MATERIALIZED (
    SELECT c.id, c.commitment_id, c.company_id, c.kind, c.quantity, c.period,
        lower(c.live) AS since, k.piece, k.unit_id, k.unit_type, k.measure, k.usable,
        c.period * k.days AS days
    FROM claims c JOIN known k ON k.unit_id = c.unit_id AND c.period && k.days
    WHERE c.live @> :as_of
),
leased AS MATERIALIZED (SELECT * FROM booked WHERE kind = 'lease'),
edges AS MATERIALIZED (
    SELECT unit_id, company_id, unit_type, measure, lower(days) AS day, quantity AS delta
    FROM leased
    UNION ALL
    SELECT unit_id, company_id, unit_type, measure, upper(days), -quantity
    FROM leased WHERE NOT upper_inf(days)
),
steps AS MATERIALIZED (
    SELECT unit_id, company_id, unit_type, measure, day, sum(delta) AS delta
    FROM edges GROUP BY unit_id, company_id, unit_type, measure, day HAVING sum(delta) <> 0
),
bounds AS MATERIALIZED (
    SELECT unit_id, lower(valid) AS day FROM known WHERE NOT lower_inf(valid)
    UNION
    SELECT unit_id, upper(valid) FROM known WHERE NOT upper_inf(valid)
),
recast AS MATERIALIZED (
    SELECT DISTINCT s.unit_id, s.company_id, s.day
    FROM steps s JOIN bounds USING (unit_id, day)
    JOIN leased a ON a.unit_id = s.unit_id AND a.company_id = s.company_id
        AND s.day IN (lower(a.days), upper(a.days))
    WHERE EXISTS (
        SELECT FROM leased b WHERE b.commitment_id = a.commitment_id AND b.days @> s.day - 1
    ) AND EXISTS (
        SELECT FROM leased b WHERE b.commitment_id = a.commitment_id AND b.days @> s.day
    )
)"""  # noqa: S608  (our own words)

_STOCKS = f"""
lettable AS (
    SELECT k.key, p.no, k.measure, 'lettable' AS name, sum(k.capacity) AS amount
    FROM keyed k JOIN periods p ON k.days @> p.last GROUP BY k.key, p.no, k.measure
),
taken AS (
    SELECT k.key, p.no, k.measure, CASE b.kind WHEN 'lease' THEN 'leased' WHEN 'hold' THEN 'held'
            WHEN 'reservation' THEN 'reserved' ELSE 'unavailable' END AS name,
        sum(b.quantity) AS amount
    FROM booked b JOIN keyed k USING (piece) JOIN periods p ON b.days @> p.last
    GROUP BY k.key, p.no, k.measure, 4
),
-- What is taken is least on the first day, or on one on which a claim has ended.
looked AS (
    SELECT k.piece, p.no, p.last AS day FROM known k JOIN periods p ON k.days @> p.last
    UNION
    SELECT k.piece, p.no, upper(b.days)
    FROM booked b JOIN known k USING (piece) JOIN periods p ON k.days @> p.last
        AND upper(b.days) > p.last AND upper(b.days) < p.last + {AVAILABLE_DAYS}
        AND k.days @> upper(b.days)
),
levels AS (
    SELECT l.piece, l.no, l.day, coalesce(sum(b.quantity), 0) AS used
    FROM looked l LEFT JOIN booked b ON b.piece = l.piece AND b.days @> l.day
    GROUP BY l.piece, l.no, l.day
),
offered AS (
    SELECT k.key, l.no, k.measure, 'available' AS name, sum(k.capacity - l.used) AS amount
    FROM (SELECT piece, no, min(used) AS used FROM levels GROUP BY piece, no) l
    JOIN keyed k USING (piece) GROUP BY k.key, l.no, k.measure
)"""  # noqa: S608  (our own words)

_MOVES = """
moves AS (
    SELECT k.key, p.no, s.measure, CASE WHEN r.day IS NOT NULL THEN 'remeasured'
            WHEN s.delta > 0 THEN 'taken_up' ELSE 'given_back' END AS name,
        sum(CASE WHEN r.day IS NULL THEN abs(s.delta) ELSE s.delta END) AS amount
    FROM steps s JOIN periods p ON s.day >= p.first AND s.day < p.until
    JOIN keys k USING (unit_id, unit_type, measure)
    LEFT JOIN recast r USING (unit_id, company_id, day)
    GROUP BY k.key, p.no, s.measure, 4
)"""

_TERMS = """
-- A lease whose unit was measured anew, split or merged goes on in its other rows.
lines AS MATERIALIZED (
    SELECT DISTINCT id, commitment_id, unit_id, period, upper(usable) AS unit_ends FROM leased
),
onward AS (
    SELECT a.id, b.id AS next_id FROM lines a JOIN lines b
        ON b.commitment_id = a.commitment_id AND lower(b.period) = upper(a.period)
        AND (b.unit_id = a.unit_id OR a.unit_ends = upper(a.period))
),
reach (id, at) AS (
    SELECT id, next_id FROM onward
    UNION
    SELECT r.id, o.next_id FROM reach r JOIN onward o ON o.id = r.at
),
last_days AS MATERIALIZED (
    SELECT l.id, CASE WHEN bool_or(upper_inf(l.period) OR upper_inf(n.period)) IS TRUE THEN NULL
        ELSE greatest(max(upper(l.period)), max(upper(n.period))) END AS ends
    FROM lines l LEFT JOIN reach r ON r.id = l.id LEFT JOIN lines n ON n.id = r.at GROUP BY l.id
),
standing AS MATERIALIZED (
    SELECT k.key, p.no, p.last, k.measure, b.quantity, d.ends
    FROM leased b JOIN keyed k USING (piece) JOIN periods p ON b.days @> p.last
    JOIN last_days d ON d.id = b.id
),
terms AS (
    SELECT key, no, measure, 'term_area' AS name, sum(quantity) AS amount
    FROM standing WHERE ends IS NOT NULL GROUP BY key, no, measure
    UNION ALL
    SELECT key, no, measure, 'term_area_days', sum(quantity * (ends - last))
    FROM standing WHERE ends IS NOT NULL GROUP BY key, no, measure
    UNION ALL
    SELECT key, no, measure, 'open_ended', sum(quantity)
    FROM standing WHERE ends IS NULL GROUP BY key, no, measure
    UNION ALL
    SELECT key, no, measure, 'ends:' || extract(year FROM ends - 1)::int, sum(quantity)
    FROM standing WHERE ends IS NOT NULL GROUP BY key, no, measure, extract(year FROM ends - 1)
)"""

_VOIDS = """
runs AS MATERIALIZED (
    SELECT unit_id, unnest(range_agg(days)) AS run FROM leased GROUP BY unit_id
),
gaps AS (
    SELECT unit_id, lag(upper(run)) OVER (PARTITION BY unit_id ORDER BY run) AS since,
        lower(run) AS day
    FROM runs
),
let_again AS (
    SELECT k.key, p.no, count(*) AS voids, sum(g.day - g.since) AS void_days
    FROM gaps g JOIN periods p ON g.day >= p.first AND g.day < p.until
    JOIN keyed k ON k.unit_id = g.unit_id AND k.days @> g.day
    WHERE g.since IS NOT NULL GROUP BY k.key, p.no
),
empty_still AS (
    SELECT k.key, p.no, p.last - max(upper(r.run)) + 1 AS so_far
    FROM keyed k JOIN periods p ON k.days @> p.last
    JOIN runs r ON r.unit_id = k.unit_id AND lower(r.run) <= p.last
    GROUP BY k.key, p.no, p.last, k.unit_id
    HAVING NOT bool_or(r.run @> p.last)
),
voids AS (
    SELECT key, no, '' AS measure, 'voids' AS name, voids::numeric AS amount FROM let_again
    UNION ALL SELECT key, no, '', 'void_days', void_days FROM let_again
    UNION ALL SELECT key, no, '', 'running_voids', count(*) FROM empty_still GROUP BY key, no
    UNION ALL SELECT key, no, '', 'running_days', sum(so_far) FROM empty_still GROUP BY key, no
)"""

_TAKE_UP = """
-- Units that were split from or merged into one another are one space.
related AS (
    SELECT a.unit_id, b.unit_id AS other FROM unit_events e
    JOIN unit_event_units a ON a.event_id = e.id JOIN unit_event_units b ON b.event_id = e.id
    WHERE e.kind IN ('split', 'merged') AND e.recorded_at <= :as_of
),
kin (unit_id, other) AS (
    SELECT unit_id, other FROM related
    UNION
    SELECT k.unit_id, r.other FROM kin k JOIN related r ON r.unit_id = k.other
),
spaces AS (
    SELECT unit_id, min(other::text) AS space FROM kin GROUP BY unit_id
),
brought AS MATERIALIZED (
    SELECT DISTINCT ON (k.unit_id) k.unit_id, k.code, k.measure, k.unit_type, k.capacity,
        lower(k.days) AS day, coalesce(s.space, k.unit_id::text) AS space,
        EXISTS (
            SELECT FROM unit_events e JOIN unit_event_units m ON m.event_id = e.id
            WHERE m.unit_id = k.unit_id AND m.part = 'child' AND e.kind IN ('split', 'merged')
                AND e.recorded_at <= :as_of
        ) AS made
    FROM known k LEFT JOIN spaces s ON s.unit_id = k.unit_id
    ORDER BY k.unit_id, lower(k.days)
),
shown_as AS (
    SELECT DISTINCT ON (space, measure) space, measure, unit_id, unit_type
    FROM brought WHERE NOT made ORDER BY space, measure, day, code
),
launches AS (
    SELECT b.space, b.measure, p.no, sum(b.capacity) AS area
    FROM brought b JOIN periods p ON b.day <= p.last WHERE NOT b.made
    GROUP BY b.space, b.measure, p.no
),
heights AS MATERIALIZED (
    SELECT unit_id, measure, day, sum(sum(delta)) OVER (
        PARTITION BY unit_id, measure ORDER BY day
    ) AS level
    FROM edges GROUP BY unit_id, measure, day
),
peaks AS (
    SELECT h.unit_id, h.measure, p.no, max(h.level) AS level
    FROM heights h JOIN periods p ON h.day <= p.last GROUP BY h.unit_id, h.measure, p.no
),
ever AS (
    SELECT b.space, q.measure, q.no, sum(q.level) AS area
    FROM peaks q JOIN brought b USING (unit_id) GROUP BY b.space, q.measure, q.no
),
to_date AS (
    SELECT k.key, l.no, l.measure, sum(l.area) AS launched,
        sum(least(l.area, coalesce(e.area, 0))) AS ever_leased
    FROM launches l JOIN shown_as s USING (space, measure)
    JOIN keys k USING (unit_id, unit_type, measure)
    LEFT JOIN ever e USING (space, measure, no)
    GROUP BY k.key, l.no, l.measure
),
take_up AS (
    SELECT key, no, measure, 'launched' AS name, launched AS amount FROM to_date
    UNION ALL SELECT key, no, measure, 'ever_leased', ever_leased FROM to_date
)"""

_RELAY = f"""
stays AS (
    SELECT unit_id, company_id, unnest(range_agg(days)) AS run
    FROM leased GROUP BY unit_id, company_id
),
ended AS MATERIALIZED (
    SELECT s.unit_id, s.company_id, upper(s.run) AS day, p.no,
        (SELECT min(l.unit_type) FROM leased l WHERE l.unit_id = s.unit_id
            AND l.company_id = s.company_id AND l.days @> upper(s.run) - 1) AS unit_type
    FROM stays s JOIN periods p ON upper(s.run) >= p.first AND upper(s.run) < p.until
    WHERE upper(s.run) <= :today AND NOT EXISTS (
        SELECT FROM recast r WHERE r.unit_id = s.unit_id AND r.company_id = s.company_id
            AND r.day = upper(s.run)
    )
),
-- All that those firms have, wherever it is.
theirs AS MATERIALIZED (
    SELECT company_id, commitment_id, unit_id, period FROM claims
    WHERE company_id IN (SELECT company_id FROM ended) AND kind = 'lease' AND live @> :as_of
),
anywhere AS MATERIALIZED (
    SELECT c.company_id, c.commitment_id, c.unit_id, t.unit_type,
        lower(t.valid) AS terms_begin, c.period * (t.valid * t.usable) AS days
    FROM theirs c JOIN (
        SELECT t.id, t.unit_type, t.usable, unnest(range_agg(t.valid)) AS valid
        FROM unit_terms t
        WHERE t.id IN (SELECT unit_id FROM theirs) AND {_BELIEVED} AND {_LETTABLE}
        GROUP BY t.id, t.unit_type, t.capacity_measure, t.capacity, t.usable
    ) t ON t.id = c.unit_id AND c.period && (t.valid * t.usable)
),
begun AS MATERIALIZED (
    SELECT DISTINCT a.company_id, a.unit_type, n.day
    FROM (
        SELECT company_id, unit_id, lower(unnest(range_agg(days))) AS day
        FROM anywhere GROUP BY company_id, unit_id
    ) n
    JOIN anywhere a ON a.company_id = n.company_id AND a.unit_id = n.unit_id
        AND lower(a.days) = n.day
    WHERE NOT EXISTS (
        SELECT FROM anywhere b JOIN anywhere c USING (commitment_id)
        WHERE b.company_id = n.company_id AND b.unit_id = n.unit_id AND lower(b.days) = n.day
            AND b.terms_begin = n.day AND c.days @> n.day - 1
    )
),
outcomes AS (
    SELECT k.key, e.no, e.company_id,
        EXISTS (
            SELECT FROM begun b WHERE b.company_id = e.company_id
                AND array_position(:relay, b.unit_type) > array_position(:relay, e.unit_type)
                AND b.day BETWEEN e.day - {RELAY_DAYS} AND e.day + {RELAY_DAYS}
        ) AS moved_on,
        NOT EXISTS (
            SELECT FROM anywhere a WHERE a.company_id = e.company_id
                AND a.days && daterange(e.day, NULL)
        ) AS gone
    FROM ended e JOIN keys k USING (unit_id, unit_type)
    WHERE e.unit_type <> '{RELAY[-1].value}'
),
relay AS (
    SELECT key, no, '' AS measure, 'moved_on' AS name, count(DISTINCT company_id) AS amount
    FROM outcomes WHERE moved_on GROUP BY key, no
    UNION ALL
    SELECT key, no, '', 'moved_or_left', count(DISTINCT company_id)
    FROM outcomes WHERE moved_on OR gone GROUP BY key, no
),
stayed AS (
    SELECT DISTINCT r.unit_id, r.company_id, upper(r.period) AS day, p.no, b.unit_type
    FROM claims r JOIN periods p ON upper(r.period) >= p.first AND upper(r.period) < p.until
    JOIN leased a ON a.unit_id = r.unit_id AND a.company_id = r.company_id
        AND a.days @> upper(r.period) - 1
    JOIN leased b ON b.unit_id = r.unit_id AND b.company_id = r.company_id
        AND b.days @> upper(r.period) AND b.since > lower(r.live)
    WHERE r.kind = 'lease' AND lower(r.live) <= :as_of AND upper(r.period) <= :today
        AND NOT EXISTS (
            SELECT FROM bounds d WHERE d.unit_id = r.unit_id AND d.day = upper(r.period)
        )
),
renewals AS (
    SELECT k.key, s.no, '' AS measure, 'renewed' AS name,
        count(DISTINCT (s.unit_id, s.company_id, s.day)) AS amount
    FROM stayed s JOIN keys k USING (unit_id, unit_type) GROUP BY k.key, s.no
    UNION ALL
    SELECT k.key, e.no, '', 'came_to_end', count(DISTINCT (e.unit_id, e.company_id, e.day))
    FROM (
        SELECT unit_id, company_id, day, no, unit_type FROM stayed
        UNION ALL SELECT unit_id, company_id, day, no, unit_type FROM ended
    ) e JOIN keys k USING (unit_id, unit_type) GROUP BY k.key, e.no
)"""  # noqa: S608  (our own words)

_PENDING = """
waiting AS (
    SELECT k.key, 0 AS no, k.measure, 'pending' AS name, sum(h.quantity) AS amount
    FROM (
        SELECT piece, quantity, lower(days) AS day,
            min(lower(days)) OVER (PARTITION BY commitment_id) AS first
        FROM booked WHERE kind = 'hold'
    ) h JOIN keyed k USING (piece) WHERE h.day = h.first GROUP BY k.key, k.measure
),
past_holds AS (
    SELECT c.commitment_id, EXISTS (
        SELECT FROM claims l WHERE l.commitment_id = c.commitment_id AND l.kind = 'lease'
            AND lower(l.live) <= :as_of
    ) AS was_leased
    FROM claims c WHERE c.kind = 'hold' AND lower(c.live) <= :as_of
    GROUP BY c.commitment_id
    HAVING NOT bool_or(c.live @> :as_of)
        AND bool_or(c.unit_id IN (SELECT unit_id FROM keyed))
),
holds AS (
    SELECT NULL AS key, 0 AS no, '' AS measure, 'holds_ended' AS name, count(*) AS amount
    FROM past_holds
    UNION ALL
    SELECT NULL, 0, '', 'holds_leased', count(*) FROM past_holds WHERE was_leased
),
groups AS (
    SELECT key, 0 AS no, '' AS measure, 'units' AS name, count(DISTINCT unit_id) AS amount
    FROM keyed GROUP BY key
)"""

_RESULTS = (
    *("groups", "lettable", "taken", "offered", "moves", "terms", "voids", "take_up"),
    *("relay", "renewals", "waiting", "holds"),
)


def statement(
    group_by: GroupBy,
    periods: list[Period],
    *,
    as_of: datetime,
    today: date,
    park_ids: list[UUID] | None,
    places: Places,
    types: tuple[UnitType, ...],
) -> TextualSelect:
    """The statement for some periods, with its parameters bound.

    Args:
        group_by: whose figures are told apart.
        periods: the days; each has an end.
        as_of: the instant at which all was known.
        today: the civil day of that instant; leases ended after it have no outcome yet.
        park_ids: the parks that count; None is all.
        places: the programmes that count, if it has some.
        types: the unit types that count; none is all.
    """
    conditions, given = "", {}
    if park_ids is not None:
        conditions += " AND t.park_id = ANY (:park_ids)"
        given["park_ids"] = bindparam("park_ids", park_ids, ARRAY(Uuid()))
    if "programme" in places:
        conditions += (
            " AND t.building_id IN (SELECT building_id FROM programme_buildings"
            " WHERE programme_id = ANY (:programme_ids))"
        )
        given["programme_ids"] = bindparam(
            "programme_ids", list(places["programme"]), ARRAY(Uuid())
        )
    key, keyed_by = _KEYS[group_by]
    base = _BASE.format(places=conditions, key=key, keyed_by=keyed_by)
    blocks = f"{base},{_STOCKS},{_MOVES},{_TERMS},{_VOIDS},{_TAKE_UP},{_RELAY},{_PENDING}"
    results = "\nUNION ALL\n".join(
        f"SELECT key, no, measure, name, amount::numeric FROM {name}"  # noqa: S608  (our own names)
        for name in _RESULTS
    )
    names = [one.value for one in types] or None
    return (
        text(f"WITH RECURSIVE {blocks}\n{results}")
        .bindparams(
            bindparam("firsts", [one.start for one in periods], ARRAY(Date())),
            bindparam("untils", [one.end for one in periods], ARRAY(Date())),
            bindparam("as_of", as_of, DateTime(timezone=True)),
            bindparam("today", today, Date()),
            bindparam("types", names, ARRAY(Text())),
            bindparam("relay", [one.value for one in RELAY], ARRAY(Text())),
            *given.values(),
        )
        .columns(key=String, no=Numeric, measure=String, name=String, amount=Numeric)
    )
