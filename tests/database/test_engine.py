"""Connections: what they keep from one transaction to the next, and what they undo."""

from collections.abc import Callable

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.database.engine import make_engine

_PREPARED = text("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%of ours%'")


@pytest.mark.parametrize(("make", "kept"), [(make_engine, 1), (create_engine, 0)])
def test_what_was_prepared_outlives_sessions_that_only_read(
    own_engine: Engine, make: Callable[[str], Engine], kept: int
) -> None:
    """The driver's own way, the control arm, forgets it each time."""
    engine = make(own_engine.url.render_as_string(hide_password=False))
    for number in range(10):
        with Session(engine) as session:
            session.execute(
                text("SELECT CAST(:number AS int) AS of_ours /* of ours */"), {"number": number}
            )
    with Session(engine) as session:
        assert session.execute(_PREPARED).scalar_one() == kept
    engine.dispose()


def test_what_is_not_committed_is_undone(own_engine: Engine) -> None:
    with Session(own_engine) as session:
        session.execute(text("CREATE TABLE notes (note text)"))
        session.commit()
        session.execute(text("INSERT INTO notes VALUES ('lost')"))
    with Session(own_engine) as session:
        assert session.execute(text("SELECT count(*) FROM notes")).scalar_one() == 0
        session.execute(text("INSERT INTO notes VALUES ('kept')"))
        session.commit()
    with Session(own_engine) as session:
        assert session.execute(text("SELECT note FROM notes")).scalars().all() == ["kept"]


def test_a_connection_that_was_lost_is_told_and_replaced(own_engine: Engine) -> None:
    """Whether it is lost at a statement or, unseen, while the transaction is open."""
    with Session(own_engine) as session, pytest.raises(OperationalError):
        session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    session = Session(own_engine)
    number = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
    with Session(own_engine) as other:
        other.execute(text("SELECT pg_terminate_backend(:number, 5000)"), {"number": number})
    with pytest.raises(OperationalError):
        session.close()
    with Session(own_engine) as session:
        assert session.execute(text("SELECT 1")).scalar_one() == 1
