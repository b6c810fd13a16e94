"""From an invitation to a revoked session, as a person's browser does it."""

import pyotp
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models.audit import AuditEntry
from app.models.staff import StaffSession
from app.routers.dependencies import SESSION_COOKIE
from app.security.actors import Role
from app.security.staff.sign_in import Gate
from tests.factories import ANY, make_park, staff_headers
from tests.security.staff.conftest import PASSWORD, Clock, Open, make_person


def test_from_invitation_to_revocation(  # noqa: PLR0915 - one journey
    session: Session, open_browser: Open, clock: Clock
) -> None:
    park = make_park(session)
    other = make_park(session)
    administrator = staff_headers(session, Role.ADMIN)
    session.commit()
    mine = open_browser()

    invited = mine.call(
        "POST",
        "/staff",
        headers=administrator,
        json={
            "email": "Lin.Manager@example.invalid",
            "name": "示例经理",
            "role": "manager",
            "parks": [park.code],
        },
    )
    assert invited.status_code == 201, invited.text
    assert invited.json()["account"]["state"] == "invited"
    assert mine.sign_in("lin.manager@example.invalid").status_code == 401

    token = invited.json()["token"]
    accepted = mine.call(
        "POST", "/staff/accept-invitation", json={"token": token, "password": PASSWORD}
    )
    assert accepted.json()["state"] == "active", accepted.text
    again = mine.call(
        "POST", "/staff/accept-invitation", json={"token": token, "password": "x" + PASSWORD}
    )
    assert again.json()["type"] == "/problems/staff-invitation-not-valid"

    # A manager takes a second factor: all but setting it up is closed.
    signed_in = mine.sign_in("LIN.manager@example.invalid ")
    assert signed_in.status_code == 200, signed_in.text
    assert signed_in.json()["second_factor"] == {
        "set_up": False,
        "missing": True,
        "recovery_codes_left": 0,
    }
    closed = mine.call("GET", "/leases")
    assert closed.json()["type"] == "/problems/second-factor-not-set-up"
    before = mine.cookie

    started = mine.call("POST", "/session/second-factor", json={"password": PASSWORD})
    assert started.status_code == 201, started.text
    assert started.json()["provisioning_uri"].startswith("otpauth://totp/Space%20Relay:lin.manager")
    app = pyotp.parse_uri(started.json()["provisioning_uri"])
    assert isinstance(app, pyotp.TOTP)
    confirmed = mine.call("POST", "/session/second-factor/confirm", json={"code": app.at(clock.at)})
    codes = confirmed.json()["recovery_codes"]
    assert len(set(codes)) == 10
    assert mine.cookie not in {None, before}, "the session goes on under a new token"
    mine.csrf_token = mine.call("GET", "/session").json()["csrf_token"]
    assert mine.call("GET", "/leases").status_code == 200

    # Another browser, with the second factor.
    clock.forward(seconds=30)
    laptop = open_browser("203.0.113.8")
    needed = laptop.sign_in("lin.manager@example.invalid")
    assert needed.json()["type"] == "/problems/second-factor-needed"
    assert laptop.sign_in("lin.manager@example.invalid", code=app.at(clock.at)).status_code == 200
    who = laptop.call("GET", "/session").json()
    assert who["role"] == "manager"
    assert [one["code"] for one in who["parks"]] == [park.code]
    assert (who["every_park"], who["second_factor"]["recovery_codes_left"]) == (False, 10)

    # The park of the account is where it may write, and the session's word is needed to.
    weights = {"weights": {"rent": 10, "readiness": 15}}
    wrote = laptop.call("PUT", f"/parks/{park.code}/match-policy", json=weights, headers=ANY)
    assert wrote.status_code == 200, wrote.text
    elsewhere = laptop.call("PUT", f"/parks/{other.code}/match-policy", json=weights)
    assert elsewhere.json()["type"] == "/problems/not-allowed"
    forged = laptop.call(
        "PUT", f"/parks/{park.code}/match-policy", json=weights, headers={"X-CSRF-Token": "x"}
    )
    assert forged.json()["type"] == "/problems/csrf"

    listed = mine.call("GET", "/staff/sessions").json()["items"]
    assert [(one["address"], one["current"]) for one in listed] == [
        ("203.0.113.8", False),
        ("203.0.113.7", True),
    ]
    revoked = mine.call("DELETE", f"/staff/sessions/{listed[0]['id']}")
    assert revoked.status_code == 204, revoked.text
    gone = laptop.call("GET", "/session")
    assert gone.status_code == 401
    assert gone.json()["type"] == "/problems/not-signed-in"
    assert mine.call("GET", "/session").status_code == 200

    kept = mine.cookie
    assert mine.call("DELETE", "/session").status_code == 204
    assert mine.cookie is None
    mine.client.cookies.set(SESSION_COOKIE, kept or "")
    assert mine.call("GET", "/session").status_code == 401

    actions = session.scalars(
        select(AuditEntry.action).where(AuditEntry.park_id.is_(None)).order_by(AuditEntry.id)
    ).all()
    assert actions == [
        "staff.invited",
        "session.refused",
        "staff.invitation_accepted",
        "session.signed_in",
        "second_factor.set_up",
        "session.signed_in",
        "session.ended",
        "session.ended",
    ]
    everything = "".join(
        f"{entry.actor} {entry.details}" for entry in session.scalars(select(AuditEntry))
    )
    assert "lin.manager" not in everything.lower()
    tokens = session.scalars(select(StaffSession.token_sha256)).all()
    assert (kept or "").encode() not in tokens


def test_the_cookie_is_for_this_host_over_tls_and_no_page_reads_it(
    session: Session, open_browser: Open, gate: Gate
) -> None:
    person = make_person(session, gate)
    browser = open_browser()

    set_cookie = browser.sign_in(person.email).headers["set-cookie"]

    name, *attributes = [part.strip() for part in set_cookie.split(";")]
    assert name.startswith("__Host-space_relay=")
    assert len(name.partition("=")[2]) == 43
    assert {one.lower() for one in attributes} >= {"httponly", "secure", "path=/", "samesite=lax"}
    assert "domain" not in set_cookie.lower()
