"""Squared maximum mean discrepancy (MMD²) between two sets of features: what KID and CMMD are made of.

MMD² = E k(x, x′) + E k(y, y′) − 2 E k(x, y). Source: Gretton et al., JMLR 13, 2012, p. 723. Two estimators: the
unbiased one leaves out the pairs of a picture with itself and can be a little negative; the biased one keeps them, is
a squared distance of mean embeddings, ≥ 0, and too high by about (E k(x, x) − E k(x, x′)) / n for each set.

Kernel matrices are never held whole: memory grows with the number of pictures, not with its square.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from expunge.errors import ExpungeError
from expunge.judges.features import checked_features, finite
from expunge.metrics.intervals import resampling_weights
from expunge.metrics.numbers import Change, Interval

Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]
BLOCK = 512


@dataclass(frozen=True)
class Discrepancy:
    """MMD² to a reference set: a kernel, an estimator and a name.

    Attributes:
        kernel: ``(a, d)`` and ``(b, d)`` to ``(a, b)``.
        unbiased: which estimator.
        what: its name in error messages.
        scale: what the value is multiplied with.
    """

    kernel: Kernel
    unbiased: bool
    what: str
    scale: float = 1.0

    def value(self, features: np.ndarray, reference: np.ndarray) -> float:
        """MMD² between two sets.

        Args:
            features: (n, d).
            reference: (m, d).

        Raises:
            ExpungeError: fewer than two pictures, NaN, or widths that differ.
        """
        rows, others = self.matching(features, reference, "pictures")
        once = np.ones((1, len(rows)))
        return float(self._values(rows, others, self._own_mean(others), once)[0])

    def change(
        self,
        before: np.ndarray,
        after: np.ndarray,
        reference: np.ndarray,
        clusters: Sequence[str] | None,
        seed: int,
        resamples: int,
    ) -> Change:
        """MMD² to the reference before and after, and the difference, each with the spread of paired resamples.

        One resample draws the same prompts for before and for after; the reference is the yardstick and stays. A
        picture drawn twice is never paired with itself, which would be counted as likeness. What bias is left (whole
        prompts drawn twice) is taken out by moving the resamples so that their mean falls on the measured value.
        """
        first, others = self.matching(before, reference, "pictures before")
        second, _ = self.matching(after, reference, "pictures after")
        if len(first) != len(second):
            raise ExpungeError(
                f"{self.what}: {len(first)} pictures before and {len(second)} after; they must be pairs."
            )
        drawn, members = resampling_weights(clusters, len(first), seed, resamples, self.what)
        weights = np.vstack([np.ones(len(first)), drawn[:, members]])
        own = self._own_mean(others)
        was, now = self._values(first, others, own, weights), self._values(second, others, own, weights)
        floor = -np.inf if self.unbiased else 0.0
        return Change(
            before=_about(was, len(first), floor),
            after=_about(now, len(first), floor),
            difference=_about(now - was, len(first), -np.inf),
        )

    def matching(self, features: np.ndarray, reference: np.ndarray, what: str) -> tuple[np.ndarray, np.ndarray]:
        """Both sets, checked, as float64."""
        rows = checked_features(features, f"{self.what}, {what}", at_least=2)
        others = checked_features(reference, f"{self.what}, reference pictures", at_least=2)
        if rows.shape[1] != others.shape[1]:
            raise ExpungeError(
                f"{self.what}: {what} have {rows.shape[1]} features, the reference {others.shape[1]}; use one."
            )
        return rows, others

    def _values(self, rows: np.ndarray, others: np.ndarray, own: float, weights: np.ndarray) -> np.ndarray:
        """(r,) MMD² of each weighting of the rows, ``weights`` (r, n) saying how often each is drawn."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self._checked(rows, others, own, weights)

    def _checked(self, rows: np.ndarray, others: np.ndarray, own: float, weights: np.ndarray) -> np.ndarray:
        to_reference = np.concatenate([_row_means(self.kernel, rows[each], others) for each in _blocks(len(rows))])
        cross = weights @ to_reference / weights.sum(axis=1)
        values = self.scale * (self._within(rows, weights) + own - 2 * cross)
        finite(float(values.sum()), self.what)
        return values

    def _own_mean(self, rows: np.ndarray) -> float:
        return float(self._within(rows, np.ones((1, len(rows))))[0])

    def _within(self, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """(r,) mean kernel among the drawn rows."""
        all_pairs, same = np.zeros(len(weights)), np.zeros(len(weights))
        diagonal = np.zeros(len(weights))
        for each in _blocks(len(rows)):
            block = self.kernel(rows, rows[each])
            itself = block[np.arange(each.start, each.stop), np.arange(each.stop - each.start)]
            all_pairs += ((weights @ block) * weights[:, each]).sum(axis=1)
            same += weights[:, each] ** 2 @ itself
            diagonal += weights[:, each] @ itself
        count = weights.sum(axis=1)
        pairs = count**2 - (weights**2).sum(axis=1)
        # A resample of a tiny set can hold one picture alone: all that is known is its likeness to itself.
        different = np.where(pairs > 0, (all_pairs - same) / np.maximum(pairs, 1), all_pairs / count**2)
        return different if self.unbiased else different * (1 - 1 / count) + diagonal / count**2


def _row_means(kernel: Kernel, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    return sum(kernel(rows, others[each]).sum(axis=1) for each in _blocks(len(others))) / len(others)


def _blocks(n: int) -> list[slice]:
    return [slice(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK)]


def _about(values: np.ndarray, samples: int, floor: float) -> Interval:
    """The first value, and the percentiles of the others, moved so that their mean is the first."""
    value, resampled = float(values[0]), values[1:] - values[1:].mean()
    low, high = np.quantile(resampled, [0.025, 0.975])
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    return Interval(
        value=max(floor, value), low=max(floor, value + low), high=max(floor, value + high), samples=samples
    )
