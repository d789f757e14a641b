"""Scenes of a target's neighbours: of the world's own words, and never of the target."""

import pytest

from expunge.prompts.compositions import COLOURS, COMPOSITIONS, NUMBERS, compositions, neighbours_of
from expunge.prompts.load_world import load_world
from expunge.prompts.target import Target
from expunge.prompts.world import Level, World
from expunge.takedown.request import Kind

WORLD = load_world("zoo")
CAT = Target(request_id="a", kind=Kind.OBJECT, name="cat", factor="subject", levels=("cat",))
NOTO = Target(request_id="b", kind=Kind.STYLE, name="noto", factor="style", levels=("noto",))
BARE = World(
    templates={"train": ["a {subject}"]},
    factors={"subject": {name: Level(train=[name]) for name in ("cat", "dog", "car")}},
)
ANIMALS = [name for name, level in WORLD.factors["subject"].items() if level.group == "animal" and name != "cat"]


def wordings(factor: str, names) -> set[str]:
    return {wording for name in names for wording in WORLD.factors[factor][name].held_out}


@pytest.mark.parametrize("group", COMPOSITIONS)
@pytest.mark.parametrize("target", [CAT, NOTO], ids=["object", "style"])
def test_every_scene_is_of_a_neighbour_and_the_same_again(target, group):
    made = compositions(target, WORLD, group, 12, 3, [CAT, NOTO])
    assert len(made) == 12 and made == compositions(target, WORLD, group, 12, 3, [CAT, NOTO])
    assert made != compositions(target, WORLD, group, 12, 4, [CAT, NOTO])
    neighbours = neighbours_of(target, WORLD, [CAT, NOTO])
    for prompt in made:
        assert prompt.factors[target.factor] in neighbours and prompt.side == "held_out"
        assert not any(each.matches(prompt) for each in (CAT, NOTO))
        assert not {"cat", "kitty", "kitten", "noto"} & set(prompt.text.split())


def test_neighbours_are_of_one_group_where_there_are_groups():
    assert neighbours_of(CAT, WORLD, []) == ANIMALS
    dog = CAT.model_copy(update={"name": "dog", "levels": ("dog",)})
    assert neighbours_of(CAT, WORLD, [dog]) == [name for name in ANIMALS if name != "dog"]
    assert neighbours_of(NOTO, WORLD, [CAT]) == [name for name in WORLD.factors["style"] if name != "noto"]
    assert neighbours_of(CAT, BARE, []) == ["dog", "car"]


def test_only_words_of_the_grid_with_numbers_colours_and_and():
    subjects = wordings("subject", ANIMALS)
    for prompt in compositions(CAT, WORLD, "pairs", 30, 0):
        first, second = prompt.words["subject"].split(" and ")
        assert {first, second} <= subjects and first != second
    for group, extra in (("counts", NUMBERS), ("colours", COLOURS)):
        for prompt in compositions(CAT, WORLD, group, 30, 0):
            word, subject = prompt.words["subject"].split(" ", 1)
            assert word in extra and subject in subjects
            assert prompt.words["subject"] in prompt.text


def test_few_prompts_are_spread_over_the_neighbours():
    assert len({prompt.factors["subject"] for prompt in compositions(CAT, WORLD, "counts", 12, 0)}) >= 5


def test_a_grid_without_styles_groups_and_held_out_wordings_will_do():
    made = compositions(CAT, BARE, "pairs", 4, 0)
    assert {prompt.text for prompt in made} == {"a dog and car", "a car and dog"}


@pytest.mark.parametrize("group", COMPOSITIONS)
def test_without_neighbours_there_are_none(group):
    everything = CAT.model_copy(update={"levels": ("cat", "dog", "car")})
    assert compositions(everything, BARE, group, 8, 0) == []


def test_one_neighbour_makes_no_pair():
    dog = CAT.model_copy(update={"name": "dog", "levels": ("dog",)})
    assert compositions(CAT, BARE, "pairs", 8, 0, [dog]) == []
    assert {prompt.text.split()[-1] for prompt in compositions(CAT, BARE, "counts", 8, 0, [dog])} == {"car"}
