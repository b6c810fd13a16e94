"""The facts of a unit: which there are, which go together, and what parts and wholes inherit."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from shapely import Polygon
from shapely.geometry import mapping
from sqlalchemy.dialects.postgresql import Range

from app.inventory.partition import Sized, shared_out
from app.inventory.pieces import Facts
from app.kernel.errors import Fault, InvalidInputError
from app.kernel.terms import CapacityMeasure, Confidence, GeometryQuality
from app.models.space import Unit, UnitVersion

IDENTITY = ("id", "fid", "park_id", "building_id", "floor_id", "code")
#: Every column that says something of a unit for a range of days.
FACTS = tuple(
    column.name
    for column in Unit.__table__.columns
    if column.name in UnitVersion.__table__.columns
    and column.name not in {*IDENTITY, "version", "valid", "geometric_area_m2"}
)

#: Amounts a part has its share of: parts get them by area, a merged unit has the sum.
AMOUNTS = ("power_kva", "waste_water_t_per_day", "cold_storage_m2")
_STEP = Decimal("0.1")
#: Of merged units the weaker holds for all; what is unknown of one is unknown of both.
_LEAST = ("clear_height_m", "floor_load_kn_m2", "power_density_w_m2", "freight_lift_t")
_ALL = ("is_ground_floor", "hoist_opening", "dual_power_feed", "steam", "gas", "purified_water")
#: Of classes that differ none holds for all.
_CLASSES = (
    *("cleanroom_grade", "biosafety_level", "fire_hazard_class", "animal_facility"),
    *("isotope_class", "vibration_class"),
)
#: What somebody has to decide where merged units differ.
DECIDED = (
    *("unit_type", "carrier_type", "physical_state", "min_part", "remainder_rule"),
    *("rent_cny_per_m2_day", "rent_cny_per_place_month", "min_term_months", "max_term_months"),
)
_CONFIDENCES = tuple(reversed(Confidence))
_QUALITIES = tuple(reversed(GeometryQuality))


def size(facts: Facts) -> tuple[Decimal, bool, Decimal | None]:
    """What a claim's quantity is measured against."""
    return facts["capacity"], facts["divisible"], facts["min_part"]


def extent(facts: Facts) -> tuple[Any, ...]:
    """What the parts of a unit have to add up to."""
    return tuple(
        facts[name] for name in ("capacity", "leasable_area_m2", "internal_area_m2", "geom")
    )


def sized(facts: Facts) -> Sized:
    """A unit's facts as the tiling needs them."""
    by_place = facts["capacity_measure"] == CapacityMeasure.PLACE.value
    return Sized(
        facts["geom"],
        facts["leasable_area_m2"],
        facts["internal_area_m2"],
        facts["capacity"] if by_place else None,
    )


def whole_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes with what follows from them: a unit is divisible if it has a smallest part."""
    made = dict(changes)
    if "min_part" in made:
        made["divisible"] = made["min_part"] is not None
    return made


def require_consistent(facts: Facts, pointer: str = "") -> None:
    """Refuse facts that contradict each other.

    Raises:
        InvalidInputError: the first rule that is broken.
    """
    for name, broken, rule, rule_zh in (
        (
            "internal_area_m2",
            not 0 < facts["internal_area_m2"] <= facts["leasable_area_m2"],
            f"more than 0, and at most the leasable area, {facts['leasable_area_m2']} m²",
            f"须大于 0 且不超过计租面积 {facts['leasable_area_m2']} ㎡",
        ),
        (
            "min_part",
            facts["min_part"] is not None and not 0 < facts["min_part"] <= facts["capacity"],
            f"more than 0, and at most the capacity, {facts['capacity']}; null: let only whole",
            f"须大于 0 且不超过容量 {facts['capacity']}；填 null 表示整租",
        ),
        (
            "max_term_months",
            None not in (facts["min_term_months"], facts["max_term_months"])
            and facts["min_term_months"] > facts["max_term_months"],
            f"at least min_term_months, {facts['min_term_months']}",
            f"不得短于最短租期 {facts['min_term_months']} 个月",
        ),
    ):
        if broken:
            raise InvalidInputError(
                f"{name} must be {rule}",
                [Fault(f"{pointer}/{name}", f"must be {rule}", detail_zh=rule_zh)],
                detail_zh=f"{name} {rule_zh}",
            )


def part_facts(
    whole: Facts, shapes: Sequence[Sized], given: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The facts of a unit's parts: those of the whole, with each part's own size and what is given.

    Amounts are shared by leasable area. A part too small for the smallest part is let only whole.
    """
    weights = [float(part.leasable_m2) for part in shapes]
    amounts = {
        name: [None] * len(shapes)
        if whole[name] is None
        else shared_out(whole[name], weights, _STEP)
        for name in AMOUNTS
    }
    found = []
    for place, (part, changes) in enumerate(zip(shapes, given, strict=True)):
        capacity = part.leasable_m2 if part.places is None else part.places
        divisible = whole["min_part"] is not None and whole["min_part"] <= capacity
        found.append(
            {
                **whole,
                **{name: shares[place] for name, shares in amounts.items()},
                "geom": part.shape,
                "leasable_area_m2": part.leasable_m2,
                "internal_area_m2": part.internal_m2,
                "capacity": capacity,
                "divisible": divisible,
                "min_part": whole["min_part"] if divisible else None,
                **changes,
            }
        )
    return found


def merged_facts(parts: Sequence[Facts], outline: Polygon, given: Mapping[str, Any]) -> Facts:
    """The facts of units taken as one; sums, and else what holds for all of them.

    Raises:
        InvalidInputError: they differ in what somebody has to decide, and it is not given.
    """
    undecided = [name for name in DECIDED if name not in given and _differ(parts, name)]
    if undecided:
        raise InvalidInputError(
            f"the units differ in {', '.join(undecided)}; say what holds for the merged unit",
            [
                Fault(f"/facts/{name}", "differs between the units", detail_zh="各单元取值不同")
                for name in undecided
            ],
            detail_zh=f"各单元的 {'、'.join(undecided)} 不同，请在 facts 中指定合并后的取值",
        )
    made = dict(parts[0])
    for names, choose in _CHOICES:
        made |= {name: choose([part[name] for part in parts]) for name in names}
    return {**made, "geom": outline, **given}


def told_change(before: Facts, after: Facts) -> dict[str, Any]:
    """Values before and after, by column, as JSON has them."""
    return {
        name: {"before": plain(before[name]), "after": plain(after[name])}
        for name in FACTS
        if before[name] != after[name]
    }


def plain(value: Any) -> Any:
    """A fact as JSON has it; amounts as text, because they are decimal."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Range):
        return [plain(value.lower), plain(value.upper)]
    if isinstance(value, Polygon):
        return mapping(value)
    return value


def _differ(parts: Sequence[Facts], name: str) -> bool:
    return any(part[name] != parts[0][name] for part in parts)


def _same_or_none(values: Sequence[Any]) -> Any:
    return values[0] if all(value == values[0] for value in values) else None


def _known(choose: Callable[[Sequence[Any]], Any]) -> Callable[[Sequence[Any]], Any]:
    """A choice that cannot be made where a value is unknown."""
    return lambda values: None if None in values else choose(values)


def _listed(values: Sequence[str]) -> str:
    return "; ".join(dict.fromkeys(values))


def _weakest(ladder: Sequence[str]) -> Callable[[Sequence[Any]], Any]:
    return lambda values: min(values, key=[str(step) for step in ladder].index)


def _total(values: Sequence[Decimal]) -> Decimal:
    return sum(values, Decimal())


#: How a merged unit's fact is chosen from those of its parts.
_CHOICES: tuple[tuple[tuple[str, ...], Callable[[Sequence[Any]], Any]], ...] = (
    (("capacity", "leasable_area_m2", "internal_area_m2"), _total),
    (AMOUNTS, _known(_total)),
    (_LEAST, _known(min)),
    (("is_ground_floor",), all),
    (_ALL[1:], lambda values: False if False in values else _same_or_none(values)),
    (_CLASSES, _same_or_none),
    (("area_method", "source"), _listed),
    (("area_measured_on",), _known(min)),
    (("area_tolerance_pct", "position_accuracy_m"), _known(max)),
    (("confidence",), _weakest(_CONFIDENCES)),
    (("geometry_quality",), _weakest(_QUALITIES)),
    (("synthetic",), any),
    (("source_datum",), lambda values: _same_or_none(values) or "WGS84"),
)
