"""Judged pictures: there and back."""

import numpy as np

from expunge.judges.judged import judge_pictures
from tests.metrics.colour_judges import colour_panel, draw, prompts_for


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


def test_content_hash_tells_verdicts_apart(materialize):
    prompts = prompts_for([("cat", "noto")], "train", 2)
    first, same, other = (
        judge_pictures(draw(prompts, seed=3, instead=instead), colour_panel())
        for instead in (None, None, {"cat": "dog"})
    )
    materializer = materialize("JudgedPicturesMaterializer")
    assert materializer.compute_content_hash(first) == materializer.compute_content_hash(same)
    assert materializer.compute_content_hash(first) != materializer.compute_content_hash(other)
