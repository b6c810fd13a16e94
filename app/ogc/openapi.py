"""The API in OpenAPI 3.0, made from the collections.

Each collection has paths of its own, with its properties as query parameters: GDAL and QGIS look
there to learn which filters they may leave to the service.
"""

from collections.abc import Callable, Mapping
from typing import Any

from app.geo.datums import DATUMS
from app.ogc.asked import names_taken
from app.ogc.collection import Collection
from app.ogc.collections import COLLECTIONS
from app.ogc.cql2.compiler import LANGUAGES
from app.ogc.crs import STORAGE, Crs
from app.ogc.documents import (
    GEOJSON,
    JSON,
    OPENAPI,
    PROJECT_PATH,
    QGIS,
    SCHEMA,
    property_schema,
)
from app.ogc.downloads.asked import DOWNLOAD_PARAMETERS, FORMATS
from app.ogc.editing import editing_paths
from app.ogc.items import DEFAULT_LIMIT, ITEM_PARAMETERS, MOST_ITEMS, PAGE_PARAMETERS
from app.ogc.tiles.documents import tile_paths

Document = dict[str, Any]

_PROBLEM = "application/problem+json"
_FORMAT = {"type": "string", "enum": ["json", "geojson"]}
_NUMBERS = {"type": "array", "minItems": 4, "maxItems": 6, "items": {"type": "number"}}
_ANY_CRS = {"type": "string", "format": "uri", "default": STORAGE.uri}

#: Parameters that collections share: schema and what it does.
_SHARED: Mapping[str, tuple[Document, str]] = {
    "bbox": (_NUMBERS, "范围: lower corner, then upper corner; touches count"),
    "bbox-crs": (_ANY_CRS, "坐标参考系 of bbox"),
    "crs": (_ANY_CRS, "坐标参考系 of the answer"),
    "datetime": (
        {"type": "string"},
        "日期: a day, an instant, or two apart by a slash; `..` is an open end",
    ),
    "as_of": (
        {"type": "string", "format": "date-time"},
        "回溯时刻: what was known at this instant",
    ),
    "level": ({"type": "integer"}, "楼层序号: level_index; 0 is the ground floor"),
    "datum": (
        {"type": "string", "enum": list(DATUMS), "default": "WGS84"},
        "坐标基准: of bbox and filter, and of the answer, whose member `datum` then says so",
    ),
    "filter": ({"type": "string"}, "筛选条件 in CQL2"),
    "filter-lang": (
        {"type": "string", "enum": list(LANGUAGES), "default": "cql2-text"},
        "语言 of the filter",
    ),
    "filter-crs": (_ANY_CRS, "坐标参考系 of the filter's geometries"),
    "limit": (
        {"type": "integer", "minimum": 1, "maximum": MOST_ITEMS, "default": DEFAULT_LIMIT},
        "每页要素数: more than the maximum counts as the maximum",
    ),
    "cursor": ({"type": "string"}, "翻页: from the `next` link of the page before"),
    "properties": (
        {"type": "array", "items": {"type": "string"}},
        "属性: only these properties, apart by commas",
    ),
    "sortby": (
        {"type": "array", "items": {"type": "string"}},
        "排序: properties apart by commas; `-` before one is descending",
    ),
    "skipGeometry": ({"type": "boolean", "default": False}, "不含图形: leave out the outlines"),
    "resultType": (
        {"type": "string", "enum": ["results", "hits"], "default": "results"},
        "hits: 仅计数, only how many there are, exactly",
    ),
    "f": (_FORMAT, "格式: json and geojson are the same here"),
}
#: Other spellings of the same.
_ALIASES = frozenset({"resulttype"})


#: Paths beside those of features, of each collection and of all together, by path below ``base``.
MORE_OF_EACH: tuple[Callable[[Collection], Document], ...] = (editing_paths,)
MORE: tuple[Callable[[], Document], ...] = (tile_paths,)


def openapi(base: str, known: Mapping[str, Crs]) -> Document:
    """The document."""
    paths: Document = {
        "/": get_operation("landing", "首页 Landing page", JSON),
        "/conformance": get_operation("conformance", "符合性 What the service conforms to", JSON),
        "/api": get_operation("api", "接口说明 This document", OPENAPI),
        "/collections": get_operation("collections", "图层 The collections", JSON),
        PROJECT_PATH: get_operation("qgis_project", "QGIS 项目 A QGIS project of all layers", QGIS),
    }
    for one in COLLECTIONS.values():
        paths |= _paths(one)
        for more in MORE_OF_EACH:
            for path, operations in more(one).items():
                paths[path] = paths.get(path, {}) | operations
    for further in MORE:
        paths |= further()
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Space Relay 空间接力: OGC API",
            "version": "1.0.0",
            "description": "园区空间要素服务. Features of industrial parks, on any day.",
        },
        "servers": [{"url": base}],
        "tags": [
            {"name": one.id, "description": f"{one.title_zh} {one.title_en}"}
            for one in COLLECTIONS.values()
        ],
        "paths": paths,
        "components": {
            "parameters": {name: _shared(name, known) for name in _SHARED}
            | {"featureId": _FEATURE_ID},
            "responses": {
                "problem": {
                    "description": "RFC 9457: what is wrong, in both languages",
                    "content": {_PROBLEM: {"schema": {"$ref": "#/components/schemas/problem"}}},
                }
            },
            "schemas": {"problem": _PROBLEM_SCHEMA, **_GEOJSON_SCHEMAS},
        },
    }


_FEATURE_ID = {
    "name": "featureId",
    "in": "path",
    "required": True,
    "description": "要素编号: number of the feature",
    "schema": {"type": "integer", "format": "int64", "minimum": 0},
}
_PROBLEM_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "detail_zh": {"type": "string"},
    },
}
_LINK = {
    "type": "object",
    "required": ["href"],
    "properties": {name: {"type": "string"} for name in ("href", "rel", "type", "title")},
}
_GEOJSON_SCHEMAS: Document = {
    "link": _LINK,
    "feature": {
        "type": "object",
        "required": ["type", "id", "geometry", "properties"],
        "properties": {
            "type": {"type": "string", "enum": ["Feature"]},
            "id": {"type": "integer", "format": "int64"},
            "geometry": {"type": "object", "nullable": True},
            "properties": {"type": "object"},
            "links": {"type": "array", "items": {"$ref": "#/components/schemas/link"}},
        },
    },
    "featureCollection": {
        "type": "object",
        "required": ["type", "features"],
        "properties": {
            "type": {"type": "string", "enum": ["FeatureCollection"]},
            "features": {"type": "array", "items": {"$ref": "#/components/schemas/feature"}},
            "links": {"type": "array", "items": {"$ref": "#/components/schemas/link"}},
            "timeStamp": {"type": "string", "format": "date-time"},
            "numberMatched": {"type": "integer", "minimum": 0},
            "numberReturned": {"type": "integer", "minimum": 0},
        },
    },
}


def _paths(one: Collection) -> Document:
    own = f"/collections/{one.id}"
    page = get_operation(
        f"{one.id}_items",
        f"{one.title_zh} {one.title_en}",
        GEOJSON,
        tag=one.id,
        schema="featureCollection",
    )
    page["get"]["description"] = one.description
    page["get"]["parameters"] = _parameters(one, PAGE_PARAMETERS)
    item = get_operation(
        f"{one.id}_item", f"单个要素 One of {one.id}", GEOJSON, tag=one.id, schema="feature"
    )
    taken = ITEM_PARAMETERS if one.temporal else ITEM_PARAMETERS - {"datetime", "as_of"}
    item["get"]["parameters"] = [
        {"$ref": "#/components/parameters/featureId"},
        *({"$ref": f"#/components/parameters/{name}"} for name in _SHARED if name in taken),
    ]
    return {
        own: get_operation(
            f"{one.id}_collection", f"图层 {one.title_zh} {one.title_en}", JSON, tag=one.id
        ),
        f"{own}/items": page,
        f"{own}/items/{{featureId}}": item,
        f"{own}/download": _download(one),
        **{
            f"{own}/{name}": get_operation(
                f"{one.id}_{name}", f"{title} of {one.id}", SCHEMA, tag=one.id
            )
            for name, title in (
                ("schema", "结构 Schema"),
                ("feature-schema", "要素结构 Schema as GeoJSON"),
                ("queryables", "可查询属性 Queryables"),
                ("sortables", "可排序属性 Sortables"),
            )
        },
    }


def _download(one: Collection) -> Document:
    """A file of a collection's features."""
    found = get_operation(f"{one.id}_download", f"下载 File of {one.id}", GEOJSON, tag=one.id)
    formats = {
        "name": "f",
        "in": "query",
        "required": False,
        "description": "格式 of the file",
        "schema": {"type": "string", "enum": list(FORMATS), "default": "geojson"},
    }
    others = DOWNLOAD_PARAMETERS - {"f"}
    found["get"]["parameters"] = [formats, *_parameters(one, others, leave=frozenset({"datum"}))]
    found["get"]["responses"]["200"]["content"] = {
        known.media_type.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}}
        for known in FORMATS.values()
    }
    return found


def _parameters(
    one: Collection, also: frozenset[str], *, leave: frozenset[str] = frozenset()
) -> list[Document]:
    """All query parameters that select, and ``also``: those that are shared, then properties."""
    taken = (names_taken(one) | also) - _ALIASES - leave
    shared = [name for name in _SHARED if name in taken]
    return [
        *({"$ref": f"#/components/parameters/{name}"} for name in shared),
        *(
            {
                "name": name,
                "in": "query",
                "required": False,
                "description": f"{field.title_zh} {field.title_en}",
                "schema": property_schema(field),
                "style": "form",
                "explode": False,
            }
            for name, field in one.queryables.items()
        ),
    ]


def _shared(name: str, known: Mapping[str, Crs]) -> Document:
    schema, description = _SHARED[name]
    if schema is _ANY_CRS:
        schema = {**schema, "enum": list(known)}
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "schema": schema,
        "style": "form",
        "explode": False,
    }


def get_operation(
    name: str, summary: str, media_type: str, *, tag: str = "", schema: str = ""
) -> Document:
    """A path that is only read.

    Args:
        name: what generated clients call it.
        summary: what it gives, 中文 and English.
        media_type: of the answer.
        tag: id of the collection it is of, if it is of one.
        schema: name of the answer's schema; empty: an object.
    """
    content = {"$ref": f"#/components/schemas/{schema}"} if schema else {"type": "object"}
    refusal = {"$ref": "#/components/responses/problem"}
    return {
        "get": {
            "operationId": name,
            "summary": summary,
            **({"tags": [tag]} if tag else {}),
            "responses": {
                "200": {"description": summary, "content": {media_type: {"schema": content}}},
                **({"400": refusal, "404": refusal} if tag else {}),
                "default": refusal,
            },
        }
    }
