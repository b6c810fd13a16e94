"""What a map of Amap or Baidu is given: coordinates of its own, and everything else as it was."""

import json

import numpy as np
import pytest
from shapely.geometry import mapping, shape

from app.geo.datums import shape_from_wgs84
from app.geo.display import in_datum
from app.kernel.terms import SourceDatum

SQUARE = [[121.6, 31.2], [121.61, 31.2], [121.61, 31.21], [121.6, 31.21], [121.6, 31.2]]
GEOMETRIES = [
    {"type": "Point", "coordinates": [121.6, 31.2]},
    {"type": "Polygon", "coordinates": [SQUARE]},
    {"type": "MultiPolygon", "coordinates": [[SQUARE], [[[x + 1, y] for x, y in SQUARE]]]},
    {"type": "Polygon", "coordinates": []},
    None,
]


def document() -> bytes:
    features = [
        {"type": "Feature", "id": n, "geometry": one, "properties": {"名称": "楼", "area_m2": 9.5}}
        for n, one in enumerate(GEOMETRIES)
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


@pytest.mark.parametrize("datum", [SourceDatum.GCJ02, SourceDatum.BD09])
def test_coordinates_are_moved_and_nothing_else(datum: SourceDatum) -> None:
    before, after = json.loads(document()), json.loads(in_datum(document(), datum))

    assert after["datum"] == datum.value
    for old, new in zip(before["features"], after["features"], strict=True):
        assert new["properties"] == old["properties"]
        if old["geometry"] is None or not old["geometry"]["coordinates"]:
            assert new["geometry"] == old["geometry"]
            continue
        expected = shape_from_wgs84(shape(old["geometry"]), datum)
        assert new["geometry"]["type"] == old["geometry"]["type"]
        assert _numbers(new["geometry"]) == pytest.approx(_numbers(mapping(expected)), abs=1e-7)
        assert abs(_numbers(new["geometry"]) - _numbers(old["geometry"])).max() > 0.003


@pytest.mark.parametrize("datum", [SourceDatum.WGS84, SourceDatum.CGCS2000])
def test_what_is_wgs84_anyway_is_passed_on_byte_for_byte(datum: SourceDatum) -> None:
    assert in_datum(document(), datum) == document()


def test_a_single_feature_is_shown_too() -> None:
    feature = json.dumps({"type": "Feature", "geometry": GEOMETRIES[1], "properties": {}}).encode()
    shown = json.loads(in_datum(feature, SourceDatum.GCJ02))

    assert shown["datum"] == "GCJ02"
    assert shown["geometry"]["coordinates"][0][0] != SQUARE[0]


def _numbers(geometry: dict[str, object]) -> np.ndarray:
    found: list[float] = []
    waiting: list[object] = [geometry["coordinates"]]
    while waiting:
        value = waiting.pop(0)
        if isinstance(value, list | tuple):
            waiting = [*value, *waiting]
        else:
            found.append(float(value))  # type: ignore[arg-type]
    return np.array(found)
