"""A story of a few units, told to the ledger over HTTP: ``python -m … <database url>``.

Prints as JSON which days it says are taken and free. It is run in processes with different time
zones, on databases with different ones, and must say the same in each. Beside that it prints what
the careless ways to find a day say, which must not be the same: they show that the zones were set.
"""

import json
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
from fastapi.testclient import TestClient
from sqlalchemy import Engine, make_url
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app import logs
from app.database.engine import make_engine
from app.main import create_app
from app.models.space import Unit
from app.settings import Settings
from tests import factories as make

#: Half past midnight on New Year's Day in Shanghai, and still the year before in London.
NEW_YEAR = datetime(2026, 12, 31, 16, 30, tzinfo=UTC)
#: The New Year before, of which something was believed for its first hour. Callers from other
#: places write the instants of it their way; the last but one lies before it.
FIRST_HOUR = Range(
    datetime(2025, 12, 31, 16, 0, tzinfo=UTC), datetime(2025, 12, 31, 17, 0, tzinfo=UTC)
)
INSTANTS = (
    "2025-12-31T16:30:00Z",
    "2026-01-01T00:30:00+08:00",
    "2025-12-31T13:00:00-03:30",
    "2025-12-31T23:59:00+08:00",
    "2026-01-01T00:00:00+08:00",
)
#: Days that a shift by hours would move: leap days, ends of years, and the days on which the
#: clocks of Shanghai (1986 to 1991), St. John's (1988: by two hours) and London changed.
TERMS = (
    ("1986-05-04", "1986-09-14"),
    ("1988-04-03", "1988-04-04"),
    ("1988-04-17", "1988-09-11"),
    ("1991-04-14", "1991-09-15"),
    ("2027-01-01", "2028-01-01"),
    ("2028-01-01", "2028-02-29"),
    ("2028-02-29", "2028-03-01"),
    ("2028-03-26", "2028-10-29"),
    ("2031-12-31", None),
)


class StoppedClock:
    """Always the same instant."""

    def now(self) -> datetime:
        return NEW_YEAR


def main(url: str) -> None:
    logs.configure("ERROR")
    engine = make_engine(url, pool_size=4)
    try:
        told = {"ledger": tell(engine), "careless": careless_days(url), "zones": zones(url)}
    finally:
        engine.dispose()
    json.dump(told, sys.stdout)


def tell(engine: Engine) -> dict[str, Any]:
    """What the ledger answers to each part of the story; nothing that differs between two runs."""
    with Session(engine, expire_on_commit=False) as session:
        staff = make.staff_headers(session)
        company = make.make_company(session).id
        usable = Range(date(1980, 1, 1), None)
        floor = make.make_floor(session)
        whole, parts, known = (
            make.make_unit(session, floor=floor, slot=slot, slots=3, usable=usable, **terms)
            for slot, terms in enumerate(({}, {"divisible": True, "min_part": Decimal(100)}, {}))
        )
        make.make_claim(session, known, date(2027, 2, 1), date(2027, 3, 1), live=FIRST_HOUR)
        session.commit()

    app = create_app(engine, Settings(log_level="ERROR", two_person_rule=False), StoppedClock())
    with TestClient(app, headers=staff) as client:
        story = Story(client, company)
        return {
            "whole": [story.lease(whole, *term) for term in TERMS],
            "refused": story.lease(whole, "2028-02-28", "2028-03-02"),
            "parts": [
                story.lease(parts, first, until, quantity)
                for quantity, (first, until) in zip((400, 700, 800) * 3, TERMS, strict=True)
            ],
            "cut short": story.cut_short(parts, "2029-01-01", "2030-01-01", "2029-02-28"),
            "held for": story.hold_seconds(parts, "2029-03-01"),
            "claims": story.claims(),
            "free today": story.free(),
            "free from 1986": story.free(**{"from": "1986-01-01", "free_by": "2050-01-01"}),
            "free leap days": story.free(**{"from": "2028-02-28", "until": "2028-03-02"}),
            "known": [
                story.free(**{"from": "2027-02-10", "until": "2027-02-20", "as_of": instant})
                for instant in INSTANTS
            ],
        }


class Story:
    """Calls, and of their answers what is the same each time it is told."""

    def __init__(self, client: TestClient, company: UUID) -> None:
        self._client = client
        self._company = str(company)

    def lease(self, unit: Unit, first: str, until: str | None, quantity: int | None = None) -> Any:
        answer = self._client.post("/api/v1/leases", json=self._order(unit, first, until, quantity))
        body = answer.json()
        if answer.status_code == 201:
            return [body["from"], body["until"], body["signed_until"]]
        return [body["type"], [one["periods"] for one in body["conflicts"]]]

    def cut_short(self, unit: Unit, first: str, until: str, on: str) -> Any:
        order = self._order(unit, first, until, None)
        made = self._client.post("/api/v1/leases", json=order).json()
        ended = self._client.post(
            f"/api/v1/leases/{made['id']}/terminate", json={"on": on, "reason": "协商一致"}
        ).json()
        return [ended["from"], ended["until"], ended["signed_until"], ended["state"]]

    def hold_seconds(self, unit: Unit, first: str) -> float:
        order = self._order(unit, first, None, 100) | {"until": "2029-04-01"}
        made = self._client.post("/api/v1/holds", json=order).json()
        lasts = datetime.fromisoformat(made["expires_at"]) - datetime.fromisoformat(
            made["placed_at"]
        )
        return lasts.total_seconds()

    def claims(self) -> Any:
        found = self._client.get("/api/v1/claims", params={"limit": 1000}).json()["items"]
        shown = ("unit_code", "kind", "quantity", "whole", "from", "until")
        return sorted([str(one[name]) for name in shown] for one in found)

    def free(self, **asked: str) -> Any:
        answer = self._client.get("/api/v1/free-space", params=asked)
        shown = ("code", "free_from", "free_until", "free_quantity")
        return [[one[name] for name in shown] for one in answer.json()["items"]]

    def _order(
        self, unit: Unit, first: str, until: str | None, quantity: int | None
    ) -> dict[str, Any]:
        return {
            "units": [{"unit_id": str(unit.id), "quantity": quantity}],
            "from": first,
            "until": until,
            "company_id": self._company,
        }


def careless_days(url: str) -> dict[str, str]:
    """New Year's Day as a cast in SQL, and as the process's own zone, would have it."""
    with psycopg.connect(plain(url)) as connection:
        cast = connection.execute("SELECT %s::timestamptz::date", (NEW_YEAR,)).fetchone()
        assert cast is not None
    local = datetime.fromtimestamp(NEW_YEAR.timestamp()).date()  # noqa: DTZ006 - the careless way
    return {"cast": str(cast[0]), "process": str(local)}


def zones(url: str) -> dict[str, str]:
    """The zones that careless code would run into."""
    with psycopg.connect(plain(url)) as connection:
        found = connection.execute("SHOW timezone").fetchone()
        assert found is not None
    offset = datetime.fromtimestamp(NEW_YEAR.timestamp()).astimezone().strftime("%z")
    return {"database": str(found[0]), "process": offset}


def plain(url: str) -> str:
    """The URL as the driver itself takes it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


if __name__ == "__main__":
    main(sys.argv[1])
