"""Intervals: how far a measured number could be from the truth, given that few pictures were drawn.

Pictures of one prompt resemble each other, so they are not as good as that many independent pictures.
Everywhere here ``clusters`` names the prompt of each picture; without it every picture counts as independent.

Sources: bootstrap of whole clusters: Davison and Hinkley, *Bootstrap Methods and their Application*, 1997,
3.8. Exact interval of a share: Clopper and Pearson, Biometrika 26, 1934, p. 404; at the effective sample size:
Korn and Graubard, Survey Methodology 24, 1998, p. 193. Score interval of a paired difference of shares: Tango,
Statistics in Medicine 17, 1998, p. 891.
"""

from collections.abc import Callable, Sequence

import numpy as np

from expunge.errors import ExpungeError
from expunge.metrics.numbers import Change, Interval

# What is assumed of pictures of one prompt as long as the sample does not show it: their correlation, and how many
# pictures of the rarer kind outweigh the assumption by half. A third is what a true correlation of 0.5 looks like where
# nothing failed: four pictures of one prompt then fail together about half as often as independent ones fail at all.
ASSUMED_CORRELATION = 1 / 3
ASSUMED_PICTURES = 10
POWER = 0.8


def bootstrap_mean(
    values: np.ndarray | Sequence[float],
    seed: int,
    resamples: int = 2000,
    level: float = 0.95,
    clusters: Sequence[str] | None = None,
    what: str = "values",
) -> Interval:
    """The mean and its percentile bootstrap interval.

    Args:
        values: (n,) one number per picture.
        clusters: n prompt names; whole prompts are drawn again, not single pictures.
        what: what the values are, for the error message.

    Raises:
        ExpungeError: no values, a NaN among them, or a single value or prompt, of which no spread is known.
    """
    numbers = _numbers(values, what)
    (means,) = _resampled_means([numbers], clusters, seed, resamples, what)
    return _percentiles(float(numbers.mean()), means, level, len(numbers))


def paired_change(
    before: np.ndarray | Sequence[float],
    after: np.ndarray | Sequence[float],
    clusters: Sequence[str] | None,
    seed: int,
    resamples: int = 2000,
    what: str = "values",
) -> Change:
    """Means before and after and the mean difference after − before, all three from the same resamples.

    Args:
        before: (n,) one number per picture.
        after: (n,) the same quantity of the same prompts and seeds.

    Raises:
        ExpungeError: as in ``bootstrap_mean``, or the two differ in length.
    """
    first, second = _numbers(before, f"{what} before"), _numbers(after, f"{what} after")
    _same_length(first, second, what)
    numbers = [first, second, second - first]
    means = _resampled_means(numbers, clusters, seed, resamples, what)
    parts = [_percentiles(float(x.mean()), m, 0.95, len(x)) for x, m in zip(numbers, means, strict=True)]
    return Change(before=parts[0], after=parts[1], difference=parts[2])


def proportion(
    successes: np.ndarray | Sequence[bool],
    clusters: Sequence[str] | None = None,
    level: float = 0.95,
    what: str = "shares",
) -> Interval:
    """The share of True and its exact interval, at the effective sample size.

    A bootstrap collapses to a point at 0 % and 100 %, exactly where unlearning is judged: 20 of 20 pictures
    would pass as certainty. This interval does not: 20 of 20 gives 0.83 to 1. Simulated 1,500 times each for true
    shares of 0.90 to 1, 40 to 144 pictures, 1 to 4 of each prompt and correlations of 0 to 0.5 among these, it holds
    the truth in 95.2 % of samples at worst, 99 % on the mean (``tests/metrics/test_intervals.py`` asks in part).

    Raises:
        ExpungeError: no successes given, or something else than booleans.
    """
    from scipy.stats import beta  # it takes most of a second to import

    found = _booleans(successes, what)
    share, samples = float(found.mean()), effective_samples(found.astype(float), clusters, what)
    _quantile(level)
    right, wrong, tail = share * samples, (1 - share) * samples, (1 - level) / 2
    return Interval(
        value=share,
        low=float(beta.ppf(tail, right, wrong + 1)) if right else 0.0,
        high=float(beta.ppf(1 - tail, right + 1, wrong)) if wrong else 1.0,
        samples=len(found),
    )


def change_of_proportions(
    before: np.ndarray | Sequence[bool],
    after: np.ndarray | Sequence[bool],
    clusters: Sequence[str] | None = None,
    level: float = 0.95,
    what: str = "shares",
) -> Change:
    """Shares before and after (exact) and their paired difference after − before (Tango's score interval).

    The score interval rather than a bootstrap: a model that changed nothing has no picture that went from
    right to wrong or back, and of such a sample every resample says "exactly no change". Tango's interval for
    n such pairs is ± z² / (n + z²); with changed pairs it tends to the usual one.

    Raises:
        ExpungeError: as in ``proportion``, or the two differ in length.
    """
    first, second = _booleans(before, f"{what} before"), _booleans(after, f"{what} after")
    _same_length(first, second, what)
    steps = second.astype(float) - first.astype(float)
    scale = effective_samples(steps, clusters, what) / len(steps)
    low, high = _tango(scale * (steps > 0).sum(), scale * (steps < 0).sum(), scale * len(steps), _quantile(level))
    return Change(
        before=proportion(first, clusters, level, what),
        after=proportion(second, clusters, level, what),
        difference=Interval(value=float(steps.mean()), low=low, high=high, samples=len(steps)),
    )


def effective_samples(values: np.ndarray, clusters: Sequence[str] | None, what: str = "values") -> float:
    """How many independent pictures the given ones are worth.

    n divided by the design effect: the variance of the mean over clusters, against that over single values.
    At most n, at least what clusters of identical pictures would be worth. Where little varies, the likeness within
    clusters can hardly be seen in the sample, and not at all at 100 %, where the gate works. There it is assumed: the
    design effect is at least its mean with that of ``ASSUMED_CORRELATION``, weighted by the number of pictures that
    differ from the rest and by ``ASSUMED_PICTURES``. One picture of each prompt needs no assumption.
    """
    n = len(values)
    if clusters is None:
        return float(n)
    members = _members(clusters, n, what)
    sizes = np.bincount(members)
    alike = (sizes**2).sum() / n  # pictures of a prompt, as a picture meets them
    assumed = 1 + (alike - 1) * ASSUMED_CORRELATION
    spread = values.var()
    if len(sizes) < 2 or spread == 0:
        return float(n / assumed)
    sums = np.bincount(members, weights=values - values.mean())
    variance = len(sizes) / (len(sizes) - 1) * (sums**2).sum() / n**2
    seen = float(np.clip(variance * n / spread, 1, alike))
    different = n - np.unique(values, return_counts=True)[1].max()
    return float(n / max(seen, np.average([seen, assumed], weights=[different, ASSUMED_PICTURES])))


def visible_difference(interval: Interval) -> float:
    """The smallest true difference that a sample like this one finds four times in five, in the difference's unit.

    The normal approximation, (z_97.5 + z_80) / z_97.5 = 1.43 half-widths. "Nothing changed" is worth as much as the
    change that would have been noticed.

    Args:
        interval: of the difference, 95 %.

    Raises:
        ExpungeError: bounds that are NaN or infinite.
    """
    from scipy.stats import norm

    if not np.isfinite([interval.low, interval.high]).all():
        raise ExpungeError(f"visible difference: {interval.low} to {interval.high} given; bounds must be finite.")
    z = norm.ppf(0.975)
    return float((z + norm.ppf(POWER)) / z * (interval.high - interval.low) / 2)


def _tango(gained: float, lost: float, n: float, z: float) -> tuple[float, float]:
    """Tango's limits for (gained − lost) / n: where the score statistic reaches ± z."""
    difference = (gained - lost) / n

    def excess(delta: float, sign: float) -> float:
        # q: the likeliest share of lost pairs if the difference were delta, root of 2n q² + b q − c = 0.
        b = (2 * n - gained + lost) * delta - gained - lost
        c = lost * delta * (1 - delta)
        q = (np.sqrt(max(b * b + 8 * n * c, 0.0)) - b) / (4 * n)
        return gained - lost - n * delta - sign * z * np.sqrt(max(n * (2 * q + delta * (1 - delta)), 0.0))

    edge = 1e-9  # a hair off the estimate, which is itself a root when no pair changed
    low = _root(lambda d: excess(d, 1.0), -1.0, difference - edge) if difference - edge > -1 else -1.0
    high = _root(lambda d: excess(d, -1.0), difference + edge, 1.0) if difference + edge < 1 else 1.0
    return low, high


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    from scipy.optimize import brentq

    return float(brentq(function, low, high, xtol=1e-10))


def _resampled_means(
    numbers: list[np.ndarray], clusters: Sequence[str] | None, seed: int, resamples: int, what: str
) -> list[np.ndarray]:
    """Means of each array over the same ``resamples`` draws of whole clusters."""
    weights, members = resampling_weights(clusters, len(numbers[0]), seed, resamples, what)
    counts = weights @ np.bincount(members)
    return [weights @ np.bincount(members, weights=values) / counts for values in numbers]


def resampling_weights(
    clusters: Sequence[str] | None, n: int, seed: int, resamples: int, what: str
) -> tuple[np.ndarray, np.ndarray]:
    """How often each resample draws each cluster, (resamples, clusters), and the cluster of each value, (n,).

    Clusters are put in the order of their names, so that the order of the pictures does not matter.

    Raises:
        ExpungeError: fewer than two clusters.
    """
    members = _members(clusters, n, what)
    groups = int(members.max()) + 1
    if groups < 2:
        raise ExpungeError(
            f"{what}: {n} samples of {groups} prompt; an interval needs at least 2 different ones. Draw more."
        )
    weights = np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), size=resamples)
    return weights, members


def _members(clusters: Sequence[str] | None, n: int, what: str) -> np.ndarray:
    if clusters is None:
        return np.arange(n)
    if len(clusters) != n:
        raise ExpungeError(f"{what}: {n} samples but {len(clusters)} cluster names; each sample needs one.")
    return np.unique(np.asarray(clusters), return_inverse=True)[1]


def _percentiles(value: float, resampled: np.ndarray, level: float, samples: int) -> Interval:
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    # Rounding alone can put the mean of equal numbers outside.
    return Interval(value=value, low=min(float(low), value), high=max(float(high), value), samples=samples)


def _quantile(level: float) -> float:
    from scipy.stats import norm

    if not 0 < level < 1:
        raise ExpungeError(f"level: {level} given; a confidence level lies between 0 and 1, e.g. 0.95.")
    return float(norm.ppf((1 + level) / 2))


def _numbers(values: np.ndarray | Sequence[float], what: str) -> np.ndarray:
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or not len(numbers):
        raise ExpungeError(f"{what}: no samples (shape {numbers.shape}); one number per picture is needed.")
    if not np.isfinite(numbers).all():
        bad = int((~np.isfinite(numbers)).sum())
        raise ExpungeError(f"{what}: {bad} of {len(numbers)} samples are NaN or infinite; measure them again.")
    return numbers


def _booleans(values: np.ndarray | Sequence[bool], what: str) -> np.ndarray:
    found = np.asarray(values)
    if found.ndim != 1 or not len(found):
        raise ExpungeError(f"{what}: no samples (shape {found.shape}); one True or False per picture is needed.")
    if found.dtype != np.bool_:
        raise ExpungeError(f"{what}: {found.dtype} given; a share is counted over True and False.")
    return found


def _same_length(first: np.ndarray, second: np.ndarray, what: str) -> None:
    if len(first) != len(second):
        raise ExpungeError(f"{what}: {len(first)} samples before and {len(second)} after; they must be pairs.")
