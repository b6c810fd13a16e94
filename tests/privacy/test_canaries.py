"""Nothing that names a person or opens a door is in any answer, line, table or file but its own."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pyotp
import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from pydantic import SecretStr
from sqlalchemy import Engine, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from app.database.binaries import find_binaries
from app.main import create_app
from app.models.company import Company
from app.models.webhook import WebhookEvent
from app.routers.dependencies import SESSION_COOKIE
from app.security.actors import Role
from app.security.sealing import new_key_line
from app.settings import Settings
from app.webhooks.delivery import body_of
from tests.factories import firm_headers, make_company, staff_headers
from tests.logs import as_in_production
from tests.privacy.canaries import PEOPLE, Ears

API = "/api/v1"
#: Paths that have no version.
OUTSIDE = ("/oauth", "/.well-known", "/openapi.json", "/healthz", "/readyz", "/metrics", "/ogc")
#: What the addresses of maps name that is no id of a row.
OF_MAPS = {
    "collection_id": "units",
    "tileset_id": "units",
    "grid_id": "WebMercatorQuad",
    "style_id": "space-relay",
    "z": "0",
    "row": "0",
    "col": "0",
    "x": "0",
    "y": "0",
}
PASSWORD = "nine wagtails under the bridge"  # noqa: S105 - of nobody
WHY = {"reason": "测试：核对联系方式是否只在应答中出现"}
PERSON = {
    "name": PEOPLE["name"],
    "phone": PEOPLE["phone"],
    "email": PEOPLE["email"],
    "role": "site_search",
    "purpose": "matching",
    "consent": {"given_at": "2026-11-01T09:00:00+08:00", "form": "written"},
}
#: Answers that are there to show somebody's data or, once, a secret.
SHOWN_ONCE = {
    "POST /applications",
    "POST /applications/{}/approve",
    "POST /invitations/accept",
    "POST /keys",
    "POST /oauth/token",
    "POST /session/second-factor",
    "POST /staff",
    "POST /webhook-endpoints",
}
IN_FULL = {
    "POST /contacts/{}/reveal",
    "POST /companies/{}/personal-data/export",
    "POST /applications/{}/reveal-contact",
}
LISTENERS = ("public", "firm", "stranger", "viewer", "admin")
#: Whom an address answers, where it is none of these.
OWN_LISTENERS = {"/api/v1/session": "browser", "/api/v1/applications/{application_id}": "applicant"}
#: What nobody can GET here: there is no identity provider, no system of coordinates of the house's
#: own, and the lease has no terms of rent.
NOT_THERE = {
    "/ogc/crs/local",
    *("/api/v1/session/oidc/callback", "/api/v1/session/oidc/start"),
    *("/api/v1/leases/{lease_id}/schedule", "/api/v1/leases/{lease_id}/terms"),
}


class Aviary:
    """The service over one database, with canaries in all their places; remembers all answers."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.folder = engine, folder
        sealing = new_key_line()
        self.ears = Ears()
        self.ears.know("sealing key", sealing.partition(":")[2])
        self.ears.know("provider secret", "hoopoe-3317-of-the-provider-b2c9")
        password = make_url(str(engine.url)).password
        if password:
            self.ears.know("database password", password)
        settings = Settings(
            home=folder,
            snapshot_dir=folder / "snapshots",
            secret_key=SecretStr(sealing),
            oidc_client_secret=SecretStr("hoopoe-3317-of-the-provider-b2c9"),
        )
        self.app = create_app(engine, settings)
        self.heard: list[tuple[str, bytes]] = []
        self.shown: list[tuple[str, bytes]] = []
        self.ids: dict[str, str] = {}
        self.company_of: dict[str, UUID] = {}
        self.browser = TestClient(
            self.app, base_url="https://park.example.invalid", raise_server_exceptions=False
        )
        self.clients = {"public": TestClient(self.app, raise_server_exceptions=False)}
        self.callers: dict[str, dict[str, str]] = {"public": {}}

    def ask(self, who: str, method: str, path: str, body: Any = None, **more: Any) -> Response:
        """Call, and remember the answer: apart where it may show what it shows."""
        client = self.browser if who == "browser" else self.clients["public"]
        headers = self.callers[who] | more.pop("headers", {})
        sent = {"content": body} if isinstance(body, bytes) else {"json": body}
        address = path if path.startswith(OUTSIDE) else API + path
        answer: Response = client.request(method, address, headers=headers, **sent, **more)
        route = _route(method, path)
        wire = b"\n".join(f"{k}: {v}".encode() for k, v in answer.headers.items())
        place = f"{who} {method} {path} {answer.status_code}"
        if route in IN_FULL | SHOWN_ONCE and answer.is_success:
            self.shown.append((place, answer.content))
            self.heard.append((f"headers of {place}", wire))
        else:
            self.heard.append((place, wire + b"\n\n" + answer.content))
        return answer

    def make(self, who: str, path: str, body: Any, known_as: str | None = None) -> Any:
        answer = self.ask(who, "POST", path, body, headers={"Idempotency-Key": path})
        assert answer.is_success, (path, answer.text)
        said = answer.json()
        if known_as:
            self.ids[known_as] = said["id"]
        return said


def _route(method: str, path: str) -> str:
    parts = path.partition("?")[0].split("/")
    return f"{method} {'/'.join('{}' if part.count('-') == 4 else part for part in parts)}"


def settle(aviary: Aviary) -> None:
    """Let people and secrets in by every door there is."""
    ears, ids = aviary.ears, aviary.ids
    with Session(aviary.engine) as session:
        company = session.scalars(
            select(Company).where(Company.synthetic).order_by(Company.name_zh).limit(1)
        ).one()
        stranger = make_company(session)
        aviary.callers |= {
            "firm": firm_headers(session, company),
            "stranger": firm_headers(session, stranger),
            "viewer": staff_headers(session, Role.VIEWER),
            "agent": staff_headers(session, Role.AGENT),
            "manager": staff_headers(session, Role.MANAGER),
            "admin": staff_headers(session, Role.ADMIN),
        }
        session.commit()
        ids["company_id"] = str(company.id)
        aviary.company_of = {"firm": company.id, "stranger": stranger.id}
        code = company.unified_social_credit_code
    for who, headers in list(aviary.callers.items()):
        if headers:
            ears.know(f"key of {who}", headers["Authorization"].split("_", 3)[3])

    aviary.make("firm", f"/companies/{ids['company_id']}/contacts", PERSON, "contact_id")
    applied = aviary.make(
        "public",
        "/applications",
        {
            "company_name": "示例（合成）",
            "unified_social_credit_code": code,
            "purpose": "接入内部排期系统",
            "contact_email": PEOPLE["applicant"],
        },
        "application_id",
    )
    ears.know("status secret", applied["status_secret"])
    aviary.callers["applicant"] = {"Application-Secret": applied["status_secret"]}
    whose = {"company_id": ids["company_id"]}
    approved = aviary.make("manager", f"/applications/{applied['id']}/approve", whose)
    ears.know("firm's invitation", approved["token"])
    aviary.make("public", "/invitations/accept", {"token": approved["token"], "label": "first"})
    issued = aviary.make("firm", "/keys", {"label": "ci"}, "key_id")
    ears.know("issued key", issued["key"].split("_", 3)[3])
    hook = {"url": "https://hooks.example.com/in", "events": ["hold.placed"], "label": "ci"}
    made = aviary.make("firm", "/webhook-endpoints", hook, "endpoint_id")
    ears.know("webhook secret", made["secret"].removeprefix("whsec_"))
    client_id, secret = issued["client_id"], issued["key"]
    granted = aviary.clients["public"].post(
        "/oauth/token",
        data={"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret},
    )
    assert granted.is_success, granted.text
    ears.know("access token", granted.json()["access_token"].rpartition(".")[2])
    sign_in(aviary)

    asset = {"name": "示例管线", "modality": "car_t", "stages": []}
    aviary.make("firm", f"/companies/{ids['company_id']}/pipeline-assets", asset, "asset_id")
    need = {"modality": "car_t", "stage": "phase_1", "from": "2027-01-01"}
    aviary.make("firm", "/space-requests", need, "request_id")
    matched = aviary.make("firm", f"/space-requests/{ids['request_id']}/matches", {})
    ids["receipt_id"] = matched["receipt"]["id"]
    take_space(aviary)
    first = aviary.ask("public", "GET", "/ogc/collections/units/items?limit=1").json()
    ids |= {"feature_id": str(first["features"][0]["id"]), **OF_MAPS}


def take_space(aviary: Aviary) -> None:
    """A hold, a place in its line, works, a right, and the end of a lease that waits."""
    ids = aviary.ids
    year = {"from": "2027-01-01", "until": "2031-01-01"}
    free = "/free-space?type=pilot&from=2027-01-01&until=2031-01-01&limit=3"
    units = [one["id"] for one in aviary.ask("admin", "GET", free).json()["items"]]
    order = {"units": [{"unit_id": units[0]}], **year}
    ids["hold_id"] = aviary.make("firm", "/holds", order)["id"]
    other = {**order, "company_id": str(aviary.company_of["stranger"])}
    aviary.make("admin", "/queue-entries", other, "entry_id")
    works = {"units": [{"unit_id": units[1]}], **year, "kind": "works"}
    aviary.make("admin", "/works", works, "works_id")
    far = {"from": "2040-01-01", "until": "2041-01-01"}
    right = {"kind": "expansion", "company_id": ids["company_id"], "units": [units[2]]}
    aviary.make("admin", "/rights", right | far | {"notice_days": 30, "rank": 1}, "right_id")
    lease = aviary.ask("admin", "GET", "/leases?ends_from=2028-01-01&limit=1").json()["items"][0]
    ended = {"on": "2027-01-01", "by": "agreed", "reason": "测试：提前退租"}
    aviary.make("admin", f"/leases/{lease['id']}/terminate", ended, "approval_id")


def sign_in(aviary: Aviary) -> None:
    """A person comes in by the browser, with a second factor."""
    ears = aviary.ears
    email = "staff.of.the.park@example.invalid"
    invited = aviary.make("admin", "/staff", {"email": email, "name": "示例", "role": "admin"})
    aviary.ids["account_id"] = invited["account"]["id"]
    ears.know("staff's invitation", invited["token"])
    ears.know("password", PASSWORD)
    accepted = {"token": invited["token"], "password": PASSWORD}
    aviary.make("public", "/staff/accept-invitation", accepted)
    aviary.callers["browser"] = {"Origin": "https://park.example.invalid"}
    said = aviary.ask("browser", "POST", "/session", {"email": email, "password": PASSWORD})
    word = {"X-CSRF-Token": said.json()["csrf_token"]}
    started = aviary.ask(
        "browser", "POST", "/session/second-factor", {"password": PASSWORD}, headers=word
    )
    totp = pyotp.parse_uri(started.json()["provisioning_uri"])
    assert isinstance(totp, pyotp.TOTP)
    ears.know("one-time codes' secret", totp.secret)
    confirm = {"code": totp.now()}
    done = aviary.browser.post(
        f"{API}/session/second-factor/confirm",
        json=confirm,
        headers=word | aviary.callers["browser"],
    )
    for place, recovery in enumerate(done.json()["recovery_codes"]):
        ears.know(f"recovery code {place}", recovery)
    ears.know("session", aviary.browser.cookies[SESSION_COOKIE])


def sweep(aviary: Aviary) -> set[str]:
    """GET everything as everybody, then send nonsense everywhere; what nobody could GET."""
    paths = aviary.ask("public", "GET", "/openapi.json").json()["paths"]
    missed = set()
    for path, item in paths.items():
        where = _filled(aviary, path.removeprefix(API))
        if "get" in item:
            callers = (*LISTENERS, OWN_LISTENERS[path]) if path in OWN_LISTENERS else LISTENERS
            answers = [aviary.ask(who, "GET", where) for who in callers] if where else []
            if not any(answer.is_success for answer in answers):
                missed.add(path)
    for path in ("/units", "/parks", "/buildings", "/free-space"):
        assert aviary.ask("admin", "GET", f"{path}?f=geojson&limit=100").is_success
    nonsense = {**PERSON, "reason": f"{PEOPLE['email']} {PEOPLE['phone']}", "token": PEOPLE["name"]}
    broken = b'{"name": "' + PEOPLE["name"].encode() + b'", '
    for path, item in paths.items():
        where = _filled(aviary, path.removeprefix(API))
        for method in set(item) - {"get"} if where else ():
            for who, body in (("admin", nonsense), ("firm", nonsense), ("public", broken)):
                aviary.ask(who, method.upper(), where or "", body)
    return missed


def _filled(aviary: Aviary, path: str) -> str | None:
    """A path with ids of rows that are there."""
    while "{" in path:
        before, _, rest = path.partition("{")
        name, _, after = rest.partition("}")
        found = aviary.ids.get(name) or _first(aviary, before.rstrip("/"))
        if found is None:
            return None
        path = f"{before}{found}{after}"
    return path


def _first(aviary: Aviary, listing: str) -> str | None:
    said = aviary.ask("admin", "GET", f"{listing}?limit=1")
    items = said.json().get("items") if said.is_success else None
    if not items:
        return None
    found: str | None = items[0].get("id")
    return found


def dump(engine: Engine, *only: str) -> bytes:
    """The whole database as text, or tables of it."""
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    program = find_binaries().program("pg_dump")
    return subprocess.run([program, "--dbname", url, *only], capture_output=True, check=True).stdout


def files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.name, path.read_bytes()


def test_no_canary_is_heard_but_where_it_is_shown(
    own_seeded_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aviary = Aviary(own_seeded_engine, tmp_path)
    ears = aviary.ears
    with as_in_production() as log, aviary.clients["public"], aviary.browser:
        settle(aviary)
        missed = sweep(aviary)
        contact = f"/contacts/{aviary.ids['contact_id']}"
        for path in (
            f"{contact}/reveal",
            f"/companies/{aviary.ids['company_id']}/personal-data/export",
            f"/applications/{aviary.ids['application_id']}/reveal-contact",
        ):
            assert aviary.ask("manager", "POST", path, WHY).is_success, path

        # Everything was looked at, and everything that may be shown was.
        assert missed == NOT_THERE
        shown = {kind for _, content in aviary.shown for kind in ears.hear(content)}
        assert shown >= set(PEOPLE) | {"webhook secret", "one-time codes' secret", "issued key"}
        assert [(place, ears.hear(said)) for place, said in aviary.heard if ears.hear(said)] == []
        assert ears.hear(log.getvalue().encode()) == set()
        assert '"event": "refused"' in log.getvalue()
        dumped = dump(own_seeded_engine)
        assert b"COPY public.contacts" in dumped
        assert ears.hear(dumped) == set()
        assert [name for name, content in files(tmp_path) if ears.hear(content)] == []
        with Session(own_seeded_engine) as session:
            for event in session.scalars(select(WebhookEvent)):
                assert ears.hear(body_of(event.type, event.at, event.data)) == set()

        # The ears are good: a serialiser that leaks, a line that does, and a column that does.
        monkeypatch.setattr("app.contacts.values.masked_phone", lambda phone: phone)
        aviary.heard.clear()
        aviary.ask("agent", "GET", contact)
        assert ears.hear(aviary.heard[0][1]) == {"phone"}
        logged = len(log.getvalue())
        aviary.ask("agent", "GET", f"/parks/{PEOPLE['email']}")
        assert ears.hear(log.getvalue()[logged:].encode()) == {"email"}
        with Session(own_seeded_engine) as session:
            session.execute(
                text("UPDATE contacts SET name_sealed = convert_to(:name, 'UTF8')"),
                {"name": PEOPLE["name"]},
            )
            session.commit()
        assert ears.hear(dump(own_seeded_engine, "--table=contacts")) == {"name"}
