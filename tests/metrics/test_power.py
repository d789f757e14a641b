"""The smallest visible difference, against simulated experiments and closed forms."""

import numpy as np
import pytest

from expunge.errors import ExpungeError
from expunge.metrics.numbers import Interval
from expunge.metrics.power import (
    smallest_share_difference,
    visible_from_interval,
    visible_mean_difference,
    visible_share_difference,
)


def test_a_mean_difference_of_that_size_is_found_four_times_in_five() -> None:
    rng, n = np.random.default_rng(0), 100
    before = rng.normal(size=n)
    size = visible_mean_difference(before, before + rng.normal(size=n))
    steps = rng.normal(size, 1.0, (4000, n))
    found = np.abs(steps.mean(axis=1)) > 1.96 * steps.std(axis=1, ddof=1) / np.sqrt(n)
    assert found.mean() == pytest.approx(0.8, abs=0.08)  # the sample's own spread is off by some per cent


def test_a_share_difference_of_that_size_is_found_four_times_in_five() -> None:
    n, changed = 200, 0.3
    size = smallest_share_difference(n, changed)
    worse, better = (changed + size) / 2, (changed - size) / 2
    counts = np.random.default_rng(1).multinomial(n, [worse, better, 1 - changed], 4000)
    b, c = counts[:, 0], counts[:, 1]
    found = np.abs(b - c) / np.sqrt(np.maximum(b + c, 1)) > 1.96  # McNemar
    assert found.mean() == pytest.approx(0.8, abs=0.03)


def test_more_pairs_see_less_and_more_noise_sees_less() -> None:
    sizes = [smallest_share_difference(n, 0.2) for n in (50, 100, 400)]
    assert sizes[0] > sizes[1] > sizes[2] > 0
    assert smallest_share_difference(100, 0.4) > smallest_share_difference(100, 0.1)


def test_no_difference_is_larger_than_what_changed() -> None:
    before = np.zeros(40, dtype=bool)
    assert 0 < visible_share_difference(before, before) < 0.25
    assert smallest_share_difference(30, 0.0) == smallest_share_difference(30, 1e-12) < 0.3


def test_pairs_that_all_differ_alike_hide_nothing() -> None:
    values = np.arange(8.0)
    assert visible_mean_difference(values, values + 1) == 0


def test_an_interval_gives_its_own() -> None:
    interval = Interval(value=0.1, low=-0.1, high=0.3, samples=9)
    assert visible_from_interval(interval) == pytest.approx(0.2 * (1.959964 + 0.841621) / 1.959964, rel=1e-5)


@pytest.mark.parametrize(
    ("act", "named"),
    [
        (lambda: smallest_share_difference(3, 0.5), "3 pairs"),
        (lambda: smallest_share_difference(100, 1.5), "1.5"),
        (lambda: visible_share_difference([0.5], [1.0]), "True and False"),
        (lambda: visible_mean_difference([1.0], [2.0]), "1 pair"),
        (lambda: visible_mean_difference([1.0, np.nan], [2.0, 3.0]), "NaN"),
        (lambda: visible_mean_difference([], []), "at least one"),
        (lambda: visible_mean_difference([1.0, 2.0], [2.0, 3.0], power=0.2), "power 0.2"),
    ],
)
def test_what_gives_no_answer_says_why(act, named: str) -> None:
    with pytest.raises(ExpungeError, match=named):
        act()
