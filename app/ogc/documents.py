"""The small documents of the OGC API: landing page, conformance, collections, schemas.

``base`` is the address that links begin with: ``https://host/ogc``.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, literal_column, select
from sqlalchemy.orm import Session

from app.inventory.drawing.domains import BOUNDS, PATTERNS
from app.inventory.drawing.layers import LAYERS
from app.inventory.drawing.values import needed
from app.models.space import Parcel, Park, Zone
from app.ogc.collection import Collection, Geometry
from app.ogc.collections import COLLECTIONS
from app.ogc.crs import STORAGE, Crs
from app.ogc.downloads.asked import FORMATS
from app.ogc.fields import Field, pattern_of
from app.ogc.readings import CITY

Document = dict[str, Any]

JSON = "application/json"
GEOJSON = "application/geo+json"
SCHEMA = "application/schema+json"
OPENAPI = "application/vnd.oai.openapi+json;version=3.0"
QGIS = "application/x-qgis"
#: Where the QGIS project is, below the address of the service.
PROJECT_PATH = "/qgis/project.qgs"

_REL = "http://www.opengis.net/def/rel/ogc/1.0"
_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_CALENDAR = "http://www.opengis.net/def/uom/ISO-8601/0/Gregorian"
_TITLE = "Space Relay 空间接力"
_DESCRIPTION = (
    "园区空间：任何一天的园区、楼宇、楼层、房源与可用空间."
    " The park as it is, was and will be, for GIS tools."
)
_FEATURES = "http://www.opengis.net/spec/ogcapi-features"
_CQL2 = "http://www.opengis.net/spec/cql2/1.0/conf"
_TILES = "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf"
#: What this service does, as far as tests of ours show it.
CONFORMANCE: tuple[str, ...] = (
    f"{_FEATURES}-1/1.0/conf/core",
    f"{_FEATURES}-1/1.0/conf/oas30",
    f"{_FEATURES}-1/1.0/conf/geojson",
    f"{_FEATURES}-2/1.0/conf/crs",
    f"{_FEATURES}-3/1.0/conf/filter",
    f"{_FEATURES}-3/1.0/conf/features-filter",
    f"{_FEATURES}-3/1.0/conf/queryables",
    f"{_FEATURES}-3/1.0/conf/queryables-query-parameters",
    f"{_FEATURES}-4/1.0/conf/create-replace-delete",
    f"{_FEATURES}-4/1.0/conf/update",
    f"{_FEATURES}-4/1.0/conf/features",
    f"{_FEATURES}-4/1.0/conf/optimistic-locking-etags",
    f"{_FEATURES}-5/1.0/conf/schemas",
    f"{_FEATURES}-5/1.0/conf/core-roles-features",
    f"{_FEATURES}-5/1.0/conf/queryables",
    f"{_FEATURES}-5/1.0/conf/sortables",
    f"{_FEATURES}-6/0.0/conf/properties",
    f"{_FEATURES}-8/0.0/conf/sorting",
    f"{_CQL2}/cql2-text",
    f"{_CQL2}/cql2-json",
    f"{_CQL2}/basic-cql2",
    f"{_CQL2}/advanced-comparison-operators",
    f"{_CQL2}/case-insensitive-comparison",
    f"{_CQL2}/accent-insensitive-comparison",
    f"{_CQL2}/basic-spatial-functions",
    f"{_CQL2}/basic-spatial-functions-plus",
    f"{_CQL2}/spatial-functions",
    f"{_CQL2}/temporal-functions",
    f"{_CQL2}/property-property",
    f"{_CQL2}/arithmetic",
    f"{_TILES}/core",
    f"{_TILES}/tileset",
    f"{_TILES}/tilesets-list",
    f"{_TILES}/dataset-tilesets",
    f"{_TILES}/geodata-tilesets",
    f"{_TILES}/mvt",
    f"{_TILES}/oas30",
    "http://www.opengis.net/spec/tms/2.0/conf/tilematrixset",
    "http://www.opengis.net/spec/tms/2.0/conf/json-tilematrixset",
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-common-2/1.0/conf/collections",
)

#: What the landing page links to: path below it, relation, media type, title.
LANDING_LINKS: tuple[tuple[str, str, str, str], ...] = (
    ("", "self", JSON, "this document"),
    ("/api", "service-desc", OPENAPI, "接口说明 the API in OpenAPI 3.0"),
    ("/conformance", "conformance", JSON, "what this service conforms to"),
    ("/collections", "data", JSON, "图层 the collections"),
    ("/tiles", f"{_REL}/tilesets-vector", JSON, "矢量瓦片 vector tiles of all layers"),
    ("/tileMatrixSets", f"{_REL}/tiling-schemes", JSON, "瓦片网格 the grid of tiles"),
    ("/styles", f"{_REL}/styles", JSON, "地图样式 styles of maps"),
    (PROJECT_PATH, "alternate", QGIS, "QGIS 项目 a QGIS project of all layers"),
)
#: What each collection links to, likewise.
COLLECTION_LINKS: tuple[tuple[str, str, str, str], ...] = (
    ("", "self", JSON, "this document"),
    ("/items", "items", GEOJSON, "要素 the features"),
    ("/feature-schema", "describedby", SCHEMA, "要素结构 schema of a feature as GeoJSON"),
    # The same relation as GDAL writes it: it compares letter by letter, and takes the types of
    # fields from there, which it would else guess from the first features.
    ("/feature-schema", "describedBy", SCHEMA, "要素结构 schema of a feature as GeoJSON"),
    ("/schema", f"{_REL}/schema", SCHEMA, "属性结构 schema of a feature"),
    ("/queryables", f"{_REL}/queryables", SCHEMA, "可查询属性 what may be asked about"),
    ("/sortables", f"{_REL}/sortables", SCHEMA, "可排序属性 what may be sorted by"),
    ("/tiles", f"{_REL}/tilesets-vector", JSON, "矢量瓦片 vector tiles"),
    *(
        (f"/download?f={name}", "enclosure", one.media_type, f"下载 download, {one.title}")
        for name, one in FORMATS.items()
    ),
)

Box = tuple[float, float, float, float]
_SCHEMA_GEOMETRY: Mapping[Geometry, str] = {
    Geometry.POLYGON: "geometry-polygon",
    Geometry.MULTI_POLYGON: "geometry-multipolygon",
}


def link(href: str, rel: str, media_type: str, title: str = "") -> Document:
    """One link."""
    return {"href": href, "rel": rel, "type": media_type} | ({"title": title} if title else {})


def landing(base: str) -> Document:
    """The landing page."""
    return {
        "title": _TITLE,
        "description": _DESCRIPTION,
        "links": [link(f"{base}{path}", *said) for path, *said in LANDING_LINKS],
    }


def conformance() -> Document:
    """What the service conforms to."""
    return {"conformsTo": [*CONFORMANCE]}


def extents(session: Session) -> Mapping[str, Box]:
    """The box around the features of each collection, degrees; one statement."""

    def around(table: Any) -> Any:
        box = func.ST_Extent(table.__table__.c.geom)
        corners = ", ".join(f"ST_{end}(e.box)" for end in ("XMin", "YMin", "XMax", "YMax"))
        drawn = select(box.label("box")).subquery("e")
        return select(literal_column(f"ARRAY[{corners}]")).select_from(drawn).scalar_subquery()

    zones, parks, parcels = session.execute(
        select(around(Zone), around(Park), around(Parcel))
    ).one()
    # Whatever stands, stands on a parcel.
    drawn = dict.fromkeys(COLLECTIONS, parcels) | {"zones": zones, "parks": parks}
    # While nothing is drawn, it is the city.
    return {
        name: CITY if corners is None or None in corners else tuple(corners)
        for name, corners in drawn.items()
    }


def collections(base: str, boxes: Mapping[str, Box], known: Mapping[str, Crs]) -> Document:
    """All collections."""
    return {
        "links": [link(f"{base}/collections", "self", JSON, "this document")],
        "crs": list(known),
        "collections": [collection(base, one, boxes, known) for one in COLLECTIONS.values()],
    }


def collection(
    base: str, one: Collection, boxes: Mapping[str, Box], known: Mapping[str, Crs]
) -> Document:
    """One collection."""
    own = f"{base}/collections/{one.id}"
    return {
        "id": one.id,
        "title": f"{one.title_zh} {one.title_en}",
        "description": one.description,
        "itemType": "feature",
        "extent": {
            "spatial": {"bbox": [boxes[one.id]], "crs": STORAGE.uri},
            **(
                {"temporal": {"interval": [[None, None]], "trs": _CALENDAR}} if one.temporal else {}
            ),
        },
        "crs": list(known),
        "storageCrs": STORAGE.uri,
        "links": [link(f"{own}{path}", *said) for path, *said in COLLECTION_LINKS],
    }


def schema(base: str, one: Collection) -> Document:
    """The schema of a feature's properties and outline: what is shown, and what is the drawer's.

    What nobody fills in is ``readOnly``; ``required`` is what a new feature cannot do without.
    """
    document = _schema(base, one, "schema", one.fields, geometry=True)
    layer = LAYERS.get(one.id) if one.editable else None
    said: dict[str, Document] = {} if layer is None else {"geometry": {}}
    if layer is not None:
        said |= {name: _limits(name) for name in layer.own}
        outline = ("geometry",) if layer.makes else ()
        document["required"] = [*needed(layer), *outline]
    properties = {
        name: described | said.get(name, {"readOnly": True})
        for name, described in document["properties"].items()
    }
    number = {"title": "要素编号 Number of the feature", "type": "integer", "readOnly": True}
    document["properties"] = {"fid": number | {"x-ogc-role": "id"}, **properties}
    return document


def _limits(name: str) -> Document:
    """What a drawer may write of a property, as JSON Schema says it."""
    if name in PATTERNS:
        return {**PATTERNS[name].schema}
    bounds = BOUNDS.get(name)
    if bounds is None:
        return {}
    found: Document = {"exclusiveMinimum" if bounds.above else "minimum": bounds.least}
    return found if bounds.most is None else found | {"maximum": bounds.most}


def feature_schema(base: str, one: Collection) -> Document:
    """The schema of a feature as it comes in GeoJSON."""
    properties = {name: property_schema(field) for name, field in one.fields.items()}
    return {
        "$schema": _DRAFT,
        "$id": f"{base}/collections/{one.id}/feature-schema",
        "title": f"{one.title_zh} {one.title_en}",
        "description": one.description,
        "type": "object",
        "required": ["type", "id", "geometry", "properties"],
        "properties": {
            "type": {"type": "string", "enum": ["Feature"]},
            "id": {"type": "integer"},
            "geometry": {"$ref": f"https://geojson.org/schema/{one.geometry.value}.json"},
            "properties": {"type": "object", "properties": properties},
        },
    }


def queryables(base: str, one: Collection) -> Document:
    """The properties that may be asked about."""
    return _schema(base, one, "queryables", one.queryables, geometry=True)


def sortables(base: str, one: Collection) -> Document:
    """The properties that may be sorted by."""
    return _schema(base, one, "sortables", one.sortables, geometry=False)


def _schema(
    base: str, one: Collection, kind: str, fields: Mapping[str, Field], *, geometry: bool
) -> Document:
    properties: Document = {name: property_schema(field) for name, field in fields.items()}
    if geometry:
        properties["geometry"] = {
            "title": "图形 Outline",
            "format": _SCHEMA_GEOMETRY[one.geometry],
            "x-ogc-role": "primary-geometry",
        }
    return {
        "$schema": _DRAFT,
        "$id": f"{base}/collections/{one.id}/{kind}",
        "type": "object",
        "title": f"{one.title_zh} {one.title_en}",
        "description": one.description,
        "properties": properties,
        "additionalProperties": False,
    }


def property_schema(field: Field) -> Document:
    """One property, in JSON Schema and in what OpenAPI 3.0 has of it."""
    found: Document = {
        "title": f"{field.title_zh} {field.title_en}",
        "type": field.kind.json_type,
    }
    if field.kind.json_format:
        found["format"] = field.kind.json_format
    if field.unit:
        found["x-ogc-unit"] = field.unit
        found["description"] = f"{field.title_zh}, {field.unit}"
    if field.codes is not None:
        found["description"] = "; ".join(
            f"{code.value}: {code.zh} {code.en}" for code in field.codes
        )
        values = [code.value for code in field.codes]
        if field.joined:
            found["pattern"] = pattern_of(field)
            found["description"] += "; 可用 / 或 + 连接 several may be joined by / or +"
        else:
            found["enum"] = values
    return found
