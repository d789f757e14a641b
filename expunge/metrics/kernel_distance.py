"""Kernel distance (KD) between two sets of pictures: MMD² with the kernel (x·y / d + 1)³, unbiased.

With Inception features it is KID (Bińkowski et al., 2018, arXiv 1801.01401). Unlike FD it has no bias from small sets
and needs no covariance, so fewer pictures than features do no harm; it can be a little below zero where two sets are
alike. In units of the kernel, lower is better.

KID is usually reported as the mean over random subsets, which spares memory and depends on a seed. The mean over all
subsets is the value from all pairs, so ``kernel_distance`` takes that: no seed, no dependence on the order.
``kernel_distance_by_subsets`` is the usual way, to the digits of torch-fidelity, for numbers to be compared with
those of others.
"""

from collections.abc import Sequence

import numpy as np

from expunge.errors import ExpungeError
from expunge.metrics.kernels import Discrepancy
from expunge.metrics.numbers import Change

WHAT = "kernel distance"


def cubic_kernel(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(x·y / d + 1)³ of every row with every other, ``(a, b)``."""
    return (rows @ others.T / rows.shape[1] + 1) ** 3


_DISCREPANCY = Discrepancy(cubic_kernel, unbiased=True, what=WHAT)


def kernel_distance(features: np.ndarray, reference: np.ndarray) -> float:
    """KD between two sets, from all pairs of pictures.

    Args:
        features: (n, d).
        reference: (m, d).

    Raises:
        ExpungeError: fewer than two pictures, NaN, or widths that differ.
    """
    return _DISCREPANCY.value(features, reference)


def kernel_distance_by_subsets(
    features: np.ndarray, reference: np.ndarray, seed: int = 2020, subsets: int = 100, subset_size: int = 1000
) -> tuple[float, float]:
    """Mean and standard deviation of KD over random subsets, drawn and computed as torch-fidelity does.

    The standard deviation is that of subsets, which overlap: it is no confidence interval.

    Args:
        features: (n, d).
        reference: (m, d).
        seed: of the subsets; the defaults are torch-fidelity's.

    Raises:
        ExpungeError: as in ``kernel_distance``, or fewer pictures than a subset takes.
    """
    rows, others = _DISCREPANCY.matching(features, reference, "pictures")
    if subsets < 1 or not 2 <= subset_size <= min(len(rows), len(others)):
        raise ExpungeError(
            f"{WHAT}: {subsets} subsets of {subset_size} given, but there are {len(rows)} pictures and {len(others)} "
            "of reference; subset_size must be from 2 to the smaller of them, subsets at least 1."
        )
    rng = np.random.RandomState(seed)
    values = []
    for _ in range(subsets):
        chosen = rows[rng.choice(len(rows), subset_size, replace=False)]
        values.append(
            _DISCREPANCY.value(chosen, others[rng.choice(len(others), subset_size, replace=False)]),
        )
    return float(np.mean(values)), float(np.std(values))


def kernel_change(
    before: np.ndarray,
    after: np.ndarray,
    reference: np.ndarray,
    clusters: Sequence[str] | None,
    seed: int,
    resamples: int = 200,
    level: float = 0.95,
) -> Change:
    """KD to the reference before and after, and the difference, each with the spread of resampled prompts.

    Args:
        before: (n, d) features of pictures of the model as it was.
        after: (n, d) features of the unlearned model's, same prompts and seeds.
        reference: (m, d); it stays as it is in all resamples.
        clusters: n prompt texts.

    Raises:
        ExpungeError: as in ``kernel_distance``, pictures that are no pairs, or fewer than two different prompts.
    """
    return _DISCREPANCY.change(before, after, reference, clusters, seed, resamples, level)
