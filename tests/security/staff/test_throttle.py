"""Guessing is slowed down, and tells nothing."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from app.kernel.errors import SpaceRelayError
from app.models.staff import SignInFailure
from app.security.actors import Role
from app.security.staff import throttle
from app.security.staff.errors import TooManyAttemptsError
from app.security.staff.sign_in import Gate
from app.security.staff.throttle import begin_attempt, forgive
from tests.factories import ANY, staff_headers
from tests.security.staff.conftest import NOW, Clock, Open, make_person

WRONG = "eight herons over the river"


def test_an_account_waits_longer_after_each_failure_and_never_longer_than_a_quarter_hour(
    session: Session, gate: Gate, clock: Clock, open_browser: Open
) -> None:
    person = make_person(session, gate)
    browser = open_browser()

    for _ in range(11):
        assert browser.sign_in(person.email, WRONG).status_code == 401
    waits = []
    for _ in range(8):
        refused = browser.sign_in(person.email)
        assert refused.status_code == 429, "the right password is not looked at either"
        assert refused.json()["type"] == "/problems/too-many-attempts"
        waits.append(int(refused.headers["retry-after"]))
        clock.forward(seconds=waits[-1] - 1)
        assert open_browser("198.51.100.9").sign_in(person.email).status_code == 429
        clock.forward(seconds=1)
        assert browser.sign_in(person.email, WRONG).status_code == 401
    assert waits == [30, 60, 120, 240, 480, 900, 900, 900]

    clock.forward(minutes=15)
    assert browser.sign_in(person.email).status_code == 200
    assert browser.sign_in(person.email, WRONG).status_code == 401
    assert browser.sign_in(person.email).status_code == 200, "forgotten once it went well"


def test_an_account_that_does_not_exist_answers_alike(
    session: Session, gate: Gate, open_browser: Open
) -> None:
    person = make_person(session, gate)
    disabled = make_person(session, gate)
    administrator = make_person(session, gate, Role.ADMIN)
    assert administrator.secret is not None
    browser = open_browser()
    headers = staff_headers(session)
    session.commit()
    path = f"/staff/{disabled.account_id}"
    browser.call("PATCH", path, headers=headers | ANY, json={"disabled": True})

    def answers(email: str, **more: str) -> list[object]:
        told = []
        for _ in range(12):
            answer = browser.sign_in(email, **more).json()
            answer.pop("request_id")
            told.append(answer)
        return told

    unknown = answers("nobody@example.invalid")
    assert unknown == answers(person.email, password=WRONG)
    assert unknown == answers(disabled.email), "the right password of a disabled account"
    assert unknown == answers(administrator.email, code="000000"), "the right password, no code"
    assert unknown[-1] != unknown[0]


def test_an_address_waits_whichever_account_it_tries(
    session: Session, gate: Gate, open_browser: Open
) -> None:
    person = make_person(session, gate)
    guessing, elsewhere = open_browser("2001:db8::1"), open_browser("2001:db8:0:1::1")

    for one in range(51):
        assert guessing.sign_in(f"nobody.{one}@example.invalid").status_code == 401
    assert guessing.sign_in(person.email).status_code == 429
    # A customer has a whole network of addresses.
    assert open_browser("2001:db8::abcd").sign_in(person.email).status_code == 429
    assert elsewhere.sign_in(person.email).status_code == 200


def test_asking_for_the_code_is_no_failure_and_forgives_none(
    session: Session, gate: Gate, clock: Clock, open_browser: Open
) -> None:
    person = make_person(session, gate, Role.MANAGER)
    browser = open_browser()

    for _ in range(20):
        assert browser.sign_in(person.email).json()["type"] == "/problems/second-factor-needed"
    for _ in range(10):
        assert browser.sign_in(person.email, code="000000").status_code == 401
        browser.sign_in(person.email)
    assert browser.sign_in(person.email, code="000000").status_code == 401
    assert browser.sign_in(person.email, code=person.code(clock.at)).status_code == 429


def test_failures_of_long_ago_are_forgotten(session: Session) -> None:
    for _ in range(10):
        begin_attempt(session, "a@example.invalid", None, NOW)
    later = NOW + throttle.FORGOTTEN_AFTER
    for _ in range(10):
        begin_attempt(session, "a@example.invalid", None, later)
    begin_attempt(session, "a@example.invalid", None, later)
    with pytest.raises(TooManyAttemptsError):
        begin_attempt(session, "a@example.invalid", None, later)
    begin_attempt(session, "b@example.invalid", "192.0.2.1", NOW)

    assert throttle.forget_attempts_before(session, later) == 2
    assert session.query(SignInFailure).count() == 1


Begin = Callable[[Session, str, str | None, datetime], object]


def _late(session: Session, account: str, address: str | None, now: datetime) -> object:
    """The broken variant: looks first whether it may, and counts once it failed."""
    subject = throttle._digest("account", account)
    row = session.get(SignInFailure, subject)
    failures = 0 if row is None else row.failures
    session.rollback()
    if failures > 10:
        raise TooManyAttemptsError("too many", retry_after_s=1)
    attempt = begin_attempt(session, account, address, now)
    forgive(session, attempt, whole_account=False)
    session.commit()
    return attempt


@pytest.mark.parametrize(("begin", "holds"), [(begin_attempt, True), (_late, False)])
def test_many_at_once_gain_nothing(own_engine: Engine, begin: Begin, holds: bool) -> None:
    def attempt(_: int) -> bool:
        with Session(own_engine) as session:
            try:
                begin(session, "raced@example.invalid", "192.0.2.7", NOW)
            except SpaceRelayError:
                return False
            return True

    with ThreadPoolExecutor(12) as pool:
        tried = sum(pool.map(attempt, range(60)))

    assert (tried == 11) is holds, tried
