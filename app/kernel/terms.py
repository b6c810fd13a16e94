"""The field's closed vocabularies, each value with its Chinese and English words.

Values are stored as text with a CHECK and never change once released. Where values are ordered
(a stronger class can serve a weaker need), the order is a separate, explicit table.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Self


class Term(StrEnum):
    """A value with words for people in both languages."""

    zh: str
    en: str

    def __new__(cls, value: str, zh: str, en: str) -> Self:
        """A member is written ``NAME = "value", "中文", "English"``."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.zh = zh
        member.en = en
        return member


class UnitType(Term):
    """The five spaces of the relay."""

    INCUBATION = "incubation", "孵化", "Incubation"
    ACCELERATION = "acceleration", "加速", "Acceleration"
    PILOT = "pilot", "中试", "Pilot scale"
    HQ_RD = "hq_rd", "总部+研发", "HQ + R&D"
    PRODUCTION = "production", "产业化", "Production"


class PipelineStage(Term):
    """How far a pipeline asset has come."""

    DISCOVERY = "discovery", "药物发现", "Discovery"
    PRECLINICAL = "preclinical", "临床前", "Preclinical"
    IND = "ind", "临床试验申请", "IND"
    PHASE_1 = "phase_1", "I期临床", "Phase I"
    PHASE_2 = "phase_2", "II期临床", "Phase II"
    PHASE_3 = "phase_3", "III期临床", "Phase III"
    NDA = "nda", "上市申请", "NDA/BLA"
    MARKETED = "marketed", "已上市", "Marketed"


#: Which stage comes after which; assets only move along this ladder.
PIPELINE_LADDER: tuple[PipelineStage, ...] = tuple(PipelineStage)


class Modality(Term):
    """What kind of product a pipeline asset is."""

    SMALL_MOLECULE = "small_molecule", "小分子药", "Small molecule"
    ANTIBODY = "antibody", "抗体药", "mAb / bispecific"
    ADC = "adc", "抗体偶联药物", "ADC"
    CAR_T = "car_t", "CAR-T/细胞治疗", "CAR-T / cell therapy"
    GENE_THERAPY = "gene_therapy", "基因治疗（AAV/LV）", "Gene therapy (AAV/LV)"
    MRNA_OLIGO = "mrna_oligo", "核酸药物", "mRNA / oligonucleotide"
    VACCINE = "vaccine", "疫苗", "Vaccine"
    SYNTHETIC_BIOLOGY = "synthetic_biology", "合成生物", "Synthetic biology"
    DEVICE = "device", "医疗器械", "Device class II/III"
    IVD = "ivd", "体外诊断", "In-vitro diagnostics"
    SURGICAL_ROBOT = "surgical_robot", "手术机器人", "Surgical robot"
    AI_DRUG_DISCOVERY = "ai_drug_discovery", "AI药物发现", "AI drug discovery"
    CDMO = "cdmo", "合同研发生产", "CXO / CDMO"


class LayoutRole(Term):
    """A zone's or park's part in the "1+5+X" layout."""

    CORE = "core", "1：创新引领核心区", "1: the core"
    SPECIALISED = "specialised", "5：专业特色区", "5: specialised area"
    SPECIAL = "special", "X：特色产业园区", "X: special park"


class CarrierType(Term):
    """The rungs of the plan's ladder of innovation carriers."""

    MAKER_SPACE = "maker_space", "众创空间", "Maker space"
    INCUBATOR = "incubator", "孵化器", "Incubator"
    ACCELERATOR = "accelerator", "加速器", "Accelerator"
    OPEN_INNOVATION_CENTRE = (
        "open_innovation_centre",
        "大企业开放创新中心",
        "Corporate open innovation centre",
    )
    SPECIAL_PARK = "special_park", "特色产业园区", "Special industrial park"


class PhysicalState(Term):
    """What is built; never who occupies it."""

    PLANNED = "planned", "规划", "Planned"
    UNDER_CONSTRUCTION = "under_construction", "在建", "Under construction"
    SHELL = "shell", "毛坯", "Shell"
    FITTED = "fitted", "已装修", "Fitted out"


class LandUseCode(Term):
    """Planned use of a plot, by the codes of the Shanghai control plans; a mix joins several."""

    M1 = "M1", "一类工业用地", "Industrial land, class 1"
    M2 = "M2", "二类工业用地", "Industrial land, class 2"
    M3 = "M3", "三类工业用地", "Industrial land, class 3"
    M4 = "M4", "工业研发用地", "Industrial research land"
    W = "W", "仓储用地", "Storage land"
    C65 = "C65", "科研设计用地", "Research and design land"
    C8 = "C8", "商务办公用地", "Business and office land"


def is_joined(text: str, codes: type[Term]) -> bool:
    """Whether a text is one code, or several different ones with ``/`` or ``+`` between them.

    >>> is_joined("M1/M4", LandUseCode), is_joined("M1/M1", LandUseCode)
    (True, False)
    """
    parts = text.replace("+", "/").split("/")
    return len(set(parts)) == len(parts) and {*codes}.issuperset(parts)


class Grade(Term):
    """Class of a plot in the land performance evaluation."""

    A = "A", "A 类", "Class A"
    B = "B", "B 类", "Class B"
    C = "C", "C 类", "Class C"
    D = "D", "D 类", "Class D"


class CapacityMeasure(Term):
    """What a unit's capacity counts."""

    M2 = "m2", "平方米", "Square metres"
    PLACE = "place", "工位", "Places"


class ClaimKind(Term):
    """Why days of a unit are taken."""

    HOLD = "hold", "锁定", "Hold"
    LEASE = "lease", "租约", "Lease"
    WORKS = "works", "施工", "Works"
    OUT_OF_SERVICE = "out_of_service", "停用", "Out of service"
    CLEARING = "clearing", "清退", "Clearing after an exit"
    RESERVATION = "reservation", "预留", "Reservation"


class RemainderRule(Term):
    """What a partial letting may leave of a unit on any day."""

    LETTABLE = "lettable", "余量须可再出租", "Nothing, or at least the smallest part"
    ANY = "any", "余量不限", "Anything"


class UnitEventKind(Term):
    """What happened to a unit itself."""

    TERMS_CHANGED = "terms_changed", "条件变更", "Terms changed"
    REMEASURED = "remeasured", "面积重测", "Re-measured"
    SPLIT = "split", "拆分", "Split"
    MERGED = "merged", "合并", "Merged"


class RightKind(Term):
    """Rights that bind space and time; an offer waits until the senior ones are cleared."""

    RENEWAL = "renewal", "优先承租", "Priority to renew"
    EXPANSION = "expansion", "扩租", "Expansion"
    FIRST_OFFER = "first_offer", "首邀权", "First offer"
    FIRST_REFUSAL = "first_refusal", "首拒权", "First refusal"
    MUST_TAKE = "must_take", "到期必租", "Must take"


class NoticeAnswer(Term):
    """What the holder of a right said when asked."""

    WAIVED = "waived", "放弃", "Waived"
    EXERCISED = "exercised", "行使", "Exercised"


class QueueOutcome(Term):
    """How a company left the line for a space."""

    TAKEN = "taken", "已锁定", "Took the space"
    WITHDRAWN = "withdrawn", "已退出", "Withdrew"


class LeaseEventKind(Term):
    """What happened to a lease after it was signed."""

    EXTENDED = "extended", "续租", "Extended"
    TERMINATED = "terminated", "提前终止", "Ended early"
    HANDED_OVER = "handed_over", "交付", "Handed over"
    HANDED_BACK = "handed_back", "退租交还", "Handed back"
    CLEARED = "cleared", "清退完成", "Cleared"


class FireHazardClass(Term):
    """Fire hazard class of production (GB 50016), most dangerous first."""

    JIA = "jia", "甲类", "Class A (jia)"
    YI = "yi", "乙类", "Class B (yi)"
    BING = "bing", "丙类", "Class C (bing)"
    DING = "ding", "丁类", "Class D (ding)"
    WU = "wu", "戊类", "Class E (wu)"


class ProcessClass(Term):
    """Emission class of a process, least first; data/needs/land_use.toml says where each may go."""

    LABORATORY = "laboratory", "实验研发", "Laboratory work"
    PILOT_LOW_EMISSION = (
        "pilot_low_emission",
        "无排放中试",
        "Pilot scale without process emissions",
    )
    LIGHT_GMP = "light_gmp", "轻型GMP/器械组装", "Light GMP and device assembly"
    PHARMA_GMP = "pharma_gmp", "生物制品与制剂生产", "Biologics and finished drugs"
    CHEMICAL_SYNTHESIS = (
        "chemical_synthesis",
        "原料药/化学合成",
        "Active ingredients by chemical synthesis",
    )


class CleanroomGrade(Term):
    """Cleanroom grade (GMP 2010, annex 1), strictest first."""

    A = "A", "A级", "GMP A"
    B = "B", "B级", "GMP B"
    C = "C", "C级", "GMP C"
    D = "D", "D级", "GMP D"


class AnimalFacility(Term):
    """Laboratory animal facility (GB 14925)."""

    CONVENTIONAL = "conventional", "普通级", "Conventional"
    SPF = "spf", "SPF级", "SPF"


class IsotopeClass(Term):
    """Class of unsealed radioactive workplace, strongest first."""

    JIA = "jia", "甲级", "Class A"
    YI = "yi", "乙级", "Class B"
    BING = "bing", "丙级", "Class C"


class VibrationClass(Term):
    """Generic vibration criterion (GB 50868), loosest first."""

    VC_A = "VC-A", "VC-A（50 µm/s）", "VC-A (50 µm/s)"
    VC_B = "VC-B", "VC-B（25 µm/s）", "VC-B (25 µm/s)"
    VC_C = "VC-C", "VC-C（12.5 µm/s）", "VC-C (12.5 µm/s)"
    VC_D = "VC-D", "VC-D（6.25 µm/s）", "VC-D (6.25 µm/s)"
    VC_E = "VC-E", "VC-E（3.12 µm/s）", "VC-E (3.12 µm/s)"


class FacilityType(Term):
    """Shared facilities that firms want to be near."""

    BSL_LAB = "bsl_lab", "生物安全实验室", "Biosafety laboratory"
    CDMO_LINE = "cdmo_line", "CMO/CDMO产线", "CMO/CDMO line"
    BIOBANK = "biobank", "生物样本库", "Biobank"
    ANIMAL_FACILITY = "animal_facility", "实验动物设施", "Animal facility"
    ISOTOPE_WASTE = "isotope_waste", "放射性废物暂存", "Isotope waste store"
    HOSPITAL = "hospital", "医院", "Hospital"
    METRO_STATION = "metro_station", "地铁站", "Metro station"


class SourceDatum(Term):
    """Geodetic datum in which a geometry was given."""

    WGS84 = "WGS84", "WGS-84", "WGS-84"
    CGCS2000 = "CGCS2000", "2000国家大地坐标系", "CGCS2000"
    GCJ02 = "GCJ02", "火星坐标系 GCJ-02", "GCJ-02"
    BD09 = "BD09", "百度坐标系 BD-09", "BD-09"


class GeometryQuality(Term):
    """How far a geometry may be trusted."""

    SURVEYED = "surveyed", "实测", "Surveyed"
    DIGITISED = "digitised", "数字化", "Digitised"
    SCHEMATIC = "schematic", "示意", "Schematic"


class Confidence(Term):
    """How a fact is known."""

    PUBLISHED = "published", "已发布", "Published"
    DERIVED = "derived", "推算", "Derived"
    ASSUMPTION = "assumption", "规划假设", "Planning assumption"


class MilestoneStep(Term):
    """Steps of a construction project, in order."""

    PLANNED = "planned", "规划", "Planned"
    LAND_ACQUIRED = "land_acquired", "取得土地", "Land acquired"
    STARTED = "started", "开工", "Construction started"
    TOPPED_OUT = "topped_out", "结构封顶", "Topped out"
    COMPLETED = "completed", "竣工", "Completed"
    ACCEPTED = "accepted", "验收备案", "Accepted and filed"
    HANDED_OVER = "handed_over", "交付", "Handed over"
    IN_PRODUCTION = "in_production", "投产", "In production"


class Tenure(Term):
    """How a parcel is held."""

    GRANT = "grant", "出让", "Granted land-use right"
    FLEXIBLE_GRANT = "flexible_grant", "弹性年期出让", "Flexible-term grant"
    LEASE = "lease", "租赁", "Leased land"
    RESERVE = "reserve", "储备", "Reserved industrial land"


class ContactRole(Term):
    """What somebody does at a firm. No free text: a title of one's own names its holder."""

    DECIDES = "decides", "决策人", "Decides"
    SITE_SEARCH = "site_search", "选址负责人", "Leads the search for space"
    FACILITIES = "facilities", "设施与工程", "Facilities and engineering"
    FINANCE = "finance", "财务", "Finance"
    LEGAL = "legal", "法务", "Legal"
    DAILY_MATTERS = "daily_matters", "日常事务", "Daily matters"


class ContactPurpose(Term):
    """What a person's data are kept for, as the person was told."""

    MATCHING = "matching", "选址与匹配联络", "Talking about space to match"
    LEASING = "leasing", "签约与租赁事务", "Signing and keeping a lease"
    OPERATIONS = "operations", "园区运营与安全通知", "Notices of the park, such as on safety"


class ConsentForm(Term):
    """How somebody agreed."""

    WRITTEN = "written", "书面", "In writing"
    ELECTRONIC = "electronic", "电子方式", "Electronically"
    ORAL = "oral", "口头", "By word of mouth"


class ConsentSource(Term):
    """Through whom it came to be known."""

    PERSON = "person", "本人", "The person"
    FIRM = "firm", "所属企业转达", "The firm, on the person's behalf"


#: Classes of which one serves every need for a weaker one, strongest first: the stricter cleanroom,
#: the space designed for the more dangerous process, the cleaner animal house, the calmer floor.
STRONGEST_FIRST: Mapping[type[Term], tuple[Term, ...]] = {
    CleanroomGrade: (CleanroomGrade.A, CleanroomGrade.B, CleanroomGrade.C, CleanroomGrade.D),
    FireHazardClass: (
        FireHazardClass.JIA,
        FireHazardClass.YI,
        FireHazardClass.BING,
        FireHazardClass.DING,
        FireHazardClass.WU,
    ),
    AnimalFacility: (AnimalFacility.SPF, AnimalFacility.CONVENTIONAL),
    IsotopeClass: (IsotopeClass.JIA, IsotopeClass.YI, IsotopeClass.BING),
    VibrationClass: (
        VibrationClass.VC_E,
        VibrationClass.VC_D,
        VibrationClass.VC_C,
        VibrationClass.VC_B,
        VibrationClass.VC_A,
    ),
}


def serving(need: Term) -> tuple[Term, ...]:
    """The classes that serve a need: its own and all stronger ones, strongest first.

    >>> [grade.value for grade in serving(CleanroomGrade.C)]
    ['A', 'B', 'C']
    """
    ordered = STRONGEST_FIRST[type(need)]
    return ordered[: ordered.index(need) + 1]
