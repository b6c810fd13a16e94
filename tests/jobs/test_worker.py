"""The worker runs its jobs on a real queue."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from app.models.access import IdempotentAnswer
from app.worker import IDEMPOTENCY_RETENTION, make_worker


def _answer(key: str, created_at: datetime) -> IdempotentAnswer:
    return IdempotentAnswer(
        actor="tests",
        key=key,
        operation="POST /",
        granted=[],
        body_digest=b"",
        status=201,
        headers={},
        body=b"",
        created_at=created_at,
    )


def test_the_worker_forgets_answers_past_their_time_and_keeps_the_others(
    own_engine: Engine,
) -> None:
    now = datetime.now(UTC)
    with Session(own_engine) as session:
        session.add(_answer("old", now - IDEMPOTENCY_RETENTION - timedelta(minutes=1)))
        session.add(_answer("young", now - timedelta(days=1)))
        session.commit()
    url = own_engine.url.render_as_string(hide_password=False)

    with make_worker(own_engine, url).open() as queue:
        queue.configure_task("forget_idempotent_answers").defer(timestamp=0)
        queue.run_worker(wait=False, install_signal_handlers=False, listen_notify=False)

    with Session(own_engine) as session:
        assert session.scalars(select(IdempotentAnswer.key)).all() == ["young"]
        states = session.execute(text("SELECT status FROM jobs.procrastinate_jobs")).scalars()
        assert set(states) == {"succeeded"}
