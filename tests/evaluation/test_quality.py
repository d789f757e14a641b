"""All quality metrics of one pair together, on pictures of the zoo."""

import numpy as np
import pytest

from expunge.errors import ExpungeError
from expunge.evaluation.quality import QualityScores, quality
from expunge.judges.extractors import PixelExtractor, load_extractor
from expunge.models.resolver import load_text_to_image

SUBJECTS = ("cat", "dog", "apple", "car", "star", "house")


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    texts = [f"a {style} drawing of {subject}" for subject in SUBJECTS for style in ("noto", "twemoji")]
    return load_text_to_image("zoo").draw(texts, seeds=list(range(12)), steps=6, guidance=2.5)


@pytest.fixture(scope="module")
def damaged(drawn: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 40, drawn.shape)
    return np.clip(drawn + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def scores(drawn: np.ndarray, damaged: np.ndarray) -> QualityScores:
    return quality(drawn, damaged, drawn, load_extractor("zoo"), None, seed=0, resamples=20)


def test_damage_shows_in_every_distance(scores: QualityScores) -> None:
    for change in (scores.frechet_distance, scores.kernel_distance, scores.cmmd):
        assert change is not None and change.difference.value > 0
    assert scores.precision.before.value == 1 >= scores.precision.after.value
    assert scores.drift.structure.value > 0.01 and scores.drift.features.value > 0.01
    assert len(scores.drift.features_by_picture) == 12


def test_an_untouched_model_has_not_moved(drawn: np.ndarray) -> None:
    same = quality(drawn, drawn, drawn, PixelExtractor(), None, seed=0, resamples=20)
    assert same.drift.structure.value == 0 and same.drift.features.value == pytest.approx(0, abs=1e-12)
    assert same.frechet_distance.after.value == pytest.approx(0, abs=1e-6) and same.cmmd is None


def test_it_names_its_features_and_warns_of_few_pictures(scores: QualityScores) -> None:
    assert scores.features == "zoo-clip, 64 features from only 12 pictures: far too high"


def test_it_is_stored_and_read_back(scores: QualityScores) -> None:
    assert QualityScores.model_validate_json(scores.model_dump_json()) == scores


def test_the_same_again_is_the_same(scores: QualityScores, drawn: np.ndarray, damaged: np.ndarray) -> None:
    again = quality(drawn, damaged, drawn, load_extractor("zoo"), None, seed=0, resamples=20)
    assert again.model_dump() == scores.model_dump()


@pytest.mark.parametrize(("before", "after", "named"), [(12, 11, "pairs"), (3, 3, "3 pictures before and after")])
def test_too_few_or_unpaired_pictures_are_refused(drawn: np.ndarray, before: int, after: int, named: str) -> None:
    with pytest.raises(ExpungeError, match=named):
        quality(drawn[:before], drawn[:after], drawn, PixelExtractor(), None, seed=0)
