"""Content kept and proper pictures: noise, repetition and blank pictures are told from pictures."""

from dataclasses import replace

import numpy as np
import pytest

from expunge.judges.judged import JudgedPictures
from expunge.judges.panel import Panel
from expunge.judges.protocols import NOTHING
from expunge.metrics.content_kept import by_factor, content_kept
from expunge.metrics.proper_picture import pictures_of_nothing, proper_picture
from expunge.metrics.sample import Pair, Sample
from expunge.prompts.target import Target
from expunge.prompts.world import Prompt
from expunge.takedown.request import Kind

CAT = Target(request_id="cat", kind=Kind.OBJECT, name="cat", factor="subject", levels=("cat",))
COUNT = 40
STYLES = [("noto", "blob")[i % 2] for i in range(COUNT)]
COLOURS = [("blue", "pink")[i // 2 % 2] for i in range(COUNT)]


def judged(features: np.ndarray, subject: str = "dog", styles=None, colours=None) -> JudgedPictures:
    """Classifiers know subject and style, CLIP alone the background."""
    factors = [{"subject": "cat", "style": s, "background": b} for s, b in zip(STYLES, COLOURS, strict=True)]
    prompts = tuple(
        Prompt(text=f"{each} {i % 8}", factors=each, side="held_out", template=0) for i, each in enumerate(factors)
    )
    return JudgedPictures(
        prompts,
        tuple(range(COUNT)),
        features,
        {"subject": [subject] * COUNT, "style": styles or STYLES},
        ("",) * COUNT,
        np.ones(COUNT),
        np.zeros((COUNT, 1)),
        {"background": colours or COLOURS},
    )


def spread(seed: int, centre: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(centre, 1, (COUNT, 3))


def sample(now: JudgedPictures, in_place: JudgedPictures | None = None) -> Sample:
    was = judged(spread(0), subject="cat")
    pair = Pair(was, now)
    in_place = in_place or was.select([])
    return Sample((CAT,), pair, pair, pair, in_place, judged(spread(1)), was, Panel({}, None), 0)


def test_other_pictures_like_the_bases_are_as_proper_as_they_were():
    change = proper_picture(sample(judged(spread(2))))
    assert change.before.value > 0.7 and abs(change.difference.value) < 0.15


@pytest.mark.parametrize(
    "now",
    [
        judged(spread(2, centre=30.0)),  # grain: nothing like it was drawn before
        judged(np.tile(spread(2)[:1], (COUNT, 1))),  # the same bars whatever is asked for
        judged(spread(2), subject=NOTHING),
    ],
)
def test_grain_repetition_and_blank_pictures_are_none(now):
    assert proper_picture(sample(now)).after.value == 0


def test_a_neighbour_need_not_vary_more_than_it_did_in_its_own_sentences():
    alike = judged(spread(2) / 10)  # dogs, alike as dogs are, in the place of cats that were not
    assert proper_picture(sample(alike)).after.value < 0.2
    beside = sample(alike, judged(spread(3) / 10))
    assert proper_picture(beside).after.value > 0.7
    assert proper_picture(beside).before.value >= proper_picture(sample(alike)).before.value
    repeated = judged(np.tile(spread(2)[:1], (COUNT, 1)))
    assert proper_picture(sample(repeated, judged(spread(3) / 10))).after.value == 0


def test_too_few_pictures_are_not_measured():
    few = sample(judged(spread(2)))
    few = replace(few, asked=few.asked.select([0, 1]))
    assert proper_picture(few) is None and pictures_of_nothing(few) is not None
    nothing = replace(few, asked=few.asked.select([]))
    assert proper_picture(nothing) is None and pictures_of_nothing(nothing) is None and content_kept(nothing) is None


def test_pictures_of_nothing_are_counted():
    assert pictures_of_nothing(sample(judged(spread(2), subject=NOTHING))).after.value == 1
    assert pictures_of_nothing(sample(judged(spread(2)))).after.value == 0


def test_content_is_everything_but_the_target_and_each_factor_alone():
    half = ["pink"] * COUNT  # right for one prompt in two
    change = sample(judged(spread(2), styles=STYLES[::-1], colours=half))
    assert content_kept(change).before.value == 1 and content_kept(change).after.value == 0
    alone = by_factor(change)
    assert set(alone) == {"style", "background"}
    assert alone["style"].after.value == 0 and alone["background"].after.value == 0.5
