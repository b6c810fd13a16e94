"""How sessions end, and what a session's writes take."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models.staff import StaffSession
from app.security.actors import Role
from app.security.staff.sessions import forget_sessions_before
from app.security.staff.sign_in import Gate
from tests.factories import ANY, firm_headers, make_company, make_park, staff_headers
from tests.security.staff.conftest import NOW, PASSWORD, Browser, Clock, Open, make_person


def test_a_session_ends_when_it_is_not_used(
    session: Session, gate: Gate, clock: Clock, open_browser: Open
) -> None:
    person = make_person(session, gate)
    browser = open_browser()
    browser.sign_in(person.email)

    for _ in range(3):
        clock.forward(minutes=119)
        assert browser.call("GET", "/session").status_code == 200
    clock.forward(minutes=120)
    ended = browser.call("GET", "/session")
    assert ended.status_code == 401
    assert ended.headers["www-authenticate"] == "Bearer"


def test_a_session_ends_however_busy_it_is(
    session: Session, gate: Gate, clock: Clock, open_browser: Open
) -> None:
    person = make_person(session, gate)
    browser = open_browser()
    browser.sign_in(person.email)

    for _ in range(11):
        clock.forward(minutes=60)
        assert browser.call("GET", "/session").status_code == 200
    clock.forward(minutes=60)
    assert browser.call("GET", "/session").status_code == 401


def test_signing_in_takes_the_place_of_the_browsers_session(
    session: Session, gate: Gate, open_browser: Open
) -> None:
    person = make_person(session, gate)
    browser = open_browser()
    browser.sign_in(person.email)
    first = browser.cookie
    browser.sign_in(person.email)

    assert browser.cookie != first
    assert len(browser.call("GET", "/staff/sessions").json()["items"]) == 1


@pytest.mark.parametrize(
    "change",
    [{"role": "viewer"}, {"parks": None}, {"disabled": True}],
    ids=["another role", "other parks", "disabled"],
)
def test_sessions_end_with_what_they_were_begun_for(
    session: Session, gate: Gate, open_browser: Open, change: dict[str, object]
) -> None:
    park = make_park(session)
    person = make_person(session, gate, park_ids=frozenset({park.id}))
    administrator = staff_headers(session)
    session.commit()
    browser, office = open_browser(), open_browser()
    browser.sign_in(person.email)
    path = f"/staff/{person.account_id}"

    same = office.call("PATCH", path, headers=administrator | ANY, json={"role": "agent"})
    assert same.status_code == 200, same.text
    assert browser.call("GET", "/session").status_code == 200, "nothing changed"
    changed = office.call("PATCH", path, headers=administrator | ANY, json=change)
    assert changed.status_code == 200, changed.text
    assert browser.call("GET", "/session").status_code == 401
    expected = 401 if "disabled" in change else 200
    assert browser.sign_in(person.email).status_code == expected


def test_a_new_password_ends_all_sessions_but_goes_on_here(
    session: Session, gate: Gate, open_browser: Open
) -> None:
    person = make_person(session, gate)
    browser, laptop = open_browser(), open_browser()
    browser.sign_in(person.email)
    laptop.sign_in(person.email)
    other = "nine cranes beside the lake"

    def change(current: str, new: str) -> int:
        body = {"current_password": current, "password": new}
        answer = browser.call("POST", "/session/password", json=body)
        if answer.status_code == 200:
            browser.csrf_token = answer.json()["csrf_token"]
        return answer.status_code

    assert change("wrong" + PASSWORD, other) == 401
    assert change(PASSWORD, "password1234") == 422
    assert laptop.call("GET", "/session").status_code == 200
    assert change(PASSWORD, other) == 200
    assert laptop.call("GET", "/session").status_code == 401
    assert browser.call("DELETE", "/session").status_code == 204
    assert browser.sign_in(person.email).status_code == 401
    assert browser.sign_in(person.email, other).status_code == 200


Spoil = Callable[[Browser], dict[str, str]]


@pytest.mark.parametrize(
    ("spoil", "status"),
    [
        (lambda _: {}, 200),
        (lambda _: {"X-CSRF-Token": ""}, 403),
        (lambda browser: {"X-CSRF-Token": (browser.csrf_token or "")[:-1]}, 403),
        (lambda browser: {"X-CSRF-Token": browser.cookie or ""}, 403),
        (lambda _: {"Origin": "https://elsewhere.example.invalid"}, 403),
        (lambda _: {"Origin": "null"}, 403),
    ],
    ids=["as it should be", "no word", "a part of it", "the cookie", "another site", "no site"],
)
def test_writes_take_the_sessions_word_from_a_page_of_ours(
    session: Session, gate: Gate, open_browser: Open, spoil: Spoil, status: int
) -> None:
    person = make_person(session, gate)
    browser = open_browser()
    browser.sign_in(person.email)

    answer = browser.call("DELETE", "/staff/sessions", headers=spoil(browser))

    assert answer.status_code == status, answer.text
    if status == 403:
        assert answer.json()["type"] == "/problems/csrf"
        # Reading changes nothing and needs no word.
        assert browser.call("GET", "/session", headers=spoil(browser)).status_code == 200


def test_the_word_of_another_session_is_not_taken(
    session: Session, gate: Gate, open_browser: Open
) -> None:
    person = make_person(session, gate)
    mine, theirs = open_browser(), open_browser()
    mine.sign_in(person.email)
    theirs.sign_in(make_person(session, gate).email)

    mine.csrf_token = theirs.csrf_token
    assert mine.call("DELETE", "/session").json()["type"] == "/problems/csrf"


def test_another_site_signs_nobody_in(session: Session, gate: Gate, open_browser: Open) -> None:
    person = make_person(session, gate)
    browser = open_browser()
    body = {"email": person.email, "password": PASSWORD}
    elsewhere = {"Origin": "https://elsewhere.example.invalid"}

    assert browser.call("POST", "/session", json=body, headers=elsewhere).status_code == 403
    as_a_form = browser.call(
        "POST", "/session", content=str(body), headers={"Content-Type": "text/plain"}
    )
    assert as_a_form.status_code == 422
    assert browser.cookie is None


def test_people_end_their_own_sessions_and_administrators_anybodys(
    session: Session, gate: Gate, open_browser: Open
) -> None:
    person, other = make_person(session, gate), make_person(session, gate)
    park = make_park(session)
    everywhere = staff_headers(session, Role.ADMIN)
    of_a_park = staff_headers(session, Role.ADMIN, park_ids=[park.id])
    firm = firm_headers(session, make_company(session))
    session.commit()
    mine, theirs, office = open_browser(), open_browser(), open_browser()
    mine.sign_in(person.email)
    theirs.sign_in(other.email)
    [one] = theirs.call("GET", "/staff/sessions").json()["items"]

    assert mine.call("DELETE", f"/staff/sessions/{one['id']}").status_code == 404
    assert mine.call("GET", f"/staff/sessions?account={other.account_id}").status_code == 403
    assert mine.call("DELETE", f"/staff/sessions?account={other.account_id}").status_code == 403
    for headers in (of_a_park, firm):
        listed = office.call("GET", f"/staff/sessions?account={other.account_id}", headers=headers)
        assert listed.status_code == 403
        ended = office.call("DELETE", f"/staff/sessions/{one['id']}", headers=headers)
        assert ended.status_code == 404
    assert theirs.call("GET", "/session").status_code == 200

    path = f"/staff/sessions?account={other.account_id}"
    assert office.call("DELETE", path, headers=everywhere).json() == {"ended": 1}
    assert theirs.call("GET", "/session").status_code == 401
    assert mine.call("DELETE", "/staff/sessions").json() == {"ended": 1}
    assert mine.call("GET", "/session").status_code == 401


def test_tokens_are_no_sessions(session: Session, gate: Gate, open_browser: Open) -> None:
    token = staff_headers(session, Role.VIEWER)
    firm = firm_headers(session, make_company(session))
    session.commit()
    browser = open_browser()

    who = browser.call("GET", "/session", headers=token)
    assert who.json()["account"] is None
    assert who.json()["csrf_token"] is None
    assert browser.call("GET", "/session", headers=firm).status_code == 403
    assert browser.call("DELETE", "/session", headers=token).status_code == 403
    assert browser.call("GET", "/session").status_code == 401
    # A key counts before a cookie, and a wrong one is not made good by it.
    browser.sign_in(make_person(session, gate).email)
    wrong = {"Authorization": "Bearer sr_staff_abc_def"}
    assert browser.call("GET", "/session", headers=wrong).status_code == 401


def test_what_no_text_is_is_refused_and_breaks_nothing(
    session: Session, open_browser: Open
) -> None:
    headers = staff_headers(session)
    session.commit()
    browser = open_browser()
    person = {"email": "a@example.invalid", "name": "x", "role": "viewer"}
    for path, body in (
        ("/session", {"email": "a\0@example.invalid", "password": PASSWORD}),
        ("/session", {"email": "\ud800", "password": PASSWORD}),
        ("/session", {"email": "a@example.invalid", "password": "\ud800"}),
        ("/staff", person | {"email": "a\0@example.invalid"}),
        ("/staff", person | {"name": "\0"}),
        ("/staff", person | {"parks": ["\0"]}),
        ("/staff/accept-invitation", {"token": "\ud800", "password": PASSWORD}),
    ):
        given = headers if path == "/staff" else {}
        # JSON's own escapes: what a client may well send.
        answer = browser.call(
            "POST",
            path,
            content=json.dumps(body),
            headers=given | {"Content-Type": "application/json"},
        )
        assert answer.status_code == 422, (path, body, answer.text)


def test_sessions_of_long_ago_are_forgotten(
    session: Session, gate: Gate, clock: Clock, open_browser: Open
) -> None:
    person = make_person(session, gate)
    browser = open_browser()
    browser.sign_in(person.email)
    browser.call("DELETE", "/session")
    clock.forward(days=2)
    browser.sign_in(person.email)

    assert forget_sessions_before(session, NOW + timedelta(days=1)) == 1
    assert len(session.scalars(select(StaffSession)).all()) == 1
