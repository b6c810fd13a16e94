"""How criteria are weighed: by default, by the house, by a park, or by whoever asks.

A set of weights names every criterion, in hundredths, and sums to 100. Sets are never edited: an
earlier one is closed, so that an answer of before is weighed as it was then.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.inventory.filters import Word
from app.inventory.places import id_or_none
from app.kernel.canonical import canonical
from app.kernel.errors import Fault, InvalidInputError, NotFoundError
from app.kernel.written import WrittenBody
from app.matching.answers.schemas import En, Hundredths, PlaceOut, Shown, Zh
from app.matching.engine.scoring import CRITERIA
from app.security.actors import Actor, NotAllowedError, Role

Weights = Mapping[str, int]

#: The weights where nobody set any: those that the criteria declare.
DEFAULT: Weights = {one.key: one.weight for one in CRITERIA}
ALL = 100

_IN_FORCE = """
SELECT p.id, p.code, p.name_zh, p.name_en, house.weights AS house, own.weights AS own,
    lower(coalesce(own.known, house.known)) AS since
FROM (SELECT coalesce(CAST(:as_of AS timestamptz), statement_timestamp()) AS instant) asked
LEFT JOIN parks p ON p.code = CAST(:park AS text) OR p.id = CAST(:park_id AS uuid)
LEFT JOIN match_policies house ON house.park_id IS NULL AND house.known @> asked.instant
LEFT JOIN match_policies own ON own.park_id = p.id AND own.known @> asked.instant"""


class PolicyIn(WrittenBody):
    """Weights of a park, or of the house."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"weights": {"rent": 15, "wishes": 35}}]},
    )

    weights: dict[Word, Hundredths] = Field(
        description="hundredths by criterion (`GET /match-criteria`); criteria left out keep their"
        " usual weight; 100 in all"
    )


class CriterionOut(Shown):
    """One criterion of the score."""

    key: str
    name_zh: Zh
    name_en: En
    weight: int = Field(description="usual weight in hundredths")


class CriterionList(Shown):
    """All criteria of the score."""

    items: list[CriterionOut]


class PolicyOut(Shown):
    """The weights in force."""

    park: PlaceOut | None = Field(description="null: of the house")
    weights: dict[str, int] = Field(description="hundredths by criterion, 100 in all")
    set_for: Literal["park", "house", "nobody"] = Field(
        description="whose own weights these are; nobody's are the usual ones"
    )
    since: datetime | None = Field(description="since when they hold; null: always")


def criteria() -> CriterionList:
    """Every criterion with its usual weight, in the order of their words in an answer."""
    return CriterionList(items=[CriterionOut.model_validate(one) for one in CRITERIA])


def weights_asked(
    session: Session, asked: Weights | None, park: str | None, as_of: datetime | None
) -> Weights:
    """The weights of a question: its own where it names them, else its policy's.

    Args:
        session: where policies are.
        asked: hundredths by criterion, as the body has them.
        park: code or id of the park whose policy is used; None is the house's.
        as_of: the instant whose policies are used; None is now.

    Raises:
        InvalidInputError: there is no such park or criterion, or the weights are not 100 in all.
    """
    row = _in_force(session, park, as_of)
    if park is not None and row["id"] is None:
        raise InvalidInputError(
            f"there is no park {park!r}",
            [Fault("/policy", f"there is no park {park!r}", detail_zh=f"没有园区 {park}")],
        )
    return merged(row["own"] or row["house"] or DEFAULT, asked or {}, "/weights")


def merged(base: Weights, asked: Weights, pointer: str) -> Weights:
    """A whole set: what is asked, over what is in force.

    Raises:
        InvalidInputError: there is no such criterion, or it is not 100 in all.
    """
    faults = [
        Fault(
            f"{pointer}/{key}",
            f"there is no criterion {key!r}; there are {', '.join(DEFAULT)}",
            detail_zh=f"没有评分项 {key}；可用：{'、'.join(DEFAULT)}",
        )
        for key in asked
        if key not in DEFAULT
    ]
    whole = {key: int(asked.get(key, base.get(key, 0))) for key in DEFAULT}
    total = sum(whole.values())
    if not faults and total != ALL:
        listed = ", ".join(f"{key} {weight}" for key, weight in whole.items())
        faults = [
            Fault(
                pointer,
                f"weights are 100 in all; with those left out these are {total}: {listed}",
                detail_zh=f"权重合计须为 100；连同未填项现为 {total}：{listed}",
            )
        ]
    if faults:
        raise InvalidInputError(
            "; ".join(fault.detail for fault in faults),
            faults,
            detail_zh="；".join(fault.detail_zh or "" for fault in faults),
        )
    return whole


def get_policy(session: Session, park: str | None) -> PolicyOut:
    """The weights that hold for a park now, or for the house.

    Raises:
        NotFoundError: there is no such park.
    """
    row = _in_force(session, park, None)
    if park is not None and row["id"] is None:
        raise NotFoundError(f"there is no park {park!r}", detail_zh=f"没有园区 {park}")
    return PolicyOut(
        park=None if park is None else PlaceOut.model_validate(row),
        weights=merged(row["own"] or row["house"] or DEFAULT, {}, "/weights"),
        set_for="park" if row["own"] else "house" if row["house"] else "nobody",
        since=row["since"],
    )


def set_policy(session: Session, actor: Actor, park: str | None, weights: Weights) -> PolicyOut:
    """Put weights in force from now on: a park's by its managers, the house's by administrators.

    Raises:
        InvalidInputError: there is no such criterion, or the weights are not 100 in all.
        NotFoundError: there is no such park.
    """
    actor.require_staff(Role.ADMIN if park is None else Role.MANAGER)
    if park is None and actor.park_ids is not None:
        raise NotAllowedError(
            "this token is for some parks only; the house's weights are for all",
            detail_zh="该令牌仅限部分园区，不可设置全局权重",
        )
    before = get_policy(session, park)
    park_id = None if before.park is None else before.park.id
    if park_id is not None:
        actor.require_park(park_id)
    _write(session, actor, park_id, merged(DEFAULT, weights, "/weights"))
    return get_policy(session, park)


def _write(session: Session, actor: Actor, park_id: UUID | None, weights: Weights) -> None:
    # Those who set the same policy at once take turns.
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext('match_policies'))"))
    now = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    session.execute(
        text(
            "UPDATE match_policies SET known = tstzrange(lower(known), :now), closed_by = :actor"
            " WHERE park_id IS NOT DISTINCT FROM CAST(:park_id AS uuid) AND upper_inf(known)"
        ),
        {"now": now, "actor": actor.label, "park_id": park_id},
    )
    session.execute(
        text(
            "INSERT INTO match_policies (park_id, weights, known, set_by) VALUES"
            " (:park_id, CAST(:weights AS jsonb), tstzrange(:now, NULL), :actor)"
        ),
        {"park_id": park_id, "weights": _json(weights), "now": now, "actor": actor.label},
    )


def _in_force(session: Session, park: str | None, as_of: datetime | None) -> Mapping[str, Any]:
    park_id = None if park is None else id_or_none(park)
    asked = {"park": park, "park_id": park_id, "as_of": as_of}
    return dict(session.execute(text(_IN_FORCE), asked).mappings().one())


def _json(weights: Weights) -> str:
    return canonical(dict(weights)).decode()
