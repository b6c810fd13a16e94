"""No write goes past the trail: every unsafe operation has its row, and no row stands for nothing."""

from fastapi.testclient import TestClient

from app.routers.audited import AUDITED, NotAudited
from app.security.audit.actions import Action

_UNSAFE = {"post", "put", "patch", "delete"}


def _unsafe_operations(document: dict) -> set[str]:
    return {
        operation["operationId"]
        for path in document["paths"].values()
        for method, operation in path.items()
        if method in _UNSAFE
    }


def test_every_unsafe_operation_is_recorded_or_says_why_not(client: TestClient) -> None:
    unsafe = _unsafe_operations(client.get("/openapi.json").json())

    assert unsafe == set(AUDITED)
    assert all(row.why for row in AUDITED.values() if isinstance(row, NotAudited))


def test_words_of_actions_are_there_in_both_languages_and_told_apart() -> None:
    for words in ([one.value for one in Action], [one.zh for one in Action]):
        assert len(words) == len(set(words))
    assert all(one.zh and one.en for one in Action)
