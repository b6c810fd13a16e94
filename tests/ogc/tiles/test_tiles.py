"""What is in a tile: the features that items have there, or totals that sum to all of them."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Any

import pytest
from mapbox_vector_tile import decode
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry
from sqlalchemy import text

from app.kernel.clock import civil_day
from app.ledger.asked import FreeSpaceSearch
from app.ledger.free_space import free_space_totals
from app.ogc.crs import CRSES
from app.ogc.tiles import encode as encoding
from app.ogc.tiles.asked import find_tileset, read_question
from app.ogc.tiles.encode import NO_TOTALS, Encoded, encode
from app.ogc.tiles.grid import BUFFER, MOST_ZOOM, STEPS, Tile
from app.ogc.tiles.layers import TILESETS
from app.routers.ogc import tiles as routes
from tests.clocks import SetClock
from tests.ogc.tiles.conftest import Served

ISLAND = "GENE-ISLAND-1-B05"
#: An incubator: many small units on each floor.
INCUBATOR = "CGT-INCUBATOR-B10"
NOW = SetClock().now()
#: Nothing is asked about beyond it.
LAST = date(2999, 12, 31)
MERCATOR = next(uri for uri, crs in CRSES.items() if crs.srid == 3857)


def ids(layers: dict[str, Any], name: str) -> set[int]:
    return {feature["id"] for feature in layers[name]["features"]} if name in layers else set()


def items_in(served: Served, name: str, tile: Tile, **parameters: str) -> set[int]:
    box = ",".join(map(repr, tile.reach))
    answer = served.get(
        f"/collections/{name}/items",
        **({"bbox": box, "bbox-crs": MERCATOR, "limit": "10000"} | parameters),
    )
    assert answer.status_code == 200, answer.text
    return {feature["id"] for feature in answer.json()["features"]}


@pytest.mark.parametrize(
    ("name", "zoom", "asked"),
    [
        ("zones", 15, {}),
        ("parks", 15, {}),
        ("parcels", 15, {}),
        ("plots", 15, {}),
        ("buildings", 15, {}),
        ("floors", 17, {}),
        ("floors", 16, {"level": "1"}),
        ("units", 16, {}),
        ("units", 16, {"unit_type": "incubation"}),
        ("free_space", 16, {}),
        ("free_space", 15, {"datetime": "2027-03-01", "level": "0"}),
        ("free_space", 15, {"datetime": "2027-03-01/..", "filter": "leasable_area_m2 >= 300"}),
        ("free_space", 16, {"as_of": "2026-10-01T00:00:00Z"}),
    ],
)
def test_a_tile_has_the_features_that_items_have_there(
    served: Served, name: str, zoom: int, asked: dict[str, str]
) -> None:
    tile = served.tile_of(INCUBATOR, zoom)
    layers = served.layers(name, tile, **asked)

    assert ids(layers, name)
    assert ids(layers, name) == items_in(served, name, tile, **asked)
    assert set(layers) == {name}


def test_what_is_drawn_ends_at_the_tiles_buffer(served: Served) -> None:
    def corners(part: Any) -> list[Any]:
        return [part] if isinstance(part[0], int) else [one for p in part for one in corners(p)]

    for zoom in (8, 13, 15, 18):
        layers = served.layers("space-relay", served.tile_of(ISLAND, zoom))
        drawn = [
            one
            for layer in layers.values()
            for feature in layer["features"]
            for one in corners(feature["geometry"]["coordinates"])
        ]
        assert all(layer["extent"] == STEPS for layer in layers.values())
        assert drawn
        assert min(min(one) for one in drawn) >= -BUFFER
        assert max(max(one) for one in drawn) <= STEPS + BUFFER


def test_values_are_of_their_kinds_and_chinese_survives(served: Served) -> None:
    layers = served.layers("space-relay", served.tile_of(ISLAND, 17))
    (unit,) = [
        one
        for one in layers["free_space"]["features"]
        if one["properties"]["code"] == f"{ISLAND}-1F-01"
    ]

    assert unit["properties"]["leasable_area_m2"] == 1520.5
    assert unit["properties"]["level_index"] == 0
    assert unit["properties"]["name_zh"].startswith("张江基因岛")
    assert unit["properties"]["free_from"] >= "2026-11-01"
    assert {"parks", "buildings", "floors", "units", "free_space"} <= set(layers)


def test_all_that_a_layer_says_is_declared_and_told_from_its_zoom_on(served: Served) -> None:
    for name, layers in TILESETS.items():
        for layer in layers:
            asked = {"level": "0"} if layer.sparse_from else {}
            found = served.layers(name, served.tile_of(INCUBATOR, layer.first), **asked)
            said = {key for one in found[layer.id]["features"] for key in one["properties"]}
            nullable = {"free_until", "tenure", "grade", "carrier_type", "name_zh", "name_en"}
            expected = set(layer.names(layer.first) or layer.fields)
            assert said <= expected
            assert expected - said <= nullable, (layer.id, expected - said)


@pytest.mark.parametrize("zoom", [0, 11, 13])
def test_totals_of_all_tiles_of_a_zoom_sum_to_all_there_is(served: Served, zoom: int) -> None:
    sums: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for name in ("units", "free_space"):
        for tile in served.tiles_with_points(zoom):
            for layer, drawn in served.layers(name, tile).items():
                for one in drawn["features"]:
                    seen[f"{layer} {one['properties']['code']}"] += 1
                    for key, value in one["properties"].items():
                        if isinstance(value, int | float):
                            sums[f"{name} {key}"] += value  # type: ignore[assignment]
    today = civil_day(NOW)
    with served.session() as session:
        count, area = session.execute(
            text(
                "SELECT count(*), sum(leasable_area_m2)::float FROM unit_terms"
                " WHERE known_until IS NULL AND valid @> CAST(:day AS date)"
            ),
            {"day": today},
        ).one()
        free = free_space_totals(session, FreeSpaceSearch(start=today, free_by=LAST), {})
    totals = json.loads(free)

    assert max(seen.values()) == 1, "a place is in one tile of a zoom"
    assert sums["units units_count"] == count
    assert sums["units leasable_area_m2"] == pytest.approx(area)
    assert sums["free_space units_count"] == totals["units"]
    assert sums["free_space free_area_m2"] == pytest.approx(totals["area_m2"])
    assert sums["free_space free_places"] == pytest.approx(totals["places"])


def test_the_totals_of_a_filter_are_of_what_it_finds(served: Served) -> None:
    tile = served.tile_of(ISLAND, 12)
    every = served.layers("units", tile)["units_parks"]["features"]
    some = served.layers("units", tile, unit_type="pilot")["units_parks"]["features"]
    items = served.get("/collections/units/items", unit_type="pilot", resulttype="hits").json()

    assert 0 < sum(one["properties"]["units_count"] for one in some) <= items["numberMatched"]
    assert sum(one["properties"]["units_count"] for one in some) < sum(
        one["properties"]["units_count"] for one in every
    )


def test_floors_wait_for_a_level_or_the_deepest_zooms(served: Served) -> None:
    tile = served.tile_of(ISLAND, 16)
    levels = [
        one["properties"]["level_index"]
        for one in served.layers("floors", tile, level="1")["floors"]["features"]
    ]

    assert served.tile("floors", tile).status_code == 204
    assert set(levels) == {1}
    assert ids(served.layers("floors", served.tile_of(ISLAND, 17)), "floors")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/xyz/units/0/0/0.mvt", 200),
        ("/xyz/units/3/0/0.mvt", 204),
        (f"/xyz/units/{MOST_ZOOM + 1}/0/0.mvt", 404),
        ("/xyz/units/3/8/0.mvt", 404),
        ("/xyz/units/3/0/-1.mvt", 404),
        ("/xyz/units/3/a/0.mvt", 400),
        ("/xyz/units/3/1.5/0.mvt", 400),
        ("/xyz/units/99999999999999999999/1/0.mvt", 400),
        ("/xyz/firms/3/0/0.mvt", 404),
        ("/collections/units/tiles/WorldCRS84Quad/3/0/0", 404),
        ("/collections/firms/tiles", 404),
        ("/tiles/WebMercatorQuad/3/0/8", 404),
        ("/xyz/units/3/0/0.mvt?colour=red", 400),
        ("/xyz/units/3/0/0.mvt?f=png", 400),
        ("/xyz/units/3/0/0.mvt?datum=GCJ02", 400),
        ("/xyz/units/3/0/0.mvt?unit_type=castle", 400),
        ("/xyz/units/3/0/0.mvt?filter=pg_sleep(2)", 400),
        ("/xyz/space-relay/3/0/0.mvt?filter=1=1", 400),
        ("/xyz/space-relay/3/0/0.mvt?level=0&level=1", 400),
        ("/xyz/space-relay/3/0/0.mvt?f=mvt&level=0&datetime=2027-03-01", 204),
        ("/tiles/WebMercatorQuad?colour=red", 400),
        ("/tiles/WebMercatorQuad/tilejson?colour=red", 400),
        ("/styles/nobody", 404),
    ],
)
def test_what_cannot_be_answered_is_said(served: Served, path: str, status: int) -> None:
    answer = served.get(path) if "?" not in path else served.client.get(f"/ogc{path}")

    assert answer.status_code == status, answer.text
    if status < 400:
        # Any page may show it, and read what it says of itself.
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "Tile-Truncated" in answer.headers["access-control-expose-headers"]
    else:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail_zh"]


def test_a_tile_is_asked_about_again_and_comes_compressed(served: Served) -> None:
    tile = served.tile_of(ISLAND, 15)
    path = f"/ogc/xyz/units/{tile.z}/{tile.x}/{tile.y}.mvt"
    packed = served.client.get(path, headers={"Accept-Encoding": "gzip"})
    plain = served.client.get(path, headers={"Accept-Encoding": "identity"})
    again = served.client.get(
        path, headers={"Accept-Encoding": "gzip", "If-None-Match": f"W/{packed.headers['etag']}"}
    )
    other = served.client.get(path, headers={"If-None-Match": '"other"'})

    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content
    assert packed.headers["etag"] != plain.headers["etag"]
    assert packed.headers["vary"] == "Accept-Encoding"
    assert packed.headers["cache-control"] == "public, no-cache"
    assert packed.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    assert (again.status_code, again.content) == (304, b"")
    assert other.status_code == 200


def areas(served: Served, tile: Tile) -> dict[int, float]:
    """Drawn areas of the units in a tile."""
    sql = (
        "SELECT fid, ST_Area(geom) FROM unit_terms WHERE known_until IS NULL"
        " AND valid @> CAST(:day AS date)"
    )
    with served.session() as session:
        found = session.execute(text(sql), {"day": civil_day(NOW)}).all()
    here = items_in(served, "units", tile)
    return {fid: area for fid, area in found if fid in here}


def drawn(served: Served, tile: Tile, **most: int) -> Encoded:
    question = read_question(find_tileset("units"), [], now=NOW)
    with served.session() as session:
        return encode(session, question, tile, NO_TOTALS, **most)


def test_where_there_are_too_many_the_smallest_are_left_out(served: Served) -> None:
    tile = served.tile_of(INCUBATOR, 15)
    sizes = areas(served, tile)
    some = drawn(served, tile, most_features=20)
    kept = ids(decode(some.plain), "units")
    least = min(sizes[fid] for fid in kept)

    assert len(sizes) > 40
    assert len(kept) == 20
    assert all(sizes[fid] <= least for fid in sizes.keys() - kept)
    (layer,) = some.layers
    assert (layer.matched, layer.returned, layer.dropped) == (len(sizes), 20, True)
    # The control: those that came first by number are others.
    assert kept != set(sorted(sizes)[:20])


def test_a_tile_that_is_too_large_has_fewer_features(served: Served) -> None:
    tile = served.tile_of(INCUBATOR, 15)
    sizes = areas(served, tile)
    whole = drawn(served, tile)
    some = drawn(served, tile, most_bytes=whole.length // 3)
    kept = ids(decode(some.plain), "units")

    assert not whole.dropped
    assert whole.layers[0].returned == len(sizes)
    assert some.dropped
    assert 0.15 * whole.length < some.length <= whole.length // 3
    assert 0 < len(kept) < len(sizes)
    assert max(sizes[fid] for fid in sizes.keys() - kept) <= min(sizes[fid] for fid in kept)


def test_a_tile_says_whether_something_was_left_out(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    tile = served.tile_of(INCUBATOR, 15)
    full = served.tile("units", tile)
    few: Callable[..., Encoded] = partial(encode, most_features=3)
    monkeypatch.setattr(routes, "encode", few)
    cut = served.tile("units", tile, datetime="2026-11-02")

    assert full.headers["tile-truncated"] == "?0"
    assert cut.headers["tile-truncated"] == "?1"
    assert cut.headers["tile-layers"].endswith(";returned=3")
    assert full.headers["tile-layers"].startswith("units;matched=")


def test_few_corners_are_drawn_far_away_and_all_near(served: Served) -> None:
    shown = read_question(find_tileset("zones"), [], now=NOW)
    far = served.tile_of(ISLAND, 9)
    round_ones = "UPDATE zones SET geom = ST_Multi(ST_Buffer(ST_Centroid(geom), 0.03, 64))"
    with served.session() as session:
        session.execute(text(round_ones))
        simple = encode(session, shown, far)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(encoding, "_WHOLE_FROM", 0)
            full = encode(session, shown, far)

    assert simple.layers == full.layers
    assert simple.length < full.length / 2


def furthest(served: Served, name: str, tile: Tile) -> float:
    """Steps between outlines that are placed by degrees and the same projected corner by corner."""
    question = read_question(find_tileset(name), [], now=NOW)

    def outlines(whole_from: int) -> dict[int, BaseGeometry]:
        with served.session() as session, pytest.MonkeyPatch.context() as patch:
            patch.setattr(encoding, "_WHOLE_FROM", whole_from)
            patch.setattr(encoding, "_STEPS_APART", 0)
            found = decode(encode(session, question, tile).plain)[name]["features"]
        return {one["id"]: shape(one["geometry"]) for one in found}

    straight, projected = outlines(0), outlines(MOST_ZOOM + 1)
    assert straight.keys() == projected.keys()
    return max(one.hausdorff_distance(projected[id_]) for id_, one in straight.items())


@pytest.mark.parametrize("zoom", [15, MOST_ZOOM])
def test_what_is_placed_by_degrees_lies_where_it_is_projected_to(served: Served, zoom: int) -> None:
    # Rounded to whole steps both ways, a corner may go to the next one.
    assert furthest(served, "units", served.tile_of(INCUBATOR, zoom)) < 1.5
    # Far away the grid is not straight.
    assert furthest(served, "zones", served.tile_of(INCUBATOR, 6)) > 5
