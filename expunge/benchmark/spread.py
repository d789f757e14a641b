"""Means over targets and seeds, with the interval that so few targets allow."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import t

from expunge.metrics.numbers import Interval


def mean_over_targets(
    values: Sequence[float],
    targets: Sequence[str],
    bounds: tuple[float, float] = (-np.inf, np.inf),
    level: float = 0.95,
) -> Interval | None:
    """The mean of the targets' means and its t interval; None of no values.

    Cells of one target resemble each other, so the targets are the sample: with k of them, the interval is t with
    k − 1 degrees of freedom times the standard error of their means. The resampling in ``expunge.metrics.intervals``
    is made for many prompts; of four targets it gives intervals that hold the truth in about four of five cases
    only. With one target the cells are the sample, and the interval says nothing about other targets. Of a single
    value no spread is known: its bounds are NaN.

    Args:
        values: n numbers, one a cell.
        targets: n names.
        bounds: what the quantity can be; the interval is cut there.

    Source: cluster means as the unit of analysis: Donner and Klar, *Design and Analysis of Cluster Randomization
    Trials*, 2000, 6.2.
    """
    if not len(values):
        return None
    sample = _sample(values, targets)
    mean = float(sample.mean())
    if len(sample) < 2:
        return Interval(value=mean, low=np.nan, high=np.nan, samples=len(values))
    half = float(t.ppf((1 + level) / 2, len(sample) - 1) * sample.std(ddof=1) / np.sqrt(len(sample)))
    low, high = max(bounds[0], mean - half), min(bounds[1], mean + half)
    return Interval(value=mean, low=min(low, mean), high=max(high, mean), samples=len(values))


def p_value_over_targets(values: Sequence[float], targets: Sequence[str]) -> float:
    """That the mean is 0: of the two-sided t test that belongs to `mean_over_targets`' interval; NaN of fewer than two.
    Where all of the sample is one number it is 1 or 0: whether that is 0."""
    sample = _sample(values, targets) if len(values) else np.zeros(0)
    if len(sample) < 2:
        return float("nan")
    error = float(sample.std(ddof=1) / np.sqrt(len(sample)))
    return 2 * float(t.sf(abs(sample.mean()) / error, len(sample) - 1)) if error > 0 else float(not sample.any())


def _sample(values: Sequence[float], targets: Sequence[str]) -> np.ndarray:
    numbers, names = np.asarray(values, dtype=np.float64), np.asarray(targets)
    means = np.array([numbers[names == name].mean() for name in dict.fromkeys(targets)])
    return means if len(means) > 1 else numbers
