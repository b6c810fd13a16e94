"""The ``space-relay`` command."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, NoReturn
from uuid import UUID

import typer
import uvicorn
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from app import logs
from app.contacts import kept as contacts
from app.database import checks
from app.database.cluster import Cluster, ClusterError
from app.database.engine import make_engine, role_of
from app.database.migrate import is_current, upgrade
from app.database.roles import ADMINISTRATOR_SQL, APP, PUBLIC, RolesMissingError, lacking
from app.database.session import transaction
from app.kernel.clock import SystemClock
from app.kernel.errors import SpaceRelayError
from app.onboarding import applications
from app.security.actors import Role, Scope
from app.security.audit.actions import Action
from app.security.audit.chain import heads, read_heads, verify
from app.security.audit.trail import record
from app.security.certificates import ends_at, make_certificates
from app.security.credentials import (
    find_company,
    find_parks,
    issue_firm_key,
    issue_staff_token,
    revoke,
)
from app.security.demo import Demo, ensure_demo
from app.security.oauth import signing
from app.security.oauth.signing import replace_signer
from app.security.rows import system
from app.security.sealing import KEY_FILE_NAME, Sealer, SecretKeyError, new_key_line
from app.security.staff import accounts, second_factor
from app.security.staff.oidc import OidcSettingsError
from app.security.staff.passwords import Passwords
from app.security.staff.policy import StaffPolicy
from app.security.staff.sign_in import Gate
from app.security.weak import weak_secrets
from app.seeding.bulk_plan import LET_PCT
from app.seeding.sandbox import POOL_SIZE as SANDBOX_POOL_SIZE
from app.seeding.sandbox import (
    SandboxNotPossibleError,
    create_database,
    prepare,
    sandbox_exists,
    sandbox_url,
)
from app.seeding.service import ReferenceConflictError, SeedReport, generate_park, seed
from app.settings import SettingError, Settings, settings
from app.webhooks import endpoints
from app.webhooks.sending import sending

app = typer.Typer(
    name="space-relay",
    help="Space Relay 空间接力: every square metre of the park, and the right company in it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
token_app = typer.Typer(help="Issue and revoke credentials.", no_args_is_help=True)
app.add_typer(token_app, name="token")
audit_app = typer.Typer(
    help="Check that the audit trail is what was written, and export its heads.",
    no_args_is_help=True,
)
app.add_typer(audit_app, name="audit")

staff_app = typer.Typer(
    help="Accounts of staff: the first administrator is made here.", no_args_is_help=True
)
app.add_typer(staff_app, name="staff")

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

#: Statements of commands may take long; those of requests may not.
_COMMAND_TIMEOUT_MS = 3_600_000
_JOB_TIMEOUT_MS = 300_000

#: What seals anew all that is kept sealed, of each kind.
SEALED: Mapping[str, Callable[[Session, Sealer], int]] = {
    "contacts": contacts.seal_anew,
    "applications": applications.seal_anew,
    "second factors": second_factor.seal_anew,
    "webhook endpoints": endpoints.seal_anew,
    "signing keys": signing.seal_anew,
}

Report = Callable[[str, int, int], None]


def fail(sentence: str, remedy: str) -> NoReturn:
    """One clear sentence, the line to type, and exit 1."""
    err.print(f"[red]{sentence}[/red]")
    err.print(f"  {remedy}", soft_wrap=True)
    raise typer.Exit(1)


@contextmanager
def database_url(configured: Settings, *, alone: bool = False) -> Iterator[str]:
    """The database to use: the configured one, or the private cluster while this lasts.

    ``alone`` refuses a private cluster that another process started and will end.
    """
    if configured.database_url is not None:
        yield configured.database_url.get_secret_value()
        return
    try:
        with Cluster(configured.home) as cluster:
            if alone and cluster.attached:
                fail(
                    "Another Space Relay is running from this folder, and its private PostGIS"
                    " ends with it.",
                    "stop the other one, or give this one a SPACE_RELAY_HOME of its own",
                )
            yield cluster.url
    except ClusterError as error:
        fail(error.message, error.remedy)


@contextmanager
def opened_engine(
    role: str | None = APP, *, statement_timeout_ms: int = _COMMAND_TIMEOUT_MS
) -> Iterator[Engine]:
    """An engine for a command, disposed of at the end; without a role it acts as the login."""
    with database_url(settings()) as url:
        engine = make_engine(
            url,
            pool_size=4,
            statement_timeout_ms=statement_timeout_ms,
            lock_timeout_ms=_COMMAND_TIMEOUT_MS,
            role=role,
        )
        with _answering(engine):
            yield engine


@contextmanager
def opened_session() -> Iterator[Session]:
    """A session of a command that works with the data and not with its schema."""
    with opened_engine() as engine, Session(engine) as session:
        system(session)
        yield session


@contextmanager
def engines_for_requests(configured: Settings) -> Iterator[tuple[Engine, Engine]]:
    """The engines of a server: for known callers, and for those without a credential."""
    with database_url(configured) as url:
        public_url = configured.public_database_url
        known = make_engine(
            url,
            pool_size=configured.pool_size,
            statement_timeout_ms=configured.statement_timeout_ms,
            lock_timeout_ms=configured.lock_timeout_ms,
            idle_timeout_ms=configured.idle_in_transaction_timeout_ms,
            role=APP,
        )
        public = make_engine(
            url if public_url is None else public_url.get_secret_value(),
            pool_size=configured.public_pool_size,
            statement_timeout_ms=configured.public_statement_timeout_ms,
            lock_timeout_ms=configured.lock_timeout_ms,
            idle_timeout_ms=configured.idle_in_transaction_timeout_ms,
            application_name="space-relay-public",
            role=PUBLIC,
        )
        with _answering(known), _answering(public):
            yield known, public


@contextmanager
def _answering(engine: Engine) -> Iterator[None]:
    """Make sure that the engine's database answers, and dispose of it at the end."""
    try:
        try:
            with engine.connect():
                pass
        except OperationalError as error:
            fail(
                f"The database does not answer: {str(error.orig).strip().splitlines()[0]}",
                "space-relay doctor",
            )
        except DBAPIError:
            fail(
                f"This login may not act as {role_of(engine)}: the database is at another schema,"
                " or nobody granted it the role (docs/howto/deploy.md).",
                "space-relay migrate",
            )
        yield
    except SpaceRelayError as error:
        fail(str(error), "space-relay --help")
    finally:
        engine.dispose()


@contextmanager
def progress_bars() -> Iterator[Report]:
    """A reporter ``(step, done, total)`` that draws one bar for each step."""
    with Progress(
        TextColumn("{task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
    ) as progress:
        tasks: dict[str, int] = {}

        def report(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = progress.add_task(step, total=total)
            progress.update(tasks[step], completed=done, total=total)  # type: ignore[arg-type]

        yield report


def migrate_to_head(engine: Engine) -> None:
    """Bring the schema up to date."""
    try:
        with engine.connect() as connection:
            upgrade(connection)
    except RolesMissingError as missing:
        fail(str(missing), ADMINISTRATOR_SQL)


def show(report: SeedReport) -> None:
    """Print what is loaded."""
    if not report.loaded:
        out.print("reference data is already loaded; nothing to do")
    for name, value in flattened(report.totals):
        shown = f"{value:,}" if isinstance(value, int) else str(value)
        out.print(f"  {name:<44} {shown:>18}")


def flattened(totals: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Totals within totals as dotted names."""
    for name, value in totals.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


@app.command()
def migrate() -> None:
    """Bring the database to the schema this release needs."""
    with opened_engine(None) as engine:
        migrate_to_head(engine)
    out.print("the schema is up to date")


@app.command()
def warm() -> None:
    """Compile the search kernels, once for each release on each kind of machine."""
    from app.matching.warm import warm_up  # noqa: PLC0415 - takes seconds, which the other commands need not wait for

    warm_up()
    out.print("the search kernels are compiled")


@app.command(name="seed")
def seed_command(
    seed_number: Annotated[
        int, typer.Option("--seed", help="seed of the generated part")
    ] = 20261101,
) -> None:
    """Load the Shanghai reference data. Run twice, it does nothing the second time."""
    with opened_engine(None) as engine, Session(engine) as session, progress_bars() as report:
        migrate_to_head(engine)
        system(session)
        with transaction(session):
            loaded = seed(session, settings().data_dir, seed=seed_number, progress=report)
    show(loaded)


@app.command()
def generate(
    units: Annotated[int, typer.Option(min=1, help="how many units to make")],
    seed_number: Annotated[
        int, typer.Option("--seed", help="the same seed makes the same park")
    ] = 1,
    let_pct: Annotated[
        int, typer.Option("--let", min=0, max=100, help="share of the units let today, percent")
    ] = LET_PCT,
) -> None:
    """Make synthetic parks of any size, for benchmarks. Every row says that it is synthetic."""
    with opened_engine(None) as engine, Session(engine) as session, progress_bars() as report:
        migrate_to_head(engine)
        system(session)
        with transaction(session):
            made = generate_park(
                session, units=units, seed=seed_number, let_pct=let_pct, progress=report
            )
    show(made)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on", min=1, max=65535)] = 8000,
    demo: Annotated[
        bool,
        typer.Option("--demo", help="load the reference data once and make credentials to try"),
    ] = False,
) -> None:
    """Serve the API. Without SPACE_RELAY_DATABASE_URL, a private PostGIS runs as long as this."""
    from app.main import create_app  # noqa: PLC0415 - takes seconds, which the other commands need not wait for
    from app.matching.warm import warm_up  # noqa: PLC0415 - as above

    configured = settings()
    require_strong(configured)
    if demo and host == "127.0.0.1":
        # A receiver to try it with runs on this machine; nobody else can reach either.
        configured = configured.model_copy(update={"webhook_allow_loopback": True})
    logs.configure(configured.log_level, as_json=configured.log_json)
    if not checks.port_is_free(port, host):
        fail(
            f"Port {port} is used by another program.",
            f"python3 dev.py run --port {checks.free_port(port, host)}",
        )
    base_url = f"http://{'127.0.0.1' if host in {'0.0.0.0', '::'} else host}:{port}"  # noqa: S104
    _end_with_signal()
    with ExitStack() as stack:
        # Holds the private cluster, before anything is made in it.
        stack.enter_context(database_url(configured, alone=True))
        if demo:
            prepare_demo(base_url)
        engine, public_engine = stack.enter_context(engines_for_requests(configured))
        with engine.connect() as connection:
            if not is_current(connection):
                fail("The database is at another schema.", "space-relay migrate")
        sandbox_engine = open_sandbox(engine, pool_size=SANDBOX_POOL_SIZE)
        if sandbox_engine is not None:
            stack.callback(sandbox_engine.dispose)
        make_gate()  # says so at once where the keys cannot be used
        try:
            service = create_app(
                engine,
                configured.model_copy(update={"public_url": configured.public_url or base_url}),
                public_engine=public_engine,
                sandbox_engine=sandbox_engine,
            )
        except OidcSettingsError as error:
            fail(f"The identity provider's settings: {error}.", "docs/reference/settings.md")
        # Meanwhile the rest can be asked for already.
        service.state.snapshots.begin()
        threading.Thread(target=warm_up, name="kernels", daemon=True).start()
        # Waited for at the end: a thread that is cut off in the middle takes the process with it.
        threading.Thread(target=service.openapi, name="document").start()
        server = uvicorn.Server(
            uvicorn.Config(
                service,
                host=host,
                port=port,
                access_log=False,
                log_config=None,  # as ours (app/logs.py)
                log_level="warning",
                timeout_graceful_shutdown=10,
                server_header=False,
                # Whoever is believed may say which address it is called from.
                proxy_headers=bool(configured.trusted_proxies),
                forwarded_allow_ips=configured.trusted_proxies,
            )
        )
        err.print(f"serving on {base_url}  (docs: {base_url}/docs, Ctrl-C ends it)")
        # The server has ended well by the time it passes Ctrl-C on.
        beside = _worker_beside(engine, configured) if demo else nullcontext()
        with suppress(KeyboardInterrupt), beside:
            server.run()


@contextmanager
def _worker_beside(engine: Engine, configured: Settings) -> Iterator[None]:
    """Background jobs in a process of their own, which who tries it out would not start."""
    url = engine.url.render_as_string(hide_password=False)
    beside = subprocess.Popen(
        [sys.executable, "-m", "app", "worker"],
        env={
            **os.environ,
            "SPACE_RELAY_DATABASE_URL": url,
            "SPACE_RELAY_WEBHOOK_ALLOW_LOOPBACK": str(configured.webhook_allow_loopback),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        beside.terminate()
        try:
            beside.wait(timeout=10)
        except subprocess.TimeoutExpired:
            beside.kill()
            beside.wait()


def make_gate() -> Gate:
    """What accounts of staff are made with."""
    configured = settings()
    try:
        sealer = Sealer.of(configured)
        sealer.check()
    except SecretKeyError as error:
        fail(str(error), error.remedy)
    return Gate(Passwords(), sealer, StaffPolicy.of(configured))


def open_sandbox(live: Engine, *, pool_size: int) -> Engine | None:
    """An engine on the sandbox beside a database, if there is one of this release."""
    if not sandbox_exists(live):
        return None
    configured = settings()
    engine = make_engine(
        sandbox_url(live.url.render_as_string(hide_password=False)),
        pool_size=pool_size,
        statement_timeout_ms=configured.statement_timeout_ms,
        lock_timeout_ms=configured.lock_timeout_ms,
        idle_timeout_ms=configured.idle_in_transaction_timeout_ms,
        application_name="space-relay-sandbox",
        role=APP,
    )
    with engine.connect() as connection:
        if is_current(connection):
            return engine
    engine.dispose()
    err.print("[yellow]The sandbox is at another schema, and stays off.[/yellow]")
    err.print("  space-relay sandbox")
    return None


def prepare_sandbox(live: Engine) -> bool:
    """Make the sandbox, or bring it to this release; False: it was so already."""
    create_database(live)
    engine = make_engine(
        sandbox_url(live.url.render_as_string(hide_password=False)),
        pool_size=2,
        statement_timeout_ms=_COMMAND_TIMEOUT_MS,
        lock_timeout_ms=_COMMAND_TIMEOUT_MS,
    )
    try:
        return prepare(engine)
    finally:
        engine.dispose()


@app.command()
def sandbox() -> None:
    """Make the sandbox (沙盒), a database beside the live one where firms try their programs."""
    with opened_engine(None) as engine:
        try:
            made = prepare_sandbox(engine)
        except SandboxNotPossibleError as error:
            fail(str(error), error.remedy)
    out.print("the sandbox is ready" if made else "the sandbox was ready already")


@token_app.command(name="replace-signing-key")
def token_replace_signing_key() -> None:
    """Sign access tokens with a new key from now on; those that are out stay good to their end."""
    now = SystemClock().now()
    with staff_session() as session:
        kid = replace_signer(session, make_gate().sealer, now)
        record(
            session,
            "cli",
            Action.SIGNING_KEY_REPLACED,
            park_id=None,
            subject_type="signing_key",
            subject_id=kid,
        )
    out.print(kid)


def prepare_demo(base_url: str) -> None:
    """Migrate, load the reference data once, and say how to try it."""
    with opened_engine(None) as engine, Session(engine) as session:
        migrate_to_head(engine)
        system(session)
        try:
            with progress_bars() as report, transaction(session):
                seed(session, settings().data_dir, progress=report)
        except ReferenceConflictError as conflict:
            # After an update: what is there is still good, and may have been worked with.
            err.print(f"[yellow]{conflict}[/yellow]\n  python3 dev.py clean --data", soft_wrap=True)
        try:
            prepare_sandbox(engine)
        except SandboxNotPossibleError as error:
            err.print(f"[yellow]{error}[/yellow]\n  {error.remedy}", soft_wrap=True)
        made = ensure_demo(session, settings().home, base_url, SystemClock(), make_gate())
    announce(made)


def announce(made: Demo) -> None:
    """Print the credentials the first time, and where they are kept every time."""
    out.print(f"\nSpace Relay 空间接力: {made.base_url}")
    if made.fresh:
        out.print(f"  staff token 员工令牌   {made.staff_token}", soft_wrap=True)
        out.print(f"  firm API key 企业密钥  {made.firm_key}", soft_wrap=True)
        out.print(f"  sign in as 登录账号    {made.account.email}", soft_wrap=True)
        out.print(f"  password 密码          {made.account.password}", soft_wrap=True, markup=False)
        out.print(f"  code's secret 验证密钥 {made.account.totp_secret}", soft_wrap=True)
    out.print(f"  demo firm 演示企业     {made.company_name_zh}  {made.company_id}", soft_wrap=True)
    out.print("  webhooks 回调          may go to http://127.0.0.1:PORT here", soft_wrap=True)
    out.print(f"  kept in 凭证文件       {made.path}\n", soft_wrap=True)


def _end_with_signal() -> None:
    """Let SIGTERM unwind the stack like Ctrl-C, so that the private cluster is stopped."""

    def on_term(_number: int, _frame: object) -> NoReturn:
        raise SystemExit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, on_term)


@app.command()
def worker() -> None:
    """Run background jobs until told to stop."""
    from app.worker import make_sender, make_worker  # noqa: PLC0415 - takes seconds, which the other commands need not wait for

    configured = settings()
    require_strong(configured)
    logs.configure(configured.log_level, as_json=configured.log_json)
    with opened_engine(statement_timeout_ms=_JOB_TIMEOUT_MS) as engine:
        url = engine.url.render_as_string(hide_password=False)
        beside = open_sandbox(engine, pool_size=4)
        with ExitStack() as stack:
            for each in (engine, beside):
                if each is not None:
                    stack.enter_context(sending(make_sender(each, configured)))
            queue = stack.enter_context(make_worker(engine, url, sandbox=beside).open())
            err.print("working; Ctrl-C ends it")
            queue.run_worker()
        if beside is not None:
            beside.dispose()


@app.command(name="export-openapi")
def export_openapi(
    path: Annotated[Path | None, typer.Argument(help="file to write; else standard output")] = None,
) -> None:
    """Write the OpenAPI 3.1 document. Needs no database."""
    from app.main import create_app  # noqa: PLC0415 - takes seconds, which the other commands need not wait for

    engine = make_engine("postgresql://nowhere/none")
    document = json.dumps(
        create_app(engine, settings()).openapi(), ensure_ascii=False, indent=2, sort_keys=True
    )
    if path is None:
        sys.stdout.write(document + "\n")
    else:
        path.write_text(document + "\n", encoding="utf-8")


@token_app.command(name="staff")
def token_staff(
    role: Annotated[Role, typer.Option(help="what the holder may do")] = Role.AGENT,
    label: Annotated[str, typer.Option(help="what it is for; no personal data")] = "staff",
    days: Annotated[int, typer.Option(min=1, help="days until it expires")] = 90,
    park: Annotated[
        list[str] | None, typer.Option(help="code of a park it is for; every park if left out")
    ] = None,
    account: Annotated[
        str | None,
        typer.Option(help="e-mail address of the person it belongs to; a program's if left out"),
    ] = None,
) -> None:
    """Issue a staff token. It is shown once."""
    with staff_session() as session:
        park_ids: list[UUID] | None = None
        if park:
            park_ids = find_parks(session, park)
        token = issue_staff_token(
            session,
            role=role,
            label=label,
            park_ids=park_ids,
            expires_at=SystemClock().now() + timedelta(days=days),
            account=None if account is None else accounts.find_account(session, account),
        )
        _note_credential(session, Action.CREDENTIAL_ISSUED, _key_id(token), role=role.value)
    out.print(token, soft_wrap=True)


@token_app.command(name="firm")
def token_firm(
    company: Annotated[str, typer.Option(help="id or 统一社会信用代码 of the company")],
    label: Annotated[str, typer.Option(help="what it is for; no personal data")] = "firm",
    days: Annotated[int, typer.Option(min=1, help="days until it expires")] = 365,
    scope: Annotated[
        list[Scope] | None, typer.Option(help="what it may do; all if left out")
    ] = None,
) -> None:
    """Issue a firm's API key. It is shown once."""
    with opened_session() as session, transaction(session):
        try:
            company_id = find_company(session, company)
        except SpaceRelayError as error:
            fail(str(error), "space-relay token firm --company <id or 统一社会信用代码>")
        key = issue_firm_key(
            session,
            company_id=company_id,
            label=label,
            scopes=scope or tuple(Scope),
            expires_at=SystemClock().now() + timedelta(days=days),
        )
        _note_credential(session, Action.CREDENTIAL_ISSUED, _key_id(key), company_id=company_id)
    out.print(key, soft_wrap=True)


@token_app.command(name="revoke")
def token_revoke(
    key_id: Annotated[str, typer.Argument(help="the part between the second and third _")],
) -> None:
    """End a credential now."""
    with opened_session() as session, transaction(session):
        ended = revoke(session, key_id, SystemClock().now())
        if ended:
            _note_credential(session, Action.CREDENTIAL_REVOKED, key_id)
    if not ended:
        fail("There is no valid credential of that id.", "space-relay token revoke <key id>")
    out.print("revoked")


def _key_id(token: str) -> str:
    """The public part of a credential."""
    return token.split("_")[2]


def _note_credential(
    session: Session,
    action: Action,
    key_id: str,
    company_id: UUID | None = None,
    **details: str,
) -> None:
    record(
        session,
        "cli",
        action,
        park_id=None,
        subject_type="credential",
        subject_id=key_id,
        company_id=company_id,
        details=details,
    )


@audit_app.command(name="verify")
def audit_verify(
    park: Annotated[
        str | None, typer.Option(help="code of a park, or house; every chain if left out")
    ] = None,
    heads_file: Annotated[
        Path | None,
        typer.Option(
            "--heads",
            exists=True,
            dir_okay=False,
            help="lines of `audit head`, kept elsewhere: finds a chain cut short or written anew",
        ),
    ] = None,
) -> None:
    """Read the chains from their beginning; name the first entry that is not as it was, exit 1."""
    with opened_session() as session:
        lines = () if heads_file is None else heads_file.read_text("utf-8").splitlines()
        found = verify(session, park, read_heads(lines))
    if found.tampering is not None:
        wrong = found.tampering
        fail(
            f"tampered 已被改动: park {wrong.park}, sequence {wrong.sequence}: {wrong.what}",
            "compare with a backup; docs/explain/audit.md says what can be told from it",
        )
    out.print(f"intact 完好: {found.entries} entries in {found.chains} chains")


@audit_app.command(name="head")
def audit_head() -> None:
    """Print the last entry's hash of each chain, one JSON object a line, to give to others."""
    with opened_session() as session:
        for head in heads(session):
            out.print(head.line(), soft_wrap=True, markup=False)


@contextmanager
def staff_session() -> Iterator[Session]:
    """A session that changes accounts, and commits at the end."""
    with opened_session() as session, transaction(session):
        yield session


Email = Annotated[str, typer.Argument(help="the account's e-mail address")]


@staff_app.command(name="invite")
def staff_invite(
    email: Email,
    name: Annotated[str, typer.Option(help="the person's name; else the address")] = "",
    role: Annotated[Role, typer.Option(help="what the person may do")] = Role.AGENT,
    park: Annotated[
        list[str] | None, typer.Option(help="code of a park; every park if left out")
    ] = None,
    staff_number: Annotated[
        str | None, typer.Option(help="工号, the employer's number of the person")
    ] = None,
) -> None:
    """Make an account, or invite again who has one. The token is shown once."""
    gate, now = make_gate(), SystemClock().now()
    with staff_session() as session:
        known = accounts.account_of(session, email)
        if known is None:
            place = accounts.Place(role, accounts.find_parks(session, park or None))
            invited = accounts.invite(
                session,
                accounts.COMMAND_LINE,
                email=email,
                name=name or email,
                place=place,
                now=now,
                policy=gate.policy,
                staff_number=staff_number,
            )
        else:
            invited = accounts.invite_again(
                session, accounts.COMMAND_LINE, known.id, now, gate.policy
            )
    out.print(invited.token, soft_wrap=True, markup=False)
    err.print(
        "hand it over by a way you trust; it sets the password at"
        f" POST /api/v1/staff/accept-invitation, until {invited.expires_at:%Y-%m-%d %H:%M} UTC",
        soft_wrap=True,
    )


@staff_app.command(name="disable")
def staff_disable(email: Email) -> None:
    """Let the account's owner in no more, and end all its sessions."""
    with staff_session() as session:
        account = accounts.find_account(session, email)
        wanted = accounts.Change(disabled=True)
        accounts.change(session, accounts.COMMAND_LINE, account.id, wanted, SystemClock().now())
    out.print("disabled")


@staff_app.command(name="reset-second-factor")
def staff_reset_second_factor(email: Email) -> None:
    """Take the second factor off an account whose owner lost it."""
    with staff_session() as session:
        account = accounts.find_account(session, email)
        accounts.reset_second_factor(
            session, accounts.COMMAND_LINE, account.id, SystemClock().now()
        )
    out.print("reset; the next sign-in sets up a new one")


@app.command()
def certificates(
    folder: Annotated[
        Path, typer.Argument(help="where each part's are put, in a folder of its own")
    ],
    host: Annotated[str, typer.Option(help="name by which the database is reached")] = "database",
    days: Annotated[int, typer.Option(min=1, max=397, help="how long they are good")] = 180,
    owner: Annotated[
        list[str] | None, typer.Option(help="part=user id that it runs as; may be repeated")
    ] = None,
    renew: Annotated[
        bool, typer.Option("--renew", envvar="RENEW_CERTIFICATES", help="also those still good")
    ] = False,
) -> None:
    """Make the certificates by which the database and its logins know each other (部署证书)."""
    now = SystemClock().now()
    until = ends_at(folder)
    if until is None or until <= now or renew:
        owners = {name: int(user) for name, _, user in (one.partition("=") for one in owner or ())}
        until = now + timedelta(days=days)
        folder.mkdir(exist_ok=True)
        make_certificates(folder, host, timedelta(days=days), now, owners)
    out.print(f"good until {until:%Y-%m-%d}; RENEW_CERTIFICATES=yes renews them before")


@app.command(name="secret-key")
def secret_key() -> None:
    """Print a new key to seal secrets with, as a line of the key file; it goes on top."""
    out.print(new_key_line(), soft_wrap=True, markup=False)


@app.command(name="seal-anew")
def seal_anew() -> None:
    """Seal with the key on top of the key file all that earlier ones sealed; these may then go."""
    sealer, now_sealed = make_gate().sealer, Counter[str]()
    with opened_engine(APP) as engine:
        beside = open_sandbox(engine, pool_size=1)
        for one in [engine] if beside is None else [engine, beside]:
            with Session(one) as session, transaction(session):
                system(session)
                for what, seal in SEALED.items():
                    now_sealed[what] += seal(session, sealer)
                record(
                    session,
                    "cli",
                    Action.SECRETS_SEALED_ANEW,
                    park_id=None,
                    subject_type="secret_key",
                    subject_id=None,
                    details=dict(now_sealed),
                )
        if beside is not None:
            beside.dispose()
    out.print(", ".join(f"{count} {what}" for what, count in now_sealed.items()))


@app.command()
def doctor() -> None:
    """Say what is there and what is missing; change nothing."""
    configured = settings()
    found = [checks.check_python(), _check_secrets(configured)]
    if configured.database_url is not None:
        url = configured.database_url.get_secret_value()
        found.append(checks.check_database(url))
        if checks.passed(found):
            found.append(_check_roles(url))
    else:
        found += [
            checks.check_postgres(),
            checks.check_account(),
            checks.check_cluster(configured.home),
        ]
    found += [checks.check_disk(configured.home), checks.check_port(8000)]
    out.print(checks.render(found), soft_wrap=True, markup=False)
    if not checks.passed(found):
        raise typer.Exit(1)


def _check_secrets(configured: Settings) -> checks.Check:
    """Whether others may read, or anybody could guess, a secret of the installation."""
    weak = [(f"{one.setting}: {one.why}", one.remedy) for one in weak_secrets(configured)]
    file = configured.secret_key_file or configured.home / KEY_FILE_NAME
    if configured.secret_key is not None or configured.secret_key_file is not None or file.exists():
        try:
            Sealer.of(configured).check()
        except SecretKeyError as error:
            weak.append((str(error), error.remedy))
    return checks.Check(
        "Secrets",
        good=not weak,
        found="; ".join(said for said, _ in weak) or "none that others may read or could guess",
        remedy="\n".join(remedy for _, remedy in weak),
    )


def require_strong(configured: Settings) -> None:
    """End, unless nobody could guess a secret of the settings."""
    for weak in weak_secrets(configured):
        fail(f"{weak.setting}: {weak.why}.", weak.remedy)


def _check_roles(url: str) -> checks.Check:
    """The roles that own the database and serve from it."""
    engine = make_engine(url, pool_size=1)
    with engine.connect() as connection:
        missing = lacking(connection)
    engine.dispose()
    found = f"not there, and not for this login to make: {', '.join(missing)}"
    return checks.Check(
        "Database roles",
        good=not missing,
        found=found if missing else "there, or made by the first migration",
        remedy=ADMINISTRATOR_SQL,
    )


def main() -> None:
    """Run the command."""
    try:
        app()
    except SettingError as error:
        err.print(f"[red]{error}[/red]\n  {error.remedy}", soft_wrap=True)
        raise SystemExit(1) from None
