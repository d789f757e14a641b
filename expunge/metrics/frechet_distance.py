"""Fréchet distance (FD) between two sets of pictures, by Gaussians fitted to their features.

FD = |μ₁ − μ₂|² + Tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½), in squared feature units, ≥ 0, lower is better. Sources: Dowson
and Landau, Journal of Multivariate Analysis 12, 1982, p. 450; with Inception features it is FID (Heusel et
al., 2017, arXiv 1706.08500). A number means something only beside the name of its features.

Bias: an FD of n pictures is too high by about c/n (Chong and Forsyth, 2020, arXiv 1911.07023), and a resample
of n pictures, which holds fewer different ones, is too high once more. So FDs of different n must not be
compared, and the percentiles of resampled FDs lie above the measured value. The intervals here are therefore
the spread of the resamples, moved so that its mean falls on the measured value: they say how far the number
would wander with other pictures of the same number, not where the FD of endless pictures lies. In the
difference after − before of one n the two biases nearly cancel; that is the number to judge by.
"""

from collections.abc import Sequence

import numpy as np

from expunge.errors import ExpungeError
from expunge.judges.features import checked_features, finite
from expunge.metrics.intervals import resampling_weights
from expunge.metrics.numbers import Change, Interval
from expunge.metrics.sample import Sample

WHAT = "Fréchet distance"


class _DistanceTo:
    """FD to one reference set, whose statistics are computed once. Float64 throughout.

    The reference's mean is taken off both sets first: far from the origin the digits of a covariance cancel. With fewer
    pictures than features Tr (Σ₁Σ₂)^½ is found between pictures and not between features: with Σ = XᵀX it is the sum of
    the singular values of X₁X₂ᵀ, a smaller matrix (the same number; 2,048 features took minutes).
    """

    def __init__(self, reference: np.ndarray) -> None:
        self._centre = reference.mean(axis=0)
        rows = reference - self._centre
        self._rest = rows.mean(axis=0)  # what rounding left
        self._few = len(rows) < rows.shape[1]
        if self._few:
            self._scaled, self._trace = _scaled(rows)
            return
        covariance = _covariance(rows)
        self._trace = float(np.trace(covariance))
        values, vectors = np.linalg.eigh(covariance)
        self._root = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T

    def __call__(self, features: np.ndarray) -> float:
        rows = features - self._centre
        shift = rows.mean(axis=0) - self._rest
        if self._few:
            scaled, trace = _scaled(rows)
            shared = np.linalg.svd(scaled @ self._scaled.T, compute_uv=False).sum()
        else:
            covariance = _covariance(rows)
            trace = float(np.trace(covariance))
            # The sum of the roots of the eigenvalues of Σ₁^½ Σ₂ Σ₁^½, which is symmetric.
            product = self._root @ covariance @ self._root
            shared = np.sqrt(np.maximum(np.linalg.eigvalsh((product + product.T) / 2), 0.0)).sum()
        distance = finite(shift @ shift + self._trace + trace - 2 * shared, WHAT)
        return max(0.0, distance)  # rounding can leave −1e-13 where the sets are equal


def _scaled(rows: np.ndarray) -> tuple[np.ndarray, float]:
    """X with XᵀX = Σ, (n, d), and the trace of Σ."""
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = (rows - rows.mean(axis=0)) / np.sqrt(len(rows) - 1)
        trace = float(np.square(scaled).sum())
        finite(trace**2 if trace < 1e154 else np.inf, WHAT)  # the products of two are taken, too
    return scaled, trace


def _covariance(rows: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        covariance = np.atleast_2d(np.cov(rows, rowvar=False))
        finite(float(np.square(covariance).sum()), WHAT)  # the products of two are taken, too
    return covariance


def frechet_distance(features: np.ndarray, reference: np.ndarray) -> float:
    """FD between two sets, ≥ 0.

    Defined from two pictures a side on. With no more pictures than features the covariance is singular: the
    number is still the distance of the two fitted Gaussians, but far too high; ``feature_label`` says so
    beside it.

    Args:
        features: (n, d).
        reference: (m, d).

    Raises:
        ExpungeError: fewer than two pictures, NaN, or widths that differ.
    """
    rows, others = _matching(features, reference, "pictures")
    return _DistanceTo(others)(rows)


def frechet_change(
    before: np.ndarray,
    after: np.ndarray,
    reference: np.ndarray,
    clusters: Sequence[str] | None,
    seed: int,
    resamples: int = 200,
) -> Change:
    """FD to the reference before and after, and the difference, each with the spread of paired resamples.

    One resample draws the same prompts for before and for after. The reference stays as it is: it is the
    yardstick.

    Args:
        before: (n, d) features of pictures of the model as it was.
        after: (n, d) features of the unlearned model's, same prompts and seeds.
        reference: (m, d) features of the yardstick: other pictures of the model as it was, of the same wordings.
        clusters: n prompt texts.

    Raises:
        ExpungeError: fewer than two pictures or two different prompts, NaN, or shapes that differ.
    """
    first, others = _matching(before, reference, "pictures before")
    second, _ = _matching(after, reference, "pictures after")
    if len(first) != len(second):
        raise ExpungeError(f"{WHAT}: {len(first)} pictures before and {len(second)} after; they must be pairs.")
    weights, members = resampling_weights(clusters, len(first), seed, resamples, WHAT)
    distance = _DistanceTo(others)
    pairs = np.empty((resamples, 2))
    for i, drawn in enumerate(weights):
        chosen = np.repeat(np.arange(len(first)), drawn[members])
        pairs[i] = distance(first[chosen]), distance(second[chosen])
    values = distance(first), distance(second)
    samples = len(first)
    return Change(
        before=_spread(values[0], pairs[:, 0], samples, floor=0.0),
        after=_spread(values[1], pairs[:, 1], samples, floor=0.0),
        difference=_spread(values[1] - values[0], pairs[:, 1] - pairs[:, 0], samples),
    )


def of_rest(sample: Sample) -> Change:
    """FD of the rest to the reference."""
    was, now, reference = (each.distance_features for each in (sample.rest.was, sample.rest.now, sample.reference))
    return frechet_change(was, now, reference, sample.rest.texts, sample.seed)


def feature_label(name: str, width: int, samples: int) -> str:
    """The features' name as reports show it, with a warning where pictures are no more than features."""
    label = f"{name}, {width} features"
    return label if samples > width else f"{label} from only {samples} pictures: far too high"


def _matching(features: np.ndarray, reference: np.ndarray, what: str) -> tuple[np.ndarray, np.ndarray]:
    rows = checked_features(features, f"{WHAT}, {what}", at_least=2)
    others = checked_features(reference, f"{WHAT}, reference pictures", at_least=2)
    if rows.shape[1] != others.shape[1]:
        raise ExpungeError(f"{WHAT}: {what} have {rows.shape[1]} features, the reference {others.shape[1]}; use one.")
    return rows, others


def _spread(value: float, resampled: np.ndarray, samples: int, floor: float = -np.inf) -> Interval:
    """The percentiles of the resamples, moved so that their mean is the value."""
    low, high = np.quantile(resampled - resampled.mean(), [0.025, 0.975])
    return Interval(
        value=value,
        low=max(floor, value + min(float(low), 0.0)),
        high=value + max(float(high), 0.0),
        samples=samples,
    )
