"""Levels, or nothing of these: limits that hold for what is like the base's own pictures, and refuse what is not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expunge.errors import ExpungeError
from expunge.judges.null_pictures import null_pictures
from expunge.judges.open_clip_judge import OpenClipJudge
from expunge.judges.protocols import NOTHING
from expunge.judges.zero_shot import FEWEST, MISSED, ZeroShotClassifier, _limit, _of_levels, null_features
from expunge.pictures.drawing import DrawingSettings, draw_prompts
from expunge.pictures.picture_set import PictureSet
from expunge.prompts.load_world import load_world
from expunge.prompts.world import World
from expunge.zoo.zoo_panel import WEIGHTS
from tests.metrics.colour_judges import COLOURS, WORLD, ColourClip, draw, prompts_for

STRATA = [(subject, style) for subject in COLOURS["subject"] for style in COLOURS["style"]]


def limited(per_stratum: int = 15) -> ZeroShotClassifier:
    own = draw(prompts_for(STRATA, "train", per_stratum), seed=1)
    clip = ColourClip()
    return ZeroShotClassifier(clip, "subject", WORLD).limited(
        clip.picture_features(own.pictures), own.prompts, null_features(clip)
    )


def test_without_limits_it_names_a_level_of_anything():
    judge = ZeroShotClassifier(ColourClip(), "subject", WORLD)
    assert NOTHING not in judge.recognise(null_pictures(each=2))
    assert judge.levels == tuple(COLOURS["subject"])


def test_with_limits_it_knows_the_levels_and_nothing():
    judge, fresh = limited(), draw(prompts_for(STRATA, "held_out", 10), seed=2)
    found = judge.recognise(fresh.pictures)
    right = np.mean([level == prompt.factors["subject"] for level, prompt in zip(found, fresh.prompts, strict=True)])
    assert right >= 1 - 6 * MISSED
    assert set(found) <= {*COLOURS["subject"], NOTHING}
    assert np.mean(np.array(judge.recognise(null_pictures(each=8, seed=3))) == NOTHING) > 0.9


def test_a_level_that_the_world_does_not_list_is_nothing():
    """Four colours of which it knows three: the fourth is close to the first by words, and to no own picture."""
    few = WORLD.model_copy(update={"factors": WORLD.factors | {"subject": {
        name: level for name, level in WORLD.factors["subject"].items() if name != "pear"}}})  # fmt: skip
    clip = ColourClip()
    own = draw(prompts_for([each for each in STRATA if each[0] != "pear"], "train", 15), seed=1)
    judge = ZeroShotClassifier(clip, "subject", few).limited(
        clip.picture_features(own.pictures), own.prompts, null_features(clip)
    )
    pears = draw(prompts_for([each for each in STRATA if each[0] == "pear"], "held_out", 10), seed=2)
    assert np.mean(np.array(judge.recognise(pears.pictures)) == NOTHING) > 0.9


def test_batches_and_order_do_not_matter():
    judge, pictures = limited(), draw(prompts_for(STRATA, "held_out", 2), seed=2).pictures
    whole = judge.recognise(pictures)
    assert [judge.recognise(pictures[i : i + 1])[0] for i in range(len(pictures))] == whole
    assert judge.recognise(pictures[::-1]) == whole[::-1]
    assert judge.recognise(pictures[:0]) == []


def test_limits_leave_the_classifier_as_it_was_and_its_digest_too():
    clip = ColourClip()
    plain = ZeroShotClassifier(clip, "subject", WORLD)
    own = draw(prompts_for(STRATA, "train", 5), seed=1)
    strict = plain.limited(clip.picture_features(own.pictures), own.prompts, null_features(clip))
    assert plain.limits is None and strict.limits is not None
    assert plain.digest() == strict.digest() != ZeroShotClassifier(clip, "style", WORLD).digest()


def test_of_too_few_pictures_no_limit_is_known():
    clip = ColourClip()
    plain, own = ZeroShotClassifier(clip, "subject", WORLD), draw(prompts_for(STRATA, "train", 5), seed=1)
    features, nulls = clip.picture_features(own.pictures), null_features(clip)
    assert plain.limited(features[: FEWEST - 1], own.prompts[: FEWEST - 1], nulls).limits is None
    assert plain.limited(features[:FEWEST], own.prompts[:FEWEST], nulls).limits is not None
    of_others = [prompt.model_copy(update={"factors": {"style": "noto"}}) for prompt in own.prompts]
    assert plain.limited(features, of_others, nulls).limits is None


def test_refusals():
    with pytest.raises(ExpungeError, match="'mood' given; the world has subject, style"):
        ZeroShotClassifier(ColourClip(), "mood", WORLD)
    with pytest.raises(ExpungeError, match="NaN"):
        limited(3).recognise_features(np.full((1, 6), np.nan))


@settings(max_examples=60, deadline=None)
@given(st.integers(FEWEST, 400), st.integers(0, 10**6))
def test_a_limit_refuses_what_is_alike_as_rarely_as_it_says(count, seed):
    """By exchangeability a further score is below it with probability k/(n+1) at most, k its rank: exact, any law."""
    scores = np.random.default_rng(seed).standard_cauchy(count)
    rank = int((scores < _limit(scores)).sum()) + 1
    assert rank >= 1 and rank / (count + 1) <= MISSED
    assert (rank + 1) / (count + 1) > MISSED  # and no more often allowed than that


def test_no_level_is_refused_more_often_than_its_own_pictures_allow():
    """One level lies apart in all scores: by the limit of all it would always be nothing."""
    scores = np.concatenate([np.linspace(1, 2, 300), np.linspace(-9, -8, 5)])
    limits = _of_levels(scores, np.repeat([0, 1], [300, 5]), 3)
    assert limits[1] == -9 and limits[0] == limits[2] == _limit(scores) >= 1


def without(world: World, levels: set[str]) -> World:
    left = {name: level for name, level in world.factors["subject"].items() if name not in levels}
    return world.model_copy(update={"factors": world.factors | {"subject": left}})


@pytest.mark.slow
def test_the_zoos_clip_tells_its_models_pictures_from_nothing():
    """Real weights: what the base draws is recognised, what shows nothing or something else is mostly told apart."""
    from expunge.models.resolver import load_text_to_image

    world, model = load_world("zoo"), load_text_to_image("zoo")
    subjects = list(world.factors["subject"])
    unlisted = set(subjects[1::4])
    known = without(world, unlisted)
    clip, drawing = OpenClipJudge(f"local-dir:{WEIGHTS / 'clip'}"), DrawingSettings(steps=6)

    def drawn(side, seed) -> PictureSet:
        prompts = world.sample(side, 1, seed)
        return draw_prompts(model, prompts, [seed + i for i in range(len(prompts))], drawing)

    own = [drawn("train", 1), drawn("held_out", 2)]
    features = np.concatenate([clip.picture_features(each.pictures) for each in own])
    plain = ZeroShotClassifier(clip, "subject", known)
    judge = plain.limited(features, [prompt for each in own for prompt in each.prompts], null_features(clip))
    fresh = drawn("held_out", 3)
    asked = np.array([prompt.factors["subject"] for prompt in fresh.prompts])
    found, nearest = np.array(judge.recognise(fresh.pictures)), np.array(plain.recognise(fresh.pictures))
    listed = ~np.isin(asked, list(unlisted))
    right, right_before = (found == asked)[listed].mean(), (nearest == asked)[listed].mean()
    assert right > 0.75 and right > right_before - 0.12
    assert (found == NOTHING)[~listed].mean() > 0.4
    assert np.mean(np.array(judge.recognise(null_pictures(each=8, seed=7))) == NOTHING) > 0.9
