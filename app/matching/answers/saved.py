"""Open requests, many at once, each ready to be judged on a few buildings."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.demand.needs import PlaceNames, from_json, named
from app.demand.pipeline import StageEntry
from app.demand.requests import place_names
from app.kernel.terms import PipelineStage
from app.matching.answers.policies import Weights
from app.matching.answers.question import Asked, Tables, demand_of, growth_stated
from app.matching.rules.demand import Demand, Growth

#: Those whose latest start has not passed; days as JSON has them sort as text.
_OPEN = """
SELECT r.id, r.version, r.company_id, r.stated, r.needs, a.modality,
    c.name_zh AS company_name_zh, c.name_en AS company_name_en,
    (SELECT json_agg(json_build_array(e.stage, e.entered_on, e.expected) ORDER BY e.id)
        FROM pipeline_stage_entries e WHERE e.pipeline_asset_id = r.pipeline_asset_id) AS history
FROM space_requests r JOIN companies c ON c.id = r.company_id
LEFT JOIN pipeline_assets a ON a.id = r.pipeline_asset_id
WHERE r.state = 'open'
    AND (CAST(:kinds AS text[]) IS NULL OR r.unit_type = ANY (CAST(:kinds AS text[])))
    AND (CAST(:company_id AS uuid) IS NULL OR r.company_id = CAST(:company_id AS uuid))
    AND (CAST(:ids AS uuid[]) IS NULL OR r.id = ANY (CAST(:ids AS uuid[])))
    AND jsonb_path_exists(r.needs, '$[*] ? (@.key == "latest_from" && @.value >= $day)',
        jsonb_build_object('day', CAST(:day AS text)))
ORDER BY r.created_at, r.id"""


@dataclass(frozen=True, slots=True)
class Saved:
    """An open request with whose it is."""

    id: UUID
    version: int
    company_id: UUID
    company_name_zh: str
    company_name_en: str | None
    needs: Sequence[Mapping[str, Any]]
    growth: Growth | None


def open_requests(
    session: Session,
    tables: Tables,
    day: date,
    *,
    kinds: Collection[str] | None = None,
    company_id: UUID | None = None,
    ids: Collection[UUID] | None = None,
) -> list[Saved]:
    """Open requests whose latest start is this day or later, oldest first.

    Args:
        session: where to read.
        tables: what needs are derived from.
        day: the civil day in Shanghai.
        kinds: of space; None for all.
        company_id: of this firm alone.
        ids: these alone.
    """
    asked = {
        "day": day.isoformat(),
        "kinds": None if kinds is None else sorted(kinds),
        "company_id": company_id,
        "ids": None if ids is None else sorted(ids),
    }
    return [
        Saved(
            id=row.id,
            version=row.version,
            company_id=row.company_id,
            company_name_zh=row.company_name_zh,
            company_name_en=row.company_name_en,
            needs=row.needs,
            growth=growth_stated(
                row.stated,
                row.modality,
                [
                    StageEntry(named(PipelineStage, stage), date.fromisoformat(on), expected)
                    for stage, on, expected in row.history or ()
                ],
                tables.needs,
                day,
            ),
        )
        for row in session.execute(text(_OPEN), asked)
    ]


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads requests as demands: what all of them share is looked up once."""

    tables: Tables
    names: PlaceNames
    weights: Weights
    day: date

    @classmethod
    def at(cls, session: Session, tables: Tables, weights: Weights, day: date) -> "Reader":
        """With the names of zones and parks as they are now."""
        return cls(tables, place_names(session), weights, day)

    def demand(self, needs: Sequence[Mapping[str, Any]], growth: Growth | None) -> Demand:
        """What is asked, from the reader's day on."""
        read = tuple(from_json(need) for need in needs)
        asked = Asked(needs=read, day=self.day, weights=self.weights, growth=growth)
        return demand_of(asked, self.tables, self.names)


_LINKED = """
WITH RECURSIVE touched AS (
    SELECT unnest(CAST(:ids AS uuid[])) AS id
    UNION
    SELECT CASE WHEN l.building_a_id = t.id THEN l.building_b_id ELSE l.building_a_id END
    FROM touched t JOIN building_links l ON t.id IN (l.building_a_id, l.building_b_id)
)
SELECT id FROM touched"""


def with_linked(session: Session, building_ids: Collection[UUID]) -> frozenset[UUID]:
    """Buildings, and those that passages join to them: bundles reach over passages."""
    return frozenset(session.scalars(text(_LINKED), {"ids": sorted(building_ids)}))
