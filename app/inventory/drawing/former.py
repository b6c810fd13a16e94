"""What features were before: kept with each change, read, and looked at before somebody overwrites.

A change says which parts of a feature it replaces: its properties by their names, and ``OUTLINE``.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from geoalchemy2.shape import from_shape
from sqlalchemy import Select, func, insert, literal_column, select
from sqlalchemy.orm import Session

from app.database.paging import Page, PageRequest, Sort, fetch_page
from app.inventory.columns import outline
from app.inventory.drawing.errors import ChangedByOthersError
from app.inventory.drawing.layers import LAYERS
from app.inventory.drawing.things import Feature
from app.kernel.clock import SHANGHAI, rfc3339
from app.kernel.errors import NotFoundError
from app.models.former_feature import FormerFeature
from app.models.provenance import SRID
from app.security.actors import Actor, Role

#: The part of a feature that is not a property.
OUTLINE = "geometry"
#: The datum goes with the outline that was given in it.
DATUM = "source_datum"
#: Whoever has a layer open in a GIS has read it on this working day or the one before.
RECENT = timedelta(hours=24)


def remember(
    session: Session, actor: Actor, feature: Feature, parts: Iterable[str], *, removed: bool
) -> None:
    """Keep the parts of a locked feature as they are, before they are replaced."""
    row = feature.row
    kept = {name: _plain(row[name]) for name in parts if name != OUTLINE}
    shape = feature.shape if OUTLINE in parts else None
    if shape is not None:
        kept[DATUM] = row[DATUM]
    if removed and feature.layer.parent is not None:
        kept[feature.layer.parent.named_by] = feature.within
    if not kept:
        return
    before = (
        select(func.max(FormerFeature.known_until))
        .where(FormerFeature.feature_id == row["id"])
        .scalar_subquery()
    )
    session.execute(
        insert(FormerFeature).values(
            layer=feature.layer.id,
            feature_id=row["id"],
            fid=row["fid"],
            code=row["code"],
            park_id=feature.park_id,
            geom=None if shape is None else from_shape(shape, srid=SRID),
            properties=kept,
            known_from=before,
            changed_by=actor.label,
            removed=removed,
        )
    )


def require_nobody_else(
    session: Session, actor: Actor, feature: Feature, parts: Iterable[str]
) -> None:
    """Refuse to replace parts that somebody else has changed of late, and the caller may not know.

    Raises:
        ChangedByOthersError: who did, and when.
    """
    wanted = frozenset(parts)
    changes = session.execute(
        select(
            FormerFeature.changed_by,
            FormerFeature.known_until,
            FormerFeature.properties,
            FormerFeature.geom.is_not(None).label("outline"),
        )
        .where(
            FormerFeature.feature_id == feature.row["id"],
            FormerFeature.changed_by != actor.label,
            FormerFeature.known_until > func.clock_timestamp() - RECENT,
        )
        .order_by(FormerFeature.known_until.desc())
    )
    for one in changes:
        if wanted.isdisjoint([*one.properties, OUTLINE] if one.outline else one.properties):
            continue
        at = one.known_until.astimezone(SHANGHAI)
        raise ChangedByOthersError(
            f"{one.changed_by} changed the same of {feature.row['code']} at {at:%Y-%m-%d %H:%M}:"
            " read it again. Send it once more within ten minutes to replace that all the same, or"
            " send the ETag of what you read as `If-Match`",
            detail_zh=f"{one.changed_by} 已于 {at:%Y-%m-%d %H:%M} 修改 {feature.row['code']}"
            " 的同一内容，请先重新读取。若仍要以本次为准，请在十分钟内再保存一次，"
            "或在 If-Match 请求头中携带读取时的 ETag",
            changed_by=one.changed_by,
            changed_at=rfc3339(one.known_until),
        )


def list_former(
    session: Session,
    actor: Actor,
    page: PageRequest,
    *,
    layer: str | None = None,
    code: str | None = None,
    removed: bool | None = None,
    geojson: bool = False,
) -> Page:
    """What was replaced in the caller's parks, the latest first."""
    query = _visible(actor)
    for column, wanted in (
        (FormerFeature.layer, layer),
        (FormerFeature.code, code),
        (FormerFeature.removed, removed),
    ):
        if wanted is not None:
            query = query.where(column == wanted)
    return fetch_page(
        session,
        query,
        order=[
            Sort(FormerFeature.__table__.c.known_until, True),
            Sort(FormerFeature.__table__.c.id, True),
        ],
        page=page,
        scope=f"former features {layer} {code} {removed}",
        geojson=geojson,
    )


def find_former(session: Session, actor: Actor, former_id: UUID) -> FormerFeature:
    """One of them.

    Raises:
        NotFoundError: there is none, or it is of a park that is not the caller's.
    """
    found: FormerFeature | None = session.scalars(
        _of_parks(select(FormerFeature), actor).where(FormerFeature.id == former_id)
    ).one_or_none()
    if found is None:
        raise NotFoundError("no such former feature", detail_zh="没有该历史要素，或无权查看")
    return found


def _visible(actor: Actor) -> Select[Any]:
    columns = FormerFeature.__table__.c
    shown = ("id", "layer", "feature_id", "fid", "code", "park_id", "properties")
    dated = ("known_from", "known_until", "changed_by", "removed")
    query = select(
        *(columns[name] for name in shown),
        columns.geom.is_not(None).label("outline"),
        *(columns[name] for name in dated),
        literal_column(outline(FormerFeature.__tablename__)).label("geometry"),
    )
    return _of_parks(query.select_from(FormerFeature), actor)


def _of_parks(query: Select[Any], actor: Actor) -> Select[Any]:
    actor.require_staff(Role.MANAGER)
    if actor.park_ids is None:
        return query
    return query.where(FormerFeature.park_id.in_(actor.park_ids))


def all_parts(layer: str) -> tuple[str, ...]:
    """The parts that a feature of the layer consists of."""
    return (*LAYERS[layer].once, *LAYERS[layer].ever, OUTLINE)


def _plain(value: Any) -> Any:
    """As JSON has it, and as a tool sends it."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.isoformat() if isinstance(value, date) else value
