"""How small a difference a sample of this size can see: at 80 % power and the 5 % level, unless told otherwise.

"Nothing changed" is worth as much as the change that would have been noticed; these numbers say which that is.

Sources: paired shares: Connor, Biometrics 43, 1987, p. 207, the unconditional normal approximation for McNemar's
test, which rejects exactly when Tango's interval (``intervals.change_of_proportions``) leaves out zero. Paired means:
the normal approximation, (z_{1−α/2} + z_power) times the standard error. Clusters: the effective number of pairs of
``intervals.effective_samples`` stands for n.
"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import norm

from expunge.errors import ExpungeError
from expunge.metrics.intervals import effective_samples, smallest_detectable_difference
from expunge.metrics.numbers import Interval

WHAT = "smallest visible difference"


def smallest_share_difference(samples: float, changed: float, power: float = 0.8, level: float = 0.95) -> float:
    """The true difference of two paired shares that n pairs find with the given power, 0–1.

    Connor's n = (z_α √ψ + z_β √(ψ − Δ²))² / Δ², solved for Δ. No difference is larger than the share of pairs that
    changed; where the solution is, Δ is that of changes all in one direction, ψ = Δ.

    Args:
        samples: n, number of independent pairs.
        changed: ψ, share of pairs that went from right to wrong or back, 0–1.

    Raises:
        ExpungeError: so few pairs that not even a change of all could be seen, or a share outside 0–1.
    """
    a, b = _quantiles(power, level)
    if not 0 <= changed <= 1:
        raise ExpungeError(f"{WHAT}: changed {changed} given; a share of pairs lies between 0 and 1.")
    if not samples > a**2:
        raise ExpungeError(
            f"{WHAT}: {samples:g} pairs given; with fewer than {int(a**2) + 1} no difference is visible."
        )
    root = np.sqrt(samples + b**2 - a**2)
    difference = np.sqrt(changed) * (a * np.sqrt(samples) + b * root) / (samples + b**2)
    if 0 < difference <= changed:
        return float(difference)
    kept = (np.sqrt(samples) * root - a * b) / (samples + b**2)  # √(1 − Δ)
    return float(1 - kept**2)


def visible_share_difference(
    before: np.ndarray | Sequence[bool],
    after: np.ndarray | Sequence[bool],
    clusters: Sequence[str] | None = None,
    power: float = 0.8,
    level: float = 0.95,
) -> float:
    """``smallest_share_difference`` of a sample: its effective number of pairs, its share of changed ones.

    Args:
        before: (n,) bool, one per picture.
        after: (n,) bool, same prompts and seeds.
        clusters: n prompt texts.

    Raises:
        ExpungeError: as there, no samples, something else than booleans, or lengths that differ.
    """
    first, second = np.asarray(before), np.asarray(after)
    if first.dtype != np.bool_ or second.dtype != np.bool_:
        raise ExpungeError(f"{WHAT}: {first.dtype} and {second.dtype} given; a share is counted over True and False.")
    steps = _differences(first.astype(float), second.astype(float))
    return smallest_share_difference(
        effective_samples(steps, clusters, WHAT), float(np.abs(steps).mean()), power, level
    )


def visible_mean_difference(
    before: np.ndarray | Sequence[float],
    after: np.ndarray | Sequence[float],
    clusters: Sequence[str] | None = None,
    power: float = 0.8,
    level: float = 0.95,
) -> float:
    """The true difference of two paired means that this sample finds with the given power, in the values' unit.

    0 where all pairs differ by the same: then the sample shows no spread that could hide a difference.

    Args:
        before: (n,) one number per picture.
        after: (n,) the same quantity of the same prompts and seeds.
        clusters: n prompt texts.

    Raises:
        ExpungeError: fewer than two pairs, NaN, or lengths that differ.
    """
    _quantiles(power, level)
    steps = _differences(np.asarray(before, dtype=float), np.asarray(after, dtype=float))
    if len(steps) < 2:
        raise ExpungeError(f"{WHAT}: 1 pair given; a spread needs at least 2. Draw more.")
    samples = int(effective_samples(steps, clusters, WHAT))
    return smallest_detectable_difference(max(1, samples), float(steps.std(ddof=1)), power, level)


def visible_from_interval(interval: Interval, power: float = 0.8, level: float = 0.95) -> float:
    """The same for any difference that came with an interval (FD, KD, …): 1.43 half-widths at the defaults.

    Args:
        interval: of the difference, at confidence ``level``.

    Raises:
        ExpungeError: bounds that are NaN or infinite.
    """
    a, b = _quantiles(power, level)
    if not np.isfinite([interval.low, interval.high]).all():
        raise ExpungeError(f"{WHAT}: an interval from {interval.low} to {interval.high} given; bounds must be finite.")
    return float((a + b) / a * (interval.high - interval.low) / 2)


def _differences(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    if first.ndim != 1 or first.shape != second.shape or not len(first):
        raise ExpungeError(f"{WHAT}: {first.shape} before and {second.shape} after; they must be pairs, at least one.")
    steps = second - first
    if not np.isfinite(steps).all():
        bad = int((~np.isfinite(steps)).sum())
        raise ExpungeError(f"{WHAT}: {bad} of {len(steps)} samples are NaN or infinite; measure them again.")
    return steps


def _quantiles(power: float, level: float) -> tuple[float, float]:
    """z_{1−α/2} and z_power."""
    if not 0 < level < 1 or not 0.5 <= power < 1:
        raise ExpungeError(f"{WHAT}: power {power}, level {level} given; power from 0.5 to 1, level from 0 to 1.")
    return float(norm.ppf((1 + level) / 2)), float(norm.ppf(power))
