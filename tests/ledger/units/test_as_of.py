"""What was known at an instant stays what was known then, whatever is put right later."""

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text, update
from sqlalchemy.orm import Session

from app.kernel.terms import ClaimKind
from app.ledger.units import changing, merging, splitting
from app.ledger.units.changing import Change, change_terms, remeasure
from app.ledger.units.merging import Merger, merge_units
from app.ledger.units.splitting import Part, Split, split_unit
from app.ledger.units.writing import KnownUnit, _columns, _insert_earlier
from app.models.space import Unit
from tests import factories as make
from tests.ledger.units.walk import ADMIN, Walk

VALID = ["2022-01-01", "2025-06-01", "2026-12-01", "2029-03-01"]
#: A late correction: it is made now, for a day long past.
PAST = date(2025, 2, 1)

Answers = dict[str, bytes]


class Asker:
    """Asks everything that has an as_of, as known at an instant."""

    def __init__(self, client: TestClient, session: Session, floor: str) -> None:
        self._client = client
        self._staff = make.staff_headers(session)
        self._floor = floor
        session.commit()

    def lists(self, as_of: datetime | None) -> Answers:
        """Free space and units of the floor, for several days, for people and for GIS."""
        found = {}
        known = {} if as_of is None else {"as_of": as_of.isoformat()}
        for day in VALID:
            for path, narrowed in (("units", {"floor": self._floor}), ("free-space", {})):
                for shape in ("json", "geojson"):
                    asked = {**narrowed, "from": day, "f": shape, **known}
                    found[f"{path} {day} {shape}"] = self.get(path, asked)
        return found

    def everything(self, as_of: datetime, codes: list[str]) -> Answers:
        """The lists, the ledger's rows, and each unit with its pieces and its life."""
        known = {"as_of": as_of.isoformat()}
        found = self.lists(as_of) | {"claims": self.get("claims", known)}
        for code in codes:
            for what in ("history", "versions"):
                found[f"{code} {what}"] = self.get(f"units/{code}/{what}", known)
            for day in VALID:
                for shape in ("json", "geojson"):
                    asked = {**known, "from": day, "f": shape}
                    found[f"{code} {day} {shape}"] = self.get(f"units/{code}", asked)
        return found

    def get(self, path: str, asked: Mapping[str, str]) -> bytes:
        answer = self._client.get(f"/api/v1/{path}", params=asked, headers=self._staff)
        assert answer.status_code == 200, (path, asked, answer.text)
        # The cursor and its link name the filters, as_of among them; here one page holds all.
        assert json.loads(answer.content).get("next_cursor") is None
        return answer.content


def _terms(session: Session, codes: list[str]) -> object:
    change = Change(PAST, {"rent_cny_per_m2_day": Decimal(9), "name_zh": "改名"})
    return change_terms(session, ADMIN, codes[0], change)


def _measure(session: Session, codes: list[str]) -> object:
    changes = {
        "leasable_area_m2": Decimal("987.65"),
        "internal_area_m2": Decimal(800),
        "area_method": "实测",
    }
    return remeasure(session, ADMIN, codes[0], Change(PAST, changes))


def _split(session: Session, codes: list[str]) -> object:
    parts = [Part(f"{codes[0]}-{place}") for place in (1, 2)]
    return split_unit(session, ADMIN, codes[0], Split(PAST, parts, shares=[1, 2]))


def _merge(session: Session, codes: list[str]) -> object:
    return merge_units(session, ADMIN, Merger(PAST, codes[2:4], f"{codes[2]}+"))


def _twice(session: Session, codes: list[str]) -> object:
    return [_measure(session, codes), _split(session, codes), _merge(session, codes)]


@pytest.mark.parametrize("correct", [_terms, _measure, _split, _merge, _twice])
def test_a_late_correction_changes_no_old_answer(
    client: TestClient, session: Session, correct: Callable[[Session, list[str]], object]
) -> None:
    floor = make.make_floor(session)
    units = [make.make_unit(session, floor=floor, slot=n, slots=4) for n in range(4)]
    codes = [unit.code for unit in units]
    make.make_claim(session, units[0], date(2025, 1, 1), date(2027, 1, 1))
    make.make_claim(session, units[1], date(2025, 1, 1), None, kind=ClaimKind.WORKS.value)
    # A change that is planned already must survive the correction of the past, too.
    change_terms(session, ADMIN, codes[0], Change(date(2028, 1, 1), {"min_term_months": 24}))
    asker = Asker(client, session, floor.code)
    known = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    before = asker.everything(known, codes)
    now_before = asker.lists(None)

    correct(session, codes)
    session.commit()

    assert asker.everything(known, codes) == before
    # It did change what is known now.
    assert asker.lists(None) != now_before


def _walked(client: TestClient, session: Session, seed: int, steps: int) -> list[str]:
    """Walk, take every answer live, ask for it again at the end; returns what differs."""
    walk = Walk(session, seed, remeasures=True)
    asker = Asker(client, session, walk.floor.code)
    taken: list[tuple[datetime, Answers]] = []
    for _ in range(steps):
        if walk.step():
            session.commit()
            # Read first: what is known at the instant after is then what was read.
            answers = asker.lists(None)
            taken.append((walk.now(), answers))
    assert len(taken) >= 8, walk.refused
    assert {"_split", "_merge"} & set(walk.done), walk.refused
    return [
        f"after {walk.done[place]}: {name}"
        for place, (instant, answers) in enumerate(taken)
        for name, answer in asker.lists(instant).items()
        if answer != answers[name]
    ]


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in (1, 2))]
)
def test_what_was_asked_live_is_answered_again(
    client: TestClient, session: Session, seed: int
) -> None:
    assert _walked(client, session, seed, steps=22) == []


def _in_place(session: Session, unit: KnownUnit, pieces: Any, now: datetime) -> None:
    """The tempting way: the row is edited, and nobody keeps what it said."""
    *earlier, last = pieces
    session.execute(
        text("DELETE FROM unit_versions WHERE id = :unit AND upper_inf(known)"), {"unit": unit.id}
    )
    session.execute(
        update(Unit)
        .where(Unit.id == unit.id)
        .values(**_columns(last))
        .execution_options(synchronize_session=False)
    )
    _insert_earlier(session, unit, earlier, now)


def test_editing_in_place_is_found_out(
    client: TestClient, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control: without history, answers of the past change with what is put right later."""
    for table in ("units", "unit_versions"):
        session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
    for module in (changing, splitting, merging):
        monkeypatch.setattr(module, "rewrite", _in_place)
    assert _walked(client, session, 0, steps=22) != []
