"""An answer has the members that the wire form declares, no more and no less, each as declared."""

import copy
import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError
from sqlalchemy.orm import Session

from app.kernel.canonical import canonical
from app.matching.answers.schemas import MatchesOut
from tests.factories import firm_headers, make_claim, make_company, make_floor, make_unit
from tests.routers.test_matches import CAR_T, FIT, REQUESTS, at_fixed_day

Document = dict[str, Any]


def again(answer: bytes) -> bytes:
    """An answer read and written by the declared form."""
    return canonical(MatchesOut.model_validate_json(answer).model_dump(mode="json"))


def first_item(document: Document) -> Document:
    item: Document = document["items"][0]
    return item


@pytest.fixture
def answer(client: TestClient, session: Session) -> bytes:
    """One that has offers of every kind, refusals, and what is taken."""
    firm = firm_headers(session, make_company(session))
    make_unit(session, area_m2="9000.00", divisible=True, min_part=Decimal(500), **FIT)
    floor = make_floor(session, level_index=3, level_name="4F")
    for slot in range(3):
        make_unit(session, floor=floor, slot=slot, slots=3, area_m2="700.00", **FIT)
    make_unit(session, **FIT)
    make_unit(session, **(FIT | {"biosafety_level": None}))
    make_claim(session, make_unit(session, **FIT), date(2026, 1, 1), date(2030, 1, 1))
    made = at_fixed_day(client).post(REQUESTS, headers=firm, json=CAR_T)
    asked = {"k": 50, "include_refused": 4}
    found = client.post(f"{REQUESTS}/{made.json()['id']}/matches", headers=firm, json=asked)
    assert found.status_code == 200, found.text
    return found.content


def test_the_answer_is_what_the_form_declares(answer: bytes) -> None:
    document = json.loads(answer)

    assert {item["kind"] for item in document["items"]} == {"unit", "part", "bundle"}
    for name in ("refused", "waiting", "relaxations", "near_misses", "blocked_by"):
        assert document[name], name
    assert again(answer) == canonical(document)


@pytest.mark.parametrize("part", [lambda one: one, first_item], ids=["answer", "offer"])
def test_a_member_too_few_or_too_many_would_be_found(
    answer: bytes, part: Callable[[Document], Document]
) -> None:
    document = json.loads(answer)
    for name in list(part(document)):
        without = copy.deepcopy(document)
        del part(without)[name]
        with pytest.raises(ValidationError):
            again(canonical(without))
    part(document)["invented"] = 1

    assert again(canonical(document)) != canonical(document)
