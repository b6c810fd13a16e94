"""Who has a right on the units of leases, beside the leases."""

import json
from dataclasses import replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from app.database.paging import Page
from app.ledger.rights.ground import RightOnUnit, rights_on_units


def with_rights(session: Session, page: Page, day: date, as_of: datetime | None) -> Page:
    """A page of leases with ``rights`` in each line, in the order of asking.

    They are those that bind some day from ``day`` on, as known at ``as_of``, and name companies:
    for staff only.
    """
    rows: list[dict[str, Any]] = [json.loads(row) for row in page.rows]
    lines = [line for row in rows for line in row["lines"]]
    units = {UUID(line["unit_id"]) for line in lines}
    found = rights_on_units(session, units, Range(day, None), as_of)
    for line in lines:
        rights = sorted(found.get(UUID(line["unit_id"]), ()), key=_turn)
        line["rights"] = [_shown(right) for right in rights]
    return replace(page, rows=[json.dumps(row, ensure_ascii=False) for row in rows])


def _turn(right: RightOnUnit) -> tuple[int, date, UUID]:
    return right.rank, right.window.start, right.right_id


def _shown(right: RightOnUnit) -> dict[str, Any]:
    return {
        "right_id": str(right.right_id),
        "kind": right.kind.value,
        "kind_zh": right.kind.zh,
        "company_id": str(right.company_id),
        "company_name_zh": right.company_name_zh,
        "company_name_en": right.company_name_en,
        "rank": right.rank,
        "from": right.window.start.isoformat(),
        "until": None if right.window.end is None else right.window.end.isoformat(),
        "notice_days": right.notice_days,
        "overlap_m2": right.overlap_m2,
    }
