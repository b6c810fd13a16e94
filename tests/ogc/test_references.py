"""Whoever names a park that is not there is told, and whoever filters is not."""

import pytest
from fastapi.testclient import TestClient

from app.ogc.collections import COLLECTIONS
from app.ogc.references import REFERENCES


def items(client: TestClient, collection: str, **asked: str) -> tuple[int, str]:
    answer = client.get(f"/ogc/collections/{collection}/items", params=asked)
    return answer.status_code, answer.text


def test_every_code_of_another_thing_is_looked_up() -> None:
    for one in COLLECTIONS.values():
        named = {name for name in one.queryables if name.endswith("_code")} - {"land_use_code"}
        assert named <= REFERENCES.keys(), one.id


@pytest.mark.parametrize(
    ("name", "mistyped", "meant"),
    [
        ("park_code", "gene_iland", "gene_island"),
        ("park_code", "Gene_Island", "gene_island"),
        ("zone_code", "core_zhangjian", "core_zhangjiang"),
        ("building_code", "GENE-ISLAND-B9", "GENE-ISLAND-B"),
        ("district", "浦东", "浦东新区"),
        ("park_code", "基因岛", "gene_island"),
    ],
)
def test_a_mistyped_code_is_refused_with_what_may_have_been_meant(
    seeded_client: TestClient, name: str, mistyped: str, meant: str
) -> None:
    status, told = items(seeded_client, "free_space", **{name: mistyped})
    assert status == 400, told
    assert meant in told
    hits = {name: mistyped, "resultType": "hits"}
    assert items(seeded_client, "free_space", **hits)[0] == 400
    file = seeded_client.get(
        "/ogc/collections/free_space/download", params={name: mistyped, "f": "csv"}
    )
    assert file.status_code == 400


def test_what_is_there_and_has_nothing_is_no_mistake(seeded_client: TestClient) -> None:
    empty = {"park_code": "gene_island", "datetime": "1990-01-01"}
    assert items(seeded_client, "free_space", **empty)[0] == 200
    # Whoever filters compares texts.
    status, told = items(seeded_client, "free_space", filter="park_code = 'gene_iland'")
    assert status == 200
    assert '"numberReturned":0' in told
    # A code of its own is a question, not a reference.
    assert items(seeded_client, "units", code="no-such-unit")[0] == 200
    # What comes after the first page is asked in the same words.
    assert items(seeded_client, "parks", zone_code="nowhere", limit="1")[0] == 400
