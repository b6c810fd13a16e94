"""Who may give what to whom."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from uuid import UUID

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from app.database.session import transaction, with_retries
from app.kernel.errors import InvalidInputError, NotFoundError
from app.models.staff import StaffAccount
from app.security.actors import Actor, NotAllowedError, Role
from app.security.staff.accounts import (
    COMMAND_LINE,
    Change,
    Place,
    change,
    invite,
    invite_again,
    normalised_email,
    reset_second_factor,
)
from app.security.staff.errors import AccountExistsError, LastAdministratorError
from app.security.staff.sessions import actor_of
from app.security.staff.sign_in import Gate
from tests.factories import make_park, staff_headers
from tests.security.staff.conftest import NOW, Clock, Open, Person, make_person


def _actor(session: Session, person: Person) -> Actor:
    return actor_of(session.get_one(StaffAccount, person.account_id), None)


def _invite(session: Session, gate: Gate, actor: Actor, place: Place, email: str) -> None:
    invite(session, actor, email=email, name="x", place=place, now=NOW, policy=gate.policy)


def test_administrators_of_a_park_manage_whoever_works_there_but_administrators(
    session: Session, gate: Gate
) -> None:
    here, there = make_park(session).id, make_park(session).id
    of_here = _actor(session, make_person(session, gate, Role.ADMIN, park_ids=frozenset({here})))
    colleague = make_person(session, gate, Role.AGENT, park_ids=frozenset({here}))
    stranger = make_person(session, gate, Role.AGENT, park_ids=frozenset({there}))
    everywhere = make_person(session, gate, Role.AGENT)
    boss = make_person(session, gate, Role.ADMIN, park_ids=frozenset({here}))

    def place(role: Role, *parks: object) -> Place:
        return Place(role, frozenset(parks) if parks else None)  # type: ignore[arg-type]

    _invite(session, gate, of_here, place(Role.MANAGER, here), "may@example.invalid")
    change(session, of_here, colleague.account_id, Change(place(Role.MANAGER, here)), NOW)
    for beyond in (
        place(Role.ADMIN, here),
        place(Role.VIEWER),
        place(Role.VIEWER, there),
        place(Role.VIEWER, here, there),
    ):
        with pytest.raises(NotAllowedError):
            _invite(session, gate, of_here, beyond, "may.not@example.invalid")
        with pytest.raises(NotAllowedError):
            change(session, of_here, colleague.account_id, Change(beyond), NOW)
    for other in (stranger, everywhere, boss):
        with pytest.raises(NotFoundError):
            change(session, of_here, other.account_id, Change(disabled=True), NOW)
        with pytest.raises(NotFoundError):
            reset_second_factor(session, of_here, other.account_id, NOW)
        with pytest.raises(NotFoundError):
            invite_again(session, of_here, other.account_id, NOW, gate.policy)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AGENT, Role.MANAGER])
def test_other_roles_manage_nobody(session: Session, gate: Gate, role: Role) -> None:
    actor = _actor(session, make_person(session, gate, role))
    other = make_person(session, gate, Role.VIEWER)

    with pytest.raises(NotAllowedError):
        _invite(session, gate, actor, Place(Role.VIEWER, None), "x@example.invalid")
    with pytest.raises(NotAllowedError):
        change(session, actor, other.account_id, Change(disabled=True), NOW)


def test_nobody_changes_his_own_account(session: Session, gate: Gate) -> None:
    person = make_person(session, gate, Role.ADMIN)
    make_person(session, gate, Role.ADMIN)
    actor = _actor(session, person)

    for what in (Change(disabled=True), Change(Place(Role.VIEWER, None)), Change()):
        with pytest.raises(NotAllowedError, match="another administrator"):
            change(session, actor, person.account_id, what, NOW)
    with pytest.raises(NotAllowedError, match="another administrator"):
        reset_second_factor(session, actor, person.account_id, NOW)


def test_the_last_administrator_stays(session: Session, gate: Gate) -> None:
    park_id = make_park(session).id
    last = make_person(session, gate, Role.ADMIN)
    make_person(session, gate, Role.ADMIN, park_ids=frozenset({park_id}))
    _invite(session, gate, COMMAND_LINE, Place(Role.ADMIN, None), "invited@example.invalid")

    for what in (
        Change(disabled=True),
        Change(Place(Role.MANAGER, None)),
        Change(Place(Role.ADMIN, frozenset({park_id}))),
    ):
        with pytest.raises(LastAdministratorError):
            change(session, COMMAND_LINE, last.account_id, what, NOW)
    make_person(session, gate, Role.ADMIN)
    change(session, COMMAND_LINE, last.account_id, Change(disabled=True), NOW)
    assert session.get_one(StaffAccount, last.account_id).disabled_at == NOW


def test_two_administrators_cannot_remove_one_another_at_once(
    own_engine: Engine, gate: Gate
) -> None:
    for _ in range(5):
        with Session(own_engine) as session:
            session.execute(text("TRUNCATE staff_accounts CASCADE"))
            session.commit()
            pair = [make_person(session, gate, Role.ADMIN) for _ in range(2)]
            actors = [_actor(session, one) for one in pair]
        together = Barrier(2)
        remove = partial(_removed, own_engine, together)

        with ThreadPoolExecutor(2) as pool:
            removed = list(pool.map(remove, actors, [one.account_id for one in reversed(pair)]))

        assert sorted(removed) == [False, True]


def _removed(engine: Engine, together: Barrier, actor: Actor, account_id: UUID) -> bool:
    with Session(engine) as session:

        def work() -> None:
            with transaction(session):
                change(session, actor, account_id, Change(disabled=True), NOW)

        together.wait()
        try:
            with_retries(work)
        except LastAdministratorError:
            return False
        return True


def test_addresses_are_one_however_typed(session: Session, gate: Gate) -> None:
    place = Place(Role.VIEWER, None)
    _invite(session, gate, COMMAND_LINE, place, " Lin.Agent@Example.invalid")

    with pytest.raises(AccountExistsError), transaction(session):
        _invite(session, gate, COMMAND_LINE, place, "lin.agent@example.INVALID")
    for wrong in ("", "lin", "lin@", "@example.invalid", "lin@example", "a b@example.invalid"):
        with pytest.raises(InvalidInputError):
            normalised_email(wrong)


def test_staff_are_listed_within_the_callers_parks(
    session: Session, gate: Gate, open_browser: Open
) -> None:
    park = make_park(session)
    mine = [make_person(session, gate, Role.AGENT, park_ids=frozenset({park.id})) for _ in "ab"]
    make_person(session, gate, Role.AGENT)
    of_park = staff_headers(session, Role.ADMIN, park_ids=[park.id])
    everywhere = staff_headers(session, Role.ADMIN)
    agent = staff_headers(session, Role.AGENT)
    session.commit()
    browser = open_browser()

    first = browser.call("GET", "/staff?limit=1", headers=of_park).json()
    rest = browser.call("GET", f"/staff?cursor={first['next_cursor']}", headers=of_park).json()
    found = first["items"] + rest["items"]
    assert [one["email"] for one in found] == sorted(person.email for person in mine)
    assert {(one["state"], one["second_factor"]) for one in found} == {("active", False)}
    assert (
        len(browser.call("GET", "/staff", headers=everywhere).json()["items"]) == 3 + 3
    )  # and whose tokens these are
    assert browser.call("GET", "/staff", headers=agent).status_code == 403
    assert browser.call("GET", "/staff").status_code == 401
    one = browser.call("GET", f"/staff/{mine[0].account_id}", headers=of_park)
    same = one.json() | {"created_at": None}
    assert same in [known | {"created_at": None} for known in found]


def test_a_new_invitation_ends_the_one_before_and_keeps_the_password_until_it_is_used(
    session: Session, gate: Gate, open_browser: Open
) -> None:
    person = make_person(session, gate)
    headers = staff_headers(session)
    session.commit()
    browser = open_browser()
    path = f"/staff/{person.account_id}/invitation"
    first = browser.call("POST", path, headers=headers).json()["token"]
    second = browser.call("POST", path, headers=headers).json()["token"]
    new = "nine cranes beside the lake"

    def accepts(token: str) -> int:
        body = {"token": token, "password": new}
        return browser.call("POST", "/staff/accept-invitation", json=body).status_code

    assert browser.sign_in(person.email).status_code == 200
    assert accepts(first) == 404
    assert accepts(second) == 200
    assert browser.call("GET", "/session").status_code == 401
    assert browser.sign_in(person.email).status_code == 401
    assert browser.sign_in(person.email, new).status_code == 200


def test_invitations_end(session: Session, gate: Gate, open_browser: Open, clock: Clock) -> None:
    person = make_person(session, gate)
    headers = staff_headers(session)
    session.commit()
    browser = open_browser()
    path = f"/staff/{person.account_id}/invitation"
    token = browser.call("POST", path, headers=headers).json()["token"]

    clock.forward(hours=72)
    body = {"token": token, "password": "nine cranes beside the lake"}
    assert browser.call("POST", "/staff/accept-invitation", json=body).status_code == 404


def test_firms_and_the_public_see_no_row_of_staff(session: Session, gate: Gate) -> None:
    """The floor under the routes: what the database itself shows to each audience."""
    make_person(session, gate, Role.ADMIN)
    session.execute(text("SET LOCAL ROLE space_relay_app"))

    def rows(audience: str) -> int:
        session.execute(
            text("SELECT set_config('app.audience', :audience, true)"), {"audience": audience}
        )
        return session.scalar(text("SELECT count(*) FROM staff_accounts")) or 0

    assert [rows(audience) for audience in ("firm", "", "staff", "system")] == [0, 0, 1, 1]
    for table in ("staff_sessions", "staff_recovery_codes", "sign_in_failures"):
        forced = session.execute(
            text("SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE relname = :name"),
            {"name": table},
        ).one()
        assert tuple(forced) == (True, True)
