"""The smallest sets against every set there is, one by one."""

from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np
import pytest

from app.matching.engine.whynot import relaxations
from app.matching.engine.whynot.histogram import Counts, Masks, bits_of
from app.matching.engine.whynot.relaxations import (
    TABLE_BITS,
    Smallest,
    minimal_of,
    smallest_sets,
    spread,
    sums_over_subsets,
)

Finder = Callable[[Masks, Counts, int, int], Smallest]
Found = dict[int, int]


def worlds(count: int, bits: int = 10) -> Iterator[tuple[Masks, Counts, int, int]]:
    """Random histograms on few bits, scattered over the mask; some bits may never be waived."""
    for seed in range(count):
        rng = np.random.default_rng(seed)
        places = rng.choice(60, size=rng.integers(1, bits + 1), replace=False).astype(np.uint64)
        broken = rng.random((rng.integers(1, 80), len(places))) < rng.uniform(0.1, 0.8)
        masks = (broken.astype(np.uint64) << places).sum(axis=1, dtype=np.uint64)
        distinct, counts = np.unique(masks, return_counts=True)
        never = int(np.uint64(1) << places[0]) if seed % 3 == 0 else 0
        yield distinct, counts.astype(np.int64), never, int(rng.choice((1, 1, 2, 5, 12)))


def brute_force(masks: Masks, counts: Counts, never: int, at_least: int) -> Found:
    """Every set of bits, smallest first: kept when it opens enough and takes in no kept one."""
    units = {int(mask): int(n) for mask, n in zip(masks, counts, strict=True) if not mask & never}
    used = list(bits_of(int(np.bitwise_or.reduce(masks)) & ~never))
    kept: Found = {}
    for size in range(len(used) + 1):
        for bits in combinations(used, size):
            chosen = sum(1 << bit for bit in bits)
            fits = sum(n for mask, n in units.items() if mask & ~chosen == 0)
            if fits >= at_least and not any(other & ~chosen == 0 for other in kept):
                kept[chosen] = fits
    return {} if 0 in kept else kept


def differences(find: Finder, count: int = 150) -> int:
    """In how many random worlds a finder says anything but the brute force."""
    wrong = 0
    for masks, counts, never, at_least in worlds(count):
        found = find(masks, counts, never, at_least)
        said = dict(zip(found.sets.tolist(), found.fits.tolist(), strict=True))
        wrong += said != brute_force(masks, counts, never, at_least)
    return wrong


def test_all_smallest_sets_are_found_and_no_other() -> None:
    assert differences(smallest_sets) == 0


def test_a_sum_that_forgets_one_bit_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgets(table: np.ndarray) -> np.ndarray:
        flat = table.reshape(-1)
        for bit in range(len(flat).bit_length() - 2):
            for place in range(len(flat)):
                if place >> bit & 1 and bit != 1:
                    flat[place] += flat[place ^ 1 << bit]
        return table

    monkeypatch.setattr(relaxations, "sums_over_subsets", forgets)
    assert differences(smallest_sets, 30) > 0


def test_sets_that_are_not_smallest_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        relaxations, "minimal_of", lambda within, least: np.flatnonzero(within.ravel() >= least)
    )
    assert differences(smallest_sets, 30) > 0


def test_a_finder_that_waives_what_nobody_may_is_found_out() -> None:
    def waives(masks: Masks, counts: Counts, _never: int, at_least: int) -> Smallest:
        return smallest_sets(masks, counts, 0, at_least)

    assert differences(waives, 30) > 0


@pytest.mark.parametrize("bits", [1, 4, 5, 6, 7, 11])
def test_sums_and_words_equal_the_plain_definition(bits: int) -> None:
    rng = np.random.default_rng(bits)
    masks = np.unique(rng.integers(0, 1 << bits, size=40)).astype(np.uint64)
    counts = rng.integers(1, 4, size=len(masks))
    used = np.arange(bits, dtype=np.uint64)
    within = sums_over_subsets(spread(masks, counts, used)).ravel()

    plain = [int(counts[masks & ~np.uint64(chosen) == 0].sum()) for chosen in range(1 << bits)]
    assert within[: 1 << bits].tolist() == plain
    minimal = [
        chosen
        for chosen in range(1 << bits)
        if plain[chosen] >= 3 and all(plain[chosen ^ 1 << bit] < 3 for bit in bits_of(chosen))
    ]
    assert minimal_of(within.reshape(-1, 16), 3).tolist() == minimal


def test_beyond_the_table_the_sets_that_open_one_are_still_exact(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for masks, counts, never, _ in worlds(80):
        by_table = smallest_sets(masks, counts, never, 1)
        with monkeypatch.context() as patch:
            patch.setattr(relaxations, "TABLE_BITS", 0)
            by_masks = smallest_sets(masks, counts, never, 1)
        assert by_masks.at_least == 1
        assert dict(zip(by_masks.sets, by_masks.fits, strict=True)) == dict(
            zip(by_table.sets, by_table.fits, strict=True)
        )


def test_beyond_the_table_it_is_said_how_many_each_opens() -> None:
    bits = np.arange(TABLE_BITS + 1, dtype=np.uint64)
    masks = np.append(np.uint64(0), np.uint64(1) << bits)
    counts = np.ones(len(masks), dtype=np.int64)

    found = smallest_sets(masks, counts, 0, 5)

    assert found.at_least == 2
    assert found.fits.tolist() == [2] * len(bits)
    with pytest.raises(ValueError, match="at least one"):
        smallest_sets(masks, counts, 0, 0)
