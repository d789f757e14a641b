"""Kernel distance (KD) between two sets of pictures: MMD² with the kernel (x·y / d + 1)³, unbiased.

With Inception features it is KID (Bińkowski et al., 2018, arXiv 1801.01401). Unlike FD it has no bias from small sets
and needs no covariance, so fewer pictures than features do no harm; it can be a little below zero where two sets are
alike. In units of the kernel, lower is better.

KID is usually reported as the mean over random subsets, which spares memory and depends on a seed. The mean over all
subsets is the value from all pairs, so ``kernel_distance`` takes that: no seed, no dependence on the order.
"""

from collections.abc import Sequence

import numpy as np

from expunge.metrics.kernels import Discrepancy
from expunge.metrics.numbers import Change
from expunge.metrics.sample import Sample

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


def kernel_change(
    before: np.ndarray,
    after: np.ndarray,
    reference: np.ndarray,
    clusters: Sequence[str] | None,
    seed: int,
    resamples: int = 200,
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
    return _DISCREPANCY.change(before, after, reference, clusters, seed, resamples)


def of_rest(sample: Sample) -> Change:
    """KD of the rest to the reference."""
    was, now, reference = (each.distance_features for each in (sample.rest.was, sample.rest.now, sample.reference))
    return kernel_change(was, now, reference, sample.rest.texts, sample.seed)
