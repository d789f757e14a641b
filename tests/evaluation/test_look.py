"""Looking for targets before anything is unlearned: three outcomes, and no picture or number of its own."""

import math
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expunge.errors import ExpungeError
from expunge.evaluation.evaluator import evaluate
from expunge.evaluation.look import look_for_targets, shards_of_targets, verdict
from expunge.evaluation.plan import HELD_OUT, TARGET, plan_evaluation
from expunge.judges.panel import Panel
from expunge.judges.zero_shot import ZeroShotClassifier
from expunge.metrics.numbers import Interval, complement
from expunge.models.families.stable_diffusion import StableDiffusion
from tests.evaluation.conftest import BLOB, CAT, DOG, SMALL, colour_case
from tests.metrics.colour_judges import COLOURS, WORLD, ColourClip, colour_panel, draw

ends = st.lists(st.floats(0, 1), min_size=3, max_size=3).map(sorted)
shares = ends.map(lambda each: Interval(low=each[0], value=each[1], high=each[2], samples=9))
limits = st.floats(0, 1)
UA = ("unlearning_accuracy", "unlearning_accuracy_clip")


class Painter:
    """Draws what the colour world's sentences ask for, but ``instead`` of some things others."""

    precision = "float32"

    def __init__(self, **instead: str) -> None:
        self.instead = instead

    def at_size(self, size: int | None) -> "Painter":
        return self

    def on(self, device: str, precision: str) -> "Painter":
        return self

    def digest(self) -> str:
        return f"painter {self.instead}"

    def sampling(self) -> str:
        return "by hand"

    def cut_off(self, texts: Sequence[str]) -> list[str]:
        return [""] * len(texts)

    def draw(self, texts: Sequence[str], seeds: Sequence[int], **how: object) -> np.ndarray:
        asked = [
            {factor: next(level for level in levels if level in text.split()) for factor, levels in COLOURS.items()}
            for text in texts
        ]
        prompts = [WORLD.prompt(factors, "held_out", random.Random(0)) for factors in asked]
        return draw(prompts, seed=seeds[0], instead=self.instead).pictures


@given(st.lists(shares, min_size=1, max_size=3), limits)
def test_it_is_one_of_three(found, limit):
    said = verdict(found, limit)
    assert (said == "drawn") == (found[0].low >= limit)
    assert (said == "nothing to remove") == all(each.high < limit for each in found)
    assert said in ("drawn", "nothing to remove", "unclear")


@given(st.lists(shares, min_size=1, max_size=3), limits, limits)
def test_who_asks_for_more_finds_no_more(found, one, other):
    low, high = sorted((one, other))
    order = ["nothing to remove", "unclear", "drawn"]
    assert order.index(verdict(found, high)) <= order.index(verdict(found, low))


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.5, 0.9, "drawn"),  # the limit itself is enough, as for the gate
        (0.4999, 0.9, "unclear"),
        (0.1, 0.5, "unclear"),
        (0.1, 0.4999, "nothing to remove"),
        (0.0, 1.0, "unclear"),
        (math.nan, math.nan, "unclear"),
    ],
)
def test_at_the_boundaries(low, high, said):
    assert verdict([Interval(low=low, value=low, high=high, samples=9)], 0.5) == said


def test_no_judge_and_a_limit_of_nothing():
    assert verdict([], 0.5) == "unclear"
    assert verdict([Interval(low=0, value=0, high=0, samples=9)], 0) == "drawn"


def test_a_second_judge_that_finds_it_keeps_the_work_going():
    none, some = (Interval(low=low, value=low, high=low + 0.1, samples=9) for low in (0.0, 0.7))
    assert verdict([none, none], 0.5) == "nothing to remove"
    assert verdict([none, some], 0.5) == "unclear"
    assert verdict([some, none], 0.5) == "drawn"


def test_what_is_drawn_is_told_from_what_is_not(store):
    look, pictures = look_for_targets(Painter(cat="apple"), colour_case(CAT, BLOB), SMALL, 0.5, store)
    cat, blob = look.targets
    assert (cat.request_id, cat.name, cat.verdict) == ("a", "cat", "nothing to remove")
    assert (blob.request_id, blob.name, blob.verdict) == ("b", "blob", "drawn")
    assert list(cat.shares) == ["the classifier of subject", "CLIP"]
    assert [each.value for each in cat.shares.values()] == [0, 0] and cat.shares["CLIP"].high < 0.5
    assert [each.value for each in blob.shares.values()] == [1, 1]
    assert set(cat.taken_for.values()) == {"apple"} and set(blob.taken_for.values()) == {""}
    assert all(CAT.matches(prompt) or BLOB.matches(prompt) for prompt in pictures.prompts)
    assert len(pictures.where(CAT.matches)) == cat.shares["CLIP"].samples >= SMALL.target_pictures
    assert look.wordings == "held_out" and {prompt.side for prompt in pictures.prompts} == {"held_out"}


def zero_shot(clip: ColourClip) -> dict[str, ZeroShotClassifier]:
    return {factor: ZeroShotClassifier(clip, factor, WORLD) for factor in COLOURS}


def one_clip() -> Panel:
    clip = ColourClip()
    return Panel(zero_shot(clip), clip)


def two_clips() -> Panel:
    second = ColourClip()
    return Panel(zero_shot(ColourClip()), second, zero_shot(second))


def test_where_clip_is_the_classifier_it_is_asked_once(store):
    case = colour_case(CAT, panel=one_clip())
    (cat,) = look_for_targets(Painter(), case, SMALL, 0.5, store)[0].targets
    assert list(cat.shares) == ["CLIP"] and cat.verdict == "drawn"


def test_its_shards_are_those_that_the_numbers_of_the_targets_rest_on():
    case = colour_case(CAT, BLOB, forgotten=[DOG])
    plan, looked = plan_evaluation(case, SMALL), shards_of_targets(case, SMALL)
    assert {shard.part for shard in looked} == {HELD_OUT, TARGET}
    left = [shard for shard in plan if shard not in looked and shard.part in (HELD_OUT, TARGET)]
    assert not any(case.asks_for_target(prompt) for shard in left for prompt in shard.prompts)


@pytest.mark.parametrize("panel", [colour_panel, one_clip, two_clips])
def test_the_evaluation_finds_its_pictures_drawn_and_says_the_same(panel, tiny_model, other_model, store, monkeypatch):
    case = colour_case(CAT, BLOB, forgotten=[DOG], panel=panel())
    look, pictures = look_for_targets(tiny_model, case, SMALL, 0.5, store)
    looked_at = {shard.seeds for shard in shards_of_targets(case, SMALL)}
    drawn = StableDiffusion.draw

    def watched(self, texts, seeds, **how):
        assert self is not tiny_model or tuple(seeds) not in looked_at, "drawn again"
        return drawn(self, texts, seeds, **how)

    monkeypatch.setattr(StableDiffusion, "draw", watched)
    done = evaluate(other_model, tiny_model, case, SMALL, store, progress=False)
    assert done.before().where(case.asks_for_target).digest() == pictures.digest()
    for target, scores in zip(look.targets, done.evaluation.targets, strict=True):
        asked = [scores.numbers[each] for each in UA if each in scores.numbers]  # by CLIP where it is a second judge
        shares = [complement(each.before) for each in asked]
        assert len(shares) == len(target.shares) == (1 if case.panel().one_judge else 2)
        if case.panel().zero_shot:  # those have no limits here, which take levels away alone
            assert all(a.value >= b.value for a, b in zip(target.shares.values(), shares, strict=True))
        else:
            assert list(target.shares.values()) == shares


def test_what_no_judge_knows_is_refused_before_anything_is_drawn(store):
    panel = colour_panel()
    case = colour_case(CAT, panel=Panel({"style": panel.classifiers["style"]}, panel.clip))
    with pytest.raises(ExpungeError, match="no classifier for its factor 'subject', only for style"):
        look_for_targets(Painter(), case, SMALL, 0.5, store)
    assert list(store.folder.iterdir()) == []


def test_what_the_model_never_read_does_not_count_as_absent(tiny_model, store):
    words = ["a " * 94 + "{subject} {style}"]
    world = WORLD.model_copy(update={"templates": {"train": words, "held_out": words}})
    case = colour_case(CAT).model_copy(update={"world": world})
    with pytest.raises(ExpungeError, match="prompts for 'cat' are cut off before a model reads it"):
        look_for_targets(tiny_model, case, SMALL, 0.5, store)
