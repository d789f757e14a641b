"""Forget prompts and the same sentences without the target."""

import random
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expunge.errors import ExpungeError
from expunge.prompts.pairing import InPlace, forget_prompts, nearest_levels, put_in_place
from expunge.prompts.target import Target
from expunge.takedown.request import Kind
from expunge.zoo.emoji_world import zoo_world
from tests.prompts.worlds import worlds

SIDES = st.sampled_from(["train", "held_out"])


@st.composite
def grids_with_targets(draw):
    world = draw(worlds())
    factor = draw(st.sampled_from([name for name in ("subject", "style") if name in world.factors]))
    levels = draw(st.lists(st.sampled_from(list(world.factors[factor])), min_size=1, unique=True))
    return world, Target(request_id="r", kind=Kind.CONCEPT, name="it", factor=factor, levels=tuple(levels))


@given(grids_with_targets(), SIDES, st.integers(1, 30), st.integers(0, 100))
def test_forget_prompts_are_as_many_as_asked_and_even_over_the_targets_strata(grid_and_target, side, count, seed):
    world, target = grid_and_target
    prompts = forget_prompts(target, world, side, count, seed)
    assert len(prompts) == count
    assert all(target.matches(prompt) and prompt.side == side for prompt in prompts)
    strata = [each for each in world.strata() if each[target.factor] in target.levels]
    counts = Counter(prompt.stratum for prompt in prompts)
    assert len(counts) == min(count, len(strata))
    assert max(counts.values()) - min(counts.values()) <= 1
    assert prompts == forget_prompts(target, world, side, count, seed)


def without(text: str, words: str) -> str:
    return re.sub(rf"\b{re.escape(words)}\b", "…", text)


@pytest.mark.parametrize(
    ("factor", "levels"), [("subject", ("cat",)), ("style", ("twemoji",)), ("subject", ("cat", "dog"))]
)
@pytest.mark.parametrize("side", ["train", "held_out"])
def test_a_pair_differs_in_the_targets_words_alone(factor, levels, side):
    world, rng = zoo_world(), random.Random(0)
    target = Target(request_id="r", kind=Kind.CONCEPT, name="it", factor=factor, levels=levels)
    neighbours = [level for level in world.factors[factor] if level not in levels][:3]
    seen = set()
    for prompt in forget_prompts(target, world, side, 60, 0):
        pair = put_in_place(prompt, target, world, InPlace("neighbour", tuple(neighbours)), rng)
        assert not target.matches(pair)
        assert pair.words[factor] in world.factors[factor][pair.factors[factor]].wordings(side)
        assert without(pair.text, pair.words[factor]) == without(prompt.text, prompt.words[factor])
        assert {name for name in prompt.factors if prompt.factors[name] != pair.factors[name]} == {factor}
        assert {name for name in prompt.words if prompt.words[name] != pair.words[name]} == {factor}
        assert (pair.side, pair.template) == (prompt.side, prompt.template)
        seen.add(pair.factors[factor])
    assert seen == set(neighbours)


@pytest.mark.parametrize(("factor", "level"), [("subject", "cat"), ("style", "twemoji")])
def test_the_rest_of_the_sentence_is_its_other_words(factor, level):
    world = zoo_world()
    target = Target(request_id="r", kind=Kind.CONCEPT, name="it", factor=factor, levels=(level,))
    for prompt in forget_prompts(target, world, "train", 20, 0):
        rest = put_in_place(prompt, target, world, InPlace("content"), random.Random(0))
        assert rest.text.split() == without(prompt.text, prompt.words[factor]).replace("…", " ").split()
        assert rest.factors == {name: each for name, each in prompt.factors.items() if name != factor}
        nothing = put_in_place(prompt, target, world, InPlace("nothing"), random.Random(0))
        assert nothing.text == "" and nothing.factors == {}


def test_neighbours_come_by_their_highest_cosine_with_any_target():
    angles = {"cat": 0, "dog": 20, "fox": 50, "car": 90, "bus": 120}
    features = {name: np.array([np.cos(np.radians(a)), np.sin(np.radians(a))]) for name, a in angles.items()}
    assert nearest_levels(features, ["cat"], []) == ["dog", "fox", "car", "bus"]
    assert nearest_levels(features, ["cat"], ["dog", "car"]) == ["fox", "bus"]
    assert nearest_levels(features, ["cat", "car"], []) == ["dog", "bus", "fox"]


def test_nothing_left_to_retain_is_said():
    features = {name: np.array([1.0, 0.0]) for name in ("cat", "dog")}
    with pytest.raises(ExpungeError, match="'cat' is all the model draws of its kind"):
        nearest_levels(features, ["cat"], ["cat", "dog"])
