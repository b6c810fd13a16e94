"""Two firms, staff of two parks, and one thing of every kind that an operation is about."""

from dataclasses import dataclass, field
from typing import Any

import pyotp
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy.orm import Session

from app.models.former_feature import FormerFeature
from app.models.programme import Programme
from app.routers.dependencies import SESSION_COOKIE
from app.security.actors import Role
from tests import factories as make
from tests.matching.snapshots.worlds import make_facility
from tests.security.staff.conftest import PASSWORD, cheap_gate, make_person

Headers = dict[str, str]

#: Who calls, in the order of the table's columns. Viewer, agent and manager are of the park where
#: everything of firm A is, ``elsewhere`` is a manager of another one; ``admin`` is an administrator
#: of every park with a token, ``person`` one who is signed in with a browser.
CALLERS = (
    *("anonymous", "firm_a", "firm_b", "viewer", "agent", "manager", "admin", "elsewhere"),
    "person",
)
TERMS: dict[str, Any] = {
    "basis": "leasable",
    "day_count": "month_365_12",
    "payment_months": 3,
    "due_days_before": 7,
    "first_rate": "3.2000",
}
WHY = {"reason": "回复企业的中试空间需求，约看房时间"}
NEEDS = {"unit_type": "pilot", "min_area_m2": 1500, "from": "2027-01-01", "term_months": 12}
APPLICATION = {
    "company_name": "申请企业（合成）",
    "purpose": "接入排期系统",
    "contact_email": "applicant@example.invalid",
}
STAFF = {"email": "lin.agent@example.invalid", "name": "示例专员", "role": "viewer"}
CONTACT = {
    "name": "示例联系人",
    "phone": "+86 138 0000 0001",
    "email": "contact01@example.invalid",
    "role": "site_search",
    "purpose": "matching",
    "consent": {"given_at": "2026-11-01T09:00:00+08:00", "form": "written"},
}


@dataclass
class Call:
    """One request, good in every way but perhaps in who sends it."""

    path: str
    json: Any = None
    params: dict[str, Any] = field(default_factory=dict)
    headers: Headers = field(default_factory=dict)
    data: dict[str, str] | None = None
    #: It brings its own credential, and no other beside.
    alone: bool = False


class World:
    """Made over HTTP as far as it can be, by whoever is meant to do it."""

    def __init__(self, session: Session, client: TestClient) -> None:
        self.session, self.client = session, client
        self.ids: dict[str, str] = {}
        self.secrets: dict[str, str] = {}
        self._make_space()
        self._make_people()
        self._make_firm_things()
        self._make_ledger()
        self._make_access()
        session.commit()

    @property
    def app(self) -> FastAPI:
        assert isinstance(self.client.app, FastAPI)
        return self.client.app

    def call(self, method: str, call: Call, caller: str) -> Response:
        """Send it as ``caller``."""
        headers = ({} if call.alone else self.headers[caller]) | call.headers
        if method in {"PUT", "PATCH", "DELETE"}:
            headers |= {"If-Match": "*"}
        answer: Response = self.client.request(
            method, call.path, json=call.json, params=call.params, headers=headers, data=call.data
        )
        return answer

    def did(self, caller: str, path: str, body: Any = None, **headers: str) -> dict[str, Any]:
        """What a call that must go well answers."""
        answer = self.client.post(
            f"/api/v1{path}", json=body, headers=self.headers[caller] | headers
        )
        assert answer.is_success, (path, answer.text)
        found: dict[str, Any] = answer.json()
        return found

    def _make_space(self) -> None:
        session, ids = self.session, self.ids
        park, other = make.make_park(session), make.make_park(session)
        building = make.make_building(session, parcel=make.make_parcel(session, park_id=park.id))
        floor = make.make_floor(session, building=building)
        for slot, name in enumerate(
            ("let", "held", "free", "works", "left", "right", "near", "far")
        ):
            unit = make.make_unit(session, floor=floor, slot=slot, slots=8)
            ids[f"unit_{name}"], ids[f"code_{name}"] = str(unit.id), unit.code
            ids[f"fid_{name}"] = str(unit.fid)
        ids |= {"zone": str(park.zone_id), "park": str(park.id), "parcel": str(building.parcel_id)}
        ids |= {"building": str(building.id), "floor": str(floor.id), "other_park": str(other.id)}
        ids["code_park"] = park.code
        parcel = make.make_parcel(session, park_id=park.id)
        ids["fid_parcel"] = str(parcel.fid)
        was = FormerFeature(
            layer="parcels",
            feature_id=parcel.id,
            fid=parcel.fid,
            code=parcel.code,
            park_id=park.id,
            properties={"name_zh": "旧名"},
            changed_by="tests",
            removed=False,
        )
        ids["former"] = str(make.add(session, was).id)
        ids["facility"] = str(make_facility(session, "bsl_lab", 121.605, 31.205).id)
        named = {"code": f"programme-{make.number()}", "name_zh": "计划", "name_en": "Programme"}
        ids["programme"] = str(make.add(session, Programme(**named, seq=1, **make.MADE_UP)).id)
        self.parks = {"here": park.id, "elsewhere": other.id}

    def _make_people(self) -> None:
        session, here = self.session, [self.parks["here"]]
        self.firm_a, self.firm_b = (make.make_company(session) for _ in range(2))
        self.ids |= {"company": str(self.firm_a.id)}
        self.headers: dict[str, Headers] = {
            "anonymous": {},
            "firm_a": make.firm_headers(session, self.firm_a),
            "firm_b": make.firm_headers(session, self.firm_b),
            "viewer": make.staff_headers(session, Role.VIEWER, park_ids=here),
            "agent": make.staff_headers(session, Role.AGENT, park_ids=here),
            "manager": make.staff_headers(session, Role.MANAGER, park_ids=here),
            "admin": make.staff_headers(session, Role.ADMIN),
            "elsewhere": make.staff_headers(
                session, Role.MANAGER, park_ids=[self.parks["elsewhere"]]
            ),
            # Asks for what another one must approve.
            "colleague": make.staff_headers(session, Role.MANAGER, park_ids=here),
        }
        gate = self.app.state.gate = cheap_gate()
        invited = self.did("admin", "/staff", STAFF)
        self.secrets["staff_invitation"] = invited["token"]
        # Only managed by whoever may; nobody of the table signs in as this one but for a session.
        agent = make_person(session, gate, Role.AGENT)
        self.ids["account"] = str(agent.account_id)
        self._sign_in(agent.email)
        found = self.client.get(
            "/api/v1/staff/sessions",
            params={"account": self.ids["account"]},
            headers=self.headers["admin"],
        )
        self.ids["session"] = found.json()["items"][0]["id"]
        person = make_person(session, gate, Role.ADMIN, second_factor_set_up=False)
        self.secrets["email"] = person.email
        self.headers["person"] = self._sign_in(person.email)
        started = self.did("person", "/session/second-factor", {"password": PASSWORD})
        totp = pyotp.parse_uri(started["provisioning_uri"])
        assert isinstance(totp, pyotp.TOTP)
        confirmed = self.client.post(
            "/api/v1/session/second-factor/confirm",
            json={"code": totp.now()},
            headers=self.headers["person"],
        )
        # Taken back with every call, so that one code serves them all.
        self.secrets["recovery_code"] = confirmed.json()["recovery_codes"][0]
        self.headers["person"] = self._browser(confirmed)

    def _sign_in(self, email: str) -> Headers:
        answer = self.client.post("/api/v1/session", json={"email": email, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return self._browser(answer)

    def _browser(self, answer: Response) -> Headers:
        """The headers that a browser sends after this answer."""
        cookie = f"{SESSION_COOKIE}={answer.cookies[SESSION_COOKIE]}"
        self.client.cookies.clear()
        state = self.client.get("/api/v1/session", headers={"Cookie": cookie})
        return {"Cookie": cookie, "X-CSRF-Token": state.json()["csrf_token"]}

    def _make_firm_things(self) -> None:
        ids, of = self.ids, f"/companies/{self.firm_a.id}"
        asset = {"modality": "car_t", "name": "CT-101", "indication": "r/r B-ALL"}
        stage = {"stage": "ind", "entered_on": "2026-03-01"}
        ids["asset"] = self.did("firm_a", f"{of}/pipeline-assets", asset | {"stages": [stage]})[
            "id"
        ]
        ids["contact"] = self.did("firm_a", f"{of}/contacts", CONTACT)["id"]
        ids["request"], ids["withdrawn"] = (
            self.did("firm_a", "/space-requests", NEEDS)["id"] for _ in range(2)
        )
        self.did("firm_a", f"/space-requests/{ids['withdrawn']}/withdraw")
        matched = self.did("firm_a", f"/space-requests/{ids['request']}/matches")
        ids["receipt"] = matched["receipt"]["id"]
        ids["endpoint"] = self.did(
            "firm_a",
            "/webhook-endpoints",
            {"url": "https://hooks.example.com/space-relay", "events": ["hold.placed"]},
        )["id"]
        key = self.did("firm_a", "/keys", {"label": "second"})
        ids["key"], self.secrets["client_id"] = key["id"], key["client_id"]
        self.secrets["client_secret"] = key["key"]

    def _make_ledger(self) -> None:
        ids = self.ids
        days = {"from": "2026-01-01", "until": "2036-01-01"}

        def order(unit: str, **more: Any) -> dict[str, Any]:
            return {"units": [{"unit_id": ids[f"unit_{unit}"]}], **days, **more}

        of_a = {"company_id": ids["company"]}
        let = self.did("manager", "/leases", order("let", **of_a, terms=TERMS))
        ids["lease"] = let["id"]
        for name, unit in (("lease_ended", "left"), ("lease_back", "right")):
            past = order(unit, **of_a) | {"from": "2025-01-01", "until": "2026-02-01"}
            ids[name] = self.did("manager", "/leases", past)["id"]
        back = {"on": "2026-02-01", "clearing_days": 30}
        self.did("manager", f"/leases/{ids['lease_back']}/hand-back", back)
        ids["hold"] = self.did("firm_a", "/holds", order("held"))["id"]
        ids["works"] = self.did("agent", "/works", order("works"))["id"]
        late = {"from": "2036-01-01", "until": "2039-01-01"}
        ids["right"] = self.did(
            "manager",
            "/rights",
            {
                "kind": "first_refusal",
                "notice_days": 10,
                "units": [ids["unit_free"]],
                **of_a,
                **late,
            },
        )["id"]
        asked = self.did(
            "manager",
            f"/rights/{ids['right']}/notices",
            {**late, "company_id": str(self.firm_b.id)},
        )
        ids["notice"] = asked["notices"][0]["id"]
        waited = order("works") | {"from": "2031-01-01"}
        ids["entry"] = self.did("firm_a", "/queue-entries", waited)["id"]
        ids["approval"] = self.did(
            "colleague",
            f"/leases/{ids['lease']}/terminate",
            {"on": "2030-01-01", "reason": "双方协商"},
        )["id"]

    def _make_access(self) -> None:
        ids = self.ids
        applied = self.did(
            "anonymous",
            "/applications",
            APPLICATION | {"unified_social_credit_code": make.credit_code(9_200_001)},
        )
        ids["application"], self.secrets["status"] = applied["id"], applied["status_secret"]
        invited = self.did("manager", "/invitations", {"company_id": ids["company"]})
        ids["invitation"], self.secrets["invitation"] = invited["id"], invited["token"]
