import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.seeding.allotment import allot, allot_within

weights = st.lists(st.floats(0.01, 1000), min_size=1, max_size=40)


@given(st.integers(0, 10**9), weights)
def test_shares_always_add_up_to_the_total(total: int, by: list[float]) -> None:
    assert sum(allot(total, by)) == total


@given(weights, st.data())
def test_bounded_shares_add_up_and_keep_their_bounds(by: list[float], data: st.DataObject) -> None:
    low = [data.draw(st.integers(0, 10**6)) for _ in by]
    high = [least + data.draw(st.integers(0, 10**6)) for least in low]
    total = data.draw(st.integers(sum(low), sum(high)))

    shares = allot_within(total, np.array(by), low, high)

    assert sum(shares) == total
    assert all(a <= share <= b for a, share, b in zip(low, shares, high, strict=True))


def test_a_total_outside_the_bounds_is_refused_instead_of_bent() -> None:
    with pytest.raises(ValueError, match="cannot be shared"):
        allot_within(11, np.ones(2), [0, 0], [5, 5])
