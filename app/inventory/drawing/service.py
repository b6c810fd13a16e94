"""Draws space, draws it anew, and takes it away: locked, checked, remembered, written.

Whoever draws waits for whoever draws in the same ground. The order of locks is the ground's row and
then the feature's own, as the triggers of migration 0002 take them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import shapely
from geoalchemy2.shape import from_shape, to_shape
from psycopg import Error as DriverError
from psycopg import errors as driver_errors
from shapely import MultiPolygon
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Row, RowMapping, delete, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.geo.datums import (
    DATUMS,
    MOVING,
    shape_from_wgs84,
    shape_to_wgs84,
    suspect_datum,
)
from app.inventory.drawing.domains import Words
from app.inventory.drawing.errors import DrawingRefusedError, StillStandingError, WhichDatumError
from app.inventory.drawing.former import (
    DATUM,
    OUTLINE,
    all_parts,
    find_former,
    remember,
    require_nobody_else,
)
from app.inventory.drawing.layers import LAYERS, Layer, Parent, Standing
from app.inventory.drawing.rules import (
    LEAST_WIDTH_M,
    Break,
    Fitted,
    Known,
    Rule,
    fitted,
    innermost,
    left_out,
    lies_in,
    narrow,
    snapped,
)
from app.inventory.drawing.storeys import require_area, require_floors, require_storey
from app.inventory.drawing.things import Drawn, Feature, Outline
from app.inventory.drawing.values import (
    checks_broken,
    column_values,
    fault_of,
    is_storable,
    refused,
)
from app.kernel.errors import Fault, InvalidInputError, NotFoundError
from app.kernel.terms import SourceDatum
from app.models.provenance import SRID
from app.security.actors import Actor, NotAllowedError, Role

_MOST_NAMED = 5


def require_drawer(actor: Actor) -> None:
    """Refuse who may draw nothing."""
    actor.require_staff(Role.MANAGER)


def add_feature(
    session: Session,
    actor: Actor,
    layer: Layer,
    given: Mapping[str, Any],
    outline: Outline,
    *,
    again: UUID | None = None,
) -> Drawn:
    """Draw something new; ``given`` has its properties and the code of what it lies in.

    Without that code it lies in the innermost that holds its outline. What was taken away is drawn
    ``again`` with the id that it had.

    Raises:
        InvalidInputError: some property cannot be stored.
        DrawingRefusedError: the outline breaks a rule.
        WhichDatumError: it looks as if it was drawn in another datum.
        DuplicateCodeError: the code is taken.
    """
    require_drawer(actor)
    parent = layer.parent
    if parent is None or not layer.makes:
        raise ValueError(f"{layer.id} are not made")
    _take_turn(session, layer)
    row = _ground(session, parent, given.get(parent.named_by), outline)
    ground = _known(row)
    _require_park(actor, row["id"] if parent.table.name == "parks" else row["park_id"])
    said = {name: given.get(name) for name in (*layer.once, *layer.ever)}
    values = column_values(layer.table, said, new=True)
    values |= {name: row[name] for name in parent.shared}
    values[parent.key] = row["id"]
    values |= {} if again is None else {"id": again}
    if layer.id == "floors":
        require_storey(session, row, values)
    fit = _fit(session, layer, outline, values, ground=ground)
    values |= {"geom": _column(fit.shape), "source_datum": outline.datum.value}
    made = _written(session, layer, insert(layer.table).values(values).returning(*layer.table.c))
    return Drawn(made.id, made.fid, made.code, made.park_id, fit.trimmed_m2)


def lock_feature(session: Session, actor: Actor, layer: Layer, fid: int) -> Feature:
    """The feature of this number, for the caller alone until the transaction ends.

    Raises:
        NotFoundError: there is none.
        NotAllowedError: it is of a park of others.
    """
    require_drawer(actor)
    own = layer.table.c
    parent = layer.parent
    found = session.execute(
        select(own.id, *([own[parent.key].label("parent")] if parent else [])).where(own.fid == fid)
    ).one_or_none()
    if found is None:
        raise NotFoundError(
            f"{layer.id} has no feature {fid}", detail_zh=f"图层 {layer.id} 中没有该要素"
        )
    _take_turn(session, layer)
    held = None
    if parent is not None and found.parent is not None:
        held = _locked(session, parent.table.c.id == found.parent, parent.table)
    row = _locked(session, own.id == found.id, layer.table, for_change=True)
    if row is None:
        raise NotFoundError(f"{layer.id} has no feature {fid}", detail_zh="该要素已被删除")
    shape = None if row["geom"] is None else to_shape(row["geom"])
    ground, within = (None, None) if held is None else (_known(held), held["code"])
    feature = Feature(layer, row, shape, ground, within)
    _require_park(actor, feature.park_id)
    return feature


def change_feature(
    session: Session,
    actor: Actor,
    feature: Feature,
    given: Mapping[str, Any],
    outline: Outline | None,
    *,
    read: bool,
) -> Drawn:
    """Change properties of a locked feature, and its outline if one is given.

    Who has ``read`` it knows what is replaced; else nobody else may have changed the same of late.

    Raises:
        InvalidInputError: some property cannot be stored.
        DrawingRefusedError: the outline breaks a rule, or would leave out what stands inside.
        WhichDatumError: it looks as if it was drawn in another datum.
        ChangedByOthersError: somebody else has just changed the same.
    """
    layer, row = feature.layer, feature.row
    said = column_values(layer.table, given, new=False)
    values = {name: value for name, value in said.items() if value != row[name]}
    parts = set(values)
    trimmed_m2 = 0.0
    if layer.id == "floors":
        require_area(session, row, values)
    if layer.id == "buildings":
        require_floors(session, row, values)
    if outline is not None:
        fit = _fit(session, layer, outline, dict(row), ground=feature.ground, own=feature.shape)
        if feature.shape is None or not fit.shape.equals(feature.shape):
            parts.add(OUTLINE)
            values |= {"geom": _column(fit.shape), DATUM: outline.datum.value}
            trimmed_m2 = fit.trimmed_m2
    if parts:
        if not read:
            require_nobody_else(session, actor, feature, parts)
        remember(session, actor, feature, parts, removed=False)
        changing = update(layer.table).where(layer.table.c.id == row["id"]).values(values)
        _written(session, layer, changing.returning(layer.table.c.id))
    return Drawn(row["id"], row["fid"], row["code"], feature.park_id, trimmed_m2)


def remove_feature(session: Session, actor: Actor, feature: Feature, *, read: bool) -> Drawn:
    """Take a locked feature away, if nothing stands on it; ``read`` as for a change.

    Raises:
        StillStandingError: something does; it says what, and how much of it.
        ChangedByOthersError: somebody else has just changed it.
    """
    layer, row = feature.layer, feature.row
    counts: dict[tuple[str, str], int] = {}
    for one in layer.standing:
        count = session.scalar(
            select(func.count()).select_from(one.table).where(one.key == row["id"], one.condition)
        )
        if count:
            counts[one.zh, one.en] = counts.get((one.zh, one.en), 0) + count
    if counts:
        en = ", ".join(f"{count} {name}" for (_, name), count in counts.items())
        zh = "、".join(f"{name} {count} 个" for (name, _), count in counts.items())
        raise StillStandingError(
            f"{row['code']} has {en}; take those away first",
            detail_zh=f"{row['code']} 上仍有{zh}，请先处理",
            standing={name: count for (_, name), count in counts.items()},
        )
    parts = all_parts(layer.id)
    if not read:
        require_nobody_else(session, actor, feature, parts)
    remember(session, actor, feature, parts, removed=True)
    session.execute(delete(layer.table).where(layer.table.c.id == row["id"]))
    return Drawn(row["id"], row["fid"], row["code"], feature.park_id)


def restore_feature(session: Session, actor: Actor, former_id: UUID) -> tuple[str, Drawn]:
    """Put back what a change replaced, or draw again what was taken away; of which layer.

    What was taken away comes back with its id, and with a number of its own for GIS tools.

    Raises:
        NotFoundError: there is no such former feature; or what was changed was taken away since.
        DrawingRefusedError: the outline does not fit what is there now.
        DuplicateCodeError: the code is taken by another by now.
        InvalidInputError: it was taken away before its properties were kept.
    """
    former = find_former(session, actor, former_id)
    layer, kept = LAYERS[former.layer], former.properties
    outline = None
    if former.geom is not None:
        datum = DATUMS[kept.get(DATUM, SourceDatum.WGS84)]
        outline = Outline(to_shape(former.geom), 0.0, datum, stated=True)
    own = layer.table.c
    fid = session.scalar(select(own.fid).where(own.id == former.feature_id))
    if fid is None and former.removed and outline is not None:
        given = {name: value for name, value in kept.items() if name != DATUM}
        return layer.id, add_feature(session, actor, layer, given, outline, again=former.feature_id)
    feature = lock_feature(session, actor, layer, former.fid if fid is None else fid)
    given = {name: kept[name] for name in layer.ever if name in kept}
    return layer.id, change_feature(session, actor, feature, given, outline, read=True)


def _take_turn(session: Session, layer: Layer) -> None:
    # Plots of different parks are neighbours too, so that the lock of the park is not enough.
    if layer.id == "parcels":
        session.execute(text("SELECT pg_advisory_xact_lock(hashtext('parcels_apart'))"))


def _locked(
    session: Session, condition: Any, table: Any, *, for_change: bool = False
) -> RowMapping | None:
    found = select(*table.c).where(condition).with_for_update(key_share=not for_change)
    return session.execute(found).mappings().one_or_none()


def _ground(session: Session, parent: Parent, code: object, outline: Outline) -> RowMapping:
    """What something new lies in, locked: that of the ``code``, or without one what holds it.

    Raises:
        InvalidInputError: there is none, or not one alone.
        WhichDatumError: none holds it as it is, and one does if it was drawn in another datum.
    """
    if code is None:
        code = _holding(session, parent, outline)
    row = None
    if isinstance(code, str) and is_storable(code):
        row = _locked(session, parent.table.c.code == code, parent.table)
    if row is None:
        raise _nowhere(
            parent,
            f"must be the code of one of {parent.table.name}, in which it lies; none has this code",
            "应为其所在上级空间的编码，没有此编码",
        )
    return row


def _holding(session: Session, parent: Parent, outline: Outline) -> str:
    """The code of the innermost that holds the outline."""
    found = _innermost(session, parent, outline.shape)
    if not found and not outline.stated:
        for datum in MOVING:
            if _innermost(session, parent, shape_to_wgs84(outline.shape, datum)):
                raise _which_datum(datum)
    if len(found) == 1:
        return found[0].code
    listed = ", ".join(one.code for one in found[:_MOST_NAMED])
    if found:
        raise _nowhere(
            parent,
            f"the outline lies in several of {parent.table.name}, {listed}: name one",
            f"图形同时位于 {listed} 内，请指明其一",
        )
    more_en, more_zh = _hinted(outline.hint)
    raise _nowhere(
        parent,
        f"the outline lies in none of {parent.table.name}: draw it in one, or name it to hear how"
        f" much lies outside{more_en}",
        f"图形不在任何上级空间之内，请画在其中，或填写其编码以查看超出多少{more_zh}",
    )


def _innermost(session: Session, parent: Parent, shape: BaseGeometry) -> tuple[Known, ...]:
    own = parent.table.c
    near = select(own.code, own.geom).where(own.geom.op("&&")(_column(shape)))
    return innermost(shape, _shapes(session.execute(near.order_by(own.code))))


def _nowhere(parent: Parent, en: str, zh: str) -> InvalidInputError:
    return refused("it lies nowhere", [fault_of(parent.named_by, Words(en, zh))])


def _known(row: RowMapping) -> Known | None:
    return None if row["geom"] is None else Known(row["code"], to_shape(row["geom"]))


def _require_park(actor: Actor, park_id: UUID | None) -> None:
    if park_id is not None:
        actor.require_park(park_id)
    elif actor.park_ids is not None:
        raise NotAllowedError(
            "a zone is drawn by staff of all parks", detail_zh="片区仅可由负责全部园区的员工绘制"
        )


def _column(shape: BaseGeometry) -> Any:
    return from_shape(shape, srid=SRID)


def _fit(
    session: Session,
    layer: Layer,
    outline: Outline,
    row: Mapping[str, Any],
    *,
    ground: Known | None,
    own: BaseGeometry | None = None,
) -> Fitted:
    """The outline as it can be stored; ``row`` names the parent and, if it is there, itself."""
    beside = _beside(session, layer, outline.shape, row)
    known = [one.shape for one in beside]
    known += [] if ground is None else [ground.shape]
    known += [] if own is None else [own]
    if not outline.stated:
        _ask_for_datum(outline.shape, [ground.shape] if ground else [], own)
    shape = snapped(outline.shape, known, outline.within_m)
    if not shape.is_valid:
        raise _refused([Break(Rule.IN_PIECES, "", 0.0)])
    if own is not None and shape.equals(own):
        return Fitted(own, 0.0, ())
    fit = fitted(shape, ground, beside)
    wide = () if fit.breaks or not layer.makes else narrow(fit.shape)
    inside = () if own is None else left_out(fit.shape, _inside(session, layer, row["id"]))
    breaks = [*fit.breaks, *wide, *inside]
    if breaks:
        outside = any(one.rule is Rule.OUTSIDE for one in breaks)
        raise _refused(breaks, _fitting(outline, ground) if outside and ground else None)
    if isinstance(own, MultiPolygon) or layer.id in {"zones", "parks"}:
        return Fitted(MultiPolygon(list(shapely.get_parts(fit.shape))), fit.trimmed_m2, ())
    return fit


def _beside(
    session: Session, layer: Layer, shape: BaseGeometry, row: Mapping[str, Any]
) -> list[Known]:
    """What it may not overlap, near it."""
    if layer.beside is None:
        return []
    own = layer.table.c
    near = select(own.code, own.geom).where(func.ST_Expand(_column(shape), 1e-5).op("&&")(own.geom))
    if layer.beside:
        near = near.where(own[layer.beside] == row[layer.beside])
    if "id" in row:
        near = near.where(own.id != row["id"])
    return _shapes(session.execute(near.order_by(own.code)))


def _inside(session: Session, layer: Layer, id_: UUID) -> list[Known]:
    found: list[Known] = []
    for one in layer.standing:
        found += _shapes(session.execute(_places(one, id_))) if one.geom is not None else []
    return found


def _places(one: Standing, id_: UUID) -> Any:
    shown = (one.code.label("code"), one.geom.label("geom"))  # type: ignore[union-attr]
    return (
        select(*shown)
        .select_from(one.table)
        .where(one.key == id_, one.condition, one.geom.is_not(None))  # type: ignore[union-attr]
    )


def _shapes(rows: Iterable[Row[Any]]) -> list[Known]:
    return [Known(row.code, to_shape(row.geom)) for row in rows]


def _ask_for_datum(
    shape: BaseGeometry, ground: Sequence[BaseGeometry], own: BaseGeometry | None
) -> None:
    expected = [*ground, *([] if own is None else [own])]
    if any(one.covers(shape) for one in expected):
        return
    found = (suspect_datum(shape, one) for one in expected)
    suspected = next((one for one in found if one is not None), None)
    if suspected is not None:
        raise _which_datum(suspected)


def _which_datum(suspected: SourceDatum) -> WhichDatumError:
    return WhichDatumError(
        f"as it is, the outline lies outside; taken from {suspected.value} it would fit. Say"
        f" `datum={suspected.value}` if it was drawn on such a map, and `datum=WGS84` if not",
        [Fault("datum", f"{suspected.value} or WGS84", "query", "请明确坐标基准")],
        detail_zh=f"按现有坐标图形位于范围之外，若按 {suspected.value} 理解则吻合。"
        f"请以 datum={suspected.value} 或 datum=WGS84 明确坐标基准",
        suspected=suspected.value,
    )


def _fitting(outline: Outline, ground: Known) -> Words | None:
    """What to say of an outline outside its ground: how its coordinates would fit."""
    if not outline.stated:
        return outline.hint
    # Where the person stated a datum, that may be what is wrong.
    drawn = shape_from_wgs84(outline.shape, outline.datum)
    for datum in (SourceDatum.WGS84, *MOVING):
        if datum is not outline.datum and lies_in(shape_to_wgs84(drawn, datum), ground.shape):
            return Words(
                f"taken from {datum.value} it fits: say `datum={datum.value}`",
                f"若按 {datum.value} 理解则吻合，请改为 datum={datum.value}",
            )
    return outline.hint


def _hinted(hint: Words | None) -> tuple[str, str]:
    """A hint as it is put behind what was refused."""
    return ("", "") if hint is None else (f". {hint.en}", f"。{hint.zh}")


_WORDS: Mapping[Rule, Words] = {
    Rule.OUTSIDE: Words(
        "{area} m² of it lie outside {code}; draw it inside",
        "有 {area} m² 超出 {code}，请画在其范围内",
    ),
    Rule.OVERLAPS: Words(
        "it overlaps {code} by {area} m²; draw it beside",
        "与 {code} 重叠 {area} m²，请避开",
    ),
    Rule.LEAVES_OUT: Words(
        "{area} m² of {code} would be left outside; it stands in here",
        "{code} 将有 {area} m² 落在范围之外",
    ),
    Rule.IN_PIECES: Words(
        "what is left within the limits is in pieces, or crosses itself; draw it more exactly",
        "符合规则的部分不连通或自相交，请更精确地绘制",
    ),
    Rule.NARROW: Words(
        f"where it is widest it is {{width}} m wide; at least {LEAST_WIDTH_M:g} m is needed",
        f"最宽处仅 {{width}} m，至少须 {LEAST_WIDTH_M:g} m",
    ),
}


def _words(one: Break) -> Words:
    figures = {"code": one.code, "area": one.area_m2, "width": one.width_m}
    return Words(*(said.format_map(figures) for said in _WORDS[one.rule]))


def _refused(breaks: Sequence[Break], hint: Words | None = None) -> DrawingRefusedError:
    said = [
        [
            words.format(code=one.code, area=one.area_m2, width=one.width_m)
            for words in _WORDS[one.rule]
        ]
        for one in breaks[:_MOST_NAMED]
    ]
    more_en, more_zh = _hinted(hint)
    return DrawingRefusedError(
        "; ".join(en for en, _ in said) + more_en,
        [Fault("/geometry", en, detail_zh=zh) for en, zh in said],
        detail_zh="；".join(zh for _, zh in said) + more_zh,
        breaks=[
            {"rule": one.rule.value, "code": one.code, "area_m2": one.area_m2}
            | ({} if one.width_m is None else {"width_m": one.width_m})
            for one in breaks
        ],
    )


def _written(session: Session, layer: Layer, statement: Any) -> Any:
    """Write a row; what the table's own rules refuse is told by property."""
    try:
        return session.execute(statement).one()
    except DBAPIError as error:
        cause = error.orig
        if not isinstance(cause, DriverError) or not isinstance(
            cause, driver_errors.CheckViolation
        ):
            raise
        faults = checks_broken(layer.table, cause.diag.constraint_name or "")
        if not faults:
            raise
        raise refused("some properties contradict the rules", faults) from error
