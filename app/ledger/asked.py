"""What a search for free space may ask."""

from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from shapely.geometry.base import BaseGeometry

from app.inventory.known import NOT_YET_KNOWN, Window, is_future
from app.kernel.errors import Fault, InvalidInputError
from app.kernel.terms import CleanroomGrade, FireHazardClass, UnitType


class FreeSpaceSort(StrEnum):
    """Orders of the listing; ``-`` is descending."""

    AREA = "area"
    AREA_DESCENDING = "-area"
    RENT = "rent"
    RENT_DESCENDING = "-rent"
    FREE_FROM = "free_from"
    DISTANCE = "distance"
    CODE = "code"


#: Degrees.
MOST_LATITUDE = 90


@dataclass(frozen=True, slots=True)
class Near:
    """A place, and how far from it a unit may be."""

    longitude: float
    latitude: float
    within_m: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeSpaceSearch:
    """What is asked for. ``until`` and the answers' ends are exclusive."""

    start: date
    until: date | None = None
    free_by: date | None = None
    min_days: int = 1
    as_of: datetime | None = None
    unit_types: tuple[UnitType, ...] = ()
    min_quantity: Decimal | None = None
    min_area_m2: Decimal | None = None
    max_area_m2: Decimal | None = None
    zone: str | None = None
    park: str | None = None
    programme: str | None = None
    bbox: tuple[float, float, float, float] | None = None
    polygon: BaseGeometry | None = None
    near: Near | None = None
    min_floor_load_kn_m2: Decimal | None = None
    min_clear_height_m: Decimal | None = None
    min_power_density_w_m2: Decimal | None = None
    min_power_kva: Decimal | None = None
    cleanroom_grade: CleanroomGrade | None = None
    min_biosafety_level: int | None = None
    ground_floor: bool | None = None
    freight_lift: bool | None = None
    min_freight_lift_t: Decimal | None = None
    fire_hazard_class: FireHazardClass | None = None
    max_rent_cny_per_m2_day: Decimal | None = None
    sort: FreeSpaceSort = FreeSpaceSort.CODE

    @property
    def last_start(self) -> date:
        """The latest day on which a stretch may start."""
        latest = self.free_by or self.until or self.start
        return latest if self.until is None else min(latest, self.until - timedelta(days=1))

    @property
    def window(self) -> Window:
        """The days on which a stretch may start, as known when."""
        return Window(self.start, self.last_start, self.as_of)

    def require_sound(self, now: datetime, where: str = "query") -> None:
        """Refuse what contradicts itself.

        Args:
            now: the present instant; what will be known later cannot be asked.
            where: "query" or "body": where the faults point to.

        Raises:
            InvalidInputError: every field at fault.
        """
        wrong = [
            (
                self.until is not None and self.until <= self.start,
                "until",
                "must be after from",
                "须晚于 from",
            ),
            (
                self.free_by is not None and self.free_by < self.start,
                "free_by",
                "must not be before from",
                "不得早于 from",
            ),
            (
                is_future(self.as_of, now),
                "as_of",
                NOT_YET_KNOWN,
                "不得晚于当前时刻",
            ),
            (
                None not in (self.min_area_m2, self.max_area_m2)
                and (self.min_area_m2 or 0) > (self.max_area_m2 or 0),
                "max_area_m2",
                "must not be less than min_area_m2",
                "不得小于 min_area_m2",
            ),
            (
                self.sort is FreeSpaceSort.DISTANCE and self.near is None,
                "sort",
                "distance needs near",
                "按距离排序须给出 near",
            ),
            (
                self.bbox is not None
                and (self.bbox[0] > self.bbox[2] or self.bbox[1] > self.bbox[3]),
                "bbox",
                "must be west, south, east, north",
                "应依次为西、南、东、北",
            ),
            (
                self.bbox is not None and max(abs(self.bbox[1]), abs(self.bbox[3])) > MOST_LATITUDE,
                "bbox",
                "longitude comes first; latitudes are -90 to 90",
                "经度在前；纬度须在 -90 至 90 之间",
            ),
        ]
        slash = "/" if where == "body" else ""
        faults = [
            Fault(slash + field, detail, where, detail_zh)
            for is_wrong, field, detail, detail_zh in wrong
            if is_wrong
        ]
        if faults:
            raise InvalidInputError(
                "; ".join(f"{fault.pointer} {fault.detail}" for fault in faults), faults
            )

    def scope(self) -> str:
        """Names the listing: a cursor belongs to one scope."""
        return "free-space " + repr(asdict(self))
