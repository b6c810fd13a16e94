"""A style of one level shows that level, and one of none the ground floor."""

from typing import Any

from fastapi.testclient import TestClient

STYLE = "/ogc/styles/space-relay"
LEVELLED = {"units", "units-edge", "unit-codes", "free-space", "free-space-edge"}


def filters(client: TestClient, **asked: str) -> dict[str, Any]:
    answer = client.get(STYLE, params=asked)
    assert answer.status_code == 200, answer.text
    return {one["id"]: one.get("filter") for one in answer.json()["layers"]}


def test_a_style_of_a_level_hides_nothing_of_its_tiles(seeded_client: TestClient) -> None:
    ground = filters(seeded_client)
    assert {name for name, one in ground.items() if one} == LEVELLED
    assert {str(ground[name]) for name in LEVELLED} == {"['==', ['get', 'level_index'], 0]"}

    third = filters(seeded_client, level="2", datetime="2027-03-01")
    assert third.keys() == ground.keys()
    # With the filter of the ground floor nothing of these tiles would be seen.
    assert not any(third.values())
    style = seeded_client.get(STYLE, params={"level": "2"}).json()
    assert "level_index = 2" in style["metadata"]["space-relay:level"]
    (source,) = style["sources"].values()
    assert source["url"].endswith("?level=2")
    assert seeded_client.get(STYLE, params={"level": "ground"}).status_code == 400
