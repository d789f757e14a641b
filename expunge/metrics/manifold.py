"""Are the pictures like the reference, and is all of the reference still drawn? Four shares of nearest neighbours.

A set's manifold is the union of balls around its pictures, each reaching to the k-th nearest other one.

- precision: share of pictures inside the reference's manifold; recall: share of the reference inside the pictures'.
  Source: Kynkäänniemi et al., NeurIPS 2019, arXiv 1904.06991, with k = 3.
- density: balls of the reference that a picture lies in, mean over pictures, divided by k; not bounded by 1. Coverage:
  share of the reference's balls with a picture in them. Source: Naeem et al., ICML 2020, arXiv 2002.09797, with k = 5.

Higher is better. The border belongs to the ball (≤), as in the first paper and torch-fidelity; with the second paper's
strict < a set of equal pictures would be outside itself. All four depend on the numbers of pictures on both sides.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from expunge.errors import ExpungeError
from expunge.judges.features import checked_features
from expunge.metrics.intervals import change_of_proportions, paired_change
from expunge.metrics.numbers import Change
from expunge.metrics.sample import Sample

WHAT = "precision and recall"
PRECISION_NEIGHBOURS = 3
DENSITY_NEIGHBOURS = 5
BLOCK = 512


@dataclass(frozen=True)
class Manifold:
    """What became of each picture and of each picture of the reference; the metrics are the means.

    Attributes:
        precise: (n,) bool, pictures inside the reference's manifold.
        dense: (n,) balls of the reference around each picture, divided by k.
        recalled: (m,) bool, reference pictures inside the pictures' manifold.
        covered: (m,) bool, reference pictures with a picture in their ball.
    """

    precise: np.ndarray
    dense: np.ndarray
    recalled: np.ndarray
    covered: np.ndarray


def manifold(
    features: np.ndarray,
    reference: np.ndarray,
    precision_k: int = PRECISION_NEIGHBOURS,
    density_k: int = DENSITY_NEIGHBOURS,
) -> Manifold:
    """Where each picture lies against the reference, and the other way round.

    Args:
        features: (n, d).
        reference: (m, d).
        precision_k: k of precision and recall.
        density_k: k of density and coverage.

    Raises:
        ExpungeError: no more pictures than neighbours, NaN, or widths that differ.
    """
    if min(precision_k, density_k) < 1:
        raise ExpungeError(f"{WHAT}: {precision_k} and {density_k} neighbours given; at least 1 each.")
    rows = checked_features(features, f"{WHAT}, pictures", at_least=precision_k + 1)
    others = checked_features(reference, f"{WHAT}, reference pictures", at_least=max(precision_k, density_k) + 1)
    if rows.shape[1] != others.shape[1]:
        raise ExpungeError(
            f"{WHAT}: pictures have {rows.shape[1]} features, the reference {others.shape[1]}; use one extractor."
        )
    centre = others.mean(axis=0)
    rows, others = rows - centre, others - centre
    # Distances by dot products carry rounding of this size; equal pictures must count as touching.
    rounding = 1e-12 * max((rows**2).sum(axis=1).max(), (others**2).sum(axis=1).max())
    (reach,) = (each + rounding for each in nearest_others(rows, [precision_k]))
    precise_reach, dense_reach = (each + rounding for each in nearest_others(others, [precision_k, density_k]))
    precise, dense = np.zeros(len(rows), dtype=bool), np.zeros(len(rows))
    recalled, covered = np.zeros(len(others), dtype=bool), np.zeros(len(others), dtype=bool)
    for part, squared in _distances(others, rows):
        precise |= (squared <= precise_reach[part, None]).any(axis=0)
        inside = squared <= dense_reach[part, None]
        dense += inside.sum(axis=0)
        covered[part] = inside.any(axis=1)
        recalled[part] = (squared <= reach[None]).any(axis=1)
    return Manifold(precise, dense / density_k, recalled, covered)


def precision(sample: Sample) -> Change | None:
    """Share of the rest's pictures that look like the reference; its interval holds for other prompts."""
    both = _both(sample)
    return (
        change_of_proportions(both[0].precise, both[1].precise, sample.rest.texts, what="precision") if both else None
    )


def recall(sample: Sample) -> Change | None:
    """Share of the reference that the pictures look like. Its interval, like coverage's, holds for another reference
    and the same drawn pictures: a picture that is drawn twice has itself as its neighbour."""
    both = _both(sample)
    return change_of_proportions(both[0].recalled, both[1].recalled, what="recall") if both else None


def density(sample: Sample) -> Change | None:
    """Balls of the reference around each picture; its interval holds for other prompts."""
    both = _both(sample)
    return paired_change(both[0].dense, both[1].dense, sample.rest.texts, sample.seed, what="density") if both else None


def coverage(sample: Sample) -> Change | None:
    """Share of the reference with a picture near it."""
    both = _both(sample)
    return change_of_proportions(both[0].covered, both[1].covered, what="coverage") if both else None


def _both(sample: Sample) -> tuple[Manifold, Manifold] | None:
    """Before and after; None where there are too few pictures."""
    if len(sample.rest) <= PRECISION_NEIGHBOURS or len(sample.reference) <= DENSITY_NEIGHBOURS:
        return None
    pictures, reference = (sample.rest.was, sample.rest.now), sample.reference.distance_features
    was, now = (manifold(each.distance_features, reference) for each in pictures)
    return was, now


def nearest_others(rows: np.ndarray, neighbours: list[int]) -> list[np.ndarray]:
    """Squared distance of each row to its k-th nearest other one, ``(n,)``, for each k.

    Args:
        rows: (n, d), more of them than the largest k.
        neighbours: each k, at least 1.
    """
    radii = np.empty((len(neighbours), len(rows)))
    for part, squared in _distances(rows, rows):
        squared[np.arange(len(squared)), np.arange(part.start, part.stop)] = -1.0  # itself, first in any order
        nearest = np.partition(squared, neighbours, axis=1)
        radii[:, part] = nearest[:, neighbours].T
    return list(radii)


def _distances(rows: np.ndarray, others: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Squared distances, some rows at a time, so that memory does not grow with the square of the pictures."""
    lengths = (others**2).sum(axis=1)
    for start in range(0, len(rows), BLOCK):
        part = rows[start : start + BLOCK]
        squared = (part**2).sum(axis=1)[:, None] + lengths[None] - 2 * part @ others.T
        yield slice(start, start + len(part)), np.maximum(squared, 0.0)
