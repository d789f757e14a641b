"""The digits and their world: what is there, and that targets, pairs and neighbours are well defined on it."""

import random

import numpy as np
import pytest
import torch

from expunge.errors import ExpungeError
from expunge.judges.sentences import ENSEMBLE, ensemble
from expunge.prompts.load_world import load_world
from expunge.prompts.pairing import InPlace, forget_prompts, nearest_levels, put_in_place
from expunge.prompts.target import Target
from expunge.takedown.request import Kind
from expunge.zoo.digits.digits_data import CLASSES, digits_world, read_digits, split_digits


def target(name: str = "seven") -> Target:
    return Target(request_id="r", kind=Kind.CLASS, name=name, factor="subject", levels=(name,))


def test_all_pictures_are_there():
    digits = read_digits()
    assert digits.pictures.shape == (1797, 1, 8, 8) and digits.pictures.dtype == torch.float32
    assert (digits.pictures.min(), digits.pictures.max()) == (-1, 1)
    assert digits.labels.bincount(minlength=10).min() > 170


def test_judges_are_tested_on_pictures_they_were_not_trained_on():
    training, held_out = split_digits()
    assert len(training) + len(held_out) == 1797 and len(held_out) == 360
    seen = {picture.numpy().tobytes() for picture in training.pictures}
    assert not any(picture.numpy().tobytes() in seen for picture in held_out.pictures)


def test_one_prompt_a_class_on_both_sides():
    world = load_world("digits")
    assert world == digits_world()
    for side in ("train", "held_out"):
        prompts = world.sample(side, 2, 0)
        assert [prompt.text for prompt in prompts] == [name for name in CLASSES for _ in range(2)]
        assert {prompt.side for prompt in prompts} == {side}
    assert [prompt.stratum for prompt in prompts[::2]] == list(CLASSES)
    assert ensemble(world, "subject", "two") == ["two"] * ENSEMBLE


@pytest.mark.parametrize("side", ["train", "held_out"])
def test_a_target_is_asked_for_as_often_as_wanted_and_its_pair_is_a_neighbour(side):
    world = digits_world()
    prompts = forget_prompts(target(), world, side, 7, 0)
    assert [prompt.text for prompt in prompts] == ["seven"] * 7
    instead = InPlace("neighbour", ("one", "nine"))
    pairs = [put_in_place(each, target(), world, instead, random.Random(seed)) for seed, each in enumerate(prompts)]
    for pair in pairs:
        assert pair.text == pair.factors["subject"] == pair.words["subject"]
        assert pair.text in ("one", "nine") and not target().matches(pair) and pair.side == side


def test_every_class_but_the_target_can_be_its_neighbour():
    vectors = {name: np.eye(10)[i] for i, name in enumerate(CLASSES)}
    assert sorted(nearest_levels(vectors, ["seven"], ["seven"])) == sorted(set(CLASSES) - {"seven"})


def test_a_request_of_kind_class_is_resolved():
    from expunge.benchmark.benchmark_settings import TargetEntry

    found = TargetEntry(kind="class", name="Seven").resolve(digits_world())
    assert (found.factor, found.levels) == ("subject", ("seven",))
    with pytest.raises(ExpungeError, match="draws no class called 'ten'. It draws subject: zero, one"):
        TargetEntry(kind="class", name="ten").resolve(digits_world())
