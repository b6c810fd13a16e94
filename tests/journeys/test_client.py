"""A client that a generator makes of the OpenAPI document, and a firm's way with it.

Nothing here is written by hand against the API: what the document does not say, the client cannot
do.
"""

import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from app.security.credentials import issue_firm_key
from tests.factories import make_company, make_unit
from tests.ledger.racing import serving
from tests.routers.test_matches import FIT

_NAME = "space_relay_client"


@pytest.fixture(scope="module")
def client(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any]
) -> Iterator[ModuleType]:
    """The package that the generator makes; a warning of it fails."""
    # Left to itself it names the package after this, and pip takes no other names.
    assert re.fullmatch(r"[A-Za-z0-9 ]+", document["info"]["title"])
    folder = tmp_path_factory.mktemp("client")
    (folder / "openapi.json").write_text(json.dumps(document), encoding="utf-8")
    (folder / "config.yml").write_text("post_hooks: []\n", encoding="utf-8")
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("openapi-python-client"), "generate"),
            *("--path", folder / "openapi.json", "--output-path", folder / _NAME),
            *("--config", folder / "config.yml", "--meta", "none", "--fail-on-warning"),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    yield importlib.import_module(_NAME)
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == _NAME]:
        del sys.modules[name]


def part(client: ModuleType, name: str) -> Any:
    """A module of the client."""
    return importlib.import_module(f"{client.__name__}.{name}")


def test_a_firm_asks_matches_holds_and_releases(client: ModuleType, own_engine: Engine) -> None:
    with Session(own_engine) as session:
        company, unit = make_company(session), make_unit(session, **FIT)
        key = issue_firm_key(session, company_id=company.id, label="tests")
        code = unit.code
        session.commit()
    models = part(client, "models")
    with (
        serving(own_engine) as port,
        client.AuthenticatedClient(base_url=f"http://127.0.0.1:{port}", token=key) as caller,
    ):
        asked = part(client, "api.demand.create_request").sync_detailed(
            client=caller,
            idempotency_key="request",
            body=models.SpaceRequestIn.from_dict(
                {"modality": "car_t", "stage": "phase_1", "from": "2027-01-01"}
            ),
        )
        assert isinstance(asked.parsed, models.SpaceRequestOut), asked
        request_id = asked.parsed.id

        found = part(client, "api.matching.match").sync(
            request_id, client=caller, body=models.MatchIn(k=1)
        )
        assert isinstance(found, models.MatchesOut), found
        (offered,) = found.items[0].units
        assert offered.code == code

        order = models.HoldIn.from_dict(
            {
                "units": [{"unit_id": str(offered.id)}],
                "from": "2027-01-01",
                "until": "2030-01-01",
                "space_request_id": str(request_id),
            }
        )
        place = part(client, "api.ledger.create_hold").sync_detailed
        held = place(client=caller, body=order, idempotency_key="hold")
        assert isinstance(held.parsed, models.HoldOut), held
        again = place(client=caller, body=order, idempotency_key="hold")
        assert again.parsed == held.parsed
        assert again.headers["Idempotency-Replayed"] == "true"

        release = part(client, "api.ledger.release_hold").sync_detailed
        stale = release(held.parsed.id, client=caller, if_match='"another"')
        assert (stale.status_code, type(stale.parsed)) == (412, models.Problem)
        freed = release(held.parsed.id, client=caller, if_match=held.headers["ETag"])
        assert isinstance(freed.parsed, models.HoldOut), freed
        assert freed.parsed.state == "released"

        overwrite = part(client, "api.demand.replace_needs").sync_detailed
        changed = overwrite(
            request_id,
            client=caller,
            if_match=asked.headers["ETag"],
            body=models.NeedsIn.from_dict({"from": "2027-03-01"}),
        )
        assert isinstance(changed.parsed, models.SpaceRequestOut), changed
