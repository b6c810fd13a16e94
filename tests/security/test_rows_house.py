# ruff: noqa: S608 - statements are put together from names of our own
"""Rules of the floor, each read from the database's own catalogue or from the source."""

import ast
from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.database.roles import APP, LEDGER, OF_LEDGER, OWNER, PUBLIC, PUBLISHED, ROLES, settle
from tests.conftest import ROOT

#: Who may look past the caller's own rows, and for what.
WHOLE_LEDGER = {
    "kpis/compute.py": 1,  # sums; a firm that moved on may have moved to another park
    "ledger/holds.py": 1,  # how much a company holds, in all parks
    "ledger/queue/log.py": 1,  # the line for a unit: whose turn it is
    "ledger/queue/service.py": 1,  # in how many lines a company waits, in all parks
    "ledger/rights/clearing.py": 2,  # rights of others on the ground, and the proofs about them
}
#: Tables with a firm in them: they name one, or what is one's, or hang on a table that does.
WITH_A_FIRM = """
WITH RECURSIVE named (id) AS (
    SELECT 'public.companies'::regclass::oid
    UNION
    SELECT attrelid FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
    WHERE attname IN ('company_id', 'commitment_id', 'request_id', 'space_request_id', 'actor')
        AND c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
    UNION
    SELECT conrelid FROM pg_constraint JOIN named ON confrelid = named.id WHERE contype = 'f'
)
SELECT c.oid::regclass::text AS name, c.relrowsecurity AND c.relforcerowsecurity
    AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid
        AND (SELECT oid FROM pg_roles WHERE rolname = 'space_relay_app') = ANY (p.polroles)
        AND pg_get_expr(p.polqual, p.polrelid) LIKE '%app.%') AS guarded
FROM named JOIN pg_class c USING (oid)"""


def tables_with_a_firm(session: Session) -> dict[str, bool]:
    """Tables with a firm in them, and whether a policy guards each."""
    query = text(WITH_A_FIRM.replace("USING (oid)", "ON c.oid = named.id"))
    return {row.name: row.guarded for row in session.execute(query)}


def names(session: Session, query: str) -> set[str]:
    return set(session.scalars(text(query)))


def test_every_table_with_a_firm_has_a_floor(session: Session) -> None:
    found = tables_with_a_firm(session)
    assert {"claims", "right_notices", "queue_wants", "lease_terms", "match_events"} <= set(found)
    assert [name for name, guarded in found.items() if not guarded] == []


@pytest.mark.parametrize(
    "forgotten",
    [
        "CREATE TABLE forgotten (company_id uuid)",
        "CREATE TABLE forgotten (entry_id uuid REFERENCES queue_entries)",
        # Its owner would see everything.
        "ALTER TABLE claims NO FORCE ROW LEVEL SECURITY",
        "ALTER POLICY claims_rows ON claims USING (true)",
    ],
)
def test_a_table_without_one_is_found(session: Session, forgotten: str) -> None:
    session.execute(text(forgotten))
    assert [name for name, ok in tables_with_a_firm(session).items() if not ok] == [
        "claims" if "claims" in forgotten else "forgotten"
    ]


def test_views_see_what_their_reader_sees(session: Session) -> None:
    query = """
        SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
            AND {} AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid
                AND d.deptype = 'e')"""
    own_eyes = "relkind = 'v' AND NOT coalesce('security_invoker=true' = ANY (reloptions), false)"
    assert names(session, query.format(own_eyes)) == {"occupancy"}
    # A materialised view knows no policies at all.
    assert names(session, query.format("relkind = 'm'")) == set()
    shown = names(
        session, "SELECT attname FROM pg_attribute WHERE attrelid = 'occupancy'::regclass"
    )
    assert not shown & {"company_id", "space_request_id", "placed_by", "closed_by"}


def test_functions_that_see_more_are_few_and_sure_of_their_names(session: Session) -> None:
    found = session.execute(
        text(
            "SELECT proname, pg_get_userbyid(proowner) AS owner,"
            " coalesce(array_to_string(proconfig, ' '), '') AS config,"
            f" has_function_privilege('{PUBLIC}', oid, 'EXECUTE') AS by_public"
            " FROM pg_proc p WHERE prosecdef AND pronamespace = 'public'::regnamespace"
            " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')"
        )
    ).all()
    assert {row.proname for row in found} == OF_LEDGER - {"occupancy"}
    for row in found:
        assert row.owner == LEDGER, row.proname
        assert row.config.startswith("search_path=pg_catalog"), row.proname
        assert not row.by_public, row.proname


def test_who_owns_logs_in_nowhere_and_nobody_passes_the_policies(session: Session) -> None:
    roles = {
        row.rolname: row
        for row in session.execute(
            text("SELECT * FROM pg_roles WHERE rolname = ANY (:roles)"), {"roles": list(ROLES)}
        )
    }
    assert set(roles) == set(ROLES)
    assert not any(row.rolsuper or row.rolbypassrls for row in roles.values())
    assert not roles[OWNER].rolcanlogin
    assert not roles[LEDGER].rolcanlogin
    owners = names(
        session,
        "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class c"
        " WHERE relnamespace IN ('public'::regnamespace, 'jobs'::regnamespace)"
        " AND relkind IN ('r', 'S', 'v') AND NOT EXISTS (SELECT FROM pg_depend d"
        " WHERE d.objid = c.oid AND d.deptype = 'e')",
    )
    assert owners == {OWNER, LEDGER}
    member = "SELECT pg_has_role('{}', '{}', 'MEMBER')"
    for role in (APP, PUBLIC):
        for more in (OWNER, LEDGER):
            assert session.scalar(text(member.format(role, more))) is False


def test_the_public_reads_what_is_published_and_writes_nothing(session: Session) -> None:
    allowed = names(
        session,
        "SELECT relname FROM pg_class c WHERE relkind IN ('r', 'v')"
        " AND relnamespace IN ('public'::regnamespace, 'jobs'::regnamespace)"
        f" AND has_any_column_privilege('{PUBLIC}', oid, 'SELECT, INSERT, UPDATE, REFERENCES')"
        " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')",
    )
    assert allowed == set(PUBLISHED)
    assert not allowed & set(tables_with_a_firm(session))
    written = names(
        session,
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'v')"
        " AND relnamespace IN ('public'::regnamespace, 'jobs'::regnamespace)"
        f" AND has_table_privilege('{PUBLIC}', oid, 'INSERT, UPDATE, DELETE, TRUNCATE')",
    )
    assert written == set()
    firms = names(
        session,
        "SELECT table_name || '.' || column_name FROM information_schema.column_privileges"
        f" WHERE grantee = '{PUBLIC}' AND (column_name ~ '(company|_by$|contact|phone|secret)')",
    )
    assert firms == set()


def test_grants_settle_and_stay_settled(session: Session) -> None:
    connection = session.connection()
    session.execute(text(f"GRANT SELECT ON companies TO {PUBLIC}"))
    session.execute(text(f"GRANT DELETE ON claims TO {APP}"))
    session.execute(text("CREATE TABLE late (id int)"))
    settle(connection)
    assert not session.scalar(
        text(f"SELECT has_table_privilege('{PUBLIC}', 'companies', 'SELECT')")
    )
    assert not session.scalar(text(f"SELECT has_table_privilege('{APP}', 'claims', 'DELETE')"))
    assert session.scalar(text(f"SELECT has_table_privilege('{APP}', 'late', 'UPDATE')"))
    owner = "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'late'"
    assert session.scalar(text(owner)) == OWNER
    before = session.scalar(text("SELECT sum(xmin::text::bigint) FROM pg_class"))
    settle(connection)
    assert session.scalar(text("SELECT sum(xmin::text::bigint) FROM pg_class")) == before


def calls_of(name: str) -> Iterator[str]:
    """The files that call a function, once for each call."""
    for path in sorted((ROOT / "app").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == name:
                yield path.relative_to(ROOT / "app").as_posix()


def test_few_look_past_the_callers_rows() -> None:
    found = list(calls_of("whole_ledger"))
    assert {path: found.count(path) for path in found} == WHOLE_LEDGER


def test_only_the_floor_itself_tells_the_database_who_calls() -> None:
    # Whoever wrote these settings elsewhere could show anybody anything.
    told = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "app").rglob("*.py")
        if any(f"app.{one}" in path.read_text(encoding="utf-8") for one in ("audience", "firm_id"))
    ]
    assert told == ["app/database/session.py"]
