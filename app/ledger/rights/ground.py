"""Rights lie on ground, not on unit numbers: what lies on what, asked of the database.

Two things meet where more than ``SLIVER_M2`` of ground is in both; shared walls do not count. Units
are taken piece by piece: the outline that is believed now, on the days for which it is.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, DateTime, LargeBinary, Row, Text, TextClause, Uuid, bindparam, text
from sqlalchemy.dialects.postgresql import DATERANGE, Range
from sqlalchemy.orm import Session

from app.kernel.period import Period
from app.kernel.terms import ClaimKind, RightKind
from app.ledger.rights.binding import HeldRight, Meeting

#: What rounding may make two outlines share, m²; the rules of migration 0002 allow as much.
SLIVER_M2 = 0.01
#: Kinds by what columns hold.
RIGHT_KINDS = {kind.value: kind for kind in RightKind}
_CLAIM_KINDS = {kind.value: kind for kind in ClaimKind}
#: Kinds of claims that are promises to a company.
PROMISES = (ClaimKind.HOLD, ClaimKind.LEASE, ClaimKind.RESERVATION)


@dataclass(frozen=True, slots=True)
class Outline:
    """Ground of one floor, as EWKB."""

    park_id: UUID
    floor_id: UUID
    ewkb: bytes


@dataclass(frozen=True, slots=True)
class RightOnUnit:
    """A right as it lies on one unit."""

    right_id: UUID
    kind: RightKind
    company_id: UUID
    company_name_zh: str
    company_name_en: str
    rank: int
    window: Period
    notice_days: int
    overlap_m2: float


@dataclass(frozen=True, slots=True)
class PromiseOnGround:
    """A live promise to a company, on one unit of the ground."""

    commitment_id: UUID
    kind: ClaimKind
    company_id: UUID
    company_name_zh: str
    company_name_en: str
    unit_code: str
    period: Period


def _overlaps(one: str, other: str) -> str:
    # The relation first: it is cheaper than the overlap, and most neighbours end there.
    return (
        f"{one} && {other} AND ST_Relate({one}, {other}, 'T********')"
        f" AND ST_Area(ST_Intersection({one}, {other})::geography) > {SLIVER_M2}"
    )


_RIGHT = """r.id AS right_id, r.kind, r.company_id, r.rank, r.notice_days,
        lower(r.binds) AS start, upper(r.binds) AS until"""
_GROUND = """ground AS (
        SELECT floor_id, ST_GeomFromEWKB(ewkb) AS geom
        FROM unnest(CAST(:floors AS uuid[]), CAST(:outlines AS bytea[])) AS g (floor_id, ewkb)
    )"""


def _sql(statement: str, **types: Any) -> TextClause:
    named: dict[str, Any] = {
        "units": ARRAY(Uuid),
        "floors": ARRAY(Uuid),
        "outlines": ARRAY(LargeBinary),
        "period": DATERANGE,
        "instant": DateTime(timezone=True),
    } | types
    return text(statement).bindparams(
        *(bindparam(name, type_=type_) for name, type_ in named.items() if f":{name}" in statement)
    )


_MEETINGS = _sql(f"""
    SELECT u.terms_id, {_RIGHT},
        lower(r.binds * u.valid) AS days_start, upper(r.binds * u.valid) AS days_until
    FROM unit_terms u
    JOIN right_footprints f ON f.floor_id = u.floor_id AND {_overlaps("u.geom", "f.geom")}
    JOIN rights r ON r.id = f.right_id AND upper_inf(r.known)
    WHERE u.id = ANY(:units) AND u.known_until IS NULL
        AND r.binds && u.valid AND r.binds * u.valid && :period
    ORDER BY r.rank, r.id, u.terms_id""")  # noqa: S608  (pieces of our own code)

_UNDER = _sql(
    f"""
    SELECT u.terms_id, other.right_id AS right_id, own.right_id AS own_id
    FROM unit_terms u
    JOIN right_footprints own ON own.floor_id = u.floor_id AND own.right_id = ANY(:own)
    JOIN right_footprints other ON other.floor_id = u.floor_id AND other.right_id = ANY(:others)
    WHERE u.terms_id = ANY(:pieces) AND ST_Area(ST_Difference(ST_CollectionExtract(
        ST_Intersection(u.geom, other.geom), 3), own.geom)::geography) <= {SLIVER_M2}""",  # noqa: S608
    own=ARRAY(Uuid),
    others=ARRAY(Uuid),
    pieces=ARRAY(Uuid),
)


def meetings(
    session: Session, unit_ids: Sequence[UUID], company_id: UUID, period: Period
) -> list[Meeting]:
    """The standing rights on units on days of ``period``, the company's own included."""
    found = session.execute(
        _MEETINGS, {"units": list(unit_ids), "period": Range(period.start, period.end)}
    ).all()
    rights = {row.right_id: held_right(row) for row in found}
    own = [right.id for right in rights.values() if right.holder == company_id]
    others = [right.id for right in rights.values() if right.holder != company_id]
    under: dict[tuple[UUID, UUID], list[HeldRight]] = {}
    if own and others:
        pieces = sorted({row.terms_id for row in found})
        for piece in session.execute(_UNDER, {"own": own, "others": others, "pieces": pieces}):
            under.setdefault((piece.terms_id, piece.right_id), []).append(rights[piece.own_id])
    return [
        Meeting(
            rights[row.right_id],
            Period(row.days_start, row.days_until),
            tuple(under.get((row.terms_id, row.right_id), ())),
        )
        for row in found
    ]


def held_right(row: Row[Any]) -> HeldRight:
    """A right from the columns of ``_RIGHT``."""
    return HeldRight(
        row.right_id,
        RIGHT_KINDS[row.kind],
        row.company_id,
        row.rank,
        Period(row.start, row.until),
        row.notice_days,
    )


_OUTLINES = _sql("""
    SELECT park_id, floor_id,
        ST_AsEWKB(ST_Multi(ST_CollectionExtract(ST_UnaryUnion(ST_Collect(u.geom)), 3))) AS ewkb
    FROM unit_terms u
    WHERE u.id = ANY(:units) AND u.known_until IS NULL AND u.valid @> CAST(:day AS date)
    GROUP BY park_id, floor_id ORDER BY floor_id""")
_MISSING = _sql("""
    SELECT wanted.id FROM unnest(CAST(:units AS uuid[])) WITH ORDINALITY AS wanted (id, place)
    WHERE NOT EXISTS (SELECT FROM unit_terms u WHERE u.id = wanted.id AND u.known_until IS NULL
        AND u.valid @> CAST(:day AS date))
    ORDER BY wanted.place""")


def absent(session: Session, unit_ids: Sequence[UUID], day: date) -> list[UUID]:
    """Units that do not exist, or not on a day."""
    return list(session.scalars(_MISSING, {"units": list(unit_ids), "day": day}))


def outlines_of(session: Session, unit_ids: Sequence[UUID], day: date) -> list[Outline]:
    """The ground of units as they are on a day, one for each floor."""
    found = session.execute(_OUTLINES, {"units": list(unit_ids), "day": day})
    return [Outline(row.park_id, row.floor_id, bytes(row.ewkb)) for row in found]


# The floors are named twice, so that the planner begins with the few units that are on them.
_UNITS_UNDER = _sql(f"""
    WITH {_GROUND} SELECT DISTINCT u.id FROM ground
    JOIN unit_terms u ON u.floor_id = ground.floor_id AND {_overlaps("u.geom", "ground.geom")}
    WHERE u.known_until IS NULL AND u.floor_id = ANY(:floors) ORDER BY u.id""")  # noqa: S608
_RIGHTS_UNDER = _sql(f"""
    WITH {_GROUND} SELECT DISTINCT {_RIGHT} FROM ground
    JOIN right_footprints f
        ON f.floor_id = ground.floor_id AND {_overlaps("f.geom", "ground.geom")}
    JOIN rights r ON r.id = f.right_id AND upper_inf(r.known)
    WHERE f.floor_id = ANY(:floors)
    ORDER BY r.rank, r.id""")  # noqa: S608
_PROMISES_UNDER = _sql(
    f"""
    WITH {_GROUND}, under AS (
        SELECT DISTINCT u.id, u.code, u.valid FROM ground
        JOIN unit_terms u ON u.floor_id = ground.floor_id AND {_overlaps("u.geom", "ground.geom")}
        WHERE u.known_until IS NULL AND u.floor_id = ANY(:floors)
    )
    SELECT DISTINCT c.commitment_id, c.kind, c.company_id, companies.name_zh, companies.name_en,
        under.code, lower(c.period) AS start, upper(c.period) AS until
    FROM under JOIN claims c ON c.unit_id = under.id AND c.period && under.valid
        AND c.period * under.valid && :period
    JOIN companies ON companies.id = c.company_id
    WHERE c.live @> :instant AND c.kind = ANY(:kinds) AND c.company_id <> :holder
    ORDER BY start, under.code, c.commitment_id""",  # noqa: S608
    kinds=ARRAY(Text),
    holder=Uuid(),
)


def units_under(session: Session, ground: Sequence[Outline]) -> list[UUID]:
    """All units that have part of the ground, whenever they exist."""
    return list(session.scalars(_UNITS_UNDER, _ground(ground)))


def rights_under(session: Session, ground: Sequence[Outline]) -> list[HeldRight]:
    """All standing rights that have part of the ground, by rank."""
    return [held_right(row) for row in session.execute(_RIGHTS_UNDER, _ground(ground))]


def promises_under(
    session: Session, ground: Sequence[Outline], period: Period, holder: UUID, at: datetime
) -> list[PromiseOnGround]:
    """What companies other than ``holder`` were promised, at an instant, of the ground."""
    found = session.execute(
        _PROMISES_UNDER,
        {
            **_ground(ground),
            "period": Range(period.start, period.end),
            "instant": at,
            "kinds": [kind.value for kind in PROMISES],
            "holder": holder,
        },
    )
    return [
        PromiseOnGround(
            row.commitment_id,
            _CLAIM_KINDS[row.kind],
            row.company_id,
            row.name_zh,
            row.name_en,
            row.code,
            Period(row.start, row.until),
        )
        for row in found
    ]


def _ground(ground: Sequence[Outline]) -> Mapping[str, Any]:
    return {
        "floors": [one.floor_id for one in ground],
        "outlines": [one.ewkb for one in ground],
    }


_ON_UNITS = _sql(f"""
    SELECT u.id AS unit_id, {_RIGHT}, companies.name_zh, companies.name_en,
        max(ST_Area(ST_Intersection(u.geom, f.geom)::geography)) AS overlap_m2
    FROM unit_terms u
    JOIN right_footprints f ON f.floor_id = u.floor_id AND {_overlaps("u.geom", "f.geom")}
    JOIN rights r ON r.id = f.right_id
    JOIN companies ON companies.id = r.company_id
    CROSS JOIN (SELECT coalesce(:instant, statement_timestamp()) AS instant) asked
    WHERE u.id = ANY(:units) AND u.known_from <= asked.instant
        AND (u.known_until IS NULL OR u.known_until > asked.instant)
        AND r.known @> asked.instant
        AND r.binds && u.valid AND r.binds * u.valid && :period
    GROUP BY u.id, r.id, companies.id
    ORDER BY u.id, r.rank, r.id""")  # noqa: S608


def rights_on_units(
    session: Session,
    unit_ids: Collection[UUID],
    period: Range[date],
    as_of: datetime | None = None,
) -> dict[UUID, list[RightOnUnit]]:
    """Who has a right on units on days of ``period``, as known at ``as_of`` (None: now).

    Units without rights are left out; each list is in the order of asking. It names companies:
    for staff only.
    """
    if not unit_ids:
        return {}
    found = session.execute(
        _ON_UNITS, {"units": sorted(unit_ids), "period": period, "instant": as_of}
    )
    on_units: dict[UUID, list[RightOnUnit]] = {}
    for row in found:
        on_units.setdefault(row.unit_id, []).append(
            RightOnUnit(
                row.right_id,
                RIGHT_KINDS[row.kind],
                row.company_id,
                row.name_zh,
                row.name_en,
                row.rank,
                Period(row.start, row.until),
                row.notice_days,
                round(row.overlap_m2, 2),
            )
        )
    return on_units
