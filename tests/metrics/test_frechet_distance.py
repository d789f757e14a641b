import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from expunge.errors import ExpungeError
from expunge.metrics.frechet_distance import feature_label, frechet_change, frechet_distance


def _closed_form(first, second):
    a, b = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    gap = ((first.mean(0) - second.mean(0)) ** 2).sum()
    return gap + np.trace(a) + np.trace(b) - 2 * np.trace(sqrtm(a @ b).real)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 12))
def test_agrees_with_the_matrix_square_root(seed, width):
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(40, width)) @ rng.normal(size=(width, width))
    second = rng.normal(size=(60, width)) + rng.normal(size=width)
    assert frechet_distance(first, second) == pytest.approx(_closed_form(first, second), rel=1e-6)


def test_gaussians_with_known_moments():
    """Whitened samples have exactly the moments given: |Δμ|² + Σ(σ₁ − σ₂)² for diagonal covariances."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 3))
    rows -= rows.mean(0)
    white = rows @ np.linalg.inv(np.linalg.cholesky(np.cov(rows, rowvar=False))).T
    first, second = white * [1, 2, 3] + [1, 0, 0], white * [2, 2, 1] + [0, 2, 0]
    assert frechet_distance(first, second) == pytest.approx((1 + 4) + (1 + 0 + 4))


def test_identity_symmetry_and_direction():
    rng = np.random.default_rng(1)
    rows, others = rng.normal(size=(150, 16)), rng.normal(size=(150, 16)) * 1.5
    assert frechet_distance(rows, rows) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(rows, others) == pytest.approx(frechet_distance(others, rows))
    distances = [frechet_distance(rows + shift, rows) for shift in (0, 0.1, 0.5, 2)]
    assert distances == sorted(distances) and distances[3] == pytest.approx(16 * 4)


def test_order_of_pictures_and_float_width_do_not_matter():
    rng = np.random.default_rng(2)
    rows, others = rng.normal(size=(80, 8)), rng.normal(size=(90, 8))
    value = frechet_distance(rows, others)
    assert frechet_distance(rows[rng.permutation(80)], others[::-1]) == pytest.approx(value)
    assert frechet_distance(rows.astype(np.float32), others) == pytest.approx(value, rel=1e-5)


def test_change_is_nothing_for_equal_pictures_and_follows_the_harm():
    rng = np.random.default_rng(3)
    reference, before = rng.normal(size=(200, 8)), rng.normal(size=(120, 8))
    prompts = [f"prompt {i // 2}" for i in range(120)]
    same = frechet_change(before, before, reference, prompts, seed=0, resamples=50)
    assert (same.difference.low, same.difference.value, same.difference.high) == (0, 0, 0)
    assert same.before == same.after and 0 <= same.before.low < same.before.value < same.before.high
    worse = frechet_change(before, before * 1.5, reference, prompts, seed=0, resamples=50)
    assert worse.difference.low > 0
    assert worse.difference.value == pytest.approx(worse.after.value - worse.before.value)
    better = frechet_change(before * 1.5, before, reference, prompts, seed=0, resamples=50)
    assert better.difference.high < 0


def test_interval_of_the_difference_covers_the_difference_at_this_size():
    """Truth: the mean difference over fresh draws of as many pictures, which holds the bias at this size."""
    rng = np.random.default_rng(4)
    reference = rng.normal(size=(400, 6))

    def pair():
        before = rng.normal(size=(80, 6))
        return before, before * 1.1 + rng.normal(0, 0.3, size=(80, 6))

    truth = np.mean(
        [frechet_distance(b, reference) * -1 + frechet_distance(a, reference) for b, a in (pair() for _ in range(300))]
    )
    hits = []
    for turn in range(40):
        change = frechet_change(*pair(), reference, None, seed=turn, resamples=40).difference
        hits.append(change.low <= truth <= change.high)
    assert 0.86 <= np.mean(hits) <= 1


def test_resampled_distances_are_not_reported_with_their_double_bias():
    """The plain percentiles lie above the measured value; the interval given holds it."""
    rng = np.random.default_rng(5)
    reference, rows = rng.normal(size=(300, 32)), rng.normal(size=(60, 32))
    value = frechet_distance(rows, reference)
    resampled = [frechet_distance(rows[rng.integers(0, 60, 60)], reference) for _ in range(60)]
    assert np.quantile(resampled, 0.025) > value
    interval = frechet_change(rows, rows, reference, None, seed=0, resamples=60).before
    assert interval.low < value == interval.value < interval.high


def test_fewer_pictures_than_features_is_defined_and_labelled():
    rng = np.random.default_rng(6)
    few, reference = rng.normal(size=(10, 32)), rng.normal(size=(500, 32))
    many = rng.normal(size=(400, 32))
    assert np.isfinite(frechet_distance(few, reference))
    assert frechet_distance(few, reference) > 5 * frechet_distance(many, reference)
    assert "only 10 pictures" in feature_label("clip", 32, 10) and "only 32" in feature_label("clip", 32, 32)
    assert feature_label("clip", 32, 33) == "clip, 32 features"


def test_constant_features_have_only_the_distance_of_their_means():
    assert frechet_distance(np.full((5, 3), 2.0), np.zeros((5, 3))) == pytest.approx(12)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (np.empty((0, 4)), np.ones((5, 4)), "0 pictures given, at least 2"),
        (np.ones((1, 4)), np.ones((5, 4)), "1 pictures given, at least 2"),
        (np.ones((5, 4)), np.ones((1, 4)), "reference pictures: 1 pictures"),
        (np.full((5, 4), np.nan), np.ones((5, 4)), "5 of 5 pictures are NaN"),
        (np.ones((5, 3)), np.ones((5, 4)), "3 features, the reference 4"),
        (np.ones(5), np.ones((5, 4)), r"shape \(5,\)"),
    ],
)
def test_what_has_no_distance_is_refused(first, second, said):
    with pytest.raises(ExpungeError, match=said):
        frechet_distance(first, second)


def test_change_wants_pairs_and_different_prompts():
    rows = np.random.default_rng(7).normal(size=(6, 3))
    with pytest.raises(ExpungeError, match="6 pictures before and 5 after"):
        frechet_change(rows, rows[:5], rows, None, seed=0)
    with pytest.raises(ExpungeError, match="6 samples of 1 prompt"):
        frechet_change(rows, rows, rows, ["one"] * 6, seed=0)


def test_a_huge_offset_hides_no_distance():
    """Before, the covariance's digits cancelled: 0 where 20 is true."""
    rng = np.random.default_rng(0)
    rows, others = rng.normal(size=(60, 5)), rng.normal(size=(60, 5)) + 2
    near = frechet_distance(rows, others)
    assert frechet_distance(rows + 1e8, others + 1e8) == pytest.approx(near, rel=1e-5) and near > 15


def test_features_too_large_to_be_squared_are_refused():
    """Before, nan went through max(0, nan) and came out as 0."""
    rng = np.random.default_rng(0)
    with pytest.raises(ExpungeError, match="Fréchet distance: the result is"):
        frechet_distance(rng.normal(size=(20, 3)) * 1e160, rng.normal(size=(20, 3)) * 1e160)
    small = rng.normal(size=(20, 3)), rng.normal(size=(20, 3)) + 1
    large = frechet_distance(*(each * 1e70 for each in small))
    assert large == pytest.approx(frechet_distance(*small) * 1e140, rel=1e-6)


@pytest.mark.parametrize(("pictures", "reference"), [(9, 7), (30, 7), (9, 11), (5, 11)])
def test_with_fewer_pictures_than_features_it_is_the_same_number(pictures, reference):
    """Zeros behind the features change no distance; they alone decide which of two ways it is found."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(pictures, 6)) * 2, rng.normal(1, 3, size=(reference, 6))
    between_pictures = [np.pad(each, ((0, 0), (0, 20))) for each in (first, second)]
    assert frechet_distance(*between_pictures) == pytest.approx(frechet_distance(first, second), rel=1e-9)
    assert frechet_distance(between_pictures[1], between_pictures[1]) == pytest.approx(0, abs=1e-9)
