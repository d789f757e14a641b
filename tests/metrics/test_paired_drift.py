"""Drift of each picture from its own, and what a Fréchet distance does not see."""

import numpy as np
import pytest

from expunge.errors import ExpungeError
from expunge.metrics.frechet_distance import frechet_distance
from expunge.metrics.paired_drift import feature_distances, mean_drift, structural_distances


def pictures(n: int = 6, side: int = 64, seed: int = 0) -> np.ndarray:
    """Smooth pictures: coarse noise, enlarged."""
    coarse = np.random.default_rng(seed).integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)
    return coarse.repeat(side // 8, axis=1).repeat(side // 8, axis=2)


def noisy(shown: np.ndarray, amount: float) -> np.ndarray:
    rng = np.random.default_rng(9)
    return np.clip(shown + rng.normal(0, amount, shown.shape), 0, 255).astype(np.uint8)


def test_equal_pictures_have_not_moved() -> None:
    shown, features = pictures(), np.random.default_rng(0).normal(size=(6, 5))
    structure, name = structural_distances(shown, shown)
    assert (structure == 0).all() and np.abs(feature_distances(features, features)).max() < 1e-12
    assert name == "1 − MS-SSIM, 3 scales"


def test_more_noise_is_more_drift() -> None:
    shown = pictures()
    means = [structural_distances(shown, noisy(shown, amount))[0].mean() for amount in (5, 20, 80)]
    assert 0 < means[0] < means[1] < means[2] < 1


def test_it_sees_pictures_that_changed_places() -> None:
    shown = pictures(n=12)
    features = np.random.default_rng(1).normal(size=(12, 3))
    moved = np.roll(np.arange(12), 1)
    assert frechet_distance(features[moved], features) < 1e-6
    assert structural_distances(shown, shown[moved])[0].mean() > 0.5
    assert feature_distances(features, features[moved]).mean() > 0.5


def test_opposite_features_are_two_apart() -> None:
    np.testing.assert_allclose(feature_distances(np.ones((2, 3)), -np.ones((2, 3))), [2, 2])


def test_neither_batch_nor_order_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, other = pictures(), noisy(pictures(), 30)
    whole, _ = structural_distances(shown, other)
    monkeypatch.setattr("expunge.metrics.paired_drift.BATCH", 4)
    parts, _ = structural_distances(shown[::-1], other[::-1])
    np.testing.assert_allclose(parts[::-1], whole, atol=1e-6)


@pytest.mark.parametrize(("side", "scales"), [(16, "2 scales"), (32, "2 scales"), (64, "3 scales")])
def test_small_pictures_get_as_many_scales_as_fit(side: int, scales: str) -> None:
    distances, name = structural_distances(pictures(side=side), noisy(pictures(side=side), 20))
    assert name.endswith(scales) and np.isfinite(distances).all()


def test_constant_pictures_have_a_distance() -> None:
    black, white = (np.full((2, 32, 32, 3), value, dtype=np.uint8) for value in (0, 255))
    assert structural_distances(black, white)[0] == pytest.approx([1, 1], abs=0.02)


def test_the_mean_comes_with_its_interval() -> None:
    interval = mean_drift(np.array([0.1, 0.2, 0.3, 0.4]), None, seed=0)
    assert interval.value == pytest.approx(0.25) and interval.samples == 4
    assert interval.low < interval.value < interval.high


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        (pictures(0), pictures(0), "at least 1 pair"),
        (pictures(2), pictures(3), "at least 1 pair"),
        (pictures(2, side=8), pictures(2, side=8), "8 pixels"),
        (pictures(2).astype(float), pictures(2), "float64"),
        ([pictures(1)[0], pictures(1, side=32)[0]], pictures(2), "mixed sizes"),
    ],
)
def test_what_cannot_be_compared_says_why(before, after, named: str) -> None:
    with pytest.raises(ExpungeError, match=named):
        structural_distances(before, after)
