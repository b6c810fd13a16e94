"""What every key figure means, declared once: the answer, its schema and docs/reference/kpis.md.

A figure is worked out from *parts* (areas, days, counts) that app/kpis/statement.py adds up::

    numerator = times * (sum of plus - sum of minus)
    value = factor * numerator / over

Without ``over`` nothing is divided. The value is none where ``over`` is zero or less than
``least``. Figures ``by_measure`` exist twice: over units measured in m² (codes ending in ``_m2``)
and over those measured in places (``_places``). The two are never added.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import unique

from app.kernel.terms import CapacityMeasure, Term, UnitType

#: The order of the relay: a firm moves on when it takes a unit of a later type.
RELAY: tuple[UnitType, ...] = (
    UnitType.INCUBATION,
    UnitType.ACCELERATION,
    UnitType.PILOT,
    UnitType.HQ_RD,
    UnitType.PRODUCTION,
)
#: How far from the end of a lease the next one may start for the firm to have moved on.
RELAY_DAYS = 180
#: How far ahead space is offered that somebody still has.
AVAILABLE_DAYS = 180
#: A rate of fewer ended holds than this says nothing.
LEAST_ENDED_HOLDS = 10


@unique
class FigureKind(Term):
    """When a figure holds."""

    STOCK = "stock", "时点（期末日）", "on the last day of the period"
    FLOW = "flow", "期间", "over the days of the period"
    KNOWN = "known", "查询时点", "as known at as_of, the same in every period"


@unique
class FigureUnit(Term):
    """What a figure counts."""

    PCT = "pct", "%", "%"
    M2 = "m2", "平方米", "m²"
    PLACES = "places", "工位", "places"
    DAYS = "days", "天", "days"
    YEARS = "years", "年（365.25天）", "years of 365.25 days"


@dataclass(frozen=True, slots=True)
class Part:
    """One quantity that figures are made of, in words."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A key figure: its words, and how it follows from its parts (see the module)."""

    code: str
    zh: str
    en: str
    formula_zh: str
    formula_en: str
    unit: FigureUnit
    kind: FigureKind
    plus: tuple[str, ...]
    minus: tuple[str, ...] = ()
    over: str | None = None
    times: str | None = None
    factor: Decimal = Decimal(1)
    least: int = 1
    by_measure: bool = True
    caveats_zh: tuple[str, ...] = ()
    caveats_en: tuple[str, ...] = ()

    def codes(self) -> Mapping[str, str]:
        """The codes in the answer, by the measure whose parts they take ("" is neither)."""
        if not self.by_measure:
            return {"": self.code}
        return {measure.value: self.code + ending for measure, ending in _ENDINGS.items()}

    def unit_of(self, measure: str) -> FigureUnit:
        """The unit of the figure over units of one measure."""
        is_area = self.unit is FigureUnit.M2 and measure == CapacityMeasure.PLACE
        return FigureUnit.PLACES if is_area else self.unit

    def numerator(self, parts: Mapping[str, Decimal]) -> Decimal:
        """What stands above the line; parts that are not there are zero."""
        above = sum((parts.get(name, _ZERO) for name in self.plus), _ZERO)
        above -= sum((parts.get(name, _ZERO) for name in self.minus), _ZERO)
        return above if self.times is None else above * parts.get(self.times, _ZERO)

    def denominator(self, parts: Mapping[str, Decimal]) -> Decimal | None:
        """What stands below the line; none where nothing is divided."""
        return None if self.over is None else parts.get(self.over, _ZERO)

    def value(self, parts: Mapping[str, Decimal]) -> Decimal | None:
        """The figure, not rounded; none where there is too little to divide by."""
        above, below = self.factor * self.numerator(parts), self.denominator(parts)
        if below is None:
            return above
        return above / below if below > 0 and below >= self.least else None


_ZERO = Decimal(0)
_ENDINGS = {CapacityMeasure.M2: "_m2", CapacityMeasure.PLACE: "_places"}
_PERCENT = Decimal(100)

#: What figures are made of. Areas are in the unit's measure: m², or places.
PARTS: Mapping[str, Part] = {
    "lettable": Part(
        "可租量：该日可用、有当日有效条件且非规划状态的房源的计租面积（或工位）",
        "lettable: leasable area (or places) of the units that may be used on the day, by the"
        " terms in force that day, and are not merely planned",
    ),
    "leased": Part("已租量：该日有效租约占用的数量", "leased: what leases take on the day"),
    "held": Part("锁定量：该日有效锁定占用的数量", "held: what live holds take on the day"),
    "unavailable": Part(
        "不可用量：施工、停用、清退占用的数量",
        "unavailable: what works, out-of-service days and clearing after an exit take on the day",
    ),
    "reserved": Part("预留量：该日预留的数量", "reserved: what reservations take on the day"),
    "available": Part(
        f"可招商量：每套房源自该日起{AVAILABLE_DAYS}天内空出最多之日的未占用量之和",
        "offered: of each unit, the most that no claim takes on some day of the"
        f" {AVAILABLE_DAYS} days from the day on",
    ),
    "taken_up": Part(
        "新增租用：企业在某房源的租用量较前一日的增加",
        "taken up: by how much a firm has more of a unit than the day before",
    ),
    "given_back": Part(
        "退租：企业在某房源的租用量较前一日的减少",
        "given back: by how much a firm has less of a unit than the day before",
    ),
    "remeasured": Part(
        "重测净变动：租约存续而房源重测、拆分、合并或改类引起的变动",
        "re-measured: changes of running leases because their unit was measured anew, split,"
        " merged or given another type that day",
    ),
    "term_area_days": Part(
        "Σ(租用量 × 自该日起的剩余天数)，不含无固定期限租约",
        "sum of leased quantity * days left from the day on, leases without an end left out",
    ),
    "term_area": Part("有到期日的已租量", "leased with a known end"),
    "open_ended": Part("无固定期限的已租量", "leased without an end"),
    "void_days": Part("期内结束的空置段天数之和", "days of the voids that ended in the period"),
    "voids": Part("期内结束的空置段数", "voids that ended in the period"),
    "running_days": Part("截至该日仍在空置的天数之和", "days so far of voids that run on the day"),
    "running_voids": Part("该日仍在持续的空置段数", "voids that run on the day"),
    "ever_leased": Part(
        "累计去化量：截至该日曾出租的最大数量（每处空间不超过其推出量）",
        "ever leased: of each space the most that was leased so far, at most what was launched",
    ),
    "launched": Part(
        "累计推出量：截至该日推出的可租量；拆分或合并所得房源不重复计入",
        "launched: lettable area brought to market so far; units made by a split or merger are"
        " the space of those they came from",
    ),
    "moved_on": Part(
        f"接力企业数：退租前后{RELAY_DAYS}天内入驻更后阶段房源的企业",
        f"firms that moved on: within {RELAY_DAYS} days of the end of the lease they started one"
        " of a unit of a later type",
    ),
    "moved_or_left": Part(
        "期内退租较早阶段房源、且已接力或已无任何租约的企业数",
        "firms whose lease of a unit of an earlier type ended in the period and that moved on or"
        " have no lease left",
    ),
    "renewed": Part(
        "续租数：原到期日在期内且同一企业不间断续用同一房源",
        "renewed: the end came in the period, and the firm stayed in the unit without a gap",
    ),
    "came_to_end": Part(
        "到期数：企业与房源的租期原定于期内结束",
        "came to an end: a firm's lease of a unit was to end in the period, or did",
    ),
    "pending": Part(
        "待签约量：当前有效锁定在其首日的数量", "pending: live holds, each on its first day"
    ),
    "holds_leased": Part("已转为租约的锁定数", "holds that became leases"),
    "holds_ended": Part(
        "已结束的锁定数（签约、释放或过期）", "holds that ended: leased, released or expired"
    ),
}

FIGURES: tuple[Figure, ...] = (
    Figure(
        code="lettable",
        zh="可租面积",
        en="Lettable area",
        formula_zh="可租量",
        formula_en="lettable",
        unit=FigureUnit.M2,
        kind=FigureKind.STOCK,
        plus=("lettable",),
        caveats_zh=("规划状态的房源不计；施工、停用、预留的房源仍计入。",),
        caveats_en=("Planned units do not count; units under works or reserved do.",),
    ),
    Figure(
        code="leased",
        zh="已租面积",
        en="Leased area",
        formula_zh="已租量",
        formula_en="leased",
        unit=FigureUnit.M2,
        kind=FigureKind.STOCK,
        plus=("leased",),
        caveats_zh=("未来日期为按已签租约的预计。",),
        caveats_en=("A day to come shows what is signed by as_of, not a forecast.",),
    ),
    Figure(
        code="held",
        zh="锁定面积",
        en="Held area",
        formula_zh="锁定量",
        formula_en="held",
        unit=FigureUnit.M2,
        kind=FigureKind.STOCK,
        plus=("held",),
        caveats_zh=("锁定不算出租。",),
        caveats_en=("A hold is not a lease.",),
    ),
    Figure(
        code="unavailable",
        zh="不可用面积",
        en="Unavailable area",
        formula_zh="不可用量",
        formula_en="unavailable",
        unit=FigureUnit.M2,
        kind=FigureKind.STOCK,
        plus=("unavailable",),
    ),
    Figure(
        code="reserved",
        zh="预留面积",
        en="Reserved area",
        formula_zh="预留量",
        formula_en="reserved",
        unit=FigureUnit.M2,
        kind=FigureKind.STOCK,
        plus=("reserved",),
    ),
    Figure(
        code="vacant",
        zh="空置面积",
        en="Vacant area",
        formula_zh="可租量 − 已租量",
        formula_en="lettable - leased",
        unit=FigureUnit.M2,
        kind=FigureKind.STOCK,
        plus=("lettable",),
        minus=("leased",),
        caveats_zh=("含锁定、不可用与预留；可立即出租的见“未占用面积”。",),
        caveats_en=("Includes what is held, unavailable or reserved; see `free`.",),
    ),
    Figure(
        code="free",
        zh="未占用面积",
        en="Free area",
        formula_zh="可租量 − 已租量 − 锁定量 − 不可用量 − 预留量",
        formula_en="lettable - leased - held - unavailable - reserved",
        unit=FigureUnit.M2,
        kind=FigureKind.STOCK,
        plus=("lettable",),
        minus=("leased", "held", "unavailable", "reserved"),
    ),
    Figure(
        code="available",
        zh="可招商面积",
        en="Available area",
        formula_zh="可招商量",
        formula_en="offered",
        unit=FigureUnit.M2,
        kind=FigureKind.STOCK,
        plus=("available",),
        caveats_zh=(
            "与是否空置无关：含即将到期且无后续占用的在租面积，不含锁定期内的面积。",
            "只看房源面积与类型不变的日子：窗口内拆分或重测后的房源不计入。",
        ),
        caveats_en=(
            (
                "Vacant or not: leased space that falls free in the window counts, space that is"
                " held through it does not."
            ),
            (
                "Only days on which the unit keeps its size and type: what a split or a new"
                " measurement in the window makes is not looked at."
            ),
        ),
    ),
    Figure(
        code="occupancy",
        zh="出租率",
        en="Occupancy",
        formula_zh="已租量 ÷ 可租量",
        formula_en="leased / lettable",
        unit=FigureUnit.PCT,
        kind=FigureKind.STOCK,
        plus=("leased",),
        over="lettable",
        factor=_PERCENT,
    ),
    Figure(
        code="vacancy",
        zh="空置率",
        en="Vacancy",
        formula_zh="（可租量 − 已租量）÷ 可租量",
        formula_en="(lettable - leased) / lettable",
        unit=FigureUnit.PCT,
        kind=FigureKind.STOCK,
        plus=("lettable",),
        minus=("leased",),
        over="lettable",
        factor=_PERCENT,
        caveats_zh=("与出租率之和为100%。",),
        caveats_en=("Occupancy and vacancy add up to 100 %.",),
    ),
    Figure(
        code="free_rate",
        zh="未占用率",
        en="Free rate",
        formula_zh="（可租量 − 已租量 − 锁定量 − 不可用量 − 预留量）÷ 可租量",
        formula_en="(lettable - leased - held - unavailable - reserved) / lettable",
        unit=FigureUnit.PCT,
        kind=FigureKind.STOCK,
        plus=("lettable",),
        minus=("leased", "held", "unavailable", "reserved"),
        over="lettable",
        factor=_PERCENT,
        caveats_zh=("不高于空置率：施工与预留的空间空置而不可出租。",),
        caveats_en=("Never above the vacancy: space under works is vacant, but not free.",),
    ),
    Figure(
        code="availability",
        zh="可招商率",
        en="Availability",
        formula_zh="可招商量 ÷ 可租量",
        formula_en="offered / lettable",
        unit=FigureUnit.PCT,
        kind=FigureKind.STOCK,
        plus=("available",),
        over="lettable",
        factor=_PERCENT,
    ),
    Figure(
        code="gross_absorption",
        zh="新增租用面积（吸纳量）",
        en="Gross absorption",
        formula_zh="Σ新增租用",
        formula_en="sum of what was taken up",
        unit=FigureUnit.M2,
        kind=FigureKind.FLOW,
        plus=("taken_up",),
        caveats_zh=("同一企业原址不间断续租不算新增。",),
        caveats_en=("A firm that renews in place without a gap takes nothing up.",),
    ),
    Figure(
        code="move_outs",
        zh="退租面积",
        en="Move-outs",
        formula_zh="Σ退租",
        formula_en="sum of what was given back",
        unit=FigureUnit.M2,
        kind=FigureKind.FLOW,
        plus=("given_back",),
        caveats_zh=("计入首个不再租用之日：12月31日到期的租约计入次年一季度。",),
        caveats_en=(
            (
                "Counted on the first day not leased: a lease whose last day is 31 December falls"
                " into the next quarter."
            ),
        ),
    ),
    Figure(
        code="net_absorption",
        zh="净吸纳量",
        en="Net absorption",
        formula_zh="Σ新增租用 − Σ退租 = 期末已租量 − 期初前一日已租量 − 重测净变动",
        formula_en="taken up - given back = leased on the last day - leased on the day before the"
        " first - re-measured",
        unit=FigureUnit.M2,
        kind=FigureKind.FLOW,
        plus=("taken_up",),
        minus=("given_back",),
    ),
    Figure(
        code="remeasured",
        zh="重测净变动",
        en="Re-measured",
        formula_zh="Σ重测净变动",
        formula_en="sum of re-measured",
        unit=FigureUnit.M2,
        kind=FigureKind.FLOW,
        plus=("remeasured",),
    ),
    Figure(
        code="walt",
        zh="加权平均剩余租期",
        en="WALT, weighted average lease term left",
        formula_zh="Σ(租用量 × 剩余天数) ÷ 有到期日的已租量 ÷ 365.25",
        formula_en="sum of quantity * days left / leased with a known end / 365.25",
        unit=FigureUnit.YEARS,
        kind=FigureKind.STOCK,
        plus=("term_area_days",),
        over="term_area",
        factor=1 / Decimal("365.25"),
        caveats_zh=(
            "无固定期限租约不计入，见“无固定期限已租面积”。",
            "以现有租约的终点计，另签的后续租约不计。",
        ),
        caveats_en=(
            "Leases without an end are left out; see `open_ended`.",
            "To the end of the lease in hand: a later lease signed apart does not lengthen it.",
        ),
    ),
    Figure(
        code="open_ended",
        zh="无固定期限已租面积",
        en="Leased without an end",
        formula_zh="无固定期限的已租量",
        formula_en="leased without an end",
        unit=FigureUnit.M2,
        kind=FigureKind.STOCK,
        plus=("open_ended",),
    ),
    Figure(
        code="rollover",
        zh="到期面积（按年）",
        en="Rollover by year",
        formula_zh="有到期日的已租量，并按最后租用日所在年份分列",
        formula_en="leased with a known end; `by_year` splits it by year of the last day leased",
        unit=FigureUnit.M2,
        kind=FigureKind.STOCK,
        plus=("term_area",),
        caveats_zh=("各年之和加无固定期限等于已租量。",),
        caveats_en=("The years and what has no end add up to the leased area.",),
    ),
    Figure(
        code="void_completed",
        zh="平均空置天数（已结束）",
        en="Average void, completed",
        formula_zh="期内结束的空置天数 ÷ 空置段数",
        formula_en="days of the voids that ended in the period / their number",
        unit=FigureUnit.DAYS,
        kind=FigureKind.FLOW,
        plus=("void_days",),
        over="voids",
        by_measure=False,
        caveats_zh=(
            "空置段：整套房源从租约结束到下一租约开始之间无任何租约的日子，含清退、施工与锁定。",
            "无缝衔接不产生空置段；从未出租的房源不计；不按面积加权。",
        ),
        caveats_en=(
            (
                "A void is a run of days without any lease of the unit between two leases;"
                " clearing, works and holds are part of it."
            ),
            (
                "Leases back to back leave no void, and units never let have none. Not weighted by"
                " area."
            ),
        ),
    ),
    Figure(
        code="void_running",
        zh="平均空置天数（进行中）",
        en="Average void, running",
        formula_zh="截至该日仍在空置的天数 ÷ 空置段数",
        formula_en="days so far of the voids that run on the day / their number",
        unit=FigureUnit.DAYS,
        kind=FigureKind.STOCK,
        plus=("running_days",),
        over="running_voids",
        by_measure=False,
        caveats_zh=("含该日；从未出租的房源不计。",),
        caveats_en=("The day itself counts; units never let do not.",),
    ),
    Figure(
        code="take_up_to_date",
        zh="去化率",
        en="Cumulative take-up",
        formula_zh="累计去化量 ÷ 累计推出量",
        formula_en="ever leased / launched",
        unit=FigureUnit.PCT,
        kind=FigureKind.STOCK,
        plus=("ever_leased",),
        over="launched",
        factor=_PERCENT,
        caveats_zh=(
            "曾出租后又空置的空间仍计为已去化。",
            "拆分或合并的空间按推出时的类型与面积计。",
        ),
        caveats_en=(
            "Space that was let once and stands empty again still counts as taken up.",
            "Space that was split or merged counts with the type and size it was launched with.",
        ),
    ),
    Figure(
        code="relay_rate",
        zh="接力率",
        en="Relay rate",
        formula_zh="接力企业数 ÷（接力企业数 + 离开企业数）",
        formula_en="firms that moved on / firms that moved on or left",
        unit=FigureUnit.PCT,
        kind=FigureKind.FLOW,
        plus=("moved_on",),
        over="moved_or_left",
        factor=_PERCENT,
        by_measure=False,
        caveats_zh=(
            "阶段次序：孵化、加速、中试、总部+研发、产业化；退出产业化房源不计。",
            "按退出的房源归组，每组每期一家企业计一次；去向看全部园区的租约。",
            "只计查询时点当日及以前的退租；最近180天的退租仍可能接力。",
        ),
        caveats_en=(
            (
                "Order: incubation, acceleration, pilot, HQ + R&D, production; who leaves a"
                " production unit does not count."
            ),
            (
                "Grouped by the unit left; a firm counts once a group and period. Where it went is"
                " looked up in all parks."
            ),
            "Only ends up to the day of as_of; those of the last 180 days may yet lead on.",
        ),
    ),
    Figure(
        code="renewal_rate",
        zh="续租率",
        en="Renewal rate",
        formula_zh="续租数 ÷ 到期数",
        formula_en="renewed / came to an end",
        unit=FigureUnit.PCT,
        kind=FigureKind.FLOW,
        plus=("renewed",),
        over="came_to_end",
        factor=_PERCENT,
        by_measure=False,
        caveats_zh=(
            "按企业与房源计数，延期与同址新签均算续租；提前终止算到期。",
            "只计查询时点当日及以前的到期；当日重测、拆分或合并的房源不计。",
        ),
        caveats_en=(
            (
                "Counts pairs of firm and unit; an extension and a new lease of the same unit both"
                " renew, and an early end is an end."
            ),
            (
                "Only ends up to the day of as_of, and not those on which the unit is measured"
                " anew, split or merged."
            ),
        ),
    ),
    Figure(
        code="pending",
        zh="待签约面积（原值）",
        en="Pending signature, raw",
        formula_zh="Σ待签约量",
        formula_en="sum of live holds",
        unit=FigureUnit.M2,
        kind=FigureKind.KNOWN,
        plus=("pending",),
        caveats_zh=("同一天的同一平方米不会被两个锁定重复占用，故不重复计算意向。",),
        caveats_en=(
            (
                "Holds cannot overlap, so no m² of a day is counted for two firms; holds for"
                " different days each count."
            ),
        ),
    ),
    Figure(
        code="pending_weighted",
        zh="待签约面积（加权）",
        en="Pending signature, weighted",
        formula_zh="待签约量 × 已转为租约的锁定数 ÷ 已结束的锁定数",
        formula_en="pending * holds that became leases / holds that ended",
        unit=FigureUnit.M2,
        kind=FigureKind.KNOWN,
        plus=("holds_leased",),
        times="pending",
        over="holds_ended",
        least=LEAST_ENDED_HOLDS,
        caveats_zh=(f"已结束的锁定少于{LEAST_ENDED_HOLDS}个时为空。",),
        caveats_en=(f"None where fewer than {LEAST_ENDED_HOLDS} holds have ended.",),
    ),
    Figure(
        code="hold_conversion",
        zh="锁定转化率",
        en="Conversion of holds",
        formula_zh="已转为租约的锁定数 ÷ 已结束的锁定数",
        formula_en="holds that became leases / holds that ended",
        unit=FigureUnit.PCT,
        kind=FigureKind.KNOWN,
        plus=("holds_leased",),
        over="holds_ended",
        least=LEAST_ENDED_HOLDS,
        factor=_PERCENT,
        by_measure=False,
        caveats_zh=(
            f"对整个查询范围计算，各组相同；已结束的锁定少于{LEAST_ENDED_HOLDS}个时为空。",
        ),
        caveats_en=(
            (
                "One rate over all that the query selects, the same in every group; none where"
                f" fewer than {LEAST_ENDED_HOLDS} holds have ended."
            ),
        ),
    ),
)

#: Said once, of all figures.
GENERAL_EN = (
    (
        "Days are Shanghai civil days; a period runs from `from` up to but not including `until`,"
        " and its last day is the day before `until`."
    ),
    (
        "Everything is taken from the units' terms and the ledger's claims as they were known at"
        " `as_of`."
    ),
    (
        "Units measured in m² and units measured in places are told apart (`_m2`, `_places`) and"
        " never added."
    ),
    (
        "Each unit belongs to the park it lies in directly, and to that park's zone: parks inside"
        " parks count once. Programmes overlap: a building counts towards each it belongs to, so"
        " figures of programmes do not add up."
    ),
)
GENERAL_ZH = (
    "日期为上海民用日；期间自 from 起至 until 前一日止。",
    "全部由 as_of 时点所知的房源条件与台账占用算出。",
    "按平方米与按工位计量的房源分列（_m2、_places），从不相加。",
    "房源归其直接所在的园区及该园区所属的区，园中园不重复计；计划之间可重叠，各计划数字不可相加。",
)


def every_code() -> Iterator[tuple[str, Figure, str]]:
    """Each code of the answer, its figure, and the measure whose parts it takes.

    >>> [code for code, figure, _ in every_code() if figure.code == "vacancy"]
    ['vacancy_m2', 'vacancy_places']
    """
    for figure in FIGURES:
        for measure, code in figure.codes().items():
            yield code, figure, measure


def words_above(figure: Figure) -> tuple[str, str]:
    """The numerator in Chinese and English: its parts, one after the other."""
    signed = [("", name) for name in figure.plus[:1]]
    signed += [("+ ", name) for name in figure.plus[1:]]
    signed += [("− ", name) for name in figure.minus]
    signed += [("× ", name) for name in [figure.times] if name is not None]
    chinese = "；".join(sign + PARTS[name].zh for sign, name in signed)
    return chinese, "; ".join(sign + PARTS[name].en for sign, name in signed)


def reference_page() -> str:
    """The text of docs/reference/kpis.md."""
    lines = ["# Key figures", ""]
    lines += [
        (
            "`GET /api/v1/kpis` answers with these, `GET /api/v1/kpis/definitions` lists them. This"
            " page is made from `app/kpis/definitions.py`."
        ),
        "",
        *(f"- {said}" for said in GENERAL_EN),
        "",
        *(f"- {said}" for said in GENERAL_ZH),
    ]
    for figure in FIGURES:
        codes = ", ".join(f"`{code}`" for code in figure.codes().values())
        above_zh, above_en = words_above(figure)
        lines += ["", f"## {figure.zh} {figure.en}", ""]
        lines += [f"{codes}; unit {figure.unit.en}; {figure.kind.en} ({figure.kind.zh})", ""]
        lines += [f"- **{figure.formula_en}**", f"- **{figure.formula_zh}**"]
        lines += [f"- Numerator: {above_en}", f"- 分子：{above_zh}"]
        if figure.over is not None:
            lines += [f"- Denominator: {PARTS[figure.over].en}", f"- 分母：{PARTS[figure.over].zh}"]
        lines += [f"- {said}" for said in (*figure.caveats_en, *figure.caveats_zh)]
    return "\n".join(lines) + "\n"
