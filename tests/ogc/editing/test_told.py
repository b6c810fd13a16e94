"""Who was told what is remembered for a while, and not more of it than there is room for."""

import pytest

from app.routers.ogc import told
from app.routers.ogc.told import KNOWN_S, Place, Told

PLACE = Place("staff:a", "parcels", "3")


def test_what_was_told_counts_once_and_for_ten_minutes() -> None:
    heard = Told()
    heard.tell(PLACE, '"one"', 1_000.0)
    assert heard.take(PLACE._replace(caller="staff:b"), 1_001.0) is None
    assert heard.take(PLACE._replace(fid="4"), 1_001.0) is None
    assert heard.take(PLACE, 1_000.0 + KNOWN_S - 1) == '"one"'
    assert heard.take(PLACE, 1_001.0) is None

    heard.tell(PLACE, '"one"', 1_000.0)
    heard.tell(PLACE, '"two"', 1_100.0)
    assert heard.take(PLACE, 1_101.0) == '"two"'
    heard.tell(PLACE, '"two"', 1_000.0)
    assert heard.take(PLACE, 1_000.0 + KNOWN_S) is None
    heard.tell(PLACE, '"two"', 1_000.0)
    assert heard.take(PLACE, 999.0) is None, "a clock that was set back makes nobody know more"


def test_the_oldest_is_forgotten_when_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "_TOLD_MAX", 3)
    heard = Told()
    for number in range(5):
        heard.tell(PLACE._replace(fid=str(number)), f'"{number}"', 1_000.0 + number)

    kept = [heard.take(PLACE._replace(fid=str(number)), 1_010.0) for number in range(5)]
    assert kept == [None, None, '"2"', '"3"', '"4"']
