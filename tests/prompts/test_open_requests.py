"""Requests that name what the world does not list."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expunge.errors import ExpungeError
from expunge.prompts.open_requests import opened
from expunge.prompts.pairing import forget_prompts
from expunge.prompts.target import resolve_target, unworkable
from expunge.prompts.world import PICTURE, World, read_world
from expunge.takedown.request import Kind, TakedownBatch, TakedownRequest
from tests.conftest import ROOT

WORLD = World.model_validate(
    {
        "templates": {"train": ["{subject} in the style of {style}"], "held_out": ["{style} painted a {subject}"]},
        "factors": {
            "subject": {"cat": {"train": ["cat"], "held_out": ["kitten"]}, "tree": {"train": ["tree"]}},
            "style": {"Vermeer": {"train": ["Vermeer"]}, "Hokusai": {"train": ["Hokusai"]}},
        },
        "open": ["style"],
    }
)
BEGIN = datetime(2026, 11, 27, tzinfo=UTC)


def request(target: str, *synonyms: str, kind: Kind = Kind.STYLE, minute: int = 0) -> TakedownRequest:
    at = BEGIN + timedelta(minutes=minute)
    return TakedownRequest(id=f"r{minute}", kind=kind, target=target, synonyms=list(synonyms), filed_at=at)


def test_what_is_named_becomes_a_level_with_its_names_as_wordings():
    asked = request("Claude Monet", "Monet", "the painter of Giverny")
    world = opened(WORLD, [asked])
    level = world.factors["style"]["Claude Monet"]
    assert level.train == ["Claude Monet", "the painter of Giverny"] and level.held_out == ["Monet"]
    target = resolve_target(asked, world)
    assert (target.factor, target.levels) == ("style", ("Claude Monet",))
    sides = {side: {p.text for p in world.sample(side, 4, 0) if target.matches(p)} for side in ("train", "held_out")}
    assert "cat in the style of the painter of Giverny" in sides["train"]
    assert sides["held_out"] == {"Monet painted a kitten", "Monet painted a tree"}
    assert WORLD.factors["style"].keys() == {"Vermeer", "Hokusai"}, "the world itself is as it was"


def test_without_a_synonym_the_held_out_templates_ask_by_the_same_name():
    level = opened(WORLD, [request("Claude Monet")]).factors["style"]["Claude Monet"]
    assert level.train == level.held_out == ["Claude Monet"]


def test_what_the_world_knows_by_any_name_stays_what_it_is():
    assert opened(WORLD, [request("vermeer"), request("Johannes Vermeer", "Vermeer", minute=1)]) == WORLD


@pytest.mark.parametrize("names", [("The",), ("of the",), ("Claude Monet", "the")])
def test_function_words_name_nothing(names: tuple[str, ...]):
    asked, other = request(*names), request("Claude Monet", minute=1)
    world = opened(WORLD, [asked, other])
    assert opened(WORLD, [asked]) == WORLD and "Claude Monet" in world.factors["style"]
    if names[0] != other.target:
        said = unworkable(TakedownBatch(requests=(asked, other)), world)
        assert list(said) == [asked.id] and f"'{names[-1]}' names nothing" in said[asked.id]


@pytest.mark.parametrize("kind", [Kind.OBJECT, Kind.CLASS])
def test_a_factor_that_is_not_open_stays_closed(kind):
    asked = request("zebra", kind=kind)
    assert opened(WORLD, [asked]) == WORLD
    with pytest.raises(ExpungeError, match="^target: the model draws no"):
        resolve_target(asked, opened(WORLD, [asked]))


def test_a_concept_is_opened_only_where_one_factor_is_meant():
    both = WORLD.model_copy(update={"open": ["subject", "style"]})
    assert opened(both, [request("sadness", kind=Kind.CONCEPT)]) == both
    assert "sadness" in opened(WORLD, [request("sadness", kind=Kind.CONCEPT)]).factors["style"]


@given(st.permutations([request("Monet", minute=1), request("Claude Monet", "Monet", minute=2), request("Goya")]))
def test_the_first_request_names_it_whatever_their_order(requests):
    assert list(opened(WORLD, requests).factors["style"]) == ["Vermeer", "Hokusai", "Goya", "Monet"]


def test_something_of_the_kind_must_be_left():
    alone = WORLD.model_copy(update={"factors": WORLD.factors | {"style": {}}})
    requests = (request("Monet"), request("Goya", minute=1))
    reasons = unworkable(TakedownBatch(requests=requests), opened(alone, requests))
    assert list(reasons) == ["r1"] and "nothing of its kind would be left" in reasons["r1"]


@pytest.mark.parametrize("factor", ["mood", "background"])
def test_only_what_requests_can_name_can_be_open(factor):
    with pytest.raises(ValueError, match="open: .* requests can name levels of"):
        World.model_validate(WORLD.model_dump() | {"open": [factor]})


@pytest.mark.parametrize("name", ["objects", "styles", "doings"])
def test_the_worlds_that_ship_take_what_they_do_not_list(name):
    world = read_world(ROOT / "configs" / "worlds" / f"{name}.yaml")
    (factor,) = world.open
    kind = next(kind for kind in Kind if factor in world.factors_of(kind))
    asked = request("something new", kind=kind)
    wider = opened(world, [asked])
    assert resolve_target(asked, wider).levels == ("something new",)
    assert all(level.train and level.held_out for levels in wider.factors.values() for level in levels.values())
    assert len(wider.strata()) > 150 and len({prompt.text for prompt in wider.sample("train", 1, 0)}) > 150


def of_pictures(*captions: str, instead: str = "") -> TakedownRequest:
    return TakedownRequest(
        id="r", kind=Kind.IMAGES, target=captions[0], synonyms=captions[1:], pictures=("a.png",), instead=instead,
        filed_at=BEGIN,
    )  # fmt: skip


@pytest.mark.parametrize("side", ["train", "held_out"])
def test_a_memorised_picture_is_asked_for_by_its_captions_as_they_are(side):
    asked = of_pictures("our cat, asleep", "sleeping cat")
    world = opened(WORLD, [asked])  # though the world is not open for it
    target = resolve_target(asked, world)
    assert (target.factor, target.levels) == (PICTURE, ("our cat, asleep",))
    prompts = forget_prompts(target, world, side, 12, 0)
    assert len(prompts) == 12 and {prompt.text for prompt in prompts} == {"our cat, asleep", "sleeping cat"}
    assert all(prompt.factors == {PICTURE: "our cat, asleep"} for prompt in prompts)
    assert world.sample(side, 2, 0) == WORLD.sample(side, 2, 0), "over the world nothing asks for it"
    assert unworkable(TakedownBatch(requests=(asked,)), world) == {}, "everything else is left to be retained"


def test_a_picture_may_be_called_what_the_world_draws():
    asked = of_pictures("cat")
    target = resolve_target(asked, opened(WORLD, [asked]))
    assert target.factor == PICTURE and not any(target.matches(prompt) for prompt in WORLD.sample("train", 1, 0))


def test_what_is_drawn_instead_of_a_picture_is_no_name():
    asked = of_pictures("our cat", instead="neighbour:tree")
    with pytest.raises(ExpungeError, match="^instead: 'tree' cannot be named for a picture; write neighbour, content"):
        resolve_target(asked, opened(WORLD, [asked]))


def test_no_template_asks_for_a_picture():
    with pytest.raises(ValueError, match="names 'picture'"):
        World.model_validate(
            {"templates": {"train": ["{subject} {picture}"]},
             "factors": {"subject": {"cat": {}}, PICTURE: {"our cat": {}}}}
        )  # fmt: skip
