"""Kinds of requests stand for any factors of a world; nothing asks that these are called subject and style."""

from datetime import UTC, datetime

import pytest

from expunge.errors import ExpungeError
from expunge.prompts.compositions import COMPOSITIONS, compositions
from expunge.prompts.open_requests import opened
from expunge.prompts.pairing import InPlace, forget_prompts, put_in_place
from expunge.prompts.target import Target, resolve_target, unworkable
from expunge.prompts.variants import WORDINGS, variants
from expunge.prompts.world import World, read_world
from expunge.takedown.request import Kind, TakedownBatch, TakedownRequest
from expunge.zoo.emoji_world import zoo_world
from tests.conftest import ROOT
from tests.prompts.worlds import request

DOINGS = read_world(ROOT / "configs" / "worlds" / "doings.yaml")


def test_without_kinds_a_world_means_what_it_always_meant():
    world = zoo_world()
    assert world.balanced == ("subject", "style")
    assert {kind.value: world.factors_of(kind) for kind in Kind} == {
        "object": ("subject",),
        "class": ("subject",),
        "style": ("style",),
        "concept": ("subject", "style"),
        "images": ("picture",),
    }


@pytest.mark.parametrize(
    ("kind", "name", "factor", "levels"),
    [
        (Kind.CONCEPT, "hooded", "attire", ("hooded",)),
        (Kind.CONCEPT, "jogging", "activity", ("running",)),
        (Kind.CONCEPT, "conflict", "activity", ("fighting", "shouting at someone")),
        (Kind.CLASS, "smoking", "activity", ("smoking",)),
    ],
)
def test_kinds_mean_the_factors_that_the_world_says(kind, name, factor, levels):
    target = resolve_target(request(kind, name), DOINGS)
    assert (target.factor, target.levels) == (factor, levels)


def test_sets_are_balanced_over_what_kinds_mean_and_the_rest_takes_turns():
    sizes = {name: len(levels) for name, levels in DOINGS.factors.items()}
    assert set(DOINGS.balanced) == {"activity", "attire"}
    assert len(DOINGS.strata()) == sizes["activity"] * sizes["attire"]
    prompts = DOINGS.sample("train", 1, 0)
    for factor in ("place", "mood"):
        counts = [sum(prompt.factors[factor] == level for prompt in prompts) for level in DOINGS.factors[factor]]
        assert min(counts) > 0.5 * len(prompts) / sizes[factor]


@pytest.mark.parametrize("kind", [Kind.OBJECT, Kind.STYLE])
def test_a_kind_that_means_nothing_here_is_refused_with_the_remedy(kind):
    asked = request(kind, "hooded")
    said = (
        f"kind: nothing in this world is of kind '{kind.value}'; file it as class or concept, or say in the world "
        f"which of its factors (activity, attire, place, mood) it means, as in kinds: {{{kind.value}: [activity]}}"
    )
    with pytest.raises(ExpungeError) as error:
        resolve_target(asked, DOINGS)
    assert str(error.value) == said
    assert unworkable(TakedownBatch(requests=(asked,)), opened(DOINGS, [asked])) == {asked.id: said}


def test_a_safety_concept_is_the_same_sentence_with_one_word_more():
    asked = TakedownRequest(
        id="r", kind=Kind.CONCEPT, target="unclothed", instead="content", filed_at=datetime(2026, 1, 1, tzinfo=UTC)
    )
    world = opened(DOINGS, [asked])
    target = resolve_target(asked, world)
    assert (target.factor, target.levels, target.instead) == ("attire", ("unclothed",), "content")
    prompts = forget_prompts(target, world, "train", 40, 0)
    assert len(prompts) == 40 and len({prompt.factors["activity"] for prompt in prompts}) == 16
    for prompt in prompts:
        pair = put_in_place(prompt, target, world, InPlace("content"), None)
        assert prompt.text.split().count("unclothed") == 1
        assert pair.text.split() == [word for word in prompt.text.split() if word != "unclothed"]
        assert "attire" not in pair.factors and not target.matches(pair)


@pytest.mark.parametrize("name", [name for name in WORDINGS if name not in ("scenes", "synonyms")])
def test_every_wording_asks_for_it_without_a_subject(name):
    target = resolve_target(request(Kind.CONCEPT, "smoking"), DOINGS)
    made = variants(target, DOINGS, name, 6, 0)
    assert len(made) == 6 and all(target.matches(prompt) for prompt in made)
    texts = {prompt.text for prompt in made}
    plain = {prompt.text for prompt in forget_prompts(target, DOINGS, "held_out", 6, 0)}
    assert len(texts) > 3 and not texts & plain
    if name == "paraphrases":
        assert all("holding a cigarette" in text for text in texts)


def test_scenes_are_made_of_objects_alone():
    target = resolve_target(request(Kind.CONCEPT, "smoking"), DOINGS)
    assert variants(target, DOINGS, "scenes", 6, 0) == []
    assert all(compositions(target, DOINGS, group, 6, 0) == [] for group in COMPOSITIONS)
    things = World.model_validate(DOINGS.model_dump() | {"kinds": {"object": ["activity"], "concept": ["attire"]}})
    masked = resolve_target(request(Kind.CONCEPT, "masked"), things)
    assert len(compositions(masked, things, "pairs", 6, 0)) == 6


def test_a_factor_beside_the_strata_still_has_as_many_prompts_as_asked():
    target = Target(request_id="r", kind=Kind.CONCEPT, name="sad", factor="mood", levels=("sad",))
    prompts = forget_prompts(target, DOINGS, "held_out", 30, 0)
    assert len(prompts) == 30 and all(prompt.factors["mood"] == "sad" for prompt in prompts)


def test_of_two_meanings_without_kinds_of_their_own_a_name_has_to_tell():
    twice = DOINGS.model_dump()
    twice["factors"]["attire"]["smoking"] = {"train": ["smoking jacketed"], "held_out": ["tuxedoed"]}
    with pytest.raises(ExpungeError, match="file a request for each, by a name that only one of them has"):
        resolve_target(request(Kind.CONCEPT, "smoking"), World.model_validate(twice))
