"""Kernel distance and CMMD: what must be true of any MMD², and of each of the two."""

import numpy as np
import pytest

from expunge.errors import ExpungeError
from expunge.metrics import kernels
from expunge.metrics.cmmd import cmmd, cmmd_change, gaussian_kernel
from expunge.metrics.kernel_distance import (
    cubic_kernel,
    kernel_change,
    kernel_distance,
)

BOTH = pytest.mark.parametrize(
    ("distance", "change"), [(kernel_distance, kernel_change), (cmmd, cmmd_change)], ids=["KD", "CMMD"]
)


def normal(n: int, d: int = 8, seed: int = 0, shift: float = 0.0, scale: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)) * scale + shift


def prompts(n: int, each: int = 2) -> list[str]:
    return [f"prompt {i // each}" for i in range(n)]


def test_kernel_distance_by_its_definition():
    rows, others = normal(7, seed=1), normal(5, seed=2)
    k = [[(x @ y / 8 + 1) ** 3 for y in (*rows, *others)] for x in (*rows, *others)]
    within = sum(k[i][j] for i in range(7) for j in range(7) if i != j) / 42
    own = sum(k[i][j] for i in range(7, 12) for j in range(7, 12) if i != j) / 20
    cross = sum(k[i][j] for i in range(7) for j in range(7, 12)) / 35
    assert kernel_distance(rows, others) == pytest.approx(within + own - 2 * cross, rel=1e-12)


def test_cmmd_by_its_definition():
    rows, others = normal(7, seed=1), normal(5, seed=2)
    units = [x / np.linalg.norm(x) for x in (*rows, *others)]
    k = np.array([[np.exp(-((x - y) ** 2).sum() / 200) for y in units] for x in units])
    wanted = 1000 * (k[:7, :7].mean() + k[7:, 7:].mean() - 2 * k[:7, 7:].mean())
    assert cmmd(rows, others) == pytest.approx(wanted, rel=1e-9)


def test_kernel_distance_of_gaussians_has_a_closed_form():
    """One feature, x ~ N(m, s²): the moments of (xy + 1)³ = 1 + 3xy + 3x²y² + x³y³."""

    def moments(mean, s):
        return np.array([mean, mean**2 + s**2, mean**3 + 3 * mean * s**2])

    weights = np.array([3.0, 3.0, 1.0])
    first, second = moments(0.5, 1.0), moments(0.2, 1.2)
    truth = (weights * (first - second) ** 2).sum()
    found = [kernel_distance(normal(400, 1, seed, 0.5), normal(400, 1, seed + 999, 0.2, 1.2)) for seed in range(150)]
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - truth) < 4 * error and error < 0.1 * truth


def test_kernel_distance_has_no_bias_in_small_sets_and_cmmd_has_the_one_it_says():
    kd = [kernel_distance(normal(12, 4, seed), normal(12, 4, seed + 5000)) for seed in range(400)]
    assert abs(np.mean(kd)) < 4 * np.std(kd) / 20
    values = [cmmd(normal(25, 16, seed), normal(25, 16, seed + 5000)) for seed in range(200)]
    assert np.mean(values) == pytest.approx(2 * 1000 / 100 / 25, rel=0.05)  # mean cosine 0, two sets of 25


def test_cmmd_of_two_points_of_the_sphere():
    """All of one set at x, all of the other at −x: |x − y|² = 4."""
    rows = np.tile([3.0, 0.0], (4, 1))
    assert cmmd(rows, -2 * rows) == pytest.approx(1000 * 2 * (1 - np.exp(-4 / 200)), rel=1e-9)


@BOTH
def test_equal_sets_symmetry_and_direction(distance, change):
    rows = normal(150, seed=3, shift=0.3)
    assert distance(rows, rows) <= 1e-9  # unbiased: its own pairs of equal pictures are left out, so below 0
    others = normal(150, seed=4)
    assert distance(rows, others) == pytest.approx(distance(others, rows), rel=1e-9)
    noise = normal(150, seed=5)
    found = [distance(rows + shift * noise, rows) for shift in (0.3, 1, 3)]
    assert found == sorted(found) and found[0] < found[2] / 4


def test_cmmd_of_equal_sets_is_exactly_zero_and_of_others_never_less():
    rows = normal(60, seed=1)
    assert cmmd(rows, rows) == pytest.approx(0, abs=1e-9)
    assert min(cmmd(normal(20, seed=s), normal(20, seed=s + 50)) for s in range(20)) > 0


@BOTH
def test_neither_block_nor_order_nor_float_width_matter(distance, change, monkeypatch):
    rows, others = normal(90, seed=6), normal(70, seed=7)
    value = distance(rows, others)
    turned = np.random.default_rng(0).permutation(90)
    assert distance(rows[turned], others[::-1]) == pytest.approx(value, rel=1e-9)
    assert distance(rows.astype(np.float32), others) == pytest.approx(value, rel=1e-4)
    whole = change(rows, others[:1] + rows * 1.1, others, prompts(90), seed=0, resamples=20)
    monkeypatch.setattr(kernels, "BLOCK", 13)
    assert distance(rows, others) == pytest.approx(value, rel=1e-9)
    blocks = change(rows, others[:1] + rows * 1.1, others, prompts(90), seed=0, resamples=20)
    for part in ("before", "after", "difference"):
        assert getattr(blocks, part).model_dump() == pytest.approx(getattr(whole, part).model_dump(), rel=1e-8)


@BOTH
def test_the_order_of_pictures_does_not_matter_to_the_intervals_of_prompts(distance, change):
    rows, after, others = normal(40, seed=1), normal(40, seed=2), normal(50, seed=3)
    turned = np.random.default_rng(0).permutation(40)
    names = prompts(40)
    first = change(rows, after, others, names, seed=0, resamples=30)
    again = change(rows[turned], after[turned], others, [names[i] for i in turned], seed=0, resamples=30)
    assert again.difference.model_dump() == pytest.approx(first.difference.model_dump(), rel=1e-8)


@BOTH
def test_change_is_nothing_for_equal_pictures_and_follows_the_harm(distance, change):
    reference, before = normal(200, seed=8), normal(120, seed=9)
    same = change(before, before, reference, prompts(120), seed=0, resamples=50)
    assert (same.difference.low, same.difference.value, same.difference.high) == (0, 0, 0)
    assert same.before == same.after
    assert same.before.value == pytest.approx(distance(before, reference), rel=1e-9)
    assert same.before.low < same.before.value < same.before.high and same.before.samples == 120
    worse = change(before, before + 1, reference, prompts(120), seed=0, resamples=50)
    assert worse.difference.low > 0
    assert worse.difference.value == pytest.approx(worse.after.value - worse.before.value)
    assert change(before + 1, before, reference, prompts(120), seed=0, resamples=50).difference.high < 0


@BOTH
@pytest.mark.parametrize("each", [1, 4])
def test_intervals_cover_the_value_of_other_pictures_of_the_same_number(distance, change, each):
    reference = normal(300, 6, seed=4)
    rng = np.random.default_rng(5)

    def pair():
        subject = rng.normal(size=(60 // each, 6)).repeat(each, axis=0)
        before = np.sqrt(0.5) * subject + np.sqrt(0.5) * rng.normal(size=(60, 6))
        return before, before * 1.1 + 0.2 + rng.normal(0, 0.3, size=(60, 6))

    truth = np.mean([distance(a, reference) - distance(b, reference) for b, a in (pair() for _ in range(300))])
    hits = []
    for turn in range(120):
        found = change(*pair(), reference, prompts(60, each), seed=turn, resamples=60).difference
        hits.append(found.low <= truth <= found.high)
    assert 0.85 <= np.mean(hits) <= 1


@BOTH
def test_fewer_pictures_than_features_and_constant_pictures_are_defined(distance, change):
    few, reference = normal(10, 64, seed=1), normal(40, 64, seed=2)
    assert np.isfinite(distance(few, reference))
    constant = np.ones((10, 64))
    assert distance(constant, constant) == pytest.approx(0, abs=1e-9)
    found = change(few, constant, reference, None, seed=0, resamples=20)
    assert np.isfinite(found.difference.model_dump()["low"]) and found.after.low == pytest.approx(found.after.high)


@BOTH
def test_two_pictures_are_the_fewest(distance, change):
    pair = normal(2, seed=1)
    found = change(pair, pair + 1, normal(2, seed=3), None, seed=0, resamples=20)
    assert np.isfinite([found.before.low, found.after.high, found.difference.value]).all()


@BOTH
@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (np.empty((0, 4)), np.ones((5, 4)), "pictures: 0 pictures given, at least 2"),
        (np.ones((1, 4)), np.ones((5, 4)), "1 pictures given, at least 2"),
        (np.ones((5, 4)), np.ones((1, 4)), "reference pictures: 1 pictures"),
        (np.full((5, 4), np.nan), np.ones((5, 4)), "5 of 5 pictures are NaN"),
        (np.ones((5, 3)), np.ones((5, 4)), "3 features, the reference 4"),
        (np.ones(5), np.ones((5, 4)), r"shape \(5,\)"),
    ],
)
def test_what_has_no_distance_is_refused(distance, change, first, second, said):
    with pytest.raises(ExpungeError, match=said):
        distance(first, second)


@BOTH
def test_change_wants_pairs_and_different_prompts(distance, change):
    rows = normal(6, 3)
    with pytest.raises(ExpungeError, match="6 pictures before and 5 after"):
        change(rows, rows[:5], rows, None, seed=0)
    with pytest.raises(ExpungeError, match="6 samples of 1 prompt"):
        change(rows, rows, rows, ["one"] * 6, seed=0)


def test_cmmd_wants_a_direction():
    with pytest.raises(ExpungeError, match="features of 2 pictures are all zeros"):
        cmmd(np.zeros((2, 3)), np.ones((4, 3)))


def test_kernels_are_what_their_names_say():
    rows = normal(3, 4)
    assert np.diag(gaussian_kernel(rows, rows)) == pytest.approx(1) and gaussian_kernel(rows, rows).max() <= 1
    assert cubic_kernel(np.zeros((1, 4)), rows) == pytest.approx(np.ones((1, 3)))


@BOTH
def test_features_too_large_to_be_squared_are_refused_or_scaled(distance, change):
    """Before, KD of such features was nan, and passed on."""
    rows, others = normal(20, seed=1) * 1e110, normal(20, seed=2) * 1e110
    if distance is cmmd:
        assert distance(rows, others) == pytest.approx(distance(rows / 1e110, others / 1e110))
        return
    with pytest.raises(ExpungeError, match="too large to measure"):
        distance(rows, others)
