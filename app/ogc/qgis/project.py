"""A QGIS project of all collections: sources, styles, Chinese names of fields and values.

QGIS fills in what a project leaves out, so only what differs from its own is written. Layers are
read from the service as they are looked at (OGC API Features), free space on the day that the
project was asked for, and one level of all buildings: by the layer's filter, where another can be
chosen. Of layers that may be drawn, forms say what has to be filled in and what follows by itself.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

from app.inventory.drawing.domains import codes_in_words
from app.inventory.drawing.layers import LAYERS
from app.inventory.drawing.values import needed
from app.kernel.terms import Term
from app.ogc.asked import names_taken
from app.ogc.collection import Collection
from app.ogc.collections import COLLECTIONS
from app.ogc.fields import pattern_of
from app.ogc.styles.map_style import COLOURS

TITLE = "空间接力 Space Relay"
#: The oldest QGIS that reads it.
_VERSION = "3.22.0"
_PAGE_SIZE = 1000
_INK, _PALE, _FREE = "#25323d", "#d9d9d9", "#0b8f4d"
#: From the top of the map to the ground: fill (none: outline only), width of the edge in mm.
_LOOKS: Mapping[str, tuple[str, str]] = {
    "free_space": (_FREE, "0.3"),
    "units": (_PALE, "0.1"),
    "floors": ("", "0.1"),
    "buildings": ("#c9b79c", "0.2"),
    "plots": ("#f2d7a6", "0.3"),
    "parcels": ("#eceadf", "0.2"),
    "parks": ("", "0.5"),
    "zones": ("", "0.9"),
}
#: Layers that are drawn when the project is opened; floors and units lie on each other.
_SHOWN = frozenset({"free_space", "buildings", "parcels", "parks", "zones"})
#: Layers of small things are read and named from this scale on (one to …).
_FROM_SCALE: Mapping[str, int] = {
    "free_space": 25_000,
    "units": 10_000,
    "floors": 10_000,
    "buildings": 50_000,
    "plots": 100_000,
    "parcels": 100_000,
}
_LABELS: Mapping[str, str] = {
    "free_space": 'concat("code", \'\\n\', "free_quantity", \' \', "capacity_measure_zh")',
    "units": '"code"',
    "floors": '"level_name"',
}
_NAME = '"name_zh"'
#: What a title says of the days, the instant and the level that are looked at.
_WORDS: Mapping[str, str] = {
    "datetime": "{}",
    "as_of": "（截至 {} 所知）",
    "level": "（楼层 {}）",
}
#: The level that is looked at unless told: floors lie on each other.
_GROUND_FLOOR = "0"

Box = tuple[float, float, float, float]


def qgis_project(base: str, view: Mapping[str, str], extent: Box) -> bytes:
    """The project as a ``.qgs`` file.

    Args:
        base: the address of the service, with its host: the file is opened elsewhere.
        view: the day (``datetime``) on which space is to be free, ``as_of`` and ``level``.
        extent: what is seen first; west, south, east, north.
    """
    view = {**view, "level": view.get("level", _GROUND_FLOOR)}
    project = ET.Element("qgis", projectname=TITLE, version=_VERSION)
    words = {name: _WORDS[name].format(view[name]) for name in _WORDS if name in view}
    _text(project, "title", f"{TITLE} {' '.join(words.values())}")
    _system(ET.SubElement(project, "projectCrs"))
    tree = ET.SubElement(project, "layer-tree-group")
    layers = ET.SubElement(project, "projectlayers")
    for id_ in _LOOKS:
        collection = COLLECTIONS[id_]
        source = _source(base, collection, view)
        said = [words[name] for name in words if name in _seen(collection)]
        title = " ".join([collection.title_zh, *said])
        ET.SubElement(
            tree,
            "layer-tree-layer",
            {"id": layer_id(id_), "name": title, "providerKey": "OAPIF", "source": source}
            | {"checked": "Qt::Checked" if id_ in _SHOWN else "Qt::Unchecked", "expanded": "0"},
        )
        _layer(layers, collection, title, source)
    seen = ET.SubElement(ET.SubElement(project, "ProjectViewSettings"), "DefaultViewExtent")
    for name, value in zip(("xmin", "ymin", "xmax", "ymax"), extent, strict=True):
        seen.set(name, repr(value))
    _system(seen)
    ET.indent(project)
    return f"<!DOCTYPE qgis>\n{ET.tostring(project, encoding='unicode')}\n".encode()


def layer_id(collection_id: str) -> str:
    """The layer's name inside the project; QGIS forgets those of ten letters or fewer."""
    return f"space_relay_{collection_id}"


def _seen(collection: Collection) -> frozenset[str]:
    """What of a view a collection shows otherwise."""
    taken = names_taken(collection) & _WORDS.keys()
    return taken if collection.onwards else taken - {"datetime", "as_of"}


def _source(base: str, collection: Collection, view: Mapping[str, str]) -> str:
    taken = names_taken(collection) - {"level"}
    if not collection.temporal:
        taken -= {"datetime"}
    asked = urlencode(
        {name: view[name] for name in _WORDS if name in view and name in taken}, safe=":/"
    )
    address = f"{base}?{asked}" if asked else base
    # Not in the address, where nobody finds it: it is the filter that QGIS shows and lets edit.
    level = f" filter='\"level_index\" = {view['level']}'" if _is_levelled(collection) else ""
    return (
        f"{level} pagingEnabled='true' pageSize='{_PAGE_SIZE}' restrictToRequestBBOX='1'"
        f" srsname='OGC:CRS84' typename='{collection.id}' url='{address}'"
        " version='OGC_API_FEATURES'"
    )


def _is_levelled(collection: Collection) -> bool:
    return "level" in names_taken(collection)


def _layer(layers: ET.Element, collection: Collection, title: str, source: str) -> None:
    scale = _FROM_SCALE.get(collection.id)
    layer = ET.SubElement(
        layers,
        "maplayer",
        {
            "type": "vector",
            "geometry": "Polygon",
            "labelsEnabled": "1",
            "hasScaleBasedVisibilityFlag": "1" if scale else "0",
            "minScale": str(scale or 1e8),
            "maxScale": "0",
        },
    )
    _text(layer, "id", layer_id(collection.id))
    _text(layer, "datasource", source)
    _text(layer, "layername", title)
    _text(layer, "abstract", collection.description)
    _system(ET.SubElement(layer, "srs"))
    ET.SubElement(layer, "provider", encoding="UTF-8").text = "OAPIF"
    _renderer(layer, collection)
    _labels(layer, _LABELS.get(collection.id, _NAME))
    aliases = ET.SubElement(layer, "aliases")
    widgets = ET.SubElement(layer, "fieldConfiguration")
    for place, field in enumerate(collection.fields.values()):
        unit = f" ({field.unit})" if field.unit else ""
        ET.SubElement(
            aliases, "alias", field=field.name, index=str(place), name=f"{field.title_zh}{unit}"
        )
        if field.codes is not None and not field.joined:
            _value_map(ET.SubElement(widgets, "field", name=field.name), field.codes)
    _form(layer, collection)


def _form(layer: ET.Element, collection: Collection) -> None:
    """What a drawer has to fill in, and what follows by itself."""
    drawn = LAYERS.get(collection.id) if collection.editable else None
    if drawn is None or not drawn.makes:
        return
    editable, constraints = ET.SubElement(layer, "editable"), ET.SubElement(layer, "constraints")
    expressions = ET.SubElement(layer, "constraintExpressions")
    filled = needed(drawn)
    for field in collection.fields.values():
        ET.SubElement(
            editable, "field", name=field.name, editable=str(int(field.name in drawn.own))
        )
        if field.name in filled:
            ET.SubElement(constraints, "constraint", _NOT_NULL, field=field.name)
        if field.joined and field.name in drawn.own:
            ET.SubElement(
                expressions,
                "constraint",
                field=field.name,
                exp=f"regexp_match(\"{field.name}\", '{pattern_of(field)}') > 0",
                desc=codes_in_words(field.codes, "", joined=True).zh if field.codes else "",
            )


#: As QGIS writes it: a value is needed (1), and without one nothing is saved (strength 1).
_NOT_NULL = {
    "constraints": "1",
    "notnull_strength": "1",
    "unique_strength": "0",
    "exp_strength": "0",
}


def _renderer(layer: ET.Element, collection: Collection) -> None:
    fill, width = _LOOKS[collection.id]
    if collection.id != "free_space":
        renderer = ET.SubElement(layer, "renderer-v2", type="singleSymbol")
        _symbols(renderer, [fill], width)
        return
    renderer = ET.SubElement(layer, "renderer-v2", type="categorizedSymbol", attr="unit_type")
    categories = ET.SubElement(renderer, "categories")
    for place, kind in enumerate(COLOURS):
        ET.SubElement(
            categories,
            "category",
            value=kind.value,
            label=kind.zh,
            symbol=str(place),
            render="true",
        )
    _symbols(renderer, list(COLOURS.values()), width)


def _symbols(renderer: ET.Element, fills: Sequence[str], width: str) -> None:
    symbols = ET.SubElement(renderer, "symbols")
    for place, fill in enumerate(fills):
        symbol = ET.SubElement(symbols, "symbol", type="fill", name=str(place), alpha="1")
        drawn = ET.SubElement(symbol, "layer", {"class": "SimpleFill", "enabled": "1"})
        options = ET.SubElement(drawn, "Option", type="Map")
        _options(
            options,
            color=_colour(fill or _PALE),
            style="solid" if fill else "no",
            outline_color=_colour(_INK),
            outline_width=width,
            outline_width_unit="MM",
        )


def _labels(layer: ET.Element, expression: str) -> None:
    settings = ET.SubElement(ET.SubElement(layer, "labeling", type="simple"), "settings")
    style = ET.SubElement(
        settings,
        "text-style",
        fieldName=expression,
        isExpression="1",
        fontSize="9",
        fontSizeUnit="Point",
        textColor=_colour(_INK),
        textOpacity="1",
    )
    ET.SubElement(
        style,
        "text-buffer",
        bufferDraw="1",
        bufferSize="0.8",
        bufferSizeUnits="MM",
        bufferColor="255,255,255,255",
        bufferOpacity="1",
    )
    ET.SubElement(settings, "placement", placement="1", priority="5")
    ET.SubElement(settings, "rendering", obstacle="1", drawLabels="1")


def _value_map(field: ET.Element, codes: type[Term]) -> None:
    """Codes as people say them, in tables and forms."""
    widget = ET.SubElement(field, "editWidget", type="ValueMap")
    config = ET.SubElement(ET.SubElement(widget, "config"), "Option", type="Map")
    listed = ET.SubElement(config, "Option", name="map", type="List")
    for code in codes:
        _options(ET.SubElement(listed, "Option", type="Map"), **{code.zh: code.value})


def _options(parent: ET.Element, **values: str) -> None:
    for name, value in values.items():
        ET.SubElement(parent, "Option", name=name, type="QString", value=value)


def _system(parent: ET.Element) -> None:
    _text(ET.SubElement(parent, "spatialrefsys"), "authid", "EPSG:4326")


def _colour(text: str) -> str:
    """``#rrggbb`` as QGIS writes it."""
    red, green, blue = (int(text[place : place + 2], 16) for place in (1, 3, 5))
    return f"{red},{green},{blue},255"


def _text(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, name).text = text
