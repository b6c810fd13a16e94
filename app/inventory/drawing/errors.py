"""Why something cannot be drawn, changed or taken away."""

from app.database.session import constraint_error
from app.kernel.errors import InvalidInputError, Kind, SpaceRelayError


class DrawingRefusedError(InvalidInputError):
    """The outline breaks a rule of where things lie."""

    slug, title = "drawing-refused", "The outline does not fit"
    title_zh = "图形不符合空间规则"


class WhichDatumError(InvalidInputError):
    """The outline lies where it would be if it had been drawn on a Chinese web map."""

    slug, title = "which-datum", "In which datum was this drawn?"
    title_zh = "请确认坐标基准"


class StillStandingError(SpaceRelayError):
    """Something stands on what is to be taken away."""

    slug, title, kind = "still-standing", "Something stands on it", Kind.CONFLICT
    title_zh = "仍有下级空间或承诺依附于此"


class ChangedByOthersError(SpaceRelayError):
    """Somebody else has just changed the same, and the call does not say that it was read."""

    slug, title = "changed-by-others", "Somebody else has just changed the same"
    title_zh, kind = "他人刚修改过同一内容", Kind.PRECONDITION_REQUIRED


class DuplicateCodeError(SpaceRelayError):
    """The code, or the level of the building, is taken."""

    slug, title, kind = "duplicate-code", "The code is taken", Kind.CONFLICT
    title_zh = "编码或楼层已被使用"


# Who draws waits for what it is drawn in, so that these are met only by what is drawn elsewhere at
# the same moment.
for _rule in (
    *("park_inside_park", "block_inside_park", "parcel_inside_park", "building_inside_parcel"),
    *("floor_inside_building", "parcels_apart", "buildings_apart"),
):
    constraint_error(
        _rule,
        lambda _: DrawingRefusedError(
            "something was drawn there at the same moment; read the layer again",
            detail_zh="同一时刻有人在此绘制，请重新读取图层后再试",
        ),
    )
for _taken in ("uq_parcels_code", "uq_buildings_code", "uq_floors_code"):
    constraint_error(
        _taken,
        lambda _: DuplicateCodeError(
            "another one has this code; take another", detail_zh="该编码已被使用，请改用其他编码"
        ),
    )
constraint_error(
    "uq_floors_building_id_level_index",
    lambda _: DuplicateCodeError(
        "the building has this level_index already; take another",
        detail_zh="该楼宇已有此 level_index 的楼层，请改用其他楼层序号",
    ),
)
