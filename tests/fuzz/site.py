"""The service on a port, with things of two firms in it, and one who calls it at random."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from fastapi.testclient import TestClient
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from tests.authz.world import World
from tests.ledger.racing import listening

PHASES = ("examples", "coverage", "fuzzing", "stateful")
#: Beside what is refused to whoever may not: a schema cannot say that a lease begins before it
#: ends, that a cursor is one of ours, or what If-Match must be, and 422, 412 and 428 do; below
#: /ogc it is 400, as the standard has it.
_REFUSALS_OF_GOOD_FORM = [
    *("2xx", "3xx", "400", "401", "403", "404", "409", "412", "422", "428", "429"),
]


class Site:
    """Where it is, and what is in it."""

    def __init__(self, address: str, world: World) -> None:
        self.address, self.world = address, world
        self.own = frozenset(self._credentials())

    def _credentials(self) -> Iterator[str]:
        """Ids of what callers call with: who revokes his own finds nothing any more."""
        api, headers = "/api/v1", self.world.headers
        for account in self.world.client.get(f"{api}/staff", headers=headers["admin"]).json()[
            "items"
        ]:
            if account["email"].endswith("@people.invalid"):
                yield account["id"]
        for firm in ("firm_a", "firm_b"):
            for key in self.world.client.get(f"{api}/keys", headers=headers[firm]).json()["items"]:
                if key["label"] == "tests":
                    yield key["id"]

    def known(self) -> Iterator[tuple[str, list[str]]]:
        """Names of parameters, and ids of what is here that they may stand for."""
        ids = self.world.ids
        kinds = {name.partition("_")[0] for name in ids}
        for kind in sorted(kinds - {"code"}):
            yield f"{kind}_id", [ids[name] for name in sorted(ids) if name.startswith(kind)]
        of_space = ("zone", "park", "parcel", "building", "floor", "unit_let", "unit_free")
        yield "id_or_code", [*(ids[name] for name in of_space), ids["code_let"], ids["code_free"]]


@contextmanager
def site(engine: Engine, client: TestClient) -> Iterator[Site]:
    """Serves ``client``'s application."""
    # What is made is seen by the application at once, as if others had made it.
    with Session(engine.execution_options(isolation_level="AUTOCOMMIT")) as session:
        world = World(session, client)
        with listening(world.app) as port:
            yield Site(f"http://127.0.0.1:{port}", world)


@dataclass
class Found:
    """What a run called, and what went wrong."""

    calls: Counter[str] = field(default_factory=Counter)
    well: set[str] = field(default_factory=set)
    #: By operation and what is wrong with it: one example.
    wrong: dict[tuple[str, str], str] = field(default_factory=dict)

    def told(self) -> str:
        """One paragraph for each kind of fault of an operation."""
        return "\n\n".join(
            f"{name}: {what}\n{text[:2000]}" for (name, what), text in sorted(self.wrong.items())
        )


def run(
    at: Site,
    document: Mapping[str, Any],
    caller: str,
    *,
    examples: int,
    phases: Collection[str] = PHASES,
    seed: int | None = None,
) -> Found:
    """Call every operation of ``document`` in ways of all kinds, as ``caller``.

    Args:
        at: what is called.
        document: an OpenAPI document.
        caller: one of ``tests.authz.world.CALLERS``.
        examples: calls of each operation in a phase that draws them.
        phases: of schemathesis.
        seed: the same calls for the same number; None: others each time.
    """
    known = {
        name: ids for name, ids in at.known() if re.search(rf"\{{{name}\}}", str(document["paths"]))
    }
    settings: dict[str, Any] = {
        "base-url": at.address,
        "headers": at.world.headers[caller],
        "continue-on-failure": True,
        "request-timeout": 30,
        "generation": {
            "max-examples": examples,
            "deterministic": seed is not None,
            "no-shrink": seed is not None,
        },
        "phases": {name: {"enabled": name in phases} for name in PHASES},
        "checks": {
            "positive_data_acceptance": {"expected-statuses": _REFUSALS_OF_GOOD_FORM},
            # Of what cannot be done anyway the header need not be asked for.
            "missing_required_header": {"expected-statuses": ["4xx"]},
        },
        # Ids that are drawn are nobody's, and what is behind a 404 would never be reached.
        "dictionaries": {name: {"values": ids} for name, ids in known.items()},
        "parameters": {
            f"path.{name}": {"dictionary": name, "probability": 0.8} for name in sorted(known)
        },
    }
    if seed is not None:
        settings["seed"] = seed
    config = SchemathesisConfig.from_dict(settings)
    schema = schemathesis.openapi.from_dict(dict(document), config=config)

    @schema.hook
    def filter_case(_context: Any, case: Any) -> bool:
        body = case.operation.definition.raw.get("requestBody", {})
        if case.body is None and not body.get("required", False):
            return False  # taken for one that is left out; not told, lest clients have two ways
        return at.own.isdisjoint(str(value) for value in (case.path_parameters or {}).values())

    found = Found()
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError):
            found.wrong[event.label, type(event.value).__name__] = str(event.value)
        elif isinstance(event, events.FatalError):
            found.wrong["the run", type(event.exception).__name__] = str(event.exception)
        elif isinstance(event, events.ScenarioFinished):
            _note(found, event.recorder)
    return found


def _note(found: Found, recorder: Any) -> None:
    for case_id, call in recorder.interactions.items():
        name = recorder.cases[case_id].value.operation.label
        found.calls[name] += 1
        if call.response is not None and call.response.status_code < 300:
            found.well.add(name)
    for case_id, checks in recorder.checks.items():
        name = recorder.cases[case_id].value.operation.label
        for failed in (check.failure_info for check in checks if check.failure_info is not None):
            text = f"{failed.failure.message}\n{failed.code_sample}"
            found.wrong.setdefault((name, failed.failure.title), text)
