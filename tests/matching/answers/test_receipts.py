"""A receipt is what was sealed, and replays to the byte after whatever was written since."""

import copy
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.matching.answers import receipts, service
from app.matching.answers.receipts import Receipt, verify
from app.matching.snapshots.load import load_snapshot
from app.models.match import MatchReceipt
from app.models.space import Unit
from tests.factories import (
    firm_headers,
    make_building,
    make_claim,
    make_company,
    make_floor,
    make_unit,
    staff_headers,
)
from tests.routers.test_matches import CAR_T, FIT, REQUESTS, ask, at_fixed_day

RECEIPTS = "/api/v1/match-receipts"
Document = dict[str, Any]


@pytest.fixture
def session(own_engine: Engine) -> Iterator[Session]:
    """Real transactions: a replay leaves out what its snapshot did not see."""
    with Session(own_engine, expire_on_commit=False) as made:
        yield made


@pytest.fixture
def client(own_engine: Engine, make_client: Callable[[Engine], TestClient]) -> TestClient:
    """A client of the application as it runs, whose snapshots follow the database."""
    return make_client(own_engine)


@pytest.fixture
def firm(session: Session) -> dict[str, str]:
    headers = firm_headers(session, make_company(session))
    session.commit()
    return headers


@pytest.fixture
def space(session: Session) -> list[Unit]:
    """Two floors of units, one of them let for some years, one divisible."""
    building = make_building(session)
    made = []
    for level in (0, 1):
        floor = make_floor(
            session, building=building, level_index=level, level_name=f"{level + 1}F"
        )
        made += [make_unit(session, floor=floor, slot=slot, slots=3, **FIT) for slot in range(3)]
    made.append(make_unit(session, area_m2="9000.00", divisible=True, min_part=Decimal(500), **FIT))
    make_claim(session, made[0], date(2026, 1, 1), date(2028, 1, 1))
    session.commit()
    return made


def kept(client: TestClient, headers: dict[str, str], **asked: Any) -> Document:
    answer = ask(client, headers, CAR_T, **asked)
    receipt = client.get(f"{RECEIPTS}/{answer['receipt']['id']}", headers=headers)
    assert receipt.status_code == 200, receipt.text
    read: Document = receipt.json()
    return read


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where every single value of a document stands."""
    if isinstance(value, dict) and value:
        for key, one in value.items():
            yield from places(one, (*path, key))
    elif isinstance(value, list) and value:
        for place, one in enumerate(value):
            yield from places(one, (*path, place))
    else:
        yield path


def other(value: Any) -> Any:
    """Any other value, as near as may be."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return value + " "
        case None:
            return 0
        case _:
            return None


def test_every_member_that_is_changed_is_found_out(
    client: TestClient, firm: dict[str, str], space: list[Unit]
) -> None:
    receipt = kept(client, firm, k=2)

    assert verify(receipt)
    everywhere = list(places(receipt))
    assert len(everywhere) > 300
    for path in everywhere:
        changed = copy.deepcopy(receipt)
        at = changed
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = other(at[path[-1]])
        assert not verify(changed), path
        del at[path[-1]]
        assert not verify(changed), path
    assert not verify({**receipt, "more": 1})


def test_the_control_a_hash_over_the_answer_alone_would_miss_the_question(
    client: TestClient, firm: dict[str, str], space: list[Unit]
) -> None:
    """What the verifier must not be: blind to all but the answer."""
    receipt = kept(client, firm, k=1)
    forged = {**receipt, "asked": {**receipt["asked"], "k": 7}}

    def blind(document: Document) -> bool:
        return bool(document["answer"] == receipt["answer"])

    assert blind(forged)
    assert not verify(forged)


def test_the_answer_sent_is_the_one_kept(
    client: TestClient, firm: dict[str, str], space: list[Unit]
) -> None:
    answer = json.loads(json.dumps(ask(client, firm, CAR_T, k=3), default=float))
    receipt = client.get(f"{RECEIPTS}/{answer['receipt']['id']}", headers=firm).json()

    assert receipt["sha256"] == answer.pop("receipt")["sha256"]
    assert answer.pop("snapshot_age_ms") is not None
    assert receipt["answer"] == answer
    assert receipt["asked"]["k"] == 3
    assert receipt["request_id"] == answer["request_id"]


def test_a_receipt_replays_to_the_byte_after_holds_leases_and_splits(
    client: TestClient, session: Session, firm: dict[str, str], space: list[Unit]
) -> None:
    staff = staff_headers(session)
    session.commit()
    asked = {"k": 30, "include_refused": 5}
    made = [kept(client, firm, **asked), kept(client, staff_request(client, session), **asked)]

    version = write_much(client, session, staff, space)
    # From a snapshot in layers: what was read at first, and the buildings that changed since.
    made.append(kept(client, firm, **asked, min_version=version))
    session.execute(text("UPDATE units SET rent_cny_per_m2_day = 1.1"))
    session.commit()

    for receipt in made:
        told = client.post(f"{RECEIPTS}/{receipt['id']}/replay", headers=staff)
        assert told.status_code == 200, told.text
        assert told.json()["identical"] is True, told.json()
        assert told.json()["sha256_holds"] is True
        assert "逐字节一致" in told.json()["words_zh"]
    now = ask(client, firm, CAR_T, **asked, min_version=version)
    assert now["feasible"] != made[0]["answer"]["feasible"]


def test_a_receipt_of_before_still_holds_and_replays(
    client: TestClient, session: Session, firm: dict[str, str], space: list[Unit]
) -> None:
    """The first ones told the transactions that were seen, and wrote instants without `Z`."""
    now = kept(client, firm, k=3)
    row = session.get_one(MatchReceipt, UUID(now["id"]))
    members = {name: getattr(row, name) for name in Receipt.__slots__}
    seen, at = row.seen or "", row.as_of.astimezone(UTC).isoformat()
    assert seen.count(":") == 2
    assert seen not in json.dumps(now), "nobody is told any more"
    answer = row.answer.replace(now["snapshot"].encode(), seen.encode())
    answer = answer.replace(now["as_of"].encode(), at.encode())
    asked = {**row.asked, "min_version": 1042}
    then = {"id": uuid4(), "snapshot": seen, "seen": None, "answer": answer, "asked": asked}
    receipts.keep(session, Receipt(**(members | then)))
    session.commit()

    shown = client.get(f"{RECEIPTS}/{then['id']}", headers=firm).json()
    told = client.post(f"{RECEIPTS}/{then['id']}/replay", headers=firm).json()

    assert verify(shown)
    assert (shown["as_of"], shown["snapshot"]) == (at, seen)
    assert (told["sha256_holds"], told["identical"]) == (True, True), told


def staff_request(client: TestClient, session: Session) -> dict[str, str]:
    """Another firm's headers: a receipt of its own."""
    headers = firm_headers(session, make_company(session))
    session.commit()
    return headers


def write_much(
    client: TestClient, session: Session, staff: dict[str, str], space: list[Unit]
) -> str:
    """A hold, a lease, a split, and a unit whose terms change; the version of the last."""
    company = make_company(session)
    session.commit()
    body = {"company_id": str(company.id), "from": "2027-01-01", "until": "2031-01-01"}
    held = client.post(
        "/api/v1/holds", headers=staff, json=body | {"units": [{"unit_id": str(space[1].id)}]}
    )
    assert held.status_code == 201, held.text
    let = client.post(
        "/api/v1/leases", headers=staff, json=body | {"units": [{"unit_id": str(space[2].id)}]}
    )
    assert let.status_code == 201, let.text
    code = space[3].code
    split = client.post(
        f"/api/v1/units/{code}/split",
        headers=staff,
        json={
            "effective_on": "2026-12-01",
            "shares": [0.5, 0.5],
            "children": [{"code": f"{code}-1"}, {"code": f"{code}-2"}],
            "reason": "tests",
        },
    )
    assert split.status_code in {200, 201}, split.text
    session.execute(
        text("UPDATE units SET rent_cny_per_m2_day = 4.9 WHERE id = :id"), {"id": space[4].id}
    )
    session.commit()
    return split.headers["X-Space-Version"]


def test_the_control_a_replay_that_reads_what_is_now_is_found_out(
    client: TestClient,
    session: Session,
    firm: dict[str, str],
    space: list[Unit],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    staff = staff_headers(session)
    session.commit()
    receipt = kept(client, firm, k=30)
    write_much(client, session, staff, space)

    def as_it_is_now(session: Session, *, version: object) -> object:
        return load_snapshot(session)

    monkeypatch.setattr(service, "load_snapshot", as_it_is_now)
    told = client.post(f"{RECEIPTS}/{receipt['id']}/replay", headers=staff).json()

    assert told["identical"] is False
    assert told["first_difference"].startswith("/")
    assert told["first_difference"] in told["words_zh"]


def test_other_rules_are_said_and_nothing_is_pretended(
    client: TestClient,
    firm: dict[str, str],
    space: list[Unit],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receipt = kept(client, firm)
    monkeypatch.setattr("app.matching.answers.question.ANSWERS_VERSION", "2027.1-9")

    told = client.post(f"{RECEIPTS}/{receipt['id']}/replay", headers=firm).json()

    assert told["identical"] is None
    assert told["rules_version_now"] != told["rules_version_then"] == receipt["rules_version"]
    assert "未重算" in told["words_zh"]


def test_a_receipt_is_for_those_who_may_know_what_is_in_it(
    client: TestClient, session: Session, space: list[Unit]
) -> None:
    """Staff are told who is in the way; their receipts are not for the firm that asks."""
    company, tenant = make_company(session), make_company(session)
    firm, staff = firm_headers(session, company), staff_headers(session)
    for unit in space:
        make_claim(session, unit, date(2028, 1, 1), None, company_id=tenant.id)
    session.commit()
    made = at_fixed_day(client).post(REQUESTS, headers=firm, json=CAR_T).json()
    path = f"{REQUESTS}/{made['id']}/matches"

    blind = client.post(path, headers=firm, json={"k": 30})
    named = client.post(path, headers=staff, json={"k": 30})

    assert tenant.name_zh not in blind.text
    assert tenant.name_zh in named.text
    ids = [answer.json()["receipt"]["id"] for answer in (blind, named)]
    elsewhere = staff_headers(session, park_ids=[space[0].park_id])
    stranger = firm_headers(session, tenant)
    session.commit()
    seen = {
        who: [client.get(f"{RECEIPTS}/{one}", headers=headers).status_code for one in ids]
        for who, headers in {
            "firm": firm,
            "staff": staff,
            "of one park": elsewhere,
            "another firm": stranger,
            "nobody": {},
        }.items()
    }
    assert seen == {
        "firm": [200, 404],
        "staff": [200, 200],
        "of one park": [200, 404],
        "another firm": [404, 404],
        "nobody": [401, 401],
    }
    replayed = client.post(f"{RECEIPTS}/{ids[1]}/replay", headers=staff).json()
    assert replayed["identical"] is True


def test_receipts_are_never_changed(
    client: TestClient, session: Session, firm: dict[str, str], space: list[Unit]
) -> None:
    receipt = kept(client, firm, k=1)

    for edit in (
        "UPDATE match_receipts SET asked_by = 'somebody' WHERE id = :id",
        "DELETE FROM match_receipts WHERE id = :id",
        "TRUNCATE match_receipts",
    ):
        with pytest.raises(DBAPIError), session.begin_nested():
            session.execute(text(edit), {"id": UUID(receipt["id"])})


def test_whole_numbers_are_written_whole(
    client: TestClient, firm: dict[str, str], space: list[Unit]
) -> None:
    """So that a reader in a language with one kind of number writes the same bytes again."""
    answer = ask(client, firm, CAR_T, k=3)
    sent = client.get(f"{RECEIPTS}/{answer['receipt']['id']}", headers=firm).text
    floats: list[str] = []

    json.loads(sent, parse_float=floats.append)

    assert [one for one in floats if float(one).is_integer()] == []


def met(document: Document) -> Iterator[Document]:
    """What is told of an offer that a brief answer has no sentences for."""
    for item in document["items"]:
        yield from item["contributions"]
        yield from (one for one in (*item["margins"], *item["wishes"]) if one["fits"])


def test_a_brief_answer_is_the_full_one_without_the_sentences_of_what_is_met(
    client: TestClient, firm: dict[str, str], space: list[Unit]
) -> None:
    # One more than fit, so that it is said what does not.
    asked: dict[str, Any] = {"k": 30, "include_refused": 5}
    full, brief = (kept(client, firm, **asked, detail=one) for one in ("full", "brief"))
    sentences = [one[name] for one in met(full["answer"]) for name in ("words_zh", "words_en")]
    assert len(sentences) > 30
    # The control: a full answer has them all.
    assert all(sentences)
    assert any(one["reasons"] for one in full["answer"]["refused"])

    for one in met(full["answer"]):
        one["words_zh"] = one["words_en"] = None
    for name in ("request_id", "as_of", "snapshot"):
        full["answer"][name] = brief["answer"][name]

    assert brief["answer"] == full["answer"]
    assert brief["asked"]["detail"] == "brief"
    assert verify(brief)
    again = client.post(f"{RECEIPTS}/{brief['id']}/replay", headers=firm)
    assert again.json()["identical"] is True, again.text
