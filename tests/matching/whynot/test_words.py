"""What people read: whole sentences in both languages."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from app.matching.engine.whynot.amounts import Amounts, Change
from app.matching.engine.whynot.funnel import Blocker
from app.matching.engine.whynot.relaxations import Relaxation
from app.matching.engine.whynot.waiting import Waiting
from app.matching.engine.whynot.words import (
    amounts_words,
    blocker_words,
    change_words,
    quantity_words,
    relaxation_words,
    waiting_words,
)
from app.matching.rules.demand import Window
from app.matching.rules.ground import PlacesNeed
from app.matching.rules.table import BY_KEY
from tests.matching.whynot.worlds import make_demand

RENT, DAYS = BY_KEY["max_rent_cny_per_m2_day"], BY_KEY["availability"]
WINDOW = Window(date(2027, 1, 1), date(2027, 1, 1), 24)
NAMES = {"core": ("核心区", "the core"), "south": ("南区", "the south")}


def test_amounts_say_every_change_and_what_they_open() -> None:
    changes = (
        Change(RENT, 4.1, 4.6),
        Change(DAYS, WINDOW, Window(WINDOW.start, date(2027, 3, 1), 24)),
    )
    told = Amounts(changes, opens=10, demand=make_demand(0), waived=frozenset())
    zh, en = amounts_words(told)
    assert zh == (
        "租金放宽至 4.6 元/㎡·天（原为 4.1 元/㎡·天），"
        "且最晚起租日放宽至 2027-03-01（原为 2027-01-01），可多出 10 个单元"
    )
    assert en == (
        "rent up to 4.6 CNY/m²·day instead of 4.1 CNY/m²·day and a start by 2027-03-01"
        " instead of 2027-01-01 open 10 units"
    )
    one = replace(told, changes=changes[:1], opens=1)
    assert amounts_words(one)[1].endswith("instead of 4.1 CNY/m²·day opens 1 unit")


@pytest.mark.parametrize(
    ("key", "need", "give", "zh", "en"),
    [
        (
            "min_area_m2",
            1500.0,
            1200.0,
            "面积下限放宽至 1,200 m²（原为 1,500 m²）",
            "smallest area down to 1,200 m² instead of 1,500 m²",
        ),
        (
            "cleanroom_grade",
            "B",
            "D",
            "洁净等级放宽至 D级（原为 B级）",
            "cleanroom grade GMP D instead of GMP B",
        ),
        (
            "zones",
            PlacesNeed(("core",), NAMES),
            PlacesNeed(("core", "south"), NAMES),
            "意向区域放宽至 核心区、南区（原为 核心区）",
            "zones wanted the core, the south instead of the core",
        ),
        (
            "near",
            {"lon": 1, "lat": 2, "within_m": 500.0},
            {"lon": 1, "lat": 2, "within_m": 900},
            "距意向位置放宽至 900 m（原为 500 m）",
            "distance from the point wanted up to 900 m instead of 500 m",
        ),
        ("steam", True, None, "不要求蒸汽", "steam given up"),
    ],
)
def test_a_change_says_from_what_to_what(key: str, need: Any, give: Any, zh: str, en: str) -> None:
    assert change_words(Change(BY_KEY[key], need, give)) == (zh, en)


def test_giving_up_says_units_and_bundles_apart() -> None:
    both = Relaxation(3, (RENT, DAYS), 5, opens=1, bundles=2)
    assert relaxation_words(both) == (
        "若同时不要求“租金”“可用时间”，可多出 1 个单元和 2 个组合",
        "giving way on rent and availability together frees 1 unit and 2 bundles",
    )
    alone = Relaxation(1, (RENT,), 3, opens=0, bundles=1)
    assert relaxation_words(alone) == (
        "若不要求“租金”，可多出 1 个组合",
        "giving way on rent frees 1 bundle",
    )


def test_blockers_say_what_they_refuse() -> None:
    one = Blocker(RENT, 7, blocks_in_place=3, blocks_alone=1, before=9, left=2, example=None)
    zh, en = blocker_words(one)
    assert zh == (
        "“租金”排除 7 个单元（意向范围内同类空间中 3 个），其中 1 个仅因此项；"
        "筛选至此由 9 个减为 2 个"
    )
    assert en == (
        "rent rules out 7 units (3 of the kind asked for in the wished place), 1 of them alone;"
        " the funnel goes from 9 to 2 here"
    )


def test_waiting_says_how_many_and_from_when() -> None:
    day = date(2027, 9, 1).toordinal()
    assert waiting_words(Waiting(7, ((day, 7),), 0, ())) == (
        "7 个单元其他条件均符合，但所需时间内已被占用；最早的自 2027-09-01 起可用",
        "7 units fit but are taken in the days asked for; the first is free from 2027-09-01",
    )
    assert waiting_words(Waiting(1, (), 1, ())) == (
        "1 个单元其他条件均符合，但所需时间内已被占用；没有足够长的空档",
        "1 unit fits but is taken in the days asked for; no free stretch is long enough",
    )
    assert waiting_words(Waiting(0, (), 0, ())) is None


def test_quantities_are_in_the_unit_s_own_measure() -> None:
    assert quantity_words(3000, "place") == ("30 个工位", "30 places")
    assert quantity_words(125_050, "m2") == ("1,250.5 m²", "1,250.5 m²")
