"""How a map of everything is drawn: a style in MapLibre's language, with Chinese labels.

Kinds of units have a colour each; what is free has it in full, the rest is pale. Nothing in it is
fetched from elsewhere: no fonts are named by address, so that the browser draws its own.
"""

from typing import Any

from app.kernel.terms import UnitType
from app.ogc.tiles.asked import MAP
from app.ogc.tiles.documents import OPENING_ZOOM, STYLE, Position
from app.ogc.tiles.grid import GRID_ID
from app.ogc.tiles.layers import MAP_ID

Document = dict[str, Any]

TITLE = "园区空间 Space Relay"
_SOURCE = MAP_ID
#: Told apart also by those who see red and green alike.
COLOURS: dict[UnitType, str] = {
    UnitType.INCUBATION: "#f0a202",
    UnitType.ACCELERATION: "#56b4e9",
    UnitType.PILOT: "#009e73",
    UnitType.HQ_RD: "#9467bd",
    UnitType.PRODUCTION: "#d1495b",
}
_OTHER, _FREE, _INK, _HALO = "#888888", "#0b8f4d", "#25323d", "#ffffff"
# Expressions are those that QGIS 3.22 can read too: it knows neither ``coalesce`` nor ``concat``,
# and of ``match`` only lists of values.
_NAME = ["get", "name_zh"]
#: Floors lie on each other: one is shown, and pages choose another by ``setFilter``.
_ON_GROUND: Document = {"filter": ["==", ["get", "level_index"], 0]}
_BY_TYPE: list[Any] = [
    *("match", ["get", "unit_type"]),
    *(part for kind, colour in COLOURS.items() for part in ([kind.value], colour)),
    _OTHER,
]


def map_style(base: str, centre: Position, query: str = "", level: str | None = None) -> Document:
    """The style; ``base`` is the address that links begin with.

    It opens on ``centre`` (degrees). ``query`` is what was asked, with a question mark before it if
    anything: its tiles are asked for with it. Where that asks for one ``level`` all of it is shown,
    else of each building the ground floor.
    """
    shown = _ON_GROUND if level is None else {}
    return {
        "version": 8,
        "name": TITLE,
        "metadata": {
            "space-relay:labels": (
                "中文标注由浏览器字体绘制 (MapLibre GL JS 5.11+；更早版本须自设 glyphs 并设"
                " localIdeographFontFamily). Labels are drawn with the browser's own fonts."
            ),
            "space-relay:level": (
                "units, free_space 默认显示首层 level_index = 0 by their filter"
                if level is None
                else f"units, free_space 仅含 level_index = {level} alone"
            ),
            "space-relay:colours": {kind.value: colour for kind, colour in COLOURS.items()},
        },
        "center": list(centre),
        "zoom": OPENING_ZOOM,
        "sources": {
            _SOURCE: {
                "type": "vector",
                "url": f"{base}{MAP.path}/tiles/{GRID_ID}/tilejson{query}",
            }
        },
        "layers": [
            {"id": "background", "type": "background", "paint": {"background-color": "#f6f4ee"}},
            *_land(),
            *_units(shown),
            *_far_away(),
            *_labels(shown),
        ],
    }


def styles(base: str) -> Document:
    """The styles there are: one."""
    own = f"{base}/styles"
    return {
        "links": [{"href": own, "rel": "self", "type": "application/json"}],
        "default": MAP_ID,
        "styles": [
            {
                "id": MAP_ID,
                "title": TITLE,
                "links": [{"href": f"{own}/{MAP_ID}", "rel": "stylesheet", "type": STYLE}],
            }
        ],
    }


def _of(id_: str, kind: str, source_layer: str, paint: Document, **more: Any) -> Document:
    return {
        "id": id_,
        "type": kind,
        "source": _SOURCE,
        "source-layer": source_layer,
        **more,
        "paint": paint,
    }


def _land() -> list[Document]:
    return [
        _of("zones", "line", "zones", {"line-color": "#8a6d3b", "line-width": 1.5}),
        _of("parks", "fill", "parks", {"fill-color": "#d9e6d2", "fill-opacity": 0.6}),
        _of("parks-edge", "line", "parks", {"line-color": "#6a994e", "line-width": 1}),
        _of(
            "parcels",
            "line",
            "parcels",
            {"line-color": "#a08c6c", "line-width": 0.8, "line-dasharray": [4, 2]},
        ),
        _of(
            "buildings",
            "fill",
            "buildings",
            {"fill-color": "#d5d3cd", "fill-outline-color": "#8d8a83"},
        ),
    ]


def _units(shown: Document) -> list[Document]:
    return [
        _of(
            "units",
            "fill",
            "units",
            {"fill-color": _BY_TYPE, "fill-opacity": 0.2},
            minzoom=15,
            **shown,
        ),
        _of(
            "free-space",
            "fill",
            "free_space",
            {"fill-color": _BY_TYPE, "fill-opacity": 0.85},
            minzoom=15,
            **shown,
        ),
        _of(
            "units-edge",
            "line",
            "units",
            {"line-color": "#ffffff", "line-width": 0.6},
            minzoom=16,
            **shown,
        ),
        _of(
            "free-space-edge",
            "line",
            "free_space",
            {"line-color": _FREE, "line-width": 1.6},
            minzoom=16,
            **shown,
        ),
    ]


def _far_away() -> list[Document]:
    """How much is free in a park or building: the area of its circle."""
    radius = ["interpolate", ["linear"], ["sqrt", ["coalesce", ["get", "free_area_m2"], 0]]]
    return [
        _of(
            f"free-by-{name}",
            "circle",
            f"free_space_{name}s",
            {
                "circle-color": _FREE,
                "circle-opacity": 0.75,
                "circle-stroke-color": _HALO,
                "circle-stroke-width": 1,
                "circle-radius": [*radius, 0, 4, most, 22],
            },
        )
        for name, most in (("park", 500), ("building", 150))
    ]


def _labels(shown: Document) -> list[Document]:
    free = "{units_count} 处可用"
    return [
        _label("zone-names", "zones", 15, _NAME, maxzoom=12),
        _label("park-names", "parks", 13, _NAME, minzoom=11),
        _label("building-names", "buildings", 12, _NAME, minzoom=15),
        *(
            _label(f"free-by-{name}-count", f"free_space_{name}s", 11, free)
            for name in ("park", "building")
        ),
        _label("unit-codes", "units", 11, ["get", "code"], minzoom=17, **shown),
    ]


def _label(id_: str, source_layer: str, size: int, words: list[str] | str, **more: Any) -> Document:
    layout = {
        "text-field": words,
        "text-size": size,
        "text-font": ["Noto Sans CJK SC", "Microsoft YaHei", "PingFang SC", "sans-serif"],
        "text-max-width": 10,
    }
    paint = {"text-color": _INK, "text-halo-color": _HALO, "text-halo-width": 1.4}
    return _of(id_, "symbol", source_layer, paint, layout=layout, **more)
