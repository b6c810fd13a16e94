"""Which jobs the worker runs: their names, when they run, and the functions that do the work."""

from collections.abc import Callable
from datetime import datetime, timedelta

import procrastinate
import structlog
from sqlalchemy import Engine
from sqlalchemy.orm import sessionmaker

from app.contacts.retention import erase_past
from app.database.engine import role_of
from app.database.session import Session, session_factory, transaction
from app.demand.rules import load_rules
from app.jobs.queue import make_queue
from app.kernel.clock import Clock, SystemClock
from app.ledger.orders import database_now
from app.ledger.telling import tell_what_time_brings
from app.matching.answers.fit_out import load_fit_out
from app.matching.answers.question import Tables
from app.matching.answers.watching import watch
from app.matching.snapshots.changes import forget_changes_before
from app.onboarding.expiring import tell_expiring
from app.security.audit.chain import heads
from app.security.idempotency import forget_before
from app.security.rows import SYSTEM
from app.security.sealing import Sealer
from app.security.staff.sessions import forget_sessions_before
from app.security.staff.throttle import FORGOTTEN_AFTER, forget_attempts_before
from app.seeding.sandbox import reset
from app.settings import Settings, settings
from app.webhooks.log import RETENTION, forget_events_before
from app.webhooks.sending import Sender

logger = structlog.get_logger(__name__)

#: How long a write may be repeated with its Idempotency-Key.
IDEMPOTENCY_RETENTION = timedelta(days=7)
#: How long a snapshot may be away and still catch up.
CHANGES_RETENTION = timedelta(days=2)
#: How long it can be told who was signed in, when and from where.
SESSIONS_RETENTION = timedelta(days=30)


def make_worker(
    engine: Engine, url: str, clock: Clock | None = None, *, sandbox: Engine | None = None
) -> procrastinate.App:
    """The queue with every job registered. ``engine`` serves the jobs' own sessions.

    ``sandbox`` is an engine on the sandbox, where there is one.
    """
    queue = make_queue(url, role_of(engine))
    sessions = session_factory(engine, rows=SYSTEM)
    now = (clock or SystemClock()).now

    @queue.periodic(cron="17 * * * *")
    @queue.task(name="forget_idempotent_answers", queueing_lock="forget_idempotent_answers")
    def forget_idempotent_answers(timestamp: int) -> int:
        """Hourly: drop the stored answers of writes that are too old to be repeated."""
        with sessions() as session, transaction(session):
            forgotten = forget_before(session, now() - IDEMPOTENCY_RETENTION)
        logger.info("forgot idempotent answers", count=forgotten, scheduled=timestamp)
        return forgotten

    @queue.periodic(cron="23 * * * *")
    @queue.task(name="forget_space_changes", queueing_lock="forget_space_changes")
    def forget_space_changes(timestamp: int) -> int:
        """Hourly: shorten the log that snapshots follow; who was away longer reads all anew."""
        with sessions() as session, transaction(session):
            forgotten = forget_changes_before(session, now() - CHANGES_RETENTION)
        logger.info("forgot changes of space", count=forgotten, scheduled=timestamp)
        return forgotten

    @queue.periodic(cron="37 * * * *")
    @queue.task(name="forget_sign_ins", queueing_lock="forget_sign_ins")
    def forget_sign_ins(timestamp: int) -> int:
        """Hourly: drop sessions of long ago, and counts of attempts that no longer matter."""
        with sessions() as session, transaction(session):
            forgotten = forget_sessions_before(session, now() - SESSIONS_RETENTION)
            forget_attempts_before(session, now() - FORGOTTEN_AFTER)
        logger.info("forgot sessions", count=forgotten, scheduled=timestamp)
        return forgotten

    @queue.periodic(cron="* * * * *")
    @queue.task(name="watch_requests", queueing_lock="watch_requests")
    def watch_requests(timestamp: int) -> int:
        """Every minute: judge open requests on the space that changed, and tell what turned."""
        data_dir = settings().data_dir
        tables = Tables(load_rules(data_dir), load_fit_out(data_dir))
        with sessions() as session, transaction(session):
            told = watch(session, tables=tables, now=now())
        logger.info("watched requests", events=told, scheduled=timestamp)
        return told

    @queue.periodic(cron="11 19 * * *")
    @queue.task(name="erase_personal_data", queueing_lock="erase_personal_data")
    def erase_personal_data(timestamp: int) -> int:
        """Daily, at night in Shanghai: erase what is kept about people past its retention."""
        erased = erase_past(sessions, months=settings().contact_retention_months, now=now())
        logger.info("erased personal data", count=erased, scheduled=timestamp)
        return erased

    @queue.periodic(cron="41 * * * *")
    @queue.task(name="export_audit_heads", queueing_lock="export_audit_heads")
    def export_audit_heads(timestamp: int) -> int:
        """Hourly: tell the head of every audit chain to the log, and to a file if there is one."""
        with sessions() as session:
            found = heads(session)
        for head in found:
            logger.info("audit head", head=head.line(), scheduled=timestamp)
        file = settings().audit_heads_file
        if file is not None:
            with file.open("a", encoding="utf-8") as opened:
                opened.writelines(f"{head.line()}\n" for head in found)
        return len(found)

    _tell_firms(queue, sessions, now)
    _tell_of_keys(queue, sessions, now)
    if sandbox is not None:
        _keep_sandbox(queue, session_factory(sandbox, rows=SYSTEM), now)
    return queue


def _tell_of_keys(
    queue: procrastinate.App, sessions: sessionmaker[Session], now: Callable[[], datetime]
) -> None:
    @queue.periodic(cron="5 1 * * *")
    @queue.task(name="tell_of_expiring_keys", queueing_lock="tell_of_expiring_keys")
    def tell_of_expiring_keys(timestamp: int) -> int:
        """Daily, in the morning in Shanghai: tell firms of keys that expire within two weeks."""
        with sessions() as session, transaction(session):
            told = tell_expiring(session, now())
        logger.info("told of expiring keys", events=told, scheduled=timestamp)
        return told


def _keep_sandbox(
    queue: procrastinate.App, sessions: sessionmaker[Session], now: Callable[[], datetime]
) -> None:
    """What the live database's jobs do for firms, in the sandbox; and its nightly reset."""

    @queue.periodic(cron="* * * * *")
    @queue.task(name="watch_sandbox", queueing_lock="watch_sandbox")
    def watch_sandbox(timestamp: int) -> int:
        """Every minute: tell firms what turned in the sandbox."""
        data_dir = settings().data_dir
        tables = Tables(load_rules(data_dir), load_fit_out(data_dir))
        with sessions() as session:
            with transaction(session):
                told = watch(session, tables=tables, now=now())
            with transaction(session):
                told += tell_what_time_brings(session, database_now(session))
        logger.info("watched the sandbox", events=told, scheduled=timestamp)
        return told

    @queue.periodic(cron="0 19 * * *")
    @queue.task(name="reset_sandbox", queueing_lock="reset_sandbox")
    def reset_sandbox(timestamp: int) -> None:
        """Daily, at three in the morning in Shanghai: put the sandbox back as it was made."""
        with sessions() as session, transaction(session):
            reset(session)
        logger.info("reset the sandbox", scheduled=timestamp)


def _tell_firms(
    queue: procrastinate.App, sessions: sessionmaker[Session], now: Callable[[], datetime]
) -> None:
    """The jobs behind webhooks; sending itself is ``make_sender``'s."""

    @queue.periodic(cron="* * * * *")
    @queue.task(name="tell_what_time_brings", queueing_lock="tell_what_time_brings")
    def tell_of_ends_and_turns(timestamp: int) -> int:
        """Every minute: tell firms of holds that lapse, and of offers to who waits in line."""
        with sessions() as session, transaction(session):
            told = tell_what_time_brings(session, database_now(session))
        logger.info("told what time brings", events=told, scheduled=timestamp)
        return told

    @queue.periodic(cron="37 * * * *")
    @queue.task(name="forget_webhook_events", queueing_lock="forget_webhook_events")
    def forget_webhook_events(timestamp: int) -> int:
        """Hourly: drop events that firms were told of long ago, with the log of deliveries."""
        with sessions() as session, transaction(session):
            forgotten = forget_events_before(session, now() - RETENTION)
        logger.info("forgot webhook events", count=forgotten, scheduled=timestamp)
        return forgotten


def make_sender(engine: Engine, configured: Settings) -> Sender:
    """What sends webhooks, beside the jobs."""
    return Sender(
        session_factory(engine, rows=SYSTEM),
        Sealer.of(configured),
        allow_loopback=configured.webhook_allow_loopback,
        hosts=configured.webhook_hosts,
    )
