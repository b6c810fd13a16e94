"""Days are civil days in Shanghai, wherever the process, the database and the caller are."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.kernel.clock import SHANGHAI, civil_day
from app.kernel.period import Period, months_after
from app.models.space import Unit
from tests import factories as make
from tests.conftest import ROOT, Databases
from tests.ledger.calendar_scenario import TERMS

LEASES, HOLDS, FREE = "/api/v1/leases", "/api/v1/holds", "/api/v1/free-space"
#: Each with its offset on 1 January 2027; the second is the parks' own, the third has half hours.
ZONES = {"UTC": "+0000", "Asia/Shanghai": "+0800", "America/St_Johns": "-0330"}


def lease(
    client: TestClient, session: Session, unit: Unit, first: date | str, until: date | str | None
) -> Any:
    """Lease a unit to a company of its own."""
    order = {
        "units": [{"unit_id": str(unit.id)}],
        "from": str(first),
        "until": None if until is None else str(until),
        "company_id": str(make.make_company(session).id),
    }
    headers = make.staff_headers(session)
    session.commit()
    return client.post(LEASES, json=order, headers=headers)


def free_days(client: TestClient, first: str, until: str) -> list[str]:
    """The days of a period, one after the other, on which some unit is free."""
    start, end = date.fromisoformat(first), date.fromisoformat(until)
    days = [start + timedelta(days=n) for n in range((end - start).days)]
    free = []
    for day in days:
        asked = {"from": str(day), "until": str(day + timedelta(days=1))}
        answer = client.get(FREE, params=asked)
        assert answer.status_code == 200, answer.text
        free += [str(day)] if answer.json()["items"] else []
    return free


# ---- half-open days


def test_leases_that_follow_each_other_share_no_day(client: TestClient, session: Session) -> None:
    unit = make.make_unit(session)

    assert lease(client, session, unit, "2027-01-01", "2027-07-01").status_code == 201
    overlapping = lease(client, session, unit, "2027-06-30", "2027-12-01")
    assert lease(client, session, unit, "2027-07-01", "2027-12-01").status_code == 201

    assert overlapping.status_code == 409
    (conflict,) = overlapping.json()["conflicts"]
    assert [(one["from"], one["until"]) for one in conflict["periods"]] == [
        ("2027-06-30", "2027-07-01")
    ]
    taken = session.execute(
        text("SELECT count(*) FROM claims WHERE period @> date '2027-07-01'")
    ).scalar_one()
    assert taken == 1


def test_the_day_a_lease_ends_on_is_free(client: TestClient, session: Session) -> None:
    unit = make.make_unit(session)
    lease(client, session, unit, "2027-01-03", "2027-01-05")

    assert free_days(client, "2027-01-01", "2027-01-07") == [
        *("2027-01-01", "2027-01-02"),
        *("2027-01-05", "2027-01-06"),
    ]


def test_a_lease_of_no_day_is_none(client: TestClient, session: Session) -> None:
    unit = make.make_unit(session)

    for until in ("2027-01-01", "2026-12-31"):
        assert lease(client, session, unit, "2027-01-01", until).status_code == 422


# ---- 29 February


def test_a_lease_starts_and_ends_on_a_leap_day(client: TestClient, session: Session) -> None:
    unit = make.make_unit(session)

    until_it = lease(client, session, unit, "2027-03-01", "2028-02-29")
    on_it = lease(client, session, unit, "2028-02-29", "2028-03-01")
    from_it = lease(client, session, unit, "2032-02-29", "2033-03-01")

    assert [one.status_code for one in (until_it, on_it, from_it)] == [201] * 3
    assert (on_it.json()["from"], on_it.json()["until"]) == ("2028-02-29", "2028-03-01")
    assert free_days(client, "2028-02-27", "2028-03-03") == ["2028-03-01", "2028-03-02"]


def test_a_leap_day_is_refused_in_a_common_year(client: TestClient, session: Session) -> None:
    """2100 is one as well, and 2000 is none."""
    unit = make.make_unit(session, usable=Range(date(1980, 1, 1), None))

    for year in (2027, 2100):
        answer = lease(client, session, unit, f"{year}-02-29", f"{year}-03-05")
        assert answer.status_code == 422, answer.text
    assert lease(client, session, unit, "2000-02-29", "2000-03-05").status_code == 201


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2028, 2, 29), 12, date(2029, 2, 28)),
        (date(2028, 2, 29), 48, date(2032, 2, 29)),
        (date(2028, 2, 29), -12, date(2027, 2, 28)),
        (date(2028, 2, 29), 1, date(2028, 3, 29)),
        (date(2096, 2, 29), 48, date(2100, 2, 28)),
        (date(2027, 1, 31), 1, date(2027, 2, 28)),
        (date(2028, 1, 31), 1, date(2028, 2, 29)),
        (date(2028, 1, 31), 3, date(2028, 4, 30)),
        (date(2028, 1, 31), 2, date(2028, 3, 31)),
        (date(2027, 11, 30), 3, date(2028, 2, 29)),
        (date(2027, 12, 31), 1, date(2028, 1, 31)),
    ],
)
def test_a_month_later_is_the_same_day_or_the_months_last(
    day: date, months: int, expected: date
) -> None:
    assert months_after(day, months) == expected


@pytest.mark.parametrize(
    ("first", "too_short", "enough"),
    [
        ("2028-02-29", "2029-02-27", "2029-02-28"),
        ("2027-02-28", "2028-02-27", "2028-02-28"),
        ("2027-03-01", "2028-02-29", "2028-03-01"),
    ],
)
def test_a_year_from_a_leap_day_is_over_on_28_february(
    client: TestClient, session: Session, first: str, too_short: str, enough: str
) -> None:
    unit = make.make_unit(session, min_term_months=12)
    firm = make.firm_headers(session, make.make_company(session))
    session.commit()

    def hold(until: str) -> Any:
        order = {"units": [{"unit_id": str(unit.id)}], "from": first, "until": until}
        return client.post(HOLDS, json=order, headers=firm)

    refused, held = hold(too_short), hold(enough)

    assert refused.status_code == 422
    assert refused.json()["type"] == "/problems/term-not-offered"
    assert held.status_code == 201, held.text


def test_leap_years_have_366_days() -> None:
    lengths = {
        year: Period(date(year, 1, 1), date(year + 1, 1, 1)).days for year in range(2026, 2034)
    }

    assert [year for year, days in lengths.items() if days == 366] == [2028, 2032]
    assert set(lengths.values()) == {365, 366}


# ---- midnight in Shanghai


class StoppedClock:
    def __init__(self, instant: datetime) -> None:
        self._instant = instant

    def now(self) -> datetime:
        return self._instant


NEW_YEAR = [
    (datetime(2026, 12, 31, 15, 59, 59, tzinfo=UTC), date(2026, 12, 31)),
    (datetime(2026, 12, 31, 16, 0, tzinfo=UTC), date(2027, 1, 1)),
    (datetime(2026, 12, 31, 16, 30, tzinfo=UTC), date(2027, 1, 1)),
    (datetime(2027, 1, 1, 15, 59, 59, tzinfo=UTC), date(2027, 1, 1)),
    (datetime(2028, 2, 28, 16, 0, tzinfo=UTC), date(2028, 2, 29)),
    (datetime(2028, 2, 29, 16, 0, tzinfo=UTC), date(2028, 3, 1)),
]


@pytest.mark.parametrize(("instant", "day"), NEW_YEAR)
def test_today_begins_at_midnight_in_shanghai(
    client: TestClient, session: Session, instant: datetime, day: date
) -> None:
    """Also the day from which free space is sought when nobody says."""
    make.make_unit(session)
    session.commit()
    assert isinstance(client.app, FastAPI)
    client.app.state.clock = StoppedClock(instant)

    (item,) = client.get(FREE).json()["items"]

    assert item["free_from"] == str(day) == str(civil_day(instant))


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        # Summer time, an hour ahead: from 4 May to 14 September 1986, and so on until 1991.
        (datetime(1986, 5, 3, 15, 59, tzinfo=UTC), date(1986, 5, 3)),
        (datetime(1986, 5, 3, 16, 0, tzinfo=UTC), date(1986, 5, 4)),
        (datetime(1986, 7, 1, 15, 0, tzinfo=UTC), date(1986, 7, 2)),
        (datetime(1991, 7, 1, 15, 0, tzinfo=UTC), date(1991, 7, 2)),
        (datetime(1992, 7, 1, 15, 0, tzinfo=UTC), date(1992, 7, 1)),
    ],
)
def test_an_instant_in_shanghais_summers_has_the_day_its_clocks_said(
    instant: datetime, day: date
) -> None:
    assert civil_day(instant) == day


#: The days on which the clocks of Shanghai were changed: 23 and 25 hours long, in turn.
CLOCKS_CHANGED = [
    *(date(1986, 5, 4), date(1986, 9, 14), date(1987, 4, 12), date(1987, 9, 13)),
    *(date(1988, 4, 17), date(1988, 9, 11), date(1989, 4, 16), date(1989, 9, 17)),
    *(date(1990, 4, 15), date(1990, 9, 16), date(1991, 4, 14), date(1991, 9, 15)),
]


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=SHANGHAI).astimezone(UTC)


def test_days_of_23_and_25_hours_are_days(client: TestClient, session: Session) -> None:
    unit = make.make_unit(session, usable=Range(date(1980, 1, 1), None))
    day = timedelta(days=1)

    made = [lease(client, session, unit, one, one + day) for one in CLOCKS_CHANGED]
    summers = [
        lease(client, session, unit, spring + day, autumn)
        for spring, autumn in zip(CLOCKS_CHANGED[::2], CLOCKS_CHANGED[1::2], strict=True)
    ]
    again = [lease(client, session, unit, one, one + day) for one in CLOCKS_CHANGED]

    assert [one.status_code for one in made + summers] == [201] * 18
    assert [one.status_code for one in again] == [409] * 12
    assert [one.json()["from"] for one in made] == [str(one) for one in CLOCKS_CHANGED]
    assert [one.json()["until"] for one in made] == [str(one + day) for one in CLOCKS_CHANGED]
    for one in CLOCKS_CHANGED:
        assert civil_day(midnight(one)) == one
        assert civil_day(midnight(one + day)) == one + day
        # The control: whoever counts hours has no whole day in spring, and a day twice in autumn.
        hours = (midnight(one + day) - midnight(one)) / timedelta(hours=1)
        assert hours == (23 if one.month < 6 else 25)


# ---- everywhere the same


class Told(NamedTuple):
    """What the scenario printed in one zone."""

    ledger: dict[str, Any]
    careless: dict[str, str]
    zones: dict[str, str]


def told_in(zone: str, url: str) -> subprocess.Popen[str]:
    """The scenario in a process of its own that is set to a zone."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.ledger.calendar_scenario", url],
        cwd=ROOT,
        env=os.environ | {"TZ": zone},
        stdout=subprocess.PIPE,
        text=True,
    )


#: Three processes start the whole application, on whatever cores there are.
patient = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def told(databases: Databases, empty_template: str) -> Iterator[dict[str, Told]]:
    """The scenario in each zone, the database's own included."""
    names = {zone: databases.create(empty_template) for zone in ZONES}
    for zone, name in names.items():
        admin = create_engine(databases.url(name), isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(text(f"ALTER DATABASE \"{name}\" SET timezone = '{zone}'"))
        admin.dispose()
    started = {zone: told_in(zone, databases.url(name)) for zone, name in names.items()}
    printed = {zone: process.communicate(timeout=240)[0] for zone, process in started.items()}
    assert [process.returncode for process in started.values()] == [0] * len(ZONES)
    yield {zone: Told(**json.loads(words)) for zone, words in printed.items()}
    for name in names.values():
        databases.drop(name)


@patient
def test_the_ledger_is_the_same_in_every_time_zone(told: dict[str, Told]) -> None:
    ledgers = {zone: one.ledger for zone, one in told.items()}
    here = ledgers["Asia/Shanghai"]

    # The zones were really set, and whoever is careless finds another day in each half of them.
    assert {zone: one.zones for zone, one in told.items()} == {
        zone: {"database": zone, "process": offset} for zone, offset in ZONES.items()
    }
    assert {zone: one.careless for zone, one in told.items()} == {
        "UTC": {"cast": "2026-12-31", "process": "2026-12-31"},
        "Asia/Shanghai": {"cast": "2027-01-01", "process": "2027-01-01"},
        "America/St_Johns": {"cast": "2026-12-31", "process": "2026-12-31"},
    }

    assert ledgers["UTC"] == here
    assert ledgers["America/St_Johns"] == here


@patient
def test_the_story_is_what_was_asked_for(told: dict[str, Told]) -> None:
    """Three answers that are the same could all be wrong."""
    ledger = told["UTC"].ledger
    whole, parts, known = sorted({row[0] for row in ledger["free from 1986"]})

    assert ledger["whole"] == ledger["parts"]
    assert ledger["whole"] == [[first, until, until] for first, until in TERMS]
    assert ledger["refused"] == [
        "/problems/unit-occupied",
        [[{"from": "2028-02-28", "until": "2028-03-01", "free_quantity": 0.0}]],
    ]
    assert ledger["cut short"] == ["2029-01-01", "2029-02-28", "2030-01-01", "terminated"]
    assert ledger["held for"] == 72 * 3600
    assert len(ledger["claims"]) == 2 * len(TERMS) + 2
    assert [parts, "lease", "2000.0", "True", "2029-01-01", "2029-02-28"] in ledger["claims"]
    # Today is the first of January, though it is still December in London.
    assert ledger["free today"] == [
        [parts, "2027-01-01", "2029-01-01", 1200.0],
        [known, "2027-01-01", None, 2000.0],
    ]
    assert ledger["free from 1986"][0] == [whole, "1986-01-01", "1986-05-04", 2000.0]
    assert ledger["free leap days"][0] == [whole, "2028-03-01", "2028-03-26", 2000.0]
    # What was believed in the first hour of a year kept the unit from being free in that hour.
    listed = [known in {row[0] for row in answer} for answer in ledger["known"]]
    assert listed == [False, False, False, True, False]
