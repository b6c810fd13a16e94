"""Works that mend what a space lacks: longest months, added costs, and an honest label."""

from pathlib import Path

import pytest

from app.demand.needs import NEEDS
from app.kernel.terms import CleanroomGrade
from app.matching.answers.fit_out import Lack, fit_out, load_fit_out
from tests.conftest import ROOT

RULES = load_fit_out(ROOT / "data")


def test_works_run_side_by_side_and_their_costs_add() -> None:
    lacks = [Lack("cleanroom_grade", "B", "C"), Lack("min_cold_storage_m2", 200.0, 50.0)]

    found = fit_out(RULES, "shell", lacks, 1000.0)

    assert [one.item.need for one in found.works] == [
        "physical_state",
        "cleanroom_grade",
        "min_cold_storage_m2",
    ]
    assert (found.months.low, found.months.high) == (6, 9)
    # 1,000 m² of basic fit-out and of grade B rooms, and the 150 m² of cold storage that are short.
    assert found.cost_cny.low == 1000 * 1200 + 1000 * 5000 + 150 * 3000
    assert found.cost_cny.high == 1000 * 3000 + 1000 * 9000 + 150 * 6000
    assert "规划假设，非报价" in found.words[0]
    assert "not a quotation" in found.words[1]


def test_of_what_is_not_recorded_all_is_short() -> None:
    known, unknown = (
        fit_out(RULES, "fitted", [Lack("min_power_kva", 400.0, have)], 100.0).cost_cny.low
        for have in (300.0, None)
    )

    assert (known, unknown) == (100 * 1000, 400 * 1000)


def test_what_nothing_mends_is_left_out() -> None:
    found = fit_out(RULES, "fitted", [Lack("min_floor_load_kn_m2", 7.5, 3.43)], 500.0)

    assert found.works == ()
    assert found.words == ("无需另行改造", "nothing needs to be built")


def test_every_grade_can_be_built_and_every_item_is_a_need() -> None:
    for grade in CleanroomGrade:
        assert RULES.item("cleanroom_grade", grade.value) is not None, grade
    assert {need for need, _ in RULES.items} <= set(NEEDS)


@pytest.mark.parametrize(
    "broken",
    [
        'need = "no_such_need"',
        'need = "cleanroom_grade"\nlevel = "E"',
        'need = "steam"\n[[item]]\nneed = "steam"',
    ],
)
def test_a_slip_in_the_table_is_found_when_it_is_read(tmp_path: Path, broken: str) -> None:
    rest = """
name_zh = "甲"
name_en = "a"
basis = "each"
months = { low = 1, high = 2 }
cost_cny = { low = 1, high = 2 }
"""
    (tmp_path / "needs").mkdir()
    items = "\n".join(f"[[item]]\n{one}\n{rest}" for one in broken.split("\n[[item]]\n"))
    (tmp_path / "needs" / "fit_out.toml").write_text(
        f'version = "1"\nsource = "tests"\nconfidence = "assumption"\n{items}', "utf-8"
    )

    with pytest.raises(ValueError, match="stands twice, or is no need"):
        load_fit_out(tmp_path)
