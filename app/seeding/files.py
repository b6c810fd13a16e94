"""Reads ``data/shanghai``, and refuses it where tables disagree with each other."""

import csv
import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from shapely import MultiPolygon, Polygon
from shapely.geometry import shape

from app.demand.rules import Rules, load_rules
from app.kernel.errors import InvalidInputError
from app.kernel.terms import LayoutRole
from app.seeding.reference import (
    BuildingTypeRow,
    FacilityRow,
    FirmsTable,
    LinkRow,
    ParkRow,
    PlotRow,
    ProgrammeRow,
    RequestRow,
    ReserveRow,
    Row,
    SiteRow,
    SourcedRow,
    StationRow,
    UnitTypeRow,
    ZoneRow,
)

_AnyRow = TypeVar("_AnyRow", bound=Row)
_FOLDER = "shanghai"
#: The files that decide what is loaded. The needs tables do not: staff may edit them at any time,
#: and a request keeps the needs that were derived for it, with their version.
_FILES = (
    "outlines.geojson",
    "zones.toml",
    "parks.toml",
    "programmes.toml",
    "building_types.toml",
    "unit_types.toml",
    "sites.toml",
    "facilities.toml",
    "metro_stations.csv",
    "firms.toml",
    "links.toml",
    "requests.toml",
)
#: Zones and parks were drawn apart from each other; a park may reach this much over the edge.
_IN_ZONE = 0.95


class ReferenceDataError(InvalidInputError):
    """A reference file is wrong; the message names the file and the row."""

    slug, title = "reference-data", "The reference data is wrong"
    title_zh = "基础数据有误"


@dataclass(frozen=True, slots=True)
class Reference:
    """All reference tables, read and checked."""

    outlines: Mapping[str, Polygon]
    zones: tuple[ZoneRow, ...]
    parks: Mapping[str, ParkRow]
    programmes: Mapping[str, ProgrammeRow]
    building_types: Mapping[str, BuildingTypeRow]
    unit_types: Mapping[str, UnitTypeRow]
    sites: tuple[SiteRow, ...]
    plots: Mapping[str, PlotRow]
    reserve: ReserveRow
    facilities: tuple[FacilityRow, ...]
    stations: tuple[StationRow, ...]
    firms: FirmsTable
    links: tuple[LinkRow, ...]
    requests: tuple[RequestRow, ...]
    rules: Rules

    def ground(self, park: str) -> MultiPolygon | None:
        """The park's ground in EPSG:4326, or None where nothing was drawn."""
        pieces = [self.outlines[code] for code in self.parks[park].outlines]
        return MultiPolygon(pieces) if pieces else None


def content_sha256(data_dir: Path) -> str:
    """Digest of all files that decide what is loaded."""
    digest = hashlib.sha256()
    for name in _FILES:
        content = (data_dir / _FOLDER / name).read_bytes()
        digest.update(f"{name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def read_reference(data_dir: Path) -> Reference:
    """Read and check all tables.

    Raises:
        ReferenceDataError: a file breaks its form, or tables disagree.
    """
    folder = data_dir / _FOLDER
    sites = _toml(folder / "sites.toml")
    plots = {code: _row(PlotRow, row, "sites.toml") for code, row in sites.pop("plots").items()}
    _row(SourcedRow, sites.pop("basis"), "sites.toml")
    reserve = _row(ReserveRow, sites.pop("reserve"), "sites.toml")
    with (folder / "metro_stations.csv").open(encoding="utf-8", newline="") as lines:
        stations = tuple(
            _row(StationRow, row, "metro_stations.csv") for row in csv.DictReader(lines)
        )
    building_types = _table(BuildingTypeRow, folder / "building_types.toml", "building_type")
    reference = Reference(
        outlines=_outlines(folder / "outlines.geojson"),
        zones=_table(ZoneRow, folder / "zones.toml", "zone"),
        parks={row.code: row for row in _table(ParkRow, folder / "parks.toml", "park")},
        programmes={
            row.code: row for row in _table(ProgrammeRow, folder / "programmes.toml", "programme")
        },
        building_types={row.code: row for row in building_types},
        unit_types={
            row.code: row for row in _table(UnitTypeRow, folder / "unit_types.toml", "unit_type")
        },
        sites=tuple(_row(SiteRow, row, "sites.toml") for row in sites["site"]),
        plots=plots,
        reserve=reserve,
        facilities=_table(FacilityRow, folder / "facilities.toml", "facility"),
        stations=stations,
        firms=_row(FirmsTable, _toml(folder / "firms.toml"), "firms.toml"),
        links=_table(LinkRow, folder / "links.toml", "link"),
        requests=_table(RequestRow, folder / "requests.toml", "request"),
        rules=load_rules(data_dir),
    )
    faults = [*_dangling(reference), *_dangling_later(reference)]
    faults = faults or list(_disagreements(reference))
    if faults:
        raise ReferenceDataError("reference tables disagree: " + "; ".join(faults))
    return reference


def _toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text("utf-8"), parse_float=Decimal)


def _table(model: type[_AnyRow], path: Path, key: str) -> tuple[_AnyRow, ...]:
    return tuple(_row(model, row, path.name) for row in _toml(path)[key])


def _row(model: type[_AnyRow], values: Mapping[str, Any], file: str) -> _AnyRow:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        name = values.get("code", values.get("name_zh", "?"))
        raise ReferenceDataError(f"{file}, row {name}: {error}") from error


def _outlines(path: Path) -> dict[str, Polygon]:
    outlines = {}
    for feature in json.loads(path.read_text("utf-8"))["features"]:
        outline = shape(feature["geometry"])
        if not isinstance(outline, Polygon) or not outline.is_valid:
            raise ReferenceDataError(f"{path.name}: {feature['id']} is not a valid polygon")
        outlines[str(feature["id"])] = outline
    return outlines


def _disagreements(reference: Reference) -> Iterator[str]:
    zones = {zone.code: zone for zone in reference.zones}
    roles = [zone.layout_role for zone in reference.zones]
    if [roles.count(role) for role in LayoutRole] != [1, 5, 1]:
        yield "the zones are not one core, five specialised areas and the X"
    for park in reference.parks.values():
        ground = reference.ground(park.code)
        around = zones[park.zone].outline
        if ground and around and _share_inside(ground, reference.outlines[around]) < _IN_ZONE:
            yield f"park {park.code} is not inside zone {park.zone}"
        parent = reference.ground(park.parent) if park.parent else None
        if ground and parent and not ground.within(parent):
            yield f"park {park.code} is not inside park {park.parent}"
    yield from _wrong_sums(reference)


def _share_inside(ground: MultiPolygon, around: Polygon) -> float:
    return float(ground.intersection(around).area / ground.area)


def _dangling(reference: Reference) -> Iterator[str]:
    zones = {zone.code for zone in reference.zones}
    for park in reference.parks.values():
        if park.zone not in zones or (park.parent and park.parent not in reference.parks):
            yield f"park {park.code} names an unknown zone or park"
        yield from (
            f"park {park.code} names the unknown outline {code}"
            for code in park.outlines
            if code not in reference.outlines
        )
    for programme in reference.programmes.values():
        above = (programme.parent, *programme.also_towards)
        if any(code and code not in reference.programmes for code in above):
            yield f"programme {programme.code} names an unknown programme"
        if programme.park and programme.park not in reference.parks:
            yield f"programme {programme.code} names an unknown park"
    for site in reference.sites:
        named = (site.programme, site.under, site.also)
        if any(code and code not in reference.programmes for code in named):
            yield f"site {site.code} names an unknown programme"
        if site.park not in reference.parks or reference.ground(site.park) is None:
            yield f"site {site.code} names a park without an outline"
        if any(group.type not in reference.building_types for group in site.groups):
            yield f"site {site.code} names an unknown building type"


def _dangling_later(reference: Reference) -> Iterator[str]:
    """The same of what lies on top of the sites: passages and requests."""
    sites = {site.code for site in reference.sites}
    zones = {zone.code for zone in reference.zones}
    for link in reference.links:
        if link.site not in sites:
            yield f"a passage names the unknown site {link.site}"
    for request in reference.requests:
        for key, known in (("parks", set(reference.parks)), ("zones", zones)):
            yield from (
                f"request {request.code} names {code}, which is none of the {key}"
                for code in set(request.form.get(key, ())) - known
            )


def _wrong_sums(reference: Reference) -> Iterator[str]:
    """Sites must add up to what their programmes publish."""
    for programme in reference.programmes.values():
        sites = [site for site in reference.sites if programme.code in towards(reference, site)]
        total = sum((site.floor_area_m2 for site in sites), Decimal(0))
        if sites and programme.target_floor_area_m2 not in (None, total):
            yield (
                f"sites of {programme.code} sum to {total} m² instead of "
                f"{programme.target_floor_area_m2}"
            )


def towards(reference: Reference, site: SiteRow) -> tuple[str, ...]:
    """Codes of the published programmes a site's buildings count towards, nearest first."""
    pending = [code for code in (site.programme, site.under, site.also) if code]
    found: dict[str, None] = {}
    while pending:
        code = pending.pop(0)
        found[code] = None
        programme = reference.programmes[code]
        pending += [above for above in (programme.parent, *programme.also_towards) if above]
    return tuple(found)
