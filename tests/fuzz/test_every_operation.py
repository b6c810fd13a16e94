"""Every operation of the OpenAPI document, called at random: it does what the document says."""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from tests.fuzz.site import Site, run, site

Document = dict[str, Any]
CALLERS = ("anonymous", "firm_a", "manager", "admin")
#: What answers everybody who may call it, with nothing to be named or sent.
STILL_LET_IN = {"anonymous": "units", "firm_a": "holds", "manager": "approvals", "admin": "staff"}


@pytest.fixture
def served(
    own_engine: Engine,
    make_client: Callable[..., TestClient],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Site]:
    # Nobody sends what is tried out; how long that is waited for is not what this is about.
    monkeypatch.setattr("app.webhooks.log._UNTIL_TAKEN_SECONDS", 0.0)
    with site(own_engine, make_client(own_engine, home=tmp_path, two_person_rule=True)) as made:
        yield made


def assert_still_let_in(served: Site, caller: str) -> None:
    """Nothing was called in vain because the caller had lost his credential on the way."""
    path = f"/api/v1/{STILL_LET_IN[caller]}"
    answer = served.world.client.get(path, headers=served.world.headers[caller])
    assert answer.status_code == 200, answer.text


def operations(document: Document) -> int:
    return sum(len(item) for item in document["paths"].values())


@pytest.mark.timeout(300)
def test_a_call_of_every_operation(served: Site, document: Document) -> None:
    """As one of three callers, in turns; as each of them in the long run."""
    wrong, called = [], 0
    callers = ("anonymous", "firm_a", "manager")
    for turn, caller in enumerate(callers):
        paths = dict(list(document["paths"].items())[turn :: len(callers)])
        found = run(
            served,
            {**document, "paths": paths},
            caller,
            examples=1,
            phases=("fuzzing",),
            seed=1,
        )
        wrong += [f"as {caller}: {found.told()}"] if found.wrong else []
        called += len(found.calls)
        assert_still_let_in(served, caller)
    assert not wrong, "\n\n".join(wrong)
    assert called == operations(document)


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("caller", CALLERS)
def test_many_calls_of_every_operation(served: Site, document: Document, caller: str) -> None:
    found = run(served, document, caller, examples=200)

    assert not found.wrong, found.told()
    assert len(found.calls) == operations(document)
    assert_still_let_in(served, caller)


@pytest.mark.long
def test_an_operation_that_does_what_it_does_not_say_is_found(
    served: Site, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: one and the same listing, with one thing wrong after another."""
    path = "/api/v1/match-criteria"
    listing = copy.deepcopy({**document, "paths": {path: document["paths"][path]}})

    def found(of: Document) -> set[str]:
        ran = run(served, of, "anonymous", examples=2, phases=("fuzzing",), seed=1)
        assert ran.calls
        return {what for _, what in ran.wrong}

    assert found(listing) == set()

    silent = copy.deepcopy(listing)
    answers = silent["paths"][path]["get"]["responses"]
    answers["201"] = answers.pop("200")
    assert found(silent) == {"Undocumented status code"}

    boastful = copy.deepcopy(listing)
    shown = boastful["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
    shown["schema"] = {"allOf": [shown["schema"], {"required": ["what_is_not_there"]}]}
    assert found(boastful) == {"Response violates schema"}

    def broken() -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(served.world.app.state, "public_sessions", broken)
    assert "Server error" in found(listing)
