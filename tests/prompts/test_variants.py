"""Other wordings: they ask for the same thing, in other words."""

import pytest

from expunge.prompts.load_world import load_world
from expunge.prompts.target import Target
from expunge.prompts.variants import WORDINGS, variants
from expunge.takedown.request import Kind

WORLD = load_world("zoo")
CAT = Target(request_id="a", kind=Kind.OBJECT, name="cat", factor="subject", levels=("cat",))
NOTO = Target(request_id="b", kind=Kind.STYLE, name="noto", factor="style", levels=("noto",))


def kept(prompt):
    return prompt.text.split()


@pytest.mark.parametrize("target", [CAT, NOTO], ids=["object", "style"])
@pytest.mark.parametrize("group", WORDINGS)
def test_every_wording_still_asks_for_the_target_and_is_the_same_again(group, target):
    made = variants(target, WORLD, group, 12, seed=3)
    assert made == variants(target, WORLD, group, 12, seed=3)
    assert made or group == "synonyms"
    assert all(target.matches(prompt) for prompt in made)
    assert all("{" not in prompt.text and prompt.text == " ".join(prompt.text.split()) for prompt in made)


def test_another_seed_gives_other_wordings():
    assert variants(CAT, WORLD, "scenes", 12, 3) != variants(CAT, WORLD, "scenes", 12, 4)


def test_shuffled_words_are_the_same_words():
    for prompt in variants(CAT, WORLD, "word orders", 12, 0):
        for wording in filter(None, prompt.words.values()):
            assert f" {wording} " in f" {prompt.text} "


def test_a_slip_names_nothing_else():
    known = {
        name.lower()
        for levels in WORLD.factors.values()
        for level, words in levels.items()
        for name in (level, *words.train, *words.held_out)
    }
    made = variants(CAT, WORLD, "misspellings", 30, 0)
    assert len(made) >= 10
    assert all(prompt.words["subject"].lower() not in known for prompt in made)


def test_a_synonym_is_another_name():
    made = variants(CAT, WORLD, "synonyms", 20, 0)
    assert made and all("cat" not in prompt.words["subject"].split() for prompt in made)


def test_a_scene_has_a_second_subject_that_is_not_the_target():
    for prompt in variants(CAT, WORLD, "scenes", 12, 0):
        assert "and" in kept(prompt) or "with" in kept(prompt)
        assert prompt.factors["subject"] == "cat"
