"""Copies are told by likeness to references, from a limit that other pictures set."""

import numpy as np
import pytest

from expunge.errors import ExpungeError
from expunge.judges.compare import see_references, with_references
from expunge.judges.extractors import PixelExtractor
from expunge.judges.likeness import BY_CHANCE, FEWEST, OTHER, LikenessJudge, References
from expunge.prompts.world import PICTURE
from tests.metrics.colour_judges import WORLD, colour_panel

RNG = np.random.default_rng(0)


def pictures(count: int, rng: np.random.Generator = RNG) -> np.ndarray:
    return rng.integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)


def noisy(picture: np.ndarray, strength: int, count: int = 5) -> np.ndarray:
    """Near copies: each pixel off by at most ``strength``."""
    off = RNG.integers(-strength, strength + 1, (count, *picture.shape))
    return (picture + off).clip(0, 255).astype(np.uint8)


REFERENCE, OTHERS = pictures(1), pictures(300)


@pytest.fixture(scope="module")
def judge() -> LikenessJudge:
    extractor = PixelExtractor()
    return LikenessJudge(extractor, References.of(extractor, {"one": REFERENCE, "two": pictures(3)}, OTHERS))


def test_a_copy_is_found_and_anything_else_is_another_picture(judge) -> None:
    assert judge.recognise(noisy(REFERENCE[0], 8)) == ["one"] * 5
    assert judge.recognise(REFERENCE) == ["one"]
    assert judge.recognise(np.zeros((2, 16, 16, 3), np.uint8)) == [OTHER] * 2
    assert judge.recognise(pictures(0)) == []
    found = judge.recognise(OTHERS)
    assert found.count(OTHER) >= (1 - 2 * BY_CHANCE) * len(OTHERS)
    assert judge.recognise(OTHERS[:7]) + judge.recognise(OTHERS[7:]) == found  # batches do not matter


def test_likeness_is_that_of_the_nearest_reference(judge) -> None:
    features = PixelExtractor().features(REFERENCE)
    assert judge.likeness(features, "one") == pytest.approx([1.0])
    assert judge.likeness(features, "two")[0] < 1


def test_a_further_picture_of_the_same_kind_seldom_counts_as_a_copy() -> None:
    """The mean over many limits of the share above them is what was promised."""
    rng = np.random.default_rng(1)
    fresh = rng.random(200_000)
    from expunge.judges.likeness import _limit

    above = [(fresh >= _limit(rng.random(150))).mean() for _ in range(400)]
    assert np.mean(above) == pytest.approx(3 / 151, rel=0.1) and BY_CHANCE >= 3 / 151
    leaky = np.concatenate([rng.random(300), [1, 1, 1, 1]])  # copies that came out under other prompts
    assert _limit(leaky) < 1
    few = rng.random(FEWEST - 9)
    assert _limit(few) == np.nextafter(few.max(), 2)


def test_the_name_says_on_which_features_and_from_which_cosine(judge) -> None:
    assert "pixels 8×8" in judge.name and "cosine of 0." in judge.name and judge.factor == PICTURE


def test_a_panel_gets_two_judges_on_different_features() -> None:
    panel = colour_panel()
    shown = with_references(panel, see_references(panel, ("", ""), {"one": REFERENCE}, OTHERS))
    first, second = shown.told_by(PICTURE)
    assert "pixels 8×8" in first and "colour-clip" in second
    assert panel.told_by("subject") == ("the classifier of subject", "CLIP")
    found = shown.recognise(REFERENCE)
    assert found[PICTURE] == ["one"] and set(found) == {"subject", "style", PICTURE}
    assert shown.recognise_by_clip(REFERENCE, PICTURE, WORLD) == ["one"]
    assert PICTURE not in panel.classifiers and shown.digest() != panel.digest()


def test_a_named_extractor_is_the_first_judge() -> None:
    panel = colour_panel()
    known, by_clip = see_references(panel, ("pixels", ""), {"one": REFERENCE}, OTHERS)
    assert (known.source, known.name, by_clip.name) == ("pixels", "pixels 8×8", "colour-clip")
    other = known.model_copy(update={"name": "something else"})
    with pytest.raises(ExpungeError, match="compared on something else, and pixels 8×8 is what is there"):
        with_references(panel, (other, by_clip))


def test_without_other_pictures_there_is_no_limit() -> None:
    with pytest.raises(ExpungeError, match="^pictures: the base drew nothing else"):
        References.of(PixelExtractor(), {"one": REFERENCE}, OTHERS[:0])
