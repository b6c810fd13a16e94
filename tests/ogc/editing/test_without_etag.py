"""GIS tools send no ETag: what they save is taken, and nobody's work is lost without a word."""

from typing import Any

import pytest
from shapely.geometry import shape
from sqlalchemy import text
from sqlalchemy.orm import Session

from tests.clocks import set_clock
from tests.ogc.editing.desk import Desk, free

SMALLER = free().buffer(-0.00005, join_style="mitre")
SMALLEST = free().buffer(-0.0001, join_style="mitre")


def test_a_planner_alone_saves_as_often_as_he_likes(desk: Desk) -> None:
    place = desk.drawn(free())

    for answer in (
        desk.patch(place, outline=SMALLER),
        desk.patch(place, outline=SMALLEST),
        desk.patch(place, name_zh="甲"),
        desk.patch(place, name_zh="乙"),
        desk.send("PUT", place, desk.client.get(place).json()),
        desk.send("DELETE", place, None),
    ):
        assert answer.is_success, answer.text


@pytest.mark.parametrize("how", ["outline", "property", "put", "delete"])
def test_what_another_has_just_changed_is_not_overwritten_without_a_word(
    desk: Desk, neighbour: Desk, how: str
) -> None:
    place = desk.drawn(free())
    assert desk.patch(place, outline=SMALLER).is_success
    read = desk.client.get(place).json()
    assert desk.patch(place, name_zh="甲").is_success
    now = desk.client.get(place)

    def save() -> Any:
        if how == "outline":
            return neighbour.patch(place, outline=SMALLEST)
        if how == "property":
            return neighbour.patch(place, name_zh="乙")
        if how == "put":
            return neighbour.send("PUT", place, read)
        return neighbour.send("DELETE", place, None)

    refused = save()
    assert (refused.status_code, refused.json()["type"]) == (428, "/problems/changed-by-others")
    told = refused.json()
    assert told["changed_by"].startswith("staff:")
    assert told["changed_by"] in told["detail_zh"]
    assert told["etag"] == now.headers["etag"]
    assert desk.client.get(place).content == now.content

    # Whoever was told, and saves once more, means it; what it replaced is kept.
    assert save().is_success
    assert neighbour.former()[0]["changed_by"] != told["changed_by"]


def test_what_one_was_told_counts_for_one_call_and_for_ten_minutes(
    desk: Desk, neighbour: Desk
) -> None:
    clock = set_clock(desk.client)
    place = desk.drawn(free())
    assert desk.patch(place, name_zh="甲").is_success
    assert neighbour.patch(place, name_zh="乙").status_code == 428

    clock.pass_by(minutes=11)
    assert neighbour.patch(place, name_zh="乙").status_code == 428

    # It changed once more since: that was not told.
    assert desk.patch(place, name_zh="丙").is_success
    stale = neighbour.patch(place, name_zh="乙")
    assert stale.status_code == 412
    assert stale.json()["etag"] == desk.client.get(place).headers["etag"]
    assert neighbour.patch(place, name_zh="乙").is_success
    assert desk.patch(place, name_zh="丁").status_code == 428


def test_other_things_of_the_feature_and_older_changes_are_nobodys_loss(
    desk: Desk, neighbour: Desk, session: Session
) -> None:
    place = desk.drawn(free())
    assert desk.patch(place, outline=SMALLER).is_success
    assert desk.patch(place, name_zh="甲").is_success

    assert neighbour.patch(place, height_limit_m=24).is_success
    kept = desk.client.get(place).json()
    assert kept["properties"]["name_zh"] == "甲"
    assert shape(kept["geometry"]).hausdorff_distance(SMALLER) < 2e-7

    session.execute(text("UPDATE former_features SET known_from = NULL"))
    session.execute(
        text("UPDATE former_features SET known_until = known_until - interval '25 hours'")
    )
    session.commit()
    assert neighbour.patch(place, outline=SMALLEST).is_success


def test_without_the_rule_the_first_planners_work_would_be_gone(
    desk: Desk, neighbour: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: what the tests above see refused is done, without a word."""
    monkeypatch.setattr(
        "app.inventory.drawing.service.require_nobody_else", lambda *_arguments: None
    )
    place = desk.drawn(free())
    assert desk.patch(place, name_zh="甲").is_success

    assert neighbour.patch(place, name_zh="乙").is_success
    assert desk.client.get(place).json()["properties"]["name_zh"] == "乙"


def test_an_etag_that_is_sent_is_believed(desk: Desk, neighbour: Desk) -> None:
    place = desk.drawn(free())
    before = desk.client.get(place).headers["etag"]
    assert desk.patch(place, name_zh="甲").is_success
    after = desk.client.get(place).headers["etag"]
    body = {"properties": {"name_zh": "乙"}}

    assert neighbour.send("PATCH", place, body, before).status_code == 412
    assert neighbour.send("PATCH", place, body, after).status_code == 200
    assert desk.send("PATCH", place, {"properties": {"name_zh": "丙"}}, "*").status_code == 200
