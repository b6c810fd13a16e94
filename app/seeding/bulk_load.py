"""Writes generated parks. What the triggers would check row by row is checked once, in sets."""

from psycopg import Cursor, sql
from psycopg.rows import TupleRow

from app.demand.credit_code import check_character
from app.kernel.errors import SpaceRelayError
from app.seeding.bulk import parts
from app.seeding.bulk_plan import VERSION, BulkPlan, firm_rows
from app.seeding.copying import copy_lines
from app.seeding.dataset import Progress
from app.seeding.totals import OVERPROMISED

#: 999998 is no administrative division; nine more characters make a firm's number.
_FICTITIOUS_REGISTRATION = "91999998BNCH"
_FIRM = """
INSERT INTO companies
    (id, name_zh, name_en, unified_social_credit_code, source, confidence, synthetic)
VALUES (%(id)s, %(name_zh)s, %(name_en)s, %(code)s, %(source)s, 'assumption', true)
ON CONFLICT (id) DO NOTHING
"""


class OverpromisedError(SpaceRelayError):
    """Generated leases promise more than there is; nothing was written."""

    slug, title = "overpromised", "The generated leases overlap"
    title_zh = "生成的租约重叠"


def write_bulk(cursor: Cursor[TupleRow], plan: BulkPlan, progress: Progress) -> dict[str, int]:
    """Write the parks of a plan, and tell how many rows went into each table.

    Raises:
        OverpromisedError: the leases do not fit; the caller's transaction must be rolled back.
    """
    _write_firms(cursor)
    rows: dict[str, int] = {}
    # A park that is new to the statistics looks empty to a plan made for its id; a foreign key
    # checked through the park's index instead of the unit's would read the whole park each time.
    cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
    # The ledger's trigger locks and sums unit by unit; the same is asked once below, for all.
    cursor.execute("ALTER TABLE claims DISABLE TRIGGER claims_checked")
    # The walls are known from the layout; tests hold them equal to what would be measured.
    cursor.execute("SET LOCAL space_relay.walls = 'later'")
    for part in parts(plan, progress):
        copy_lines(cursor, part.table, part.columns, part.chunks)
        is_first = part.table not in rows
        rows[part.table] = rows.get(part.table, 0) + part.count
        if is_first:
            cursor.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(part.table)))
    cursor.execute("ALTER TABLE claims ENABLE TRIGGER claims_checked")
    cursor.execute("SET LOCAL space_relay.walls = 'at once'")
    cursor.execute(OVERPROMISED, {"parks": list(plan.park_ids)})
    wrong = cursor.fetchone()
    if wrong is None or wrong[0]:
        raise OverpromisedError
    for table in rows:
        cursor.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(table)))
    return rows


def _write_firms(cursor: Cursor[TupleRow]) -> None:
    values = []
    for row in firm_rows():
        body = f"{_FICTITIOUS_REGISTRATION}{row['number']:05}"
        values.append(
            {
                "id": row["id"],
                "name_zh": row["name_zh"],
                "name_en": row["name_en"],
                "code": body + check_character(body),
                "source": f"bulk generator v{VERSION}",
            }
        )
    cursor.executemany(_FIRM, values)
