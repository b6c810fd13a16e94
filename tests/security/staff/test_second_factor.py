"""One-time codes: as the RFC has them, once each, and what stands in for them."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from httpx2 import Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models.audit import AuditEntry
from app.models.staff import StaffAccount
from app.security.actors import Role
from app.security.audit.actions import Action
from app.security.sealing import SealBrokenError, Sealer
from app.security.staff import second_factor
from app.security.staff.policy import StaffPolicy
from app.security.staff.second_factor import (
    Digest,
    Factor,
    OneTimeSecret,
    matching_step,
    show_second_factor,
)
from app.security.staff.sign_in import Gate
from app.settings import Settings
from tests.security.staff.conftest import (
    NOW,
    PASSWORD,
    Browser,
    Clock,
    Open,
    Person,
    make_person,
)

#: RFC 6238, appendix B: the last six of eight digits, by SHA-1 and by SHA-256.
VECTORS = {
    59: ("287082", "119246"),
    1111111109: ("081804", "084774"),
    1111111111: ("050471", "062674"),
    1234567890: ("005924", "819424"),
    2000000000: ("279037", "698825"),
    20000000000: ("353130", "737706"),
}
#: The RFC's keys are as long as the hash.
RFC_SECRETS = {
    Digest.SHA1: OneTimeSecret(base64.b32encode(b"12345678901234567890").decode(), Digest.SHA1),
    Digest.SHA256: OneTimeSecret(
        base64.b32encode(b"12345678901234567890123456789012").decode(), Digest.SHA256
    ),
}
STEP = timedelta(seconds=30)


@pytest.mark.parametrize(("seconds", "codes"), VECTORS.items())
def test_codes_are_those_of_the_rfc(
    session: Session, gate: Gate, seconds: int, codes: tuple[str, str]
) -> None:
    person = make_person(session, gate)
    at = datetime.fromtimestamp(seconds, UTC)
    by_digest = dict(zip((Digest.SHA1, Digest.SHA256), codes, strict=True))

    for digest, code in by_digest.items():
        kept = second_factor.sealed(gate.sealer, person.account_id, RFC_SECRETS[digest])
        assert matching_step(gate.sealer, person.account_id, kept, code, at) == seconds // 30
        for other in set(codes) - {code}:  # a code of the other hash is none
            assert matching_step(gate.sealer, person.account_id, kept, other, at) == -1
        wrong = f"{(int(code) + 1) % 10**6:06d}"
        assert matching_step(gate.sealer, person.account_id, kept, wrong, at) == -1


def test_new_codes_are_by_sha_256_with_a_secret_as_long(session: Session, gate: Gate) -> None:
    assert gate.policy.second_factor_digest is Digest.SHA256
    made = OneTimeSecret.new(gate.policy.second_factor_digest)

    assert len(base64.b32decode(made.base32 + "=" * (-len(made.base32) % 8))) * 8 >= 256
    assert "algorithm=SHA256" in made.provisioning_uri("somebody@example.invalid")
    # Where people's apps know no other hash, the operator says so.
    of_old_apps = StaffPolicy.of(Settings(second_factor_digest="sha1"))
    assert of_old_apps.second_factor_digest is Digest.SHA1


def test_a_secret_of_before_there_was_a_choice_is_still_good(session: Session, gate: Gate) -> None:
    person = make_person(session, gate)
    bare = RFC_SECRETS[Digest.SHA1].base32.encode()
    kept = gate.sealer.seal(f"totp:{person.account_id}", bare)

    at = datetime.fromtimestamp(59, UTC)
    assert matching_step(gate.sealer, person.account_id, kept, VECTORS[59][0], at) == 1


def _made(started: Response) -> OneTimeSecret:
    """What somebody types into his app."""
    made = started.json()
    return OneTimeSecret(made["secret"], Digest(made["digest"]))


def _show(session: Session, gate: Gate, person: Person, code: str, at: datetime) -> Factor | None:
    account = session.get_one(StaffAccount, person.account_id)
    return show_second_factor(session, gate.sealer, account, code, at)


def test_a_step_is_good_once_and_none_before_it(session: Session, gate: Gate) -> None:
    person = make_person(session, gate, Role.MANAGER)
    now, before = person.code(NOW), person.code(NOW - STEP)

    assert _show(session, gate, person, now, NOW) is Factor.ONE_TIME_CODE
    assert _show(session, gate, person, now, NOW) is None
    assert _show(session, gate, person, before, NOW) is None
    after = person.code(NOW + STEP)
    assert _show(session, gate, person, after, NOW) is Factor.ONE_TIME_CODE


@pytest.mark.parametrize(
    ("off", "taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)]
)
def test_a_telephone_may_be_off_by_one_step(
    session: Session, gate: Gate, off: int, taken: bool
) -> None:
    person = make_person(session, gate, Role.MANAGER)
    shown = _show(session, gate, person, person.code(NOW + off * STEP), NOW)
    assert (shown is Factor.ONE_TIME_CODE) is taken


def test_a_recovery_code_is_good_once_however_typed(session: Session, gate: Gate) -> None:
    person = make_person(session, gate, Role.MANAGER)
    first, second, *_ = second_factor.make_recovery_codes(session, person.account_id)

    assert _show(session, gate, person, first.lower(), NOW) is Factor.RECOVERY_CODE
    assert _show(session, gate, person, first, NOW) is None
    typed = second.replace("-", " ")
    assert _show(session, gate, person, typed, NOW) is Factor.RECOVERY_CODE
    assert second_factor.recovery_codes_left(session, person.account_id) == 8
    second_factor.make_recovery_codes(session, person.account_id)
    assert second_factor.recovery_codes_left(session, person.account_id) == 10


def test_a_secret_moved_to_another_account_does_not_open(session: Session, gate: Gate) -> None:
    mine = make_person(session, gate, Role.MANAGER)
    other = make_person(session, gate, Role.MANAGER)
    account = session.get_one(StaffAccount, mine.account_id)
    account.totp_secret = session.get_one(StaffAccount, other.account_id).totp_secret

    with pytest.raises(SealBrokenError):
        _show(session, gate, mine, other.code(NOW), NOW)


def test_a_secret_of_an_old_key_is_sealed_anew_when_it_is_used(
    session: Session, gate: Gate
) -> None:
    person = make_person(session, gate, Role.MANAGER)
    account = session.get_one(StaffAccount, person.account_id)
    both = Sealer(lambda: {"00000002": bytes(range(1, 33)), "00000001": bytes(range(32))})

    assert show_second_factor(session, both, account, person.code(NOW), NOW)
    assert account.totp_secret is not None
    assert both.is_current(account.totp_secret)
    with pytest.raises(SealBrokenError):
        show_second_factor(session, gate.sealer, account, person.code(NOW + STEP), NOW)


def test_another_telephone_takes_a_code_of_the_one_before(
    session: Session, gate: Gate, clock: Clock, open_browser: Open
) -> None:
    person = make_person(session, gate, Role.MANAGER)
    browser = open_browser()
    assert browser.sign_in(person.email, code=person.code(clock.at)).status_code == 200
    body = {"password": PASSWORD}

    without = browser.call("POST", "/session/second-factor", json=body)
    assert without.json()["type"] == "/problems/second-factor-needed"
    used = {**body, "code": person.code(clock.at)}
    assert browser.call("POST", "/session/second-factor", json=used).status_code == 401
    clock.forward(seconds=30)
    fresh = {**body, "code": person.code(clock.at)}
    started = browser.call("POST", "/session/second-factor", json=fresh)
    assert started.status_code == 201

    # Until the new one is confirmed the one before counts.
    clock.forward(seconds=30)
    laptop = open_browser()
    assert laptop.sign_in(person.email, code=person.code(clock.at)).status_code == 200
    new = Person(session.get_one(StaffAccount, person.account_id), _made(started))
    confirmed = browser.call(
        "POST", "/session/second-factor/confirm", json={"code": new.code(clock.at)}
    )
    assert confirmed.status_code == 200, confirmed.text
    assert laptop.call("GET", "/session").status_code == 401
    clock.forward(seconds=30)
    assert laptop.sign_in(person.email, code=person.code(clock.at)).status_code == 401
    assert laptop.sign_in(person.email, code=new.code(clock.at)).status_code == 200


def test_recovery_codes_let_in_and_are_made_anew_with_a_code(
    session: Session, gate: Gate, clock: Clock, open_browser: Open
) -> None:
    person = make_person(session, gate, Role.MANAGER)
    code, *_ = second_factor.make_recovery_codes(session, person.account_id)
    session.commit()
    browser = open_browser()

    assert browser.sign_in(person.email, code=code).status_code == 200
    assert browser.call("GET", "/session").json()["second_factor"]["recovery_codes_left"] == 9
    assert open_browser().sign_in(person.email, code=code).status_code == 401
    wrong = browser.call("POST", "/session/recovery-codes", json={"code": "000000"})
    assert wrong.status_code == 401
    made = browser.call("POST", "/session/recovery-codes", json={"code": person.code(clock.at)})
    assert made.status_code == 201, made.text
    assert len(made.json()["recovery_codes"]) == 10


def test_the_first_code_is_awaited_for_a_quarter_of_an_hour(
    session: Session, gate: Gate, clock: Clock, open_browser: Open
) -> None:
    browser, new = _enrolling(session, gate, clock, open_browser)
    code = {"code": new.code(clock.at + timedelta(minutes=15))}
    clock.forward(minutes=15)
    assert _confirm(browser, code).status_code == 401

    browser, new = _enrolling(session, gate, clock, open_browser)
    clock.forward(minutes=14)
    assert _confirm(browser, {"code": new.code(clock.at)}).status_code == 200


def test_first_codes_are_not_tried_out(
    session: Session, gate: Gate, clock: Clock, open_browser: Open
) -> None:
    browser, new = _enrolling(session, gate, clock, open_browser)
    wrong = {"code": "000000" if new.code(clock.at) != "000000" else "000001"}

    tried = [_confirm(browser, wrong).status_code for _ in range(12)]

    assert tried == [401] * 11 + [429]
    # Nor is the right one taken while the wait lasts.
    assert _confirm(browser, {"code": new.code(clock.at)}).status_code == 429
    said = session.scalars(
        select(AuditEntry.details).where(AuditEntry.action == Action.SIGN_IN_REFUSED)
    ).all()
    assert len(said) == 11


def test_a_new_password_ends_what_was_begun_with_the_old_one(
    session: Session, gate: Gate, clock: Clock, open_browser: Open
) -> None:
    browser, new = _enrolling(session, gate, clock, open_browser)
    changed = browser.call(
        "POST",
        "/session/password",
        json={"current_password": PASSWORD, "password": "nine cranes over the delta"},
    )
    assert changed.status_code == 200, changed.text
    browser.csrf_token = changed.json()["csrf_token"]

    assert _confirm(browser, {"code": new.code(clock.at)}).status_code == 401


def _enrolling(
    session: Session, gate: Gate, clock: Clock, open_browser: Open
) -> tuple[Browser, Person]:
    """Somebody who asked for a second factor and has not sent its first code."""
    person = make_person(session, gate, Role.AGENT)
    session.commit()
    browser = open_browser()
    assert browser.sign_in(person.email).status_code == 200
    begun = browser.call("POST", "/session/second-factor", json={"password": PASSWORD})
    assert begun.status_code == 201, begun.text
    account = session.get_one(StaffAccount, person.account_id)
    return browser, Person(account, _made(begun))


def _confirm(browser: Browser, body: dict[str, str]) -> Response:
    return browser.call("POST", "/session/second-factor/confirm", json=body)
