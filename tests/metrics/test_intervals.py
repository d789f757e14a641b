import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from expunge.errors import ExpungeError
from expunge.metrics.intervals import (
    ASSUMED_CORRELATION,
    bootstrap_mean,
    change_of_proportions,
    effective_samples,
    paired_change,
    proportion,
    visible_difference,
)
from expunge.metrics.numbers import Interval

Z2 = 1.959963984540054**2


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_exact_interval_agrees_with_scipy(counts):
    n, k = counts
    ours = proportion(np.arange(n) < k)
    theirs = binomtest(k, n).proportion_ci(method="exact")
    assert ours.value == pytest.approx(k / n)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    assert ours.samples == n


def test_shares_do_not_collapse_at_the_ends():
    all_right, none_right = proportion(np.ones(60, bool)), proportion(np.zeros(60, bool))
    assert all_right.low == pytest.approx(0.025 ** (1 / 60)) and all_right.high == 1
    assert none_right.high == pytest.approx(1 - all_right.low) and none_right.low == 0


def test_unchanged_shares_have_tangos_closed_form():
    same = np.arange(100) < 97
    change = change_of_proportions(same, same)
    assert change.difference.value == 0
    assert change.difference.low == pytest.approx(-Z2 / (100 + Z2), abs=1e-6)
    assert change.difference.high == pytest.approx(Z2 / (100 + Z2), abs=1e-6)


def test_tango_solves_its_own_equation():
    """At the limits the score statistic is ±z; here the restricted likelihood is maximised on a world."""
    n, gained, lost = 44, 2, 9
    after = np.array([1] * gained + [0] * lost + [1] * (n - gained - lost), bool)
    before = np.array([0] * gained + [1] * lost + [1] * (n - gained - lost), bool)
    change = change_of_proportions(before, after).difference
    for delta, sign in ((change.low, 1), (change.high, -1)):
        q = np.linspace(max(0, -delta) + 1e-9, (1 - delta) / 2 - 1e-9, 2_000_001)
        likelihood = gained * np.log(q + delta) + lost * np.log(q) + (n - gained - lost) * np.log(1 - 2 * q - delta)
        best = q[likelihood.argmax()]
        statistic = (gained - lost - n * delta) / np.sqrt(n * (2 * best + delta * (1 - delta)))
        assert statistic == pytest.approx(sign * np.sqrt(Z2), abs=1e-3)


pairs = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


@given(pairs)
def test_change_of_shares_is_antisymmetric_and_ordered(flags):
    before, after = (np.array(column, bool) for column in zip(*flags, strict=True))
    there, back = change_of_proportions(before, after), change_of_proportions(after, before)
    assert there.difference.value == pytest.approx(-back.difference.value)
    assert there.difference.low == pytest.approx(-back.difference.high, abs=1e-7)
    assert there.difference.high == pytest.approx(-back.difference.low, abs=1e-7)
    assert -1 <= there.difference.low <= there.difference.value <= there.difference.high <= 1
    assert there.difference.low < there.difference.high
    assert there.before.low <= there.before.value <= there.before.high


@pytest.mark.parametrize("alike", [1, 2, 3, 4])
@pytest.mark.parametrize("share", [0.9, 0.95, 0.97, 0.99, 0.995, 1.0])
def test_shares_hold_the_truth_where_the_gate_works(share, alike):
    """Near 1, with pictures of one prompt alike: the truth lies outside in 5 % of samples at most, and below the low
    end, by which the gate judges, in about half of these."""
    rng = np.random.default_rng(0)
    for correlation in (0.0, 0.1, 0.3, 0.5) if alike > 1 else (0.0,):
        for prompts in (40 // alike, 72 // alike, 144 // alike):
            names = np.repeat(np.arange(prompts), alike).astype(str)
            drawn = [_beta_binomial(rng, share, correlation, prompts, alike) for _ in range(600)]
            found = _each_kind_once(lambda sample, names=names: proportion(sample, names), drawn, alike)
            outside, below = (np.mean([miss(each) for each in found]) for miss in (
                lambda each: not _holds(each, share), lambda each: each.low > share))  # fmt: skip
            # Three standard errors of 600 trials are 2.7 and 1.9 points.
            assert outside <= 0.05 + 0.027 and below <= 0.025 + 0.019, (correlation, prompts)


@pytest.mark.parametrize(("lost", "gained"), [(0.0, 0.0), (0.02, 0.0), (0.05, 0.02), (0.2, 0.1)])
def test_tango_covers(lost, gained):
    rng = np.random.default_rng(1)
    hits = []
    for _ in range(800):
        kind = rng.choice(3, size=120, p=[lost, gained, 1 - lost - gained])
        steady = rng.random(120) < 0.9
        before, after = np.where(kind == 2, steady, kind == 0), np.where(kind == 2, steady, kind == 1)
        hits.append(_holds(change_of_proportions(before, after).difference, gained - lost))
    assert np.mean(hits) >= 0.93


def test_clusters_restore_coverage():
    """Four pictures of one prompt share its difficulty: as independent ones they promise too much."""
    rng = np.random.default_rng(2)
    prompts = np.repeat(np.arange(30), 4).astype(str)
    blind, aware = [], []
    for _ in range(800):
        easy = rng.beta(0.8 * 7 / 3, 0.2 * 7 / 3, size=30)  # mean 0.8, correlation 0.3
        found = rng.random(120) < np.repeat(easy, 4)
        blind.append(_holds(proportion(found), 0.8))
        aware.append(_holds(proportion(found, prompts), 0.8))
    assert np.mean(blind) < 0.88
    assert np.mean(aware) >= 0.925


def test_clustered_mean_covers_and_paired_difference_covers():
    rng = np.random.default_rng(3)
    prompts = np.repeat(np.arange(40), 3).astype(str)
    means, differences = [], []
    for turn in range(500):
        before = np.repeat(rng.normal(0.3, 0.1, 40), 3) + rng.normal(0, 0.05, 120)
        after = before - 0.01 + np.repeat(rng.normal(0, 0.02, 40), 3)
        change = paired_change(before, after, prompts, seed=turn, resamples=400)
        means.append(_holds(change.before, 0.3))
        differences.append(_holds(change.difference, -0.01))
    assert 0.90 <= np.mean(means) <= 0.98
    assert 0.90 <= np.mean(differences) <= 0.98


def test_effective_samples_lies_between_clusters_and_pictures():
    rng = np.random.default_rng(4)
    prompts = np.repeat(np.arange(50), 4).astype(str)
    alike = np.repeat(rng.normal(size=50), 4)
    assert effective_samples(alike, prompts) == pytest.approx(50)
    assert effective_samples(rng.normal(size=200), prompts) > 120
    assert effective_samples(np.ones(200), prompts) == pytest.approx(200 / (1 + 3 * ASSUMED_CORRELATION))
    assert effective_samples(np.ones(200), [str(i) for i in range(200)]) == 200
    assert effective_samples(alike, None) == 200


def test_pairing_takes_out_what_both_share():
    rng = np.random.default_rng(5)
    before = rng.normal(0, 1, 200)
    change = paired_change(before, before - 0.05, None, seed=0)
    assert change.difference.value == pytest.approx(-0.05)
    assert change.difference.high - change.difference.low < 1e-9 < change.before.high - change.before.low


def test_same_seed_same_interval_and_order_of_pictures_is_nothing():
    rng = np.random.default_rng(6)
    values, prompts = rng.normal(size=90), np.array([f"prompt {i % 30}" for i in range(90)])
    order = rng.permutation(90)
    first = bootstrap_mean(values, seed=1, clusters=prompts)
    assert first == bootstrap_mean(values, seed=1, clusters=prompts)
    assert first != bootstrap_mean(values, seed=2, clusters=prompts)
    shuffled = bootstrap_mean(values[order], seed=1, clusters=prompts[order])
    assert (shuffled.low, shuffled.value, shuffled.high) == pytest.approx((first.low, first.value, first.high))


@settings(max_examples=50)
@given(st.floats(-10, 10), st.integers(2, 40))
def test_constants_have_no_spread(value, n):
    interval = bootstrap_mean(np.full(n, value), seed=0, resamples=50)
    assert interval.low <= interval.value <= interval.high
    assert interval.high - interval.low == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("samples", [50, 400])
def test_a_visible_difference_is_found_four_times_in_five(samples):
    rng = np.random.default_rng(7)
    error = 0.5 / np.sqrt(samples)
    half = np.sqrt(Z2) * error
    effect = visible_difference(Interval(value=0, low=-half, high=half, samples=samples))
    assert (rng.normal(effect, error, size=20_000) > half).mean() == pytest.approx(0.8, abs=0.015)
    with pytest.raises(ExpungeError, match="bounds must be finite"):
        visible_difference(Interval(value=0, low=np.nan, high=1, samples=9))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: bootstrap_mean([], seed=0, what="alignment"), "alignment: no samples"),
        (
            lambda: bootstrap_mean([1.0, float("nan")], seed=0, what="alignment"),
            "alignment: 1 of 2 samples are NaN",
        ),
        (lambda: bootstrap_mean([1.0, float("inf")], seed=0), "NaN or infinite"),
        (lambda: bootstrap_mean([1.0], seed=0), "at least 2"),
        (lambda: bootstrap_mean([1.0, 2.0], seed=0, clusters=["a", "a"]), "2 samples of 1 prompt"),
        (lambda: bootstrap_mean([1.0, 2.0], seed=0, clusters=["a"]), "1 cluster names"),
        (lambda: bootstrap_mean(np.ones((2, 2)), seed=0), r"shape \(2, 2\)"),
        (lambda: paired_change([1.0, 2.0], [1.0], None, seed=0), "2 samples before and 1 after"),
        (lambda: paired_change([1.0, 2.0], [1.0, float("nan")], None, seed=0, what="AS"), "AS after: 1 of 2"),
        (lambda: proportion([], what="UA"), "UA: no samples"),
        (lambda: proportion([1.0, float("nan")]), "counted over True and False"),
        (lambda: proportion([True], level=95), "level: 95"),
        (lambda: change_of_proportions([True], [True, False]), "1 samples before and 2 after"),
    ],
)
def test_what_cannot_be_measured_is_refused(call, said):
    with pytest.raises(ExpungeError, match=said):
        call()


def _beta_binomial(rng, share, correlation, prompts, alike):
    """Booleans of which each prompt has its own chance; the mean is ``share``, pictures of a prompt are correlated."""
    total = 1 / correlation - 1 if correlation else 0.0
    chances = np.full(prompts, share)
    if correlation and share < 1:
        chances = rng.beta(share * total, (1 - share) * total, size=prompts)
    return rng.random(prompts * alike) < np.repeat(chances, alike)


def _each_kind_once(measure, samples, alike):
    """Measurements of samples; those that differ in the order of prompts and of their pictures alone are one kind."""
    kinds = [tuple(sorted(sample.reshape(-1, alike).sum(axis=1))) for sample in samples]
    measured = {kind: measure(sample) for kind, sample in dict(zip(kinds, samples, strict=True)).items()}
    return [measured[kind] for kind in kinds]


def _holds(interval, truth):
    return interval.low <= truth <= interval.high
