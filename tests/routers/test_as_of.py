"""An answer as of an instant stays the same for ever, byte for byte, whatever is written later."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from geoalchemy2.shape import to_shape
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.ledger.queue import log
from app.ledger.rights import listing as rights
from app.models.space import Unit
from tests import factories as make

#: What takes an as_of, and what is asked of it. Codes and ids are filled in.
LISTS: dict[str, tuple[str, dict[str, Any]]] = {
    "units": ("units", {}),
    "units of a later day": ("units", {"from": "2029-06-01"}),
    "units on the map": ("units", {"f": "geojson"}),
    "one unit": ("units/{unit}", {"from": "2029-06-01"}),
    "one unit on the map": ("units/{unit}", {"f": "geojson", "from": "2029-06-01"}),
    "a unit's pieces": ("units/{unit}/versions", {}),
    "a unit's pieces on the map": ("units/{unit}/versions", {"f": "geojson"}),
    "a unit's life": ("units/{unit}/history", {}),
    "free space": ("free-space", {"totals": True}),
    "free space in a window": (
        "free-space",
        {"totals": True, "from": "2025-01-01", "until": "2040-01-01"},
    ),
    "free space on the map": (
        "free-space",
        {"totals": True, "f": "geojson", "from": "2025-01-01", "until": "2040-01-01"},
    ),
    "claims": ("claims", {}),
    "leases": ("leases", {"include": "rights", "state": ["signed", "terminated", "cancelled"]}),
    "leases of a unit": ("leases", {"unit": "{unit}"}),
    "holds": ("holds", {"state": ["held", "leased", "released", "expired"]}),
    "holds that stand": ("holds", {}),
    "rights": ("rights", {}),
    "rights on a unit": ("rights", {"unit": "{grows}"}),
    "rights on the map": ("rights", {"f": "geojson"}),
    "queue": ("queue-entries", {}),
    "those in line": ("queue-entries", {"in_line": True}),
    "those who left": ("queue-entries", {"in_line": False}),
    "figures": ("kpis", {"every": "year", "from": "2025-01-01", "until": "2035-01-01"}),
    "figures by type": ("kpis", {"group_by": "type"}),
    "terms": ("leases/{lease}/terms", {}),
    "schedule": ("leases/{lease}/schedule", {}),
}
#: These say in the answer as of when it is.
TELLS_AS_OF = {"figures", "figures by type", "schedule"}
LATER = {"from": "2031-01-01", "until": "2034-01-01"}
AREAS = {"leasable_area_m2": "1990.5", "internal_area_m2": "1600", "method": "实测"}
AGES = {"from": "2024-01-01", "until": "2030-01-01"}

Answers = dict[str, bytes]


class Park:
    """A floor of units, what is promised there, and everything that can happen to it."""

    def __init__(self, client: TestClient, session: Session) -> None:
        self._client, self._session = client, session
        floor = make.make_floor(session)
        self.units = [
            make.make_unit(session, floor=floor, slot=n, slots=14, **self._varies(n))
            for n in range(13)
        ]
        self.grows, gives = (
            make.make_unit(session, floor=floor, slot=26 + n, slots=28) for n in (0, 1)
        )
        self.firms = [make.make_company(session) for _ in range(4)]
        self._staff = make.staff_headers(session)
        session.commit()
        terms = {"first_rate": "3", "basis": "leasable"}
        self.cut = self._lease(0, AGES, terms=terms)
        self.longer = self._lease(1, AGES, clearing_days=20)
        self.over = self._lease(2, {"from": "2024-01-01", "until": "2026-01-01"})
        self.undone = self._lease(11, LATER)
        self.held = [self._hold(n) for n in (3, 4, 5)]
        self.split_lease = self._lease(7, AGES)
        self.parted = self._lease(10, LATER, quantity=500)
        self.waits = [self._wait(n, firm) for n, firm in ((3, 1), (3, 2), (4, 2))]
        # This fits beside it, but for nothing to spare.
        self._is_offered(10, 3, quantity=1500)
        self.right = self._right(7, 1)
        self.other_right = self._right(8, 2)
        self._right(12, 3, until="2045-01-01")
        self._split(12, "2035-01-01")
        # A right keeps the ground that its unit gives up, and another unit may get it.
        self.units.append(gives)
        self._right(13, 1)
        self._outline(gives, 0.75, 1)
        for right in (self.right, self.other_right):
            asked = self.post(f"rights/{right}/notices", LATER)
        self.notice = asked["notices"][0]["id"]

    @staticmethod
    def _varies(n: int) -> dict[str, Any]:
        return {"divisible": True, "min_part": 500} if n == 10 else {}

    def _order(self, n: int, days: Mapping[str, str], **more: Any) -> dict[str, Any]:
        part = {"quantity": more.pop("quantity")} if "quantity" in more else {}
        return {"units": [{"unit_id": str(self.units[n].id), **part}], **days, **more}

    def _lease(self, n: int, days: Mapping[str, str], **more: Any) -> str:
        body = self._order(n, days, company_id=str(self.firms[0].id), **more)
        return str(self.post("leases", body)["id"])

    def _hold(self, n: int) -> str:
        body = self._order(n, LATER, company_id=str(self.firms[0].id))
        return str(self.post("holds", body)["id"])

    def _wait(self, n: int, firm: int, **more: int) -> str:
        body = self._order(n, LATER, company_id=str(self.firms[firm].id), **more)
        return str(self.post("queue-entries", body)["id"])

    def _is_offered(self, n: int, firm: int, **more: int) -> None:
        """A place in line for what is released at once."""
        body = self._order(n, LATER, company_id=str(self.firms[0].id), **more)
        held = self.post("holds", body)["id"]
        self._wait(n, firm, **more)
        self.post(f"holds/{held}/release")

    def _split(self, n: int, day: str) -> None:
        code = self.units[n].code
        children = [{"code": f"{code}-{part}"} for part in (1, 2)]
        body = {"effective_on": day, "children": children, "shares": [0.5, 0.5]}
        self.post(f"units/{code}/split", body)

    def _outline(self, unit: Unit, start: float, end: float) -> None:
        """Of the last strip, from one share of its width to another."""
        (west, south, *_), (_, _, east, north) = (
            to_shape(one.geom).bounds for one in (self.grows, self.units[13])
        )
        left, right = (west + (east - west) * share for share in (start, end))
        ring = [(left, south), (right, south), (right, north), (left, north), (left, south)]
        drawn = {"geometry": {"type": "Polygon", "coordinates": [ring]}}
        self.post(f"units/{unit.code}/remeasure", {"effective_on": "2025-01-01", **AREAS, **drawn})

    def _right(self, n: int, firm: int, **more: str) -> str:
        body = {
            "kind": "first_refusal",
            "company_id": str(self.firms[firm].id),
            "units": [str(self.units[n].id)],
            "notice_days": 10,
            **LATER,
            **more,
        }
        return str(self.post("rights", body)["id"])

    def post(self, path: str, body: object = None) -> Any:
        answer = self._client.post(f"/api/v1/{path}", json=body, headers=self._staff)
        assert answer.status_code in {200, 201}, (path, answer.text)
        return answer.json()

    def now(self) -> datetime:
        found: datetime = self._session.execute(text("SELECT clock_timestamp()")).scalar_one()
        return found

    def ask(self, as_of: datetime | None) -> Answers:
        names = {"unit": self.units[7].code, "grows": str(self.grows.id), "lease": self.cut}
        known = {} if as_of is None else {"as_of": as_of.isoformat()}
        found = {}
        for name, (path, asked) in LISTS.items():
            filled = {
                key: value.format(**names) if isinstance(value, str) else value
                for key, value in asked.items()
            }
            answer = self._client.get(
                f"/api/v1/{path.format(**names)}",
                params={**filled, **known},
                headers=self._staff,
            )
            assert answer.status_code == 200, (name, answer.text)
            said = answer.json()
            assert said.get("next_cursor") is None
            # It is another text each time, and no part of what was known.
            token = json.dumps(said.get("changes_cursor"))
            found[name] = answer.content.replace(token.encode(), b"null")
        return found

    def writes(self) -> Iterator[str]:
        """Everything that can be written later, one after the other."""
        released, confirmed, extended = self.held
        units = self.units
        self.post(f"holds/{extended}/extend", {"hours": 72})
        yield "hold extended"
        self.post(f"queue-entries/{self.waits[1]}/leave")
        yield "queue left"
        self.post(f"holds/{released}/release")
        yield "hold released"
        self.post(f"holds/{confirmed}/confirm")
        yield "hold confirmed"
        self.post(f"leases/{self.cut}/terms", {"terms": {"first_rate": "4", "basis": "leasable"}})
        yield "lease's terms corrected"
        self.post(f"leases/{self.cut}/terminate", {"on": "2028-01-01", "reason": "协商一致"})
        yield "lease terminated"
        self.post(f"leases/{self.undone}/terminate", {"on": "2031-01-01", "reason": "协商一致"})
        yield "lease undone"
        self.post(f"leases/{self.longer}/extend", {"until": "2031-01-01"})
        yield "lease extended"
        self.post(f"leases/{self.over}/hand-over", {"on": "2024-01-02"})
        self.post(f"leases/{self.over}/hand-back", {"on": "2026-01-01", "clearing_days": 10})
        yield "handed over and back"
        self.post(f"leases/{self.over}/cleared", {"on": "2026-01-09"})
        yield "cleared"
        self.post(
            f"rights/{self.other_right}/notices/{self.notice}/answer",
            {"answer": "waived", "reference": "letter 1"},
        )
        yield "notice answered"
        self.post(f"rights/{self.right}/end")
        yield "right ended"
        change = {"effective_on": "2025-01-01", "changes": {"unit_type": "production"}}
        self.post(f"units/{units[0].code}/terms", change)
        yield "unit's terms changed"
        self.post(f"units/{units[10].code}/remeasure", {"effective_on": "2029-01-01", **AREAS})
        self.post(f"units/{units[1].code}/remeasure", {"effective_on": "2025-01-01", **AREAS})
        self._outline(self.grows, 0, 0.75)
        yield "unit remeasured"
        self._split(7, "2029-01-01")
        yield "unit split"
        self.post(
            "units/merge",
            {
                "effective_on": "2029-01-01",
                "units": [units[8].code, units[9].code],
                "code": f"{units[8].code}+",
            },
        )
        yield "units merged"
        works = self._order(6, LATER, kind="works")
        self.post("works", works)
        yield "works planned"
        self._lease(6, AGES)
        yield "lease signed"
        self._wait(6, 1)
        yield "queue joined"
        self._right(6, 3)
        yield "right granted"


@pytest.fixture
def park(client: TestClient, session: Session) -> Park:
    return Park(client, session)


def _differing(one: Answers, other: Answers) -> list[str]:
    return [name for name in LISTS if one[name] != other[name]]


def test_an_old_answer_is_the_same_after_every_later_write(park: Park) -> None:
    live = park.ask(None)
    known = park.now()
    before = park.ask(known)
    # What was asked live is what is answered as of that instant.
    assert set(_differing(live, before)) <= TELLS_AS_OF

    changed = {
        write: names for write in park.writes() if (names := _differing(before, park.ask(known)))
    }

    assert changed == {}
    # Control: all of these answers are others now.
    after = park.ask(None)
    assert sorted(set(LISTS) - set(_differing(live, after))) == []


def test_an_old_answer_is_the_same_on_a_later_day(park: Park, client: TestClient) -> None:
    known = park.now()
    before, live = park.ask(known), park.ask(None)

    with _days_later(client, 5_000):
        assert _differing(before, park.ask(known)) == []
        # Control: what is asked without an instant is about the day on which it is asked.
        assert {"units", "free space", "rights"} <= set(_differing(live, park.ask(None)))


def _forget_lapses(session: Session, _monkeypatch: pytest.MonkeyPatch) -> None:
    session.execute(text("ALTER TABLE claims DISABLE TRIGGER claims_only_close"))
    session.commit()


def _count_present_places(_session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    present = """
        SELECT id, capacity, lower(usable), upper(usable), TIMESTAMPTZ '2000-01-01Z', NULL
        FROM units WHERE id = ANY (CAST(:units AS uuid[]))
            AND CAST(:since AS timestamptz) IS NOT NULL"""
    monkeypatch.setattr(log, "_SIZES", text(present))


def _look_at_present_ground(_session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    lies_on = rights._lies_on
    monkeypatch.setattr(rights, "_lies_on", lambda unit, _as_of: lies_on(unit, None))


@pytest.mark.parametrize(
    ("break_it", "found_out"),
    [
        (_forget_lapses, {"claims", "holds", "holds that stand"}),
        (_count_present_places, {"queue", "those in line"}),
        (_look_at_present_ground, {"rights on a unit"}),
    ],
)
def test_what_looks_at_the_present_is_found_out(
    park: Park,
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
    break_it: Callable[[Session, pytest.MonkeyPatch], None],
    found_out: set[str],
) -> None:
    """Control: each of these ways to answer from what is known now changes an old answer."""
    break_it(session, monkeypatch)
    known = park.now()
    before = park.ask(known)
    for _ in park.writes():
        pass

    assert set(_differing(before, park.ask(known))) == found_out


@contextmanager
def _days_later(client: TestClient, days: int) -> Iterator[None]:
    class Later:
        def now(self) -> datetime:
            return datetime.now(UTC) + timedelta(days=days)

    app = cast("FastAPI", client.app)
    usual, app.state.clock = app.state.clock, Later()
    yield
    app.state.clock = usual
