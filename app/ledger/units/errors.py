"""What is refused when units themselves change, and the database's names for the same."""

from app.database.session import constraint_error
from app.kernel.errors import InvalidInputError, Kind, SpaceRelayError
from app.ledger.errors import LedgerMovedOnError


class UnitClaimsBlockError(SpaceRelayError):
    """Promises that stand would not fit what the unit is to become; ``blockers`` names them."""

    slug, title, kind = "unit-claims-block", "Promises stand in the way", Kind.CONFLICT
    title_zh = "存在冲突的占用"


class UnitRetiredError(SpaceRelayError):
    """The unit ends by a split or a merger; ``successors`` names what it became."""

    slug, title, kind = "unit-retired", "The unit was split or merged", Kind.CONFLICT
    title_zh = "单元已拆分或合并"


class UnitChangesLaterError(SpaceRelayError):
    """A later change of the unit's size is planned, and parts cannot tile both sizes."""

    slug, title, kind = "unit-changes-later", "The unit's size changes again later", Kind.CONFLICT
    title_zh = "单元面积后续另有变更"


class DuplicateUnitCodeError(InvalidInputError):
    """一房一码: the code is, or was, another unit's."""

    slug, title = "duplicate-unit-code", "The unit code is taken"
    title_zh = "单元编码已被使用"


class NotAPartitionError(InvalidInputError):
    """The parts do not make up the whole; ``misfits`` says how."""

    slug, title = "not-a-partition", "The parts do not make up the whole"
    title_zh = "各部分与原单元不符"


class UnitsDoNotMergeError(InvalidInputError):
    """The units are not on one floor, do not touch, or differ in what cannot be told."""

    slug, title = "units-do-not-merge", "These units cannot be merged"
    title_zh = "所选单元无法合并"


# All of this is checked under the units' locks with better words; these are for whoever gets to the
# tables another way, and for the clock being set back.
_MOVED = "the unit changed at this moment; read it again and repeat"
_MOVED_ZH = "该单元刚刚发生变更，请重新读取后再试"
constraint_error(
    "units_keep_promises",
    lambda _: UnitClaimsBlockError(
        "the unit is promised beyond its new terms; read its claims",
        detail_zh="该单元的占用超出新条件，请查看占用",
    ),
)
constraint_error(
    "uq_units_code",
    lambda _: DuplicateUnitCodeError(
        "another unit has this code; a code is never used again",
        detail_zh="编码已被使用；一房一码，不可重复使用",
    ),
)
_OUTLINE = {
    "units_apart": (
        "an outline lies on another unit of the floor by more than 0.01 m²",
        "图形与同层其他单元重叠超过 0.01 ㎡",
    ),
    "unit_inside_floor": (
        "an outline reaches more than 1 cm beyond its floor",
        "图形超出楼层范围 1 厘米以上",
    ),
}
for _name in (
    "unit_terms_one_truth",
    "ex_unit_versions_one_truth",
    "units_known_now",
    "unit_versions_only_close",
    "claims_within_one_size",
):
    constraint_error(_name, lambda _: LedgerMovedOnError(_MOVED, detail_zh=_MOVED_ZH))
for _name, (_said, _said_zh) in _OUTLINE.items():
    constraint_error(
        _name,
        lambda _, said=_said, said_zh=_said_zh: NotAPartitionError(said, detail_zh=said_zh),  # type: ignore[misc]
    )
