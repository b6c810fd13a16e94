"""The declared table: whole, in step with its page, and right about small sums."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from app.kernel.errors import InvalidInputError
from app.kernel.period import Period
from app.kpis.asked import Every, KpiSearch, periods
from app.kpis.compute import values_of
from app.kpis.definitions import FIGURES, PARTS, FigureUnit, every_code, reference_page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "kpis.md"
NOON = datetime(2026, 11, 1, 4, tzinfo=UTC)


def test_the_page_is_made_from_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference_page(), (
        "write it anew: python -c 'from app.kpis.definitions import reference_page;"
        ' print(reference_page(), end="")\' > docs/reference/kpis.md'
    )


def test_every_part_is_used_and_every_part_used_is_named() -> None:
    used = {
        name
        for figure in FIGURES
        for name in (*figure.plus, *figure.minus, figure.over, figure.times)
        if name is not None
    }
    assert used == set(PARTS)


def test_every_figure_has_a_code_of_its_own_and_words_in_both_languages() -> None:
    codes = [code for code, *_ in every_code()]
    assert len(codes) == len(set(codes)) == 49
    for figure in FIGURES:
        assert len(figure.caveats_zh) == len(figure.caveats_en), figure.code
        assert all((figure.zh, figure.en, figure.formula_zh, figure.formula_en))


def test_rates_and_only_rates_are_divided() -> None:
    divided = {FigureUnit.PCT, FigureUnit.DAYS, FigureUnit.YEARS}
    assert {figure.code for figure in FIGURES if figure.over is not None} == {
        figure.code for figure in FIGURES if figure.unit in divided
    } | {"pending_weighted"}


def of(**parts: int) -> dict[str, Decimal]:
    return {name: Decimal(amount) for name, amount in parts.items()}


def test_areas_and_places_are_told_apart() -> None:
    values = values_of(
        {
            "m2": of(lettable=200, leased=150, held=10, unavailable=5, reserved=5),
            "place": of(lettable=10, leased=1),
        }
    )
    assert values["occupancy_m2"].value == 75
    assert values["vacancy_m2"].value == 25
    assert values["free_rate_m2"].value == 15
    assert values["vacancy_places"].value == 90
    assert values["vacant_m2"].value == 50
    assert values["vacant_m2"].unit is FigureUnit.M2
    assert values["vacant_places"].value == 9
    assert values["vacant_places"].unit is FigureUnit.PLACES
    assert values["vacancy_m2"].numerator == 50
    assert values["vacancy_m2"].denominator == 200


def test_where_nothing_is_lettable_there_is_no_rate() -> None:
    values = values_of({})
    assert values["vacancy_m2"].value is None
    assert values["vacancy_m2"].denominator == 0
    assert values["lettable_m2"].value == 0
    assert values["relay_rate"].value is None
    assert values["walt_m2"].shown() == {
        "value": None,
        "numerator": 0,
        "denominator": 0,
        "unit": "years",
    }


def test_the_average_term_counts_years_of_365_and_a_quarter_days() -> None:
    # 100 m² for two years and 300 m² for four.
    days = 100 * Decimal("730.5") + 300 * Decimal(1461)
    values = values_of({"m2": {"term_area_days": days, "term_area": Decimal(400)}})
    assert values["walt_m2"].shown()["value"] == 3.5


@pytest.mark.parametrize(("ended", "expected"), [(9, None), (10, 300), (20, 150)])
def test_holds_weigh_by_their_conversion_once_ten_have_ended(
    ended: int, expected: int | None
) -> None:
    values = values_of(
        {"": of(holds_ended=ended, holds_leased=5), "m2": of(pending=600), "place": of(pending=4)}
    )
    assert values["pending_m2"].value == 600
    assert values["pending_weighted_m2"].value == expected
    assert values["pending_weighted_m2"].numerator == 3000
    assert values["pending_weighted_m2"].denominator == ended
    assert (values["hold_conversion"].value is None) is (expected is None)
    assert values["pending_weighted_places"].unit is FigureUnit.PLACES


def test_rollover_splits_what_is_leased_by_year() -> None:
    shown = values_of(
        {"m2": {**of(leased=100, term_area=80, open_ended=20), "ends:2028": Decimal(60)}}
        | {"place": {**of(leased=4, term_area=4), "ends:2027": Decimal(4)}}
    )
    assert shown["rollover_m2"].shown()["by_year"] == [{"year": 2028, "value": 60, "share_pct": 60}]
    assert shown["rollover_places"].shown()["by_year"][0]["year"] == 2027
    assert "by_year" not in shown["vacancy_m2"].shown()


def test_unless_told_the_last_eight_quarters_up_to_today() -> None:
    found = periods(KpiSearch(), NOON)
    assert len(found) == 8
    assert found[0] == Period(date(2025, 1, 1), date(2025, 4, 1))
    assert found[-1] == Period(date(2026, 10, 1), date(2026, 11, 2))


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        (Every.NONE, [(date(2026, 2, 10), date(2027, 2, 1))]),
        (
            Every.YEAR,
            [(date(2026, 2, 10), date(2027, 1, 1)), (date(2027, 1, 1), date(2027, 2, 1))],
        ),
        (
            Every.QUARTER,
            [
                (date(2026, 2, 10), date(2026, 4, 1)),
                (date(2026, 4, 1), date(2026, 7, 1)),
                (date(2026, 7, 1), date(2026, 10, 1)),
                (date(2026, 10, 1), date(2027, 1, 1)),
                (date(2027, 1, 1), date(2027, 2, 1)),
            ],
        ),
    ],
)
def test_days_are_cut_at_calendar_quarters_and_years(
    every: Every, expected: list[tuple[date, date]]
) -> None:
    search = KpiSearch(start=date(2026, 2, 10), until=date(2027, 2, 1), every=every)
    assert [(one.start, one.end) for one in periods(search, NOON)] == expected


def test_today_is_shanghais_and_begins_a_quarter() -> None:
    late = datetime(2026, 12, 31, 17, tzinfo=UTC)
    assert periods(KpiSearch(), late)[-1] == Period(date(2027, 1, 1), date(2027, 1, 2))
    assert periods(KpiSearch(every=Every.YEAR), late)[0].start == date(2024, 1, 1)
    assert periods(KpiSearch(every=Every.NONE), late) == [
        Period(date(2027, 1, 1), date(2027, 1, 2))
    ]


@pytest.mark.parametrize(
    ("search", "pointer"),
    [
        (KpiSearch(start=date(2027, 1, 1), until=date(2027, 1, 1)), "until"),
        (KpiSearch(start=date(2000, 1, 1), until=date(2027, 1, 1)), "from"),
        (KpiSearch(start=date(1900, 1, 1), until=date(2999, 12, 31), every=Every.YEAR), "from"),
    ],
)
def test_no_days_and_too_many_periods_are_refused(search: KpiSearch, pointer: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        periods(search, NOON)
    assert [fault.pointer for fault in refused.value.faults] == [pointer]
    assert refused.value.faults[0].detail_zh


def test_forty_periods_are_the_most() -> None:
    assert len(periods(KpiSearch(start=date(2017, 1, 1), until=date(2027, 1, 1)), NOON)) == 40
    with pytest.raises(InvalidInputError):
        periods(KpiSearch(start=date(2016, 12, 31), until=date(2027, 1, 1)), NOON)
