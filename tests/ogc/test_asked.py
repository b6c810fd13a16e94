"""What parameters say of days, instants and levels; and that nothing is overlooked."""

from datetime import UTC, date, datetime

import pytest

from app.kernel.errors import NotFoundError
from app.ogc.asked import Selection, read_selection
from app.ogc.collection import When
from app.ogc.collections import COLLECTIONS, find_collection
from app.ogc.errors import BadParameterError

#: Past midnight in Shanghai, though not in Greenwich.
NOW = datetime(2026, 11, 1, 17, tzinfo=UTC)
TODAY = date(2026, 11, 2)
FIRST = date(1900, 1, 1)


def asked(collection: str, **parameters: str) -> Selection:
    return read_selection(COLLECTIONS[collection], [*parameters.items()], now=NOW)


@pytest.mark.parametrize(
    ("text", "start", "until"),
    [
        ("2027-03-01", date(2027, 3, 1), date(2027, 3, 2)),
        ("2027-03-01T17:00:00Z", date(2027, 3, 2), date(2027, 3, 3)),
        ("2027-03-01/2027-03-31", date(2027, 3, 1), date(2027, 4, 1)),
        ("2027-03-01T00:00:00+08:00/..", date(2027, 3, 1), None),
        ("2027-03-01/", date(2027, 3, 1), None),
        ("../2027-03-31", FIRST, date(2027, 4, 1)),
        ("../..", FIRST, None),
    ],
)
def test_days_are_those_of_shanghai(text: str, start: date, until: date | None) -> None:
    selection = asked("free_space", datetime=text)

    assert selection.when == When(start, until)
    # What a later page asks for by these words is the same.
    assert asked("free_space", datetime=selection.days).when == selection.when
    # Collections without time match any.
    assert asked("zones", datetime=text).conditions == ()


def test_who_names_no_day_sees_today_and_what_is_free_from_today_on() -> None:
    assert asked("units").when == When(TODAY, date(2026, 11, 3))
    assert asked("free_space").when == When(TODAY, None)
    # As it was known once, "today" is the day of then.
    then = asked("units", as_of="2026-05-01T12:00:00Z")
    assert then.when == When(
        date(2026, 5, 1), date(2026, 5, 2), datetime(2026, 5, 1, 12, tzinfo=UTC)
    )


@pytest.mark.parametrize(
    ("collection", "parameters"),
    [
        ("units", {"datetime": "yesterday"}),
        ("units", {"datetime": ""}),
        ("units", {"datetime": "2027-02-30"}),
        ("units", {"datetime": "2027-03-01T00:00:00"}),
        ("units", {"datetime": "2027-03-31/2027-03-01"}),
        ("units", {"datetime": "2027-03-01/2027-03-02/2027-03-03"}),
        ("units", {"datetime": "0001-01-01"}),
        ("zones", {"datetime": "nonsense"}),
        ("units", {"as_of": "2026-11-01"}),
        ("units", {"as_of": "2026-11-03T00:00:00Z"}),
        ("zones", {"as_of": "2026-05-01T12:00:00Z"}),
        ("units", {"level": "ground"}),
        ("zones", {"level": "0"}),
        ("units", {"bbox": "1,2,3"}),
        ("units", {"bbox-crs": "EPSG:4326"}),
        ("units", {"filter": "no_such_property = 1"}),
        ("units", {"filter": "capacity > 1", "filter-lang": "sql"}),
        ("units", {"filter-lang": "sql"}),
        ("units", {"filter-crs": "EPSG:4326"}),
        ("units", {"unit_type": "castle"}),
        ("units", {"unit_type\x00": "pilot"}),
        ("units", {"code": "a\x00b"}),
        ("units", {"nonsense": "1"}),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(
    collection: str, parameters: dict[str, str]
) -> None:
    with pytest.raises(BadParameterError) as refused:
        asked(collection, **parameters)

    assert any(
        fault.pointer.rstrip("\0") in [name.rstrip("\0") for name in parameters]
        for fault in refused.value.faults
    )
    assert all(fault.detail_zh for fault in refused.value.faults)


def test_nothing_may_be_said_twice() -> None:
    with pytest.raises(BadParameterError, match="more than once"):
        read_selection(COLLECTIONS["units"], [("level", "1"), ("level", "2")], now=NOW)


def test_there_are_no_other_collections() -> None:
    with pytest.raises(NotFoundError, match="free_space"):
        find_collection("tenants")
