"""How much of a divisible unit is offered, by examples that were worked out by hand."""

import pytest

from app.matching.engine.parts import UNKNOWN, Wanted, quantity_offered, rent_a_year, share

#: capacity, smallest part, by the place, remainder kept lettable, what is wanted; all hundredths.
CASES = [
    # Let only whole, or nobody asks how much.
    (100_000, UNKNOWN, False, True, Wanted(aim=50_000), 100_000),
    (100_000, 20_000, False, True, Wanted(), 100_000),
    # The area aimed at; the bounds, the smallest part and the capacity come first.
    (100_000, 20_000, False, True, Wanted(aim=50_000), 50_000),
    (100_000, 20_000, False, True, Wanted(aim=10_000), 20_000),
    (100_000, 20_000, False, True, Wanted(low=30_000, aim=10_000), 30_000),
    (100_000, 20_000, False, True, Wanted(high=40_000, aim=50_000), 40_000),
    (100_000, 20_000, False, True, Wanted(aim=250_000), 100_000),
    # No part will do: the whole unit, which is then refused for its size.
    (100_000, 20_000, False, True, Wanted(high=10_000, aim=10_000), 100_000),
    (100_000, 20_000, False, True, Wanted(low=150_000, aim=150_000), 100_000),
    # Less than the smallest part would be left: a little less, or else all of it.
    (100_000, 20_000, False, True, Wanted(aim=90_000), 80_000),
    (100_000, 20_000, False, True, Wanted(low=85_000, aim=90_000), 100_000),
    (100_000, 20_000, False, False, Wanted(aim=90_000), 90_000),
    # Places: the number asked for, at least the smallest part, at most all.
    (3_000, 100, True, True, Wanted(places=800), 800),
    (3_000, 500, True, True, Wanted(places=200), 500),
    (3_000, 100, True, True, Wanted(places=5_000), 3_000),
    (3_000, 100, True, True, Wanted(aim=50_000), 3_000),
    (3_000, 500, True, True, Wanted(places=2_700), 3_000),
]


@pytest.mark.parametrize("case", CASES)
def test_what_is_offered(case: tuple[int, int, bool, bool, Wanted, int]) -> None:
    capacity, least, by_place, keeps, want, expected = case
    assert quantity_offered(capacity, least, by_place, keeps, want) == expected


def test_shares_and_rents_are_rounded_half_up() -> None:
    assert share(777, 3, 10) == 233
    assert share(5, 1, 2) == 3
    assert share(UNKNOWN, 1, 2) == UNKNOWN
    # 3.5 元/㎡·天 × 10 m² × 365 days = 12,775 元; a third of it 4,258.33 元.
    assert rent_a_year(35_000, UNKNOWN, 1_000, 3_000, 3_000) == 1_277_500
    assert rent_a_year(35_000, UNKNOWN, 1_000, 1_000, 3_000) == 425_833
    # 1,234.56 元/位·月 × 3 places × 12 months; the rent by the m² made of it does not count.
    assert rent_a_year(99_999, 123_456, 1_000, 300, 1_000) == 4_444_416
    assert rent_a_year(UNKNOWN, UNKNOWN, 1_000, 300, 1_000) == -1
    # A large hall at a high rent: no product outgrows its 64 bits.
    assert (
        rent_a_year(1_000_000, UNKNOWN, 100_000_000, 99_999_999, 100_000_000)
        == (1_000_000 * 99_999_999 * 365 + 5_000) // 10_000
    )
