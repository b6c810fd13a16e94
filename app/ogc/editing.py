"""Part 4 of OGC API Features: what staff draw, as GIS tools send it.

A tool sends a feature back with all that it was shown. What is not the drawer's to say (sums, names
of parents, words of codes) is taken as long as it says what is shown, and refused otherwise.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import numpy as np
import shapely
from pydantic import BaseModel, ConfigDict, Field, model_validator
from shapely.geometry.base import BaseGeometry
from sqlalchemy.orm import Session

from app.geo.datums import DATUMS
from app.geo.shapes import InvalidShapeError, polygon_from_geojson, require_position
from app.inventory.drawing.domains import Words
from app.inventory.drawing.layers import LAYERS, Layer
from app.inventory.drawing.service import (
    add_feature,
    change_feature,
    lock_feature,
    remove_feature,
    require_drawer,
)
from app.inventory.drawing.things import Drawn, Feature, Outline
from app.inventory.drawing.values import fault_of, is_number, pointer, refused
from app.kernel.errors import Fault, InvalidInputError
from app.kernel.terms import SourceDatum
from app.kernel.written import WrittenBody
from app.ogc.asked import Parameters
from app.ogc.collection import Collection, Geometry
from app.ogc.cql2.words import nearest
from app.ogc.crs import CRSES, STORAGE, Crs, asked_crs, to_stored
from app.ogc.errors import NotDrawnError, UnsupportedMediaTypeError, bad_parameter
from app.ogc.items import fetch_item, read_item
from app.ogc.readings import axes, hint
from app.security.actors import Actor

#: The feature's number, which some tools send as a property too, as the schema has it.
_FID = "fid"
#: Faults of one kind that are told.
_MOST_NAMED = 5
#: Query parameters of calls that write.
PARAMETERS = frozenset({"datum", "dry_run"})
CONTENT_CRS = "Content-Crs"
#: Degrees with so many decimals are exact enough; QGIS sends six, which is a hand's breadth.
_EXACT_DECIMALS = 7
_WITHIN_M, _WITHIN_OF_ROUNDED_M = 0.02, 0.1


@dataclass(frozen=True, slots=True)
class Frame:
    """How the coordinates of a body are written, and whether its datum was stated."""

    crs: Crs
    stated: SourceDatum | None = None
    known: Mapping[str, Crs] = field(default_factory=lambda: CRSES)

    @property
    def datum(self) -> SourceDatum:
        """The datum that the outline was given in."""
        return self.stated or SourceDatum.WGS84


class FeatureIn(WrittenBody):
    """A GeoJSON feature, with what a feature that was read has besides."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "type": "Feature",
                    "geometry": {
                        "type": "Polygon",
                        "coordinates": [
                            [[121.6, 31.2], [121.601, 31.2], [121.601, 31.201], [121.6, 31.2]]
                        ],
                    },
                    "properties": {"code": "P-1", "name_zh": "地块一", "park_code": "park"},
                }
            ]
        },
    )

    type: Literal["Feature"] = Field(default="Feature", description="Feature")
    id: int | str | None = Field(default=None, description="要素编号: of what is changed")
    geometry: dict[str, Any] | None = Field(default=None, description="图形: Polygon, MultiPolygon")
    properties: dict[str, Any] | None = Field(
        default=None, description="属性: as the layer has them"
    )
    datum: str | None = Field(
        default=None, description="坐标基准: as a feature says that was read in a datum"
    )
    links: list[Any] | None = Field(default=None, description="not looked at")
    bbox: list[Any] | None = Field(default=None, description="not looked at")

    @model_validator(mode="before")
    @classmethod
    def _one(cls, body: Any) -> Any:
        """Say what to do with a file of features, and where the properties of one are written.

        Raises:
            InvalidInputError: it is one, or has them beside ``properties``.
        """
        if isinstance(body, dict) and body.get("type") == "FeatureCollection":
            en = "one Feature a call: send each of `features` by itself"
            zh = "每次一个 Feature：请将 features 中的各项逐个发送"
            raise InvalidInputError(f"/type: {en}", [Fault("/type", en, detail_zh=zh)])
        stray = [] if not isinstance(body, dict) else [*body.keys() - cls.model_fields.keys()]
        if stray:
            en = "no member of a GeoJSON feature; what a feature has is written in `properties`"
            zh = "不是 GeoJSON 要素的成员，要素的属性应写在 properties 之内"
            raise refused(
                "the body is no feature",
                [
                    Fault(pointer(name).removeprefix("/properties"), en, detail_zh=zh)
                    for name in sorted(stray)[:_MOST_NAMED]
                ],
            )
        return body


class DrawnOut(BaseModel):
    """What was written."""

    collection: str = Field(description="图层")
    fid: int = Field(description="要素编号: stable number of the feature")
    id: UUID
    code: str
    park_id: UUID | None = Field(description="园区: null for a zone")
    etag: str | None = Field(description="what `If-Match` takes next; null: it is gone")
    trimmed_m2: float = Field(
        description="修整面积: cut off or closed up, so that it fits its neighbours, m²"
    )


def offered(collection: Collection) -> tuple[frozenset[str], frozenset[str]]:
    """The methods that write: on the collection's items, and on one item."""
    layer = LAYERS.get(collection.id) if collection.editable else None
    if layer is None:
        return frozenset(), frozenset()
    if layer.makes:
        return frozenset({"POST"}), frozenset({"PUT", "PATCH", "DELETE"})
    return frozenset(), frozenset({"PUT", "PATCH"})


#: How bodies are written, by the method; the first is the one that the standard names.
BODY_TYPES: Mapping[str, tuple[str, ...]] = {
    "POST": ("application/geo+json", "application/json"),
    "PUT": ("application/geo+json", "application/json"),
    "PATCH": ("application/merge-patch+json", "application/json"),
}


def require_body_type(method: str, content_type: str | None) -> None:
    """Refuse a body that does not say how it is written, or is written in no way that is read.

    Raises:
        BadParameterError: it does not say.
        UnsupportedMediaTypeError: in no way that is read; it says which there are.
    """
    read = BODY_TYPES[method]
    if content_type is None:
        raise bad_parameter(
            "Content-Type", f"say how the body is written, as {read[0]}", "须声明正文的媒体类型"
        )
    said = content_type.partition(";")[0].strip().lower()
    if said not in read:
        listed = " or ".join(read)
        raise UnsupportedMediaTypeError(
            f"Content-Type: {said[:80] or 'empty'} is not read; send {listed}. Of files in other"
            " formats `ogr2ogr -f GeoJSON` makes GeoJSON",
            detail_zh=f"不支持 Content-Type {said[:80]}，请发送 {' 或 '.join(read)}；"
            "其他格式可先用 ogr2ogr -f GeoJSON 转换",
            accepted=[*read],
        )


_NOT_DRAWN: Mapping[str, Words] = {
    "units": Words(
        "units are not drawn, as leases and rights lie on them: outline and area change from a day"
        " on by POST /api/v1/units/{id}/remeasure, to which a second person agrees; the rest by"
        " /terms, /split and /merge",
        "房源不可绘制，其上有租约与权利：边界与面积自某日起由 POST /api/v1/units/{id}/remeasure"
        " 变更，须另一人复核；其余由 terms、split、merge 办理",
    ),
    "plots": Words(
        "plots follow from the parcels that a programme's buildings stand on: draw `parcels`",
        "项目地块由项目楼宇所在地块得出，请绘制 parcels 图层",
    ),
}
_NOT_MADE = Words(
    "nothing is made or taken away here; PUT and PATCH change its edges and names",
    "此图层不可新建或删除；可用 PUT、PATCH 修改边界与名称",
)


def not_drawn(collection: Collection) -> NotDrawnError:
    """Why a method that writes is not taken of a collection, and the way out."""
    id_ = "units" if collection.id == "free_space" else collection.id
    words = _NOT_DRAWN.get(id_, _NOT_MADE)
    return NotDrawnError(words.en, detail_zh=words.zh)


def read_frame(
    parameters: Parameters,
    content_crs: str | None,
    said: str | None,
    known: Mapping[str, Crs] = CRSES,
) -> Frame:
    """How a body's coordinates are written: by its header, the parameter ``datum``, and itself.

    Raises:
        BadParameterError: one is unknown, or they contradict each other.
    """
    given = dict(parameters)
    for name in given:
        if name not in PARAMETERS:
            listed = ", ".join(sorted(PARAMETERS))
            raise bad_parameter(
                name[:100],
                f"there is no such parameter; there are {listed}",
                f"没有此参数，可用的有 {listed}",
            )
    if said is not None and given.setdefault("datum", said) != said:
        raise bad_parameter(
            "datum", f"the feature says {said[:20]}", "与要素自身声明的坐标基准不一致"
        )
    if content_crs is not None:
        given[CONTENT_CRS] = content_crs.strip().strip("<>")
    crs = asked_crs(given, CONTENT_CRS, known)
    return Frame(crs, DATUMS[given["datum"]] if "datum" in given else None, known)


def create(
    session: Session, actor: Actor, collection: Collection, body: FeatureIn, frame: Frame
) -> DrawnOut:
    """Draw a new feature."""
    require_drawer(actor)
    layer = LAYERS[collection.id]
    outline = _outline(collection, body.geometry, frame)
    if outline is None:
        raise _no_outline()
    own = frozenset(layer.own)
    given: dict[str, Any] = {}
    faults: list[Fault] = []
    for name, value in (body.properties or {}).items():
        if name in own:
            given[name] = value
        elif name not in {_FID, *collection.fields}:
            faults.append(_unknown(name, own))
        elif value is not None:
            faults.append(_read_only(name))
    _refuse(faults)
    drawn = add_feature(session, actor, layer, given, outline)
    return _told(session, collection, drawn)


def replace(
    session: Session,
    actor: Actor,
    collection: Collection,
    fid: str,
    frame: Frame,
    *,
    body: FeatureIn,
    agreed: Callable[[str], bool],
    whole: bool,
) -> DrawnOut:
    """Put a feature in the place of one, or (not ``whole``) change what the body names of it.

    ``agreed`` is told the tag of what is there: it says whether the caller has read that, and
    refuses if it has read another.
    """
    feature, shown, read = _standing(session, actor, collection, fid, agreed)
    if body.id is not None and str(body.id) != str(feature.row["fid"]):
        raise InvalidInputError(
            "id: leave it out, or give that of the address",
            [Fault("/id", "leave it out, or give that of the address", detail_zh="应与地址一致")],
        )
    was = {_FID: feature.row["fid"], **shown["properties"]}
    given = _changes(feature.layer, was, body, whole=whole)
    geometry = body.geometry
    if not whole and geometry is not None and shown["geometry"] is not None:
        merged = shown["geometry"] | geometry
        geometry = {name: value for name, value in merged.items() if value is not None}
    outline = None
    if whole or "geometry" in body.model_fields_set:
        outline = _outline(collection, geometry, frame)
        if outline is None and feature.shape is not None:
            raise _no_outline()
    drawn = change_feature(session, actor, feature, given, outline, read=read)
    return _told(session, collection, drawn)


def remove(
    session: Session,
    actor: Actor,
    collection: Collection,
    fid: str,
    agreed: Callable[[str], bool],
) -> DrawnOut:
    """Take a feature away."""
    feature, _, read = _standing(session, actor, collection, fid, agreed)
    drawn = remove_feature(session, actor, feature, read=read)
    return _drawn_out(collection, drawn, None)


def _standing(
    session: Session,
    actor: Actor,
    collection: Collection,
    fid: str,
    agreed: Callable[[str], bool],
) -> tuple[Feature, dict[str, Any], bool]:
    """The feature, locked, and as it is shown; and whether the caller has read that."""
    require_drawer(actor)
    number = int(fid) if fid.isdecimal() and fid.isascii() and len(fid) < _FID_DIGITS else 0
    feature = lock_feature(session, actor, LAYERS[collection.id], number)
    text, tag = _shown(session, collection, number)
    read = agreed(tag)
    shown: dict[str, Any] = json.loads(text)
    return feature, shown, read


_FID_DIGITS = 19
#: No layer that may be drawn shows other things on other days.
_ANY_DAY = datetime.fromisoformat("2026-01-01T00:00:00Z")


def _shown(session: Session, collection: Collection, fid: int) -> tuple[str, str]:
    selection, shape = read_item(collection, str(fid), (), now=_ANY_DAY)
    item = fetch_item(session, selection, shape)
    return item.feature, item.tag


def _told(session: Session, collection: Collection, drawn: Drawn) -> DrawnOut:
    _, tag = _shown(session, collection, drawn.fid)
    return _drawn_out(collection, drawn, f'"{tag}-{STORAGE.label}"')


def _drawn_out(collection: Collection, drawn: Drawn, etag: str | None) -> DrawnOut:
    return DrawnOut(
        collection=collection.id,
        fid=drawn.fid,
        id=drawn.id,
        code=drawn.code,
        park_id=drawn.park_id,
        etag=etag,
        trimmed_m2=drawn.trimmed_m2,
    )


def _changes(
    layer: Layer, shown: Mapping[str, Any], body: FeatureIn, *, whole: bool
) -> dict[str, Any]:
    """What the body says of the drawer's own properties that is not so already."""
    sent = body.properties or {}
    faults: list[Fault] = []
    given: dict[str, Any] = {}
    for name, value in sent.items():
        if name not in shown:
            faults.append(_unknown(name, layer.ever))
        elif _same(value, shown[name]):
            continue
        elif name in layer.ever:
            given[name] = value
        else:
            faults.append(_read_only(name))
    _refuse(faults)
    if whole:
        # What is put in a thing's place has all of it: what is left out is not known any more.
        given |= {name: None for name in layer.ever if name not in sent and shown[name] is not None}
    return given


def _same(sent: Any, shown: Any) -> bool:
    if isinstance(sent, bool) or isinstance(shown, bool):
        return sent is shown
    numbers = is_number(sent) and is_number(shown)
    # Tools keep numbers as binary ones.
    return math.isclose(sent, shown, rel_tol=1e-12) if numbers else bool(sent == shown)


def _outline(
    collection: Collection, geometry: Mapping[str, Any] | None, frame: Frame
) -> Outline | None:
    """The outline that a body draws, in degrees.

    Raises:
        InvalidShapeError: it is not one.
    """
    if geometry is None:
        return None
    crs = frame.crs
    drawn = _drawn(geometry, frame)
    parts = shapely.get_parts(drawn)
    if collection.geometry is Geometry.POLYGON:
        if len(parts) != 1:
            raise _wrong_shape(
                "one polygon; draw each piece as a feature of its own",
                "应为单个多边形，请将各部分分别绘制",
            )
        drawn = parts[0]
    within_m = _WITHIN_OF_ROUNDED_M if crs.degrees and _is_rounded(drawn) else _WITHIN_M
    meant = hint(drawn, crs, CONTENT_CRS, frame.known)
    try:
        shape = shapely.force_2d(to_stored(drawn, crs))
    except ValueError:
        raise _wrong_shape(
            *_with_hint(
                "outside the area of the coordinate reference system",
                "超出坐标参考系的适用范围",
                meant,
            )
        ) from None
    west, south, east, north = shape.bounds
    for longitude, latitude in ((west, south), (east, north)):
        try:
            require_position(longitude, latitude, pointer="/geometry/coordinates")
        except InvalidShapeError:
            first_en, first_zh = axes(crs)
            raise _wrong_shape(
                *_with_hint(
                    f"lies far off: coordinates of {crs.uri} come {first_en} first",
                    f"位置相去甚远：{crs.uri} 的坐标应{first_zh}在前",
                    meant,
                )
            ) from None
    if not shape.is_valid:
        raise _wrong_shape("draw it so that no edge crosses another", "边不得相交")
    return Outline(shape, within_m, frame.datum, stated=frame.stated is not None, hint=meant)


def _drawn(geometry: Mapping[str, Any], frame: Frame) -> BaseGeometry:
    """The shape as its coordinates came.

    Raises:
        InvalidShapeError: it is not one.
    """
    crs = frame.crs
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")

    def read(*, degrees: bool) -> BaseGeometry:
        named = kind if isinstance(kind, str) else ""
        return polygon_from_geojson(named, coordinates, pointer="/geometry", degrees=degrees)

    if not crs.degrees or crs.flipped:
        return read(degrees=False)
    try:
        return read(degrees=True)
    except InvalidShapeError as refused:
        meant = None
        with suppress(InvalidShapeError):
            meant = hint(read(degrees=False), crs, CONTENT_CRS, frame.known)
        if meant is None:
            raise
        fault = refused.faults[0]
        en, zh = _with_hint(fault.detail, fault.detail_zh or "", meant)
        raise _wrong_shape(en, zh, fault.pointer) from None


def _with_hint(en: str, zh: str, meant: Words | None) -> tuple[str, str]:
    return (en, zh) if meant is None else (f"{en}. {meant.en}", f"{zh}。{meant.zh}")


def _is_rounded(shape: BaseGeometry) -> bool:
    corners = shapely.get_coordinates(shape)
    return bool(np.array_equal(np.round(corners, _EXACT_DECIMALS - 1), corners))


def _wrong_shape(en: str, zh: str, place: str = "/geometry") -> InvalidShapeError:
    return InvalidShapeError(f"{place}: {en}", [Fault(place, en, detail_zh=zh)])


def _no_outline() -> InvalidShapeError:
    return _wrong_shape("an outline is needed", "须绘制图形")


def _unknown(name: str, own: Iterable[str]) -> Fault:
    near = nearest(name, sorted(own))
    meant = f"; did you mean {' or '.join(near)}?" if near else "; see the schema"
    meant_zh = f"，是否指 {' 或 '.join(near)}？" if near else "，见图层的 schema"
    return Fault(
        pointer(name), f"there is no such property{meant}", detail_zh=f"没有此属性{meant_zh}"
    )


#: What follows from what, where that is asked for: areas.
_FOLLOWS: Mapping[str, Words] = {
    "geometric_area_m2": Words(
        "is measured from the outline; draw that anew, the legal area is a property of its own",
        "由图形量算，请修改图形；法定面积另有其属性",
    ),
    "leasable_area_m2": Words(
        "is the sum of its units, whose areas change from a day on by POST"
        " /api/v1/units/{id}/remeasure, to which a second person agrees",
        "为房源计租面积之和；房源面积自某日起由 POST /api/v1/units/{id}/remeasure 变更，"
        "须另一人复核",
    ),
}
_FIXED = Words(
    "follows from other things, or never changes; leave it out or as it was",
    "由其他数据得出或不可更改，请去掉或保持原值",
)


def _read_only(name: str) -> Fault:
    return fault_of(name, _FOLLOWS.get(name, _FIXED))


def _refuse(faults: list[Fault]) -> None:
    if faults:
        raise refused("some properties cannot be written", faults)


def editing_paths(one: Collection) -> dict[str, Any]:
    """What OpenAPI 3.0 says of the calls that write."""
    own = f"/collections/{one.id}/items"
    on_items, on_item = offered(one)
    words = {
        "post": ("create", "绘制 Draw one of", "201"),
        "put": ("replace", "替换 Replace one of", "200"),
        "patch": ("update", "修改 Change one of", "200"),
        "delete": ("delete", "删除 Take away one of", "204"),
    }
    found: dict[str, Any] = {}
    for path, methods in ((own, on_items), (f"{own}/{{featureId}}", on_item)):
        for method in sorted(one.lower() for one in methods):
            word, summary, status = words[method]
            parameters: list[Any] = [{"$ref": "#/components/parameters/datum"}]
            if path != own:
                parameters.insert(0, {"$ref": "#/components/parameters/featureId"})
                parameters.append(_IF_MATCH)
            if method == "delete":
                parameters = [each for each in parameters if "datum" not in str(each)]
            operation: dict[str, Any] = {
                "operationId": f"{one.id}_{word}",
                "summary": f"{summary} {one.id}",
                "tags": [one.id],
                "parameters": parameters,
                "responses": {
                    status: {"description": summary},
                    "default": {"$ref": "#/components/responses/problem"},
                },
            }
            if method != "delete":
                schema = {"$ref": "#/components/schemas/feature"} if method != "patch" else {}
                media = "application/merge-patch+json" if method == "patch" else _GEOJSON
                operation["requestBody"] = {
                    "required": True,
                    "content": {media: {"schema": schema}},
                }
            found.setdefault(path, {})[method] = operation
    return found


_GEOJSON = "application/geo+json"
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "the ETag of what was read; `*` overwrites whatever is there; without it, what"
    " somebody else has changed within a day is not overwritten",
    "schema": {"type": "string"},
}
