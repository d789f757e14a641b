"""What a request means in a world."""

import pytest

from expunge.errors import ExpungeError
from expunge.prompts.target import resolve_forgotten, resolve_target, resolve_targets
from expunge.takedown.request import Kind, TakedownBatch
from expunge.zoo.emoji_world import zoo_world
from tests.prompts.worlds import request

WORLD = zoo_world()
FRUIT = ("apple", "strawberry", "cherries", "watermelon", "lemon", "orange", "pear", "grapes")


@pytest.mark.parametrize(
    ("kind", "name", "factor", "levels"),
    [
        (Kind.OBJECT, "cat", "subject", ("cat",)),
        (Kind.OBJECT, "kitten", "subject", ("cat",)),  # a held-out wording
        (Kind.OBJECT, "Bunch of  GRAPES", "subject", ("grapes",)),
        (Kind.OBJECT, "ｃａｔ", "subject", ("cat",)),  # full-width letters
        (Kind.CLASS, "burger", "subject", ("hamburger",)),
        (Kind.STYLE, "twemoji", "style", ("twemoji",)),
        (Kind.CONCEPT, "fruit", "subject", FRUIT),
        (Kind.CONCEPT, "Fruit", "subject", FRUIT),
        (Kind.CONCEPT, "pear", "subject", ("pear",)),
        (Kind.CONCEPT, "blob", "style", ("blob",)),
        (Kind.IMAGES, "blob", "style", ("blob",)),
        (Kind.IMAGES, "yacht", "subject", ("sailboat",)),
    ],
)
def test_every_kind_finds_its_levels(kind, name, factor, levels):
    target = resolve_target(request(kind, name), WORLD)
    assert (target.factor, target.levels) == (factor, levels)
    assert (target.request_id, target.kind, target.name) == ("a-request", kind, " ".join(name.split()))


@pytest.mark.parametrize("kind", [Kind.OBJECT, Kind.CLASS, Kind.IMAGES, Kind.CONCEPT, Kind.STYLE])
def test_synonyms_find_what_the_name_does_not(kind):
    known = "noto" if kind is Kind.STYLE else "dog"
    assert resolve_target(request(kind, "unheard of", synonyms=("no", known)), WORLD).levels == (known,)


@pytest.mark.parametrize(
    ("kind", "name", "listed", "unlisted"),
    [
        (Kind.OBJECT, "twemoji", ["cat", "house"], ["twemoji", "pink"]),  # a style is no object
        (Kind.OBJECT, "fruit", ["cat", "house"], ["twemoji"]),  # a group is no object
        (Kind.CLASS, "unicorn", ["cat", "house"], ["twemoji"]),
        (Kind.STYLE, "cat", ["noto", "fluent"], ["house"]),
        (Kind.CONCEPT, "pink", ["cat", "noto"], ["green"]),  # nothing judges backgrounds
        (Kind.IMAGES, "unicorn", ["cat", "noto"], ["green"]),
    ],
)
def test_unknown_names_list_what_is_drawn(kind, name, listed, unlisted):
    with pytest.raises(ExpungeError, match=f"target: the model draws no {kind.value} called '{name}'") as error:
        resolve_target(request(kind, name), WORLD)
    drawn = str(error.value).partition("It draws")[2]
    assert all(each in drawn for each in listed)
    assert not any(each in drawn for each in unlisted)


def test_kinds_that_the_grid_has_no_factor_for_are_refused():
    bare = WORLD.model_copy(update={"factors": {"subject": WORLD.factors["subject"]}})
    with pytest.raises(ExpungeError, match="It draws no such kind"):
        resolve_target(request(Kind.STYLE, "noto"), bare)


def test_a_target_matches_prompts_that_ask_for_it_and_knows_its_groups():
    fruit = resolve_target(request(Kind.CONCEPT, "fruit"), WORLD)
    asked = [prompt for prompt in WORLD.sample("train", 1, 0) if fruit.matches(prompt)]
    assert {prompt.factors["subject"] for prompt in asked} == set(FRUIT)
    assert len(asked) == len(FRUIT) * len(WORLD.factors["style"])
    assert fruit.groups(WORLD) == {"fruit"}
    assert resolve_target(request(Kind.STYLE, "noto"), WORLD).groups(WORLD) == set()


def test_a_batch_keeps_its_order_and_refuses_strangers():
    known = [request(Kind.OBJECT, "dog"), request(Kind.STYLE, "blob")]
    assert [t.name for t in resolve_targets(TakedownBatch(requests=tuple(known)), WORLD)] == ["dog", "blob"]
    with pytest.raises(ExpungeError, match="unicorn"):
        resolve_targets(TakedownBatch(requests=(*known, request(Kind.OBJECT, "unicorn"))), WORLD)


def test_what_was_forgotten_before_is_found_as_far_as_the_grid_draws_it():
    before = (request(Kind.STYLE, "blob"), request(Kind.OBJECT, "unicorn"))
    batch = TakedownBatch(requests=(request(Kind.OBJECT, "cat"),), forgotten=before)
    assert [each.name for each in resolve_forgotten(batch, WORLD)] == ["blob"]
    assert resolve_forgotten(TakedownBatch(requests=batch.requests), WORLD) == []
