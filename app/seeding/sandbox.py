"""沙盒: a database beside the live one, with made-up space, where firms try their programs.

It has the same schema and is served by the same code; which of the two a call reaches is decided by
the credential it shows, before anything is read. No query can mix them, as none sees both.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from psycopg.errors import InsufficientPrivilege
from sqlalchemy import Connection, Engine, create_engine, exists, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session, sessionmaker

from app.database.engine import normalised_url
from app.database.migrate import heads, upgrade
from app.database.roles import OWNER
from app.database.session import session_factory, transaction
from app.demand.credit_code import ALPHABET, check_character
from app.demand.rules import load_rules
from app.kernel.errors import Kind, SpaceRelayError
from app.matching.snapshots.source import Followed
from app.models.access import Credential, ReferenceLoad
from app.models.company import Company
from app.models.registry import metadata
from app.models.space import Park, Zone
from app.security.rows import system
from app.seeding.bulk_plan import VERSION
from app.seeding.dataset import Progress, silent
from app.seeding.service import generate_park
from app.settings import Settings

SUFFIX = "_sandbox"
UNITS, SEED = 200, 1
#: Connections of a process that serves.
POOL_SIZE = 4
#: Nobody's tests are swept away while another firm is at work.
QUIET_FOR = timedelta(minutes=15)
#: What a reset leaves: the firms, their keys and where they are told of events; and the accounts of
#: staff, of which there are none, and which credentials refer to.
KEPT = frozenset(
    {"companies", "credentials", "signing_keys", "staff_accounts", "webhook_endpoints"}
)
#: 999997 is no administrative division: nobody's code looks like a firm's in the sandbox.
_FICTITIOUS_REGISTRATION = "91999997"
_CODE_BODY = 17


class SandboxNotPossibleError(Exception):
    """The sandbox's database cannot be made: one sentence why, and what to do."""

    def __init__(self, message: str, remedy: str) -> None:
        """``remedy`` is what an administrator types."""
        super().__init__(message)
        self.remedy = remedy


class NoSandboxError(SpaceRelayError):
    """This installation has no sandbox."""

    slug, title, kind = "no-sandbox", "There is no sandbox here", Kind.NOT_FOUND
    title_zh = "本系统未开通沙盒"


class SandboxInUseError(SpaceRelayError):
    """Another firm has just used the sandbox, and a reset would sweep its tests away."""

    slug, title, kind = "sandbox-in-use", "Another firm uses the sandbox", Kind.CONFLICT
    title_zh = "其他企业正在使用沙盒"


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The sandbox of a process that serves: its own connections, and its own view of space."""

    engine: Engine
    sessions: sessionmaker[Session]
    snapshots: Followed

    @classmethod
    def over(cls, engine: Engine, settings: Settings) -> "Sandbox":
        """The sandbox in a database; nothing is read before somebody asks."""
        folder = settings.snapshot_dir or settings.home / "snapshots"
        return cls(
            engine,
            session_factory(engine, firm_statement_timeout_ms=settings.firm_statement_timeout_ms),
            Followed(engine, load_rules(settings.data_dir).building, folder / "sandbox"),
        )


def sandbox_url(url: str) -> str:
    """The address of the sandbox beside a live database."""
    live = make_url(normalised_url(url))
    beside = live.set(database=f"{live.database}{SUFFIX}")
    return beside.render_as_string(hide_password=False)


def sandbox_exists(live: Engine) -> bool:
    """Whether there is a sandbox beside a live database."""
    with live.connect() as connection:
        name = f"{live.url.database}{SUFFIX}"
        found = connection.scalar(
            text("SELECT true FROM pg_database WHERE datname = :name"), {"name": name}
        )
    return bool(found)


def create_database(live: Engine) -> None:
    """Make an empty database for the sandbox, unless there is one.

    Raises:
        SandboxNotPossibleError: this login may not.
    """
    if sandbox_exists(live):
        return
    name = f"{live.url.database}{SUFFIX}"
    admin = create_engine(live.url, isolation_level="AUTOCOMMIT")
    try:
        with admin.connect() as connection:
            quoted = connection.dialect.identifier_preparer.quote(name)
            connection.exec_driver_sql(f"CREATE DATABASE {quoted}")
    except ProgrammingError as error:
        if not isinstance(error.orig, InsufficientPrivilege):
            raise
        raise SandboxNotPossibleError(
            f"This login may not create the sandbox's database {name}.",
            f'CREATE DATABASE "{name}" OWNER <the role that migrates>;'
            " -- by an administrator, then: space-relay sandbox",
        ) from error
    finally:
        admin.dispose()


def prepare(engine: Engine, progress: Progress = silent) -> bool:
    """Bring the sandbox to this release's schema and data; False: it was so already.

    ``engine`` logs in to the sandbox's database as who may migrate it. Firms keep their keys.
    """
    with engine.connect() as connection:
        upgrade(connection)
        connection.rollback()
        stamp = f"{' '.join(sorted(heads()))} units {UNITS} seed {SEED} version {VERSION}"
        if connection.scalar(_STAMP) == stamp:
            return False
        _define_reset(connection)
        connection.commit()
    with Session(engine) as session:
        system(session)
        session.execute(text("SELECT sandbox_empty()"))
        generate_park(session, units=UNITS, seed=SEED, progress=progress)
        with transaction(session):
            session.execute(
                update(Park).values(name_zh="沙盒园区（合成）", name_en="Sandbox park (synthetic)")
            )
            session.execute(
                update(Zone).values(name_zh="沙盒（合成）", name_en="Sandbox (synthetic)")
            )
            _keep_copy(session.connection(), stamp)
    return True


def reset(session: Session) -> None:
    """Put everything back as it was made. Keys, and where firms are told of events, stay.

    Raises:
        BusyError: somebody reads or writes for longer than a lock is waited for.
    """
    session.execute(text("SELECT sandbox_reset()"))


def in_use_by_others(session: Session, company_id: UUID, now: datetime) -> bool:
    """Whether another firm's key was used a short while ago."""
    used = exists().where(
        Credential.company_id != company_id, Credential.last_used_at > now - QUIET_FOR
    )
    return bool(session.scalar(select(used)))


def reset_at(session: Session) -> datetime | None:
    """When everything was last put back; None: it was never filled."""
    return session.scalar(
        select(ReferenceLoad.loaded_at).where(ReferenceLoad.name == f"bench_{SEED}")
    )


def admit(session: Session, company_id: UUID, name_zh: str) -> None:
    """Let a firm into the sandbox: under its own id, and a credit code that is nobody's."""
    session.execute(
        insert(Company)
        .values(
            id=company_id,
            name_zh=f"{name_zh}（沙盒）",
            unified_social_credit_code=_credit_code(company_id),
            source="sandbox",
            confidence="assumption",
            synthetic=True,
        )
        .on_conflict_do_nothing(index_elements=["id"])
    )


def _credit_code(company_id: UUID) -> str:
    number = int.from_bytes(hashlib.sha256(company_id.bytes).digest()[:8], "big")
    body = _FICTITIOUS_REGISTRATION
    while len(body) < _CODE_BODY:
        number, digit = divmod(number, len(ALPHABET))
        body += ALPHABET[digit]
    return body + check_character(body)


_STAMP = text("""
SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = 'pristine'""")


def _define_reset(connection: Connection) -> None:
    """Functions that only the sandbox's database has: no mistake can run them on the live one.

    The owner of the tables runs them, so that whoever serves needs no more rights than anywhere.
    """
    emptied = [table.name for table in metadata.sorted_tables if table.name not in KEPT]
    listed = ", ".join(f"'{name}'" for name in emptied)
    # Rules guard what people do; what is put back has passed them when it was made.
    _define(
        connection,
        "sandbox_rules(guarding boolean)",
        f"""
    FOR name, has_policies IN
        SELECT relname, relrowsecurity FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relname IN ({listed})
    LOOP
        EXECUTE format('ALTER TABLE %I %s TRIGGER USER', name,
            CASE WHEN guarding THEN 'ENABLE' ELSE 'DISABLE' END);
        IF has_policies THEN
            EXECUTE format('ALTER TABLE %I %s ROW LEVEL SECURITY', name,
                CASE WHEN guarding THEN 'FORCE' ELSE 'NO FORCE' END);
        END IF;
    END LOOP;""",  # noqa: S608 - our own names
    )
    _define(
        connection,
        "sandbox_empty()",
        f"""
    PERFORM sandbox_rules(false);
    TRUNCATE {", ".join(emptied)};
    PERFORM sandbox_rules(true);""",
    )
    _define(
        connection,
        "sandbox_reset()",
        f"""
    PERFORM sandbox_empty();
    PERFORM sandbox_rules(false);
    FOREACH name IN ARRAY ARRAY[{listed}] LOOP
        EXECUTE format(
            'INSERT INTO public.%1$I (%2$s) OVERRIDING SYSTEM VALUE SELECT %2$s FROM pristine.%1$I',
            name,
            (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
             WHERE attrelid = format('public.%I', name)::regclass AND attnum > 0
                AND NOT attisdropped AND attgenerated = ''));
    END LOOP;
    UPDATE reference_loads SET loaded_at = now();
    -- Whoever follows the changes of space reads everything anew.
    INSERT INTO space_changes (building_id) VALUES (NULL);
    PERFORM sandbox_rules(true);""",  # noqa: S608 - our own names
    )


def _define(connection: Connection, signature: str, body: str) -> None:
    connection.execute(
        text(f"""
CREATE OR REPLACE FUNCTION {signature} RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE name text; has_policies boolean;
BEGIN{body}
END $$""")
    )
    connection.execute(text(f"ALTER FUNCTION {signature} OWNER TO {OWNER}"))


def _keep_copy(connection: Connection, stamp: str) -> None:
    """What a reset puts back. Only the owner of the tables reads it."""
    connection.exec_driver_sql("DROP SCHEMA IF EXISTS pristine CASCADE")
    connection.exec_driver_sql("CREATE SCHEMA pristine")
    for table in metadata.sorted_tables:
        if table.name not in KEPT:
            name = connection.dialect.identifier_preparer.quote(table.name)
            connection.exec_driver_sql(f"CREATE TABLE pristine.{name} AS TABLE public.{name}")
    connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA pristine TO {OWNER}")
    connection.exec_driver_sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA pristine TO {OWNER}")
    connection.exec_driver_sql(f"COMMENT ON SCHEMA pristine IS '{stamp}'")
