"""Database roles: who owns the schema, and who may read and write what in it.

Roles belong to the whole cluster, what they may do to each database. ``ensure_roles`` makes what is
missing before a migration; ``settle`` gives every table, view, function and type its owner and its
grants after one, so that a migration only has to create them. Which rows a role sees is said by the
policies, in the migrations that create the tables.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from psycopg.errors import InsufficientPrivilege
from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

#: Owns everything and logs in nowhere.
OWNER = "space_relay_owner"
#: Sees all claims, for the view and the functions that say what is taken and not by whom.
LEDGER = "space_relay_ledger"
#: Serves known callers, jobs and the command line; the policies of the tables bind it.
APP = "space_relay_app"
#: Serves callers without a credential; reads what is published.
PUBLIC = "space_relay_public"
ROLES = (OWNER, LEDGER, APP, PUBLIC)
SCHEMAS = ("public", "jobs")

#: What callers without a credential may read: whole tables, or the columns named.
PUBLISHED: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("zones", "parks", "park_blocks", "parcels", "buildings", "floors"), ()),
    **dict.fromkeys(("units", "unit_versions", "unit_terms", "shared_facilities"), ()),
    **dict.fromkeys(("programmes", "programme_milestones", "programme_buildings"), ()),
    **dict.fromkeys(("unit_walls", "building_links", "unit_event_units"), ()),
    "unit_events": (
        *("id", "park_id", "kind", "effective_on", "recorded_at", "reason", "changes"),
    ),
    "occupancy": ("park_id", "unit_id", "quantity", "whole", "period", "live"),
    "match_policies": ("id", "park_id", "weights", "known"),
    # In which building something changed, and not what.
    "space_changes": ("xid", "building_id"),
}
#: What the role that sees all of the ledger needs for what is its own.
GUARDED: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("claims", "queue_wants", "units"), frozenset({"SELECT"})),
    "audit_entries": frozenset({"SELECT", "INSERT"}),
}
#: Its own: views and functions (by name) that see past the policies. Decision 0017 says why each.
OF_LEDGER = frozenset({"occupancy", "queue_entry_in_parks", "audit_append"})
#: Only read; only added to; and never deleted from.
READ = frozenset({"alembic_version", "unit_terms", "occupancy", "audit_entries"})
ADDED_TO = frozenset(
    (
        *("lease_events", "match_events", "match_receipts", "pipeline_stage_entries"),
        *("queue_wants", "right_clearances", "right_footprints", "right_seniorities"),
        *("former_features", "unit_events", "unit_event_units"),
    )
)
KEPT = frozenset(
    (
        *("claims", "lease_terms", "match_policies", "queue_entries", "right_notices", "rights"),
        *("units", "unit_versions"),
    )
)

_WRITES = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})

#: What an administrator runs once for a login that may create no roles.
ADMINISTRATOR_SQL = "\n".join(
    [
        *(f"CREATE ROLE {role} NOLOGIN;" for role in ROLES),
        f"GRANT {', '.join(ROLES)} TO <the role that migrates>;",
        f"GRANT {APP}, {PUBLIC} TO <the role that serves>;",
    ]
)


class RolesMissingError(Exception):
    """The database's roles are not there, and this login may not create them."""


class _Grant(NamedTuple):
    """A privilege on a relation; an empty column is all of it."""

    relation: str
    role: str
    privilege: str
    column: str = ""


def ensure_roles(connection: Connection) -> None:
    """Create the roles that the cluster lacks, and let this login act as each. Commits.

    Safe beside others that do the same, in this database or another of the cluster.

    Raises:
        RolesMissingError: this login may not; an administrator can, with ``ADMINISTRATOR_SQL``.
    """
    try:
        for role in ROLES:
            # Whoever came first has made the same.
            connection.exec_driver_sql(f"""
                DO $$ BEGIN
                    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
                        CREATE ROLE {role} NOLOGIN;
                    END IF;
                    IF NOT pg_has_role('{role}', 'USAGE') THEN
                        GRANT {role} TO CURRENT_USER;
                    END IF;
                EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
                END $$""")
            connection.commit()
    except ProgrammingError as error:
        connection.rollback()
        if not isinstance(error.orig, InsufficientPrivilege):
            raise
        raise RolesMissingError(
            "The database's roles are missing, and this login may not make them; let an"
            " administrator run:"
        ) from error


def lacking(connection: Connection) -> list[str]:
    """The roles that are not this login's to act as, where it may not make them either."""
    able = connection.scalar(
        text("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user")
    )
    if able:
        return []
    mine = connection.scalars(
        text("SELECT rolname FROM pg_roles WHERE pg_has_role(oid, 'USAGE')")
    ).all()
    return [role for role in ROLES if role not in mine]


def settle(connection: Connection) -> None:
    """Give everything in the database its owner and its grants; does nothing where it has them.

    Commits nothing.
    """
    schemas = [
        name
        for name in SCHEMAS
        if connection.scalar(text("SELECT to_regnamespace(:name)"), {"name": name}) is not None
    ]
    for schema in schemas:
        _allow_schema(connection, schema)
    for statement in _ownership(connection, schemas):
        connection.exec_driver_sql(statement)
    for row in connection.execute(_CALLABLE, {"names": sorted(OF_LEDGER)}).all():
        # Any new function is everybody's to call.
        if row.by_public:
            connection.exec_driver_sql(f"REVOKE ALL ON FUNCTION {row.function} FROM PUBLIC")
        if row.by_public or not row.by_app:
            connection.exec_driver_sql(f"GRANT EXECUTE ON FUNCTION {row.function} TO {APP}")
    relations = connection.execute(_RELATIONS, {"schemas": schemas}).all()
    wanted = {
        grant
        for row in relations
        for grant in _grants_on(row.relation, row.relname, row.kind, row.schema)
    }
    have = {_Grant(*row) for row in connection.execute(_GRANTS, {"schemas": schemas})}
    for verb, preposition, grants in (
        ("REVOKE", "FROM", have - wanted),
        ("GRANT", "TO", wanted - have),
    ):
        for (relation, role), what in _by_relation(grants):
            connection.exec_driver_sql(f"{verb} {what} ON {relation} {preposition} {role}")


def _allow_schema(connection: Connection, schema: str) -> None:
    for role, privileges in ((OWNER, "USAGE, CREATE"), (LEDGER, "USAGE, CREATE"), (APP, "USAGE")):
        missing = any(
            not connection.scalar(
                text("SELECT has_schema_privilege(:role, :schema, :privilege)"),
                {"role": role, "schema": schema, "privilege": one.strip()},
            )
            for one in privileges.split(",")
        )
        if missing:
            connection.exec_driver_sql(f"GRANT {privileges} ON SCHEMA {schema} TO {role}")


def _ownership(connection: Connection, schemas: list[str]) -> Iterator[str]:
    """Statements that hand over what does not belong to its owner."""
    for row in connection.execute(_OWNED, {"schemas": schemas}).all():
        owner = LEDGER if row.name in OF_LEDGER else OWNER
        if row.owner != owner:
            yield f"ALTER {row.kind} {row.identity} OWNER TO {owner}"


def _grants_on(relation: str, name: str, kind: str, schema: str) -> Iterator[_Grant]:
    if kind == "S":
        yield _Grant(relation, APP, "USAGE")
        return
    privileges = _WRITES
    if name in READ:
        privileges = frozenset({"SELECT"})
    elif name in ADDED_TO:
        privileges = frozenset({"SELECT", "INSERT"})
    elif name in KEPT:
        privileges = _WRITES - {"DELETE"}
    for privilege in privileges:
        yield _Grant(relation, APP, privilege)
    if schema != "public":
        return
    for privilege in GUARDED.get(name, ()):
        yield _Grant(relation, LEDGER, privilege)
    if name in PUBLISHED:
        for column in PUBLISHED[name] or ("",):
            yield _Grant(relation, PUBLIC, "SELECT", column)


def _by_relation(grants: Iterable[_Grant]) -> Iterator[tuple[tuple[str, str], str]]:
    together: dict[tuple[str, str], list[str]] = {}
    for relation, role, privilege, column in sorted(grants):
        one = f'{privilege} ("{column}")' if column else privilege
        together.setdefault((relation, role), []).append(one)
    for place, words in together.items():
        yield place, ", ".join(words)


#: What extensions brought is theirs.
_NOT_OF_EXTENSIONS = """NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.objid = o.oid AND d.deptype = 'e')"""
#: Sequences of columns follow their tables, and row types too.
_OWNED = text(f"""
    SELECT CASE o.relkind WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
        o.oid::regclass::text AS identity, o.relname AS name,
        pg_get_userbyid(o.relowner) AS owner
    FROM pg_class o
    WHERE o.relnamespace = ANY (SELECT to_regnamespace(n) FROM unnest(CAST(:schemas AS text[])) n)
        AND o.relkind IN ('r', 'p', 'v', 'S') AND {_NOT_OF_EXTENSIONS}
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = o.oid AND d.deptype IN ('a', 'i')
            AND o.relkind = 'S')
    UNION ALL
    SELECT 'ROUTINE', o.oid::regprocedure::text, o.proname, pg_get_userbyid(o.proowner)
    FROM pg_proc o
    WHERE o.pronamespace = ANY (SELECT to_regnamespace(n) FROM unnest(CAST(:schemas AS text[])) n)
        AND {_NOT_OF_EXTENSIONS}
    UNION ALL
    SELECT 'TYPE', o.oid::regtype::text, o.typname, pg_get_userbyid(o.typowner)
    FROM pg_type o
    WHERE o.typnamespace = ANY (SELECT to_regnamespace(n) FROM unnest(CAST(:schemas AS text[])) n)
        AND (o.typtype = 'e' OR o.typtype = 'c' AND EXISTS (
            SELECT FROM pg_class c WHERE c.oid = o.typrelid AND c.relkind = 'c'))
        AND {_NOT_OF_EXTENSIONS}
    UNION ALL
    SELECT 'SCHEMA', quote_ident(o.nspname), o.nspname, pg_get_userbyid(o.nspowner)
    FROM pg_namespace o WHERE o.nspname = ANY (:schemas) AND o.nspname <> 'public'
""")  # noqa: S608  (our own words)
_RELATIONS = text(f"""
    SELECT o.oid::regclass::text AS relation, o.relname, o.relkind::text AS kind,
        o.relnamespace::regnamespace::text AS schema
    FROM pg_class o
    WHERE o.relnamespace = ANY (SELECT to_regnamespace(n) FROM unnest(CAST(:schemas AS text[])) n)
        AND o.relkind IN ('r', 'p', 'v', 'S') AND {_NOT_OF_EXTENSIONS}
""")  # noqa: S608  (our own words)
_CALLABLE = text(f"""
    SELECT oid::regprocedure::text AS function,
        has_function_privilege('{APP}', oid, 'EXECUTE') AS by_app,
        has_function_privilege('{PUBLIC}', oid, 'EXECUTE') AS by_public
    FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND proname = ANY (:names)
""")  # noqa: S608  (our own names)
#: What others than the owner may do now; ``PUBLIC`` of SQL is everybody.
_GRANTS = text(f"""
    SELECT o.oid::regclass::text, coalesce(r.rolname::text, 'PUBLIC'), a.privilege_type, a.column
    FROM pg_class o CROSS JOIN LATERAL (
        SELECT grantee, privilege_type, '' AS column FROM aclexplode(o.relacl)
        UNION ALL
        SELECT e.grantee, e.privilege_type, c.attname::text
        FROM pg_attribute c CROSS JOIN LATERAL aclexplode(c.attacl) e
        WHERE c.attrelid = o.oid AND NOT c.attisdropped
    ) a LEFT JOIN pg_roles r ON r.oid = a.grantee
    WHERE o.relnamespace = ANY (SELECT to_regnamespace(n) FROM unnest(CAST(:schemas AS text[])) n)
        AND o.relkind IN ('r', 'p', 'v', 'S') AND {_NOT_OF_EXTENSIONS}
        AND (r.rolname IN ('{APP}', '{PUBLIC}', '{LEDGER}') AND a.grantee <> o.relowner
            OR a.grantee = 0)
""")  # noqa: S608  (our own names)
