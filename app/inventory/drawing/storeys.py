"""How floors go with their building: its storeys, and its area, which is the sum of theirs."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import RowMapping, func, select
from sqlalchemy.orm import Session

from app.inventory.drawing.domains import Words
from app.inventory.drawing.values import fault_of, refused
from app.inventory.partition import AREA_TOLERANCE_M2
from app.kernel.errors import Fault
from app.models.space import Building, Floor

_TOLERANCE_M2 = Decimal(str(AREA_TOLERANCE_M2))
_F = Floor.__table__.c


def require_storey(session: Session, building: RowMapping, floor: Mapping[str, Any]) -> None:
    """Refuse a new floor on a level that its building has not, or for which it has no area left.

    Args:
        session: where the other floors are.
        building: the row of the building, locked.
        floor: the values of the floor.

    Raises:
        InvalidInputError: the rule, and the figures.
    """
    above, below = building["floors_above"], building["floors_below"]
    faults: list[Fault] = []
    if not -below <= floor["level_index"] < above:
        words = Words(
            f"{building['code']} has {above} storeys above ground and {below} below:"
            f" from {-below} to {above - 1} (0 is the ground floor)",
            f"{building['code']} 地上 {above} 层、地下 {below} 层，"
            f"应在 {-below} 至 {above - 1} 之间（0 为首层）",
        )
        faults.append(fault_of("level_index", words))
    others = _floors_area(session, building["id"], but=None)
    faults += _too_much(building, others, floor["gross_floor_area_m2"])
    if faults:
        raise refused("the floor does not fit its building", faults)


def require_area(session: Session, floor: RowMapping, changed: Mapping[str, Any]) -> None:
    """Refuse to make a floor larger than what its building has left for it.

    Raises:
        InvalidInputError: the rule, and the figures.
    """
    area = changed.get("gross_floor_area_m2")
    if area is None or area <= floor["gross_floor_area_m2"]:
        return
    own = Building.__table__.c
    building = (
        session.execute(
            select(own.code, own.gross_floor_area_m2).where(own.id == floor["building_id"])
        )
        .mappings()
        .one()
    )
    others = _floors_area(session, floor["building_id"], but=floor["id"])
    faults = _too_much(building, others, area)
    if faults:
        raise refused("the floor does not fit its building", faults)


def require_floors(session: Session, building: RowMapping, changed: Mapping[str, Any]) -> None:
    """Refuse to take storeys or area from a building that its floors have.

    Raises:
        InvalidInputError: the rule, and the figures.
    """
    if changed.keys().isdisjoint({"floors_above", "floors_below", "gross_floor_area_m2"}):
        return
    lowest, highest = session.execute(
        select(func.min(_F.level_index), func.max(_F.level_index)).where(
            _F.building_id == building["id"]
        )
    ).one()
    if lowest is None:
        return
    after = {**building, **changed}
    faults: list[Fault] = []
    if "floors_above" in changed and highest >= after["floors_above"]:
        words = Words(
            f"there is a floor on level {highest}: at least {highest + 1}",
            f"已有 {highest} 层序的楼层，至少为 {highest + 1}",
        )
        faults.append(fault_of("floors_above", words))
    if "floors_below" in changed and -lowest > after["floors_below"]:
        words = Words(
            f"there is a floor on level {lowest}: at least {-lowest}",
            f"已有 {lowest} 层序的楼层，至少为 {-lowest}",
        )
        faults.append(fault_of("floors_below", words))
    area = after["gross_floor_area_m2"]
    floors = _floors_area(session, building["id"], but=None)
    if area < building["gross_floor_area_m2"] and floors > area + _TOLERANCE_M2:
        words = Words(
            f"its floors have {floors} m² together: at least that; change the floors first",
            f"各楼层合计 {floors} ㎡，不得小于此数，请先修改楼层",
        )
        faults.append(fault_of("gross_floor_area_m2", words))
    if faults:
        raise refused("the building does not hold its floors", faults)


def _too_much(building: RowMapping, others: Decimal, area: Decimal) -> list[Fault]:
    whole = building["gross_floor_area_m2"]
    if others + area <= whole + _TOLERANCE_M2:
        return []
    left = max(whole - others, Decimal(0))
    words = Words(
        f"{building['code']} has {whole} m², of which other floors take {others}: at most {left};"
        " give the building more area first",
        f"{building['code']} 建筑面积 {whole} ㎡，其他楼层已占 {others} ㎡，至多 {left} ㎡；"
        "或先修改楼宇的建筑面积",
    )
    return [fault_of("gross_floor_area_m2", words)]


def _floors_area(session: Session, building_id: Any, *, but: Any) -> Decimal:
    """The area of all floors of a building together, m², without that of one."""
    total = select(func.coalesce(func.sum(_F.gross_floor_area_m2), 0)).where(
        _F.building_id == building_id
    )
    if but is not None:
        total = total.where(_F.id != but)
    return Decimal(session.execute(total).scalar_one())
