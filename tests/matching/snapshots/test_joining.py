"""Segments that are made one say what they said apart."""

from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.matching.segment import Segment, Snapshot
from app.matching.snapshots.joining import joined
from app.matching.snapshots.load import connection_of, load_segment, read_version
from tests.matching.snapshots.same import told
from tests.matching.snapshots.worlds import RULES, make_world


def snapshot(session: Session, *segments: Segment) -> Snapshot:
    with connection_of(session) as connection:
        return Snapshot(segments, read_version(connection))


def under(segment: Segment, newer: Segment) -> Segment:
    """The segment below one that holds some of its buildings."""
    stale = np.isin(segment.buildings.fid, newer.buildings.fid)
    return replace(segment, buildings=replace(segment.buildings, stale=stale))


def apart(session: Session, seed: int) -> tuple[Segment, list[Segment]]:
    """All space, and the same in two parts that share some buildings."""
    # Passages stay within a world.
    worlds = [
        {unit.building_id for unit in make_world(session, seed + place)} for place in range(3)
    ]
    as_of = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    whole = load_segment(session, as_of=as_of, rules=RULES)
    older, newer = (
        load_segment(session, buildings=some, as_of=as_of, rules=RULES)
        for some in (worlds[0] | worlds[1], worlds[1] | worlds[2])
    )
    return whole, [under(older, newer), newer]


@pytest.mark.parametrize("seed", range(6))
def test_what_is_joined_is_all_that_was_live_in_its_parts(session: Session, seed: int) -> None:
    whole, parts = apart(session, seed)

    one = joined(parts)

    assert told(snapshot(session, one)) == told(snapshot(session, *parts))
    assert told(snapshot(session, one)) == told(snapshot(session, whole))
    assert one.fid.tolist() == whole.fid.tolist()
    assert one.nbytes == whole.nbytes


def test_without_what_is_stale_nothing_is_missed(session: Session) -> None:
    # The control: the parts do share buildings, and leaving the shared ones out is told apart.
    whole, (older, newer) = apart(session, 1)
    assert older.buildings.stale.any()
    fresh = replace(older.buildings, stale=np.zeros_like(older.buildings.stale))
    twice = snapshot(session, replace(older, buildings=fresh), newer)
    with pytest.raises(AssertionError, match="live twice"):
        told(twice)
    assert told(snapshot(session, joined([older]))) != told(snapshot(session, whole))
