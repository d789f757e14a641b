"""What differences say when many are looked at."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from expunge.benchmark.columns import COLUMNS
from expunge.benchmark.spread import p_value_over_targets
from expunge.benchmark.verdicts import holm, verdict
from expunge.metrics.numbers import Interval

UA, PASSES = COLUMNS["unlearning_accuracy"], COLUMNS["passes"]


def interval(low: float, high: float) -> Interval:
    return Interval(value=(low + high) / 2, low=low, high=high, samples=6)


@pytest.mark.parametrize(
    ("low", "high", "p_value", "quantity", "said"),
    [
        (0.1, 0.2, 0.01, UA, "higher"),
        (-0.2, -0.1, 0.01, UA, "lower"),
        (0.01, 0.2, 0.2, UA, "not decided"),  # its interval is above 0, but among many that happens
        (-0.1, 0.1, 1.0, UA, "not decided"),
        (-0.01, 0.014, 0.6, UA, "no difference"),
        (0.0, 0.0, 1.0, PASSES, "no difference"),
        (-0.01, 0.01, 0.9, PASSES, "not decided"),  # nobody said which number of passes matters
        (math.nan, math.nan, 1.0, UA, None),
    ],
)
def test_verdicts(low, high, p_value, quantity, said):
    assert verdict(interval(low, high), p_value, quantity) == said


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_never_makes_a_p_value_smaller_nor_changes_their_order(p_values):
    adjusted = holm(p_values)
    assert all(new >= old for new, old in zip(adjusted, p_values, strict=True))
    assert sorted(adjusted) == [adjusted[i] for i in sorted(range(len(p_values)), key=lambda i: p_values[i])]


def test_among_five_equal_methods_one_is_called_different_in_at_most_one_of_twenty_tables():
    random, wrong = np.random.default_rng(0), 0
    for _ in range(1000):
        tables = [random.normal(0, 1, 6) for _ in range(5)]
        p_values = [p_value_over_targets(each.tolist(), list("abcdef")) for each in tables]
        wrong += min(holm(p_values)) < 0.05
    assert wrong / 1000 < 0.065


def test_the_p_value_is_that_of_scipys_test_of_the_targets_means():
    values, targets = [0.1, 0.3, -0.1, 0.5, 0.2], ["a", "a", "b", "c", "c"]
    assert p_value_over_targets(values, targets) == pytest.approx(ttest_1samp([0.2, -0.1, 0.35], 0).pvalue)
    assert math.isnan(p_value_over_targets([0.1], ["a"])) and math.isnan(p_value_over_targets([], []))
    assert p_value_over_targets([0.0, 0.0], ["a", "b"]) == 1 and p_value_over_targets([0.2, 0.2], ["a", "b"]) == 0
