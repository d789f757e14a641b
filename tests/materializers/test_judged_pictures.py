"""Judged pictures: there and back."""

import numpy as np
import pytest

from expunge.errors import ExpungeError
from expunge.judges.extractors import PixelExtractor
from expunge.judges.judged import join, judge_pictures
from expunge.judges.zero_shot import ZeroShotClassifier
from tests.metrics.colour_judges import WORLD, ColourClip, colour_panel, draw, prompts_for


def test_round_trip(materialize):
    judged = judge_pictures(draw(prompts_for([("cat", "noto"), ("dog", "flat")], "train", 2), seed=3), colour_panel())
    materializer = materialize("JudgedPicturesMaterializer")
    materializer.save(judged)
    again = materializer.load(type(judged))
    assert (again.prompts, again.seeds, again.fingerprints) == (judged.prompts, judged.seeds, judged.fingerprints)
    assert again.recognised == judged.recognised
    np.testing.assert_allclose(again.features, judged.features, atol=1e-7)
    np.testing.assert_array_equal(again.contrasts, judged.contrasts)
    np.testing.assert_array_equal(again.thumbnails, judged.thumbnails)
    assert again.thumbnails.dtype == np.uint8 and again.thumbnails.shape == (4, 32, 32, 3)
    assert materializer.extract_metadata(judged)["pictures"] == 4


def test_features_of_other_networks_come_back_with_their_name(materialize):
    pictures, panel = draw(prompts_for([("cat", "noto")], "train", 3), seed=3), colour_panel()
    first = ColourClip()
    panel.classifiers = {factor: ZeroShotClassifier(first, factor, WORLD) for factor in WORLD.factors}
    judged = judge_pictures(pictures, panel, PixelExtractor())
    materializer = materialize("JudgedPicturesMaterializer")
    materializer.save(judged)
    again = materializer.load(type(judged))
    assert again.named_by == judged.named_by == "pixels 8×8"
    np.testing.assert_array_equal(again.named_features, judged.named_features)
    np.testing.assert_allclose(again.first_features, first.picture_features(pictures.pictures), atol=1e-6)
    assert again.named_features.shape == (3, 192) and again.recognised == judged.recognised
    with pytest.raises(ExpungeError, match="features of pixels 8×8, the judges' CLIP; judge all anew"):
        join([again, judge_pictures(pictures, panel)])


def test_content_hash_tells_verdicts_apart(materialize):
    prompts = prompts_for([("cat", "noto")], "train", 2)
    first, same, other = (
        judge_pictures(draw(prompts, seed=3, instead=instead), colour_panel())
        for instead in (None, None, {"cat": "dog"})
    )
    materializer = materialize("JudgedPicturesMaterializer")
    assert materializer.compute_content_hash(first) == materializer.compute_content_hash(same)
    assert materializer.compute_content_hash(first) != materializer.compute_content_hash(other)
