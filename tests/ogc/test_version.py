"""The version of what is shown moves with everything that shows, and with nothing else."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.orm import Session

from app.database.engine import make_engine
from app.database.roles import PUBLIC
from app.ogc.version import Versions
from tests import factories as make

#: What somebody writes, and whether a collection shows it.
WRITES = {
    "a zone's name": ("UPDATE zones SET name_en = name_en || '!'", True),
    "a park's edge": ("UPDATE parks SET boundary_east = 'a road'", True),
    "a parcel's outline": ("UPDATE parcels SET geom = ST_Translate(geom, 1e-6, 0)", True),
    "a parcel that is gone": ("DELETE FROM parcels WHERE code = 'MADE-FOR-THIS'", True),
    "a programme's name": ("UPDATE programmes SET name_zh = name_zh || '！'", True),
    "a building's floors": ("UPDATE buildings SET floors_above = floors_above + 1", True),
    "a unit's version": ("UPDATE units SET version = version + 1", True),
    "a word to nobody": ("CREATE TABLE nobodys (word text)", False),
    "nothing": ("SELECT 1", False),
}


@pytest.fixture
def public(own_seeded_engine: Engine) -> Iterator[Session]:
    """A session as the public has it."""
    url = own_seeded_engine.url.render_as_string(hide_password=False)
    engine = make_engine(url, role=PUBLIC)
    with Session(engine) as session:
        yield session
    engine.dispose()


def test_everything_that_shows_counts_and_nothing_else(
    own_seeded_engine: Engine, public: Session
) -> None:
    versions = Versions()
    with Session(own_seeded_engine) as session:
        make.make_parcel(session, code="MADE-FOR-THIS")
        session.commit()
    wrong = []
    before = versions.look(public)
    for what, (statement, shows) in WRITES.items():
        with own_seeded_engine.begin() as connection:
            connection.execute(text(statement))
        after = versions.look(public)
        if (after != before) is not shows:
            wrong.append(what)
        before = after

    assert wrong == []


def test_what_commits_late_is_not_missed(own_seeded_engine: Engine, public: Session) -> None:
    """A transaction whose number is low, and whose commit comes after that of a higher one."""
    versions = Versions()
    write = text("UPDATE units SET version = version + 1 WHERE fid = :fid")
    with own_seeded_engine.connect() as early, own_seeded_engine.connect() as late:
        early.execute(write, {"fid": 1})
        late.execute(write, {"fid": 2})
        late.commit()
        before = versions.look(public)
        highest = public.execute(text("SELECT max(xid::text::bigint) FROM space_changes")).scalar()
        early.commit()
        public.rollback()
        after = versions.look(public)
        same = public.execute(text("SELECT max(xid::text::bigint) FROM space_changes")).scalar()

    assert after != before
    # The control: the highest number alone would have said that nothing had changed.
    assert highest == same


def test_while_nothing_ends_anywhere_nothing_is_read(
    own_seeded_engine: Engine, public: Session
) -> None:
    versions = Versions()
    asked: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    versions.look(public)
    event.listen(public.get_bind(), "before_cursor_execute", note)
    for _ in range(3):
        versions.look(public)
    quiet = [one for one in asked if "space_changes" in one]
    with own_seeded_engine.begin() as connection:
        connection.execute(text("CREATE TABLE nobodys (word text)"))
    versions.look(public)

    assert len(asked) == 5
    assert quiet == []
    assert "space_changes" in asked[-1]
