"""Side by side with torch-fidelity: the same pictures, the same extractor, the same numbers within 1e-3."""

import numpy as np
import pytest
import torch
from torch_fidelity import calculate_metrics
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY, register_feature_extractor

from expunge.judges.extractors import load_extractor
from expunge.metrics.frechet_distance import frechet_distance
from expunge.metrics.kernel_distance import kernel_distance
from expunge.metrics.manifold import manifold


class _Registered(FeatureExtractorBase):
    """The zoo's CLIP, in torch-fidelity's terms."""

    def __init__(self, name, features_list, **_):
        super().__init__(name, features_list)
        self._extractor = load_extractor("zoo")

    @staticmethod
    def get_provided_features_list():
        return ("clip",)

    @staticmethod
    def get_default_feature_layer_for_metric(metric):
        return "clip"

    @staticmethod
    def can_be_compiled():
        return False

    def forward(self, pictures):
        return (torch.from_numpy(self._extractor.features(pictures.permute(0, 2, 3, 1).numpy())),)


class _Pictures(torch.utils.data.Dataset):
    def __init__(self, pictures):
        self._pictures = pictures

    def __len__(self):
        return len(self._pictures)

    def __getitem__(self, i):
        return torch.from_numpy(self._pictures[i]).permute(2, 0, 1)


@pytest.fixture(scope="module")
def sides() -> tuple[np.ndarray, np.ndarray]:
    """Blotches of few colours, and noisier ones: 150 pictures each."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (300, 4, 4, 3)).repeat(16, axis=1).repeat(16, axis=2)
    noise = rng.normal(0, 1, coarse.shape) * np.where(np.arange(300) < 150, 5, 40)[:, None, None, None]
    pictures = np.clip(coarse + noise, 0, 255).astype(np.uint8)
    return pictures[150:], pictures[:150]


@pytest.fixture(scope="module")
def theirs(sides):
    register_feature_extractor("zoo-clip", _Registered)
    try:
        yield lambda **settings: calculate_metrics(
            input1=_Pictures(sides[0]),
            input2=_Pictures(sides[1]),
            feature_extractor="zoo-clip",
            cuda=False,
            cache=False,
            verbose=False,
            save_cpu_ram=True,
            **settings,
        )
    finally:
        del FEATURE_EXTRACTORS_REGISTRY["zoo-clip"]


@pytest.fixture(scope="module")
def features(sides):
    extractor = load_extractor("zoo")
    return tuple(extractor.features(each) for each in sides)


def test_frechet_and_kernel_distance_and_precision_and_recall(theirs, features):
    found = theirs(fid=True, prc=True)
    assert found["frechet_inception_distance"] > 0.01
    assert frechet_distance(*features) == pytest.approx(found["frechet_inception_distance"], rel=1e-3)
    ours = manifold(*features)
    assert ours.precise.mean() == pytest.approx(found["precision"], abs=1e-6)
    assert ours.recalled.mean() == pytest.approx(found["recall"], abs=1e-6)
    assert 0 < ours.precise.mean() < 1 and 0 < ours.recalled.mean() < 1


def test_kernel_distance_from_all_pairs_is_one_subset_of_all(theirs, features):
    found = theirs(kid=True, kid_subsets=1, kid_subset_size=150)
    assert kernel_distance(*features) == pytest.approx(found["kernel_inception_distance_mean"], rel=1e-3)


def test_in_thirty_dimensions_with_a_large_mean():
    """Features as Inception has them: not negative, far from zero, more alike than different."""
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric

    rng = np.random.default_rng(1)
    first, second = (np.abs(rng.normal(0.4, spread, (600, 30))).astype(np.float32) for spread in (0.3, 0.33))
    pair = [torch.from_numpy(each) for each in (first, second)]
    wanted = fid_statistics_to_metric(*(fid_features_to_statistics(each) for each in pair), verbose=False)
    assert frechet_distance(first, second) == pytest.approx(wanted["frechet_inception_distance"], rel=1e-3)
    wanted = kid_features_to_metric(*pair, kid_subsets=1, kid_subset_size=600, verbose=False)
    assert kernel_distance(first, second) == pytest.approx(wanted["kernel_inception_distance_mean"], abs=1e-6)
