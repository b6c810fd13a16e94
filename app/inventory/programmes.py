"""Programmes: their published figures beside what the buildings add up to."""

from typing import Literal

from pydantic import Field
from sqlalchemy import func, true
from sqlalchemy.orm import Session

from app.database.paging import Page, PageRequest
from app.inventory.columns import (
    AreaStandard,
    area,
    areas,
    coded,
    named,
    nullable,
    parents_flat,
    plain,
    provenance,
)
from app.inventory.filters import InZone, Wanted, Word
from app.inventory.listing import Listing, get_row, list_page
from app.inventory.places import among, find_places, park_conditions
from app.inventory.predicates import one_of, related, same, shared_conditions
from app.inventory.totals import PROGRAMME_TOTALS, PROGRAMME_TOTALS_FLAT, programme_totals
from app.kernel.terms import Confidence, MilestoneStep
from app.models.programme import Programme
from app.models.space import Park, Zone

_G = Programme.__table__
_K = Park.__table__
_Z = Zone.__table__
_PARENT = _G.alias("parent")
_FIGURES = plain("programmes", "published_building_count", "published_investment_cny")
_PUBLISHED_AREAS = plain(
    "programmes",
    "target_floor_area_m2",
    "published_lettable_area_m2",
    "published_land_area_m2",
)
_MILESTONE = ", ".join(
    f"'{name}', {sql}"
    for name, sql in {
        **plain("m", "seq"),
        **coded("m.step", MilestoneStep),
        **plain("m", "floor_area_m2", "planned_on", "actual_on", "date_precision", "source"),
        **coded("m.confidence", Confidence),
    }.items()
)
_MILESTONES = (
    f"coalesce((SELECT json_agg(json_build_object({_MILESTONE}) ORDER BY m.seq)"  # noqa: S608
    " FROM programme_milestones m WHERE m.programme_id = programmes.id), '[]'::json)"
)
_PROJECTS = (
    f"coalesce((SELECT json_agg({named('project', 'target_floor_area_m2')}"  # noqa: S608
    " ORDER BY project.seq, project.code)"
    " FROM programmes project WHERE project.parent_programme_id = programmes.id), '[]'::json)"
)
#: A programme has no outline of its own; on a map it is the footprints that count towards it.
_FOOTPRINTS = """(
    WITH RECURSIVE within (id) AS (
        SELECT programmes.id
        UNION
        SELECT p.id FROM programmes p JOIN within ON p.parent_programme_id = within.id
    )
    SELECT ST_ForcePolygonCCW(ST_Multi(ST_Union(b.geom))) FROM buildings b
    WHERE b.id IN (
        SELECT m.building_id FROM programme_buildings m JOIN within ON within.id = m.programme_id
    )
)"""

LISTING = Listing(
    singular="programme",
    table=_G,
    joined=_G.outerjoin(_PARENT, _PARENT.c.id == _G.c.parent_programme_id)
    .outerjoin(_K, _K.c.id == _G.c.park_id)
    .outerjoin(_Z, _Z.c.id == _K.c.zone_id)
    .join(programme_totals(), true()),
    members={
        **plain("programmes", "id", "code", "name_zh", "name_en", "seq"),
        "parent": nullable("parent.id", named("parent")),
        "projects": _PROJECTS,
        "zone": nullable("zones.id", named("zones")),
        "park": nullable("parks.id", named("parks", "district")),
        **areas(
            area(AreaStandard.TARGET_FLOOR, "programmes.target_floor_area_m2"),
            area(AreaStandard.PUBLISHED_LETTABLE, "programmes.published_lettable_area_m2"),
            area(AreaStandard.PUBLISHED_LAND, "programmes.published_land_area_m2"),
        ),
        **_FIGURES,
        "totals": PROGRAMME_TOTALS,
        "milestones": _MILESTONES,
        **plain("programmes", "note_zh", "note_en"),
        **provenance("programmes"),
    },
    properties={
        **plain("programmes", "id", "code", "name_zh", "name_en", "seq"),
        "parent_programme_code": "parent.code",
        **parents_flat(zone="zones", park="parks"),
        **_PUBLISHED_AREAS,
        **_FIGURES,
        **PROGRAMME_TOTALS_FLAT,
        **plain("programmes", "source", "confidence", "synthetic"),
    },
    outline=_FOOTPRINTS,
    sorts={
        "code": _G.c.code,
        "seq": _G.c.seq,
        "area": func.coalesce(_G.c.target_floor_area_m2, 0),
    },
)


class ProgrammesWanted(InZone, Wanted):
    """Which programmes."""

    park: Word | None = Field(
        default=None, description="code or id of a park; parks that lie in it are included"
    )
    programme: Word | None = Field(
        default=None, description="code or id of a programme: it and its projects"
    )
    top: bool | None = Field(
        default=None, description="true: only programmes that are in no other; false: only projects"
    )
    sort: Literal["code", "-code", "seq", "-seq", "area", "-area"] = Field(
        default="code", description="order; `-` is descending; `area` is the target floor area"
    )


def list_programmes(
    session: Session, wanted: ProgrammesWanted, page: PageRequest, *, geojson: bool
) -> Page:
    """One page of programmes."""
    places = find_places(session, wanted)
    conditions = [
        *shared_conditions(_G, wanted),
        *park_conditions(_G.c.park_id, places),
        *related(_G.c.park_id, _K, *one_of(_K.c.layout_role, wanted.layout_role)),
        *same(_G.c.parent_programme_id.is_(None), wanted.top),
    ]
    if "programme" in places:
        conditions.append(among(_G.c.id, places["programme"]))
    return list_page(
        session, LISTING, wanted, conditions, sort=wanted.sort, page=page, geojson=geojson
    )


def get_programme(session: Session, id_or_code: str, *, geojson: bool) -> str:
    """One programme as JSON text."""
    return get_row(session, LISTING, id_or_code, geojson=geojson)
