"""What a request means in a world."""

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expunge.errors import ExpungeError
from expunge.prompts.named_targets import read_targets
from expunge.prompts.target import resolve_forgotten, resolve_target, resolve_targets, unworkable
from expunge.prompts.world import Level, World
from expunge.takedown.request import Kind, TakedownBatch, TakedownRequest
from expunge.zoo.emoji_world import zoo_world
from tests.prompts.worlds import request, worlds

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
    ],
)
def test_every_kind_finds_its_levels(kind, name, factor, levels):
    target = resolve_target(request(kind, name), WORLD)
    assert (target.factor, target.levels) == (factor, levels)
    assert (target.request_id, target.kind, target.name) == ("a-request", kind, " ".join(name.split()))


@pytest.mark.parametrize("kind", [Kind.OBJECT, Kind.CLASS, Kind.CONCEPT, Kind.STYLE])
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
    with pytest.raises(
        ExpungeError,
        match=r"^kind: nothing in this world is of kind 'style'; file it as object or class or concept, or say",
    ):
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


@pytest.mark.parametrize(
    ("kind", "name", "synonyms", "levels"),
    [
        (Kind.OBJECT, "dog", ("puppy", "hound"), ("dog",)),  # one that the world knows, one that it does not
        (Kind.OBJECT, "hotdog", ("sausage",), ("hotdog",)),
        (Kind.CONCEPT, "animal", ("pig",), None),  # what is part of the target adds nothing
        (Kind.CONCEPT, "fruit", ("orange", "apple"), FRUIT),
        (Kind.OBJECT, "orange juice", ("orange",), ("orange",)),
    ],
)
def test_the_target_decides_and_synonyms_take_nothing_away(kind, name, synonyms, levels):
    target = resolve_target(request(kind, name, synonyms), WORLD)
    animals = tuple(each for each, level in WORLD.factors["subject"].items() if level.group == "animal")
    assert target.levels == (levels or animals) and target.name == name


@pytest.mark.parametrize(
    ("kind", "name", "synonyms", "said"),
    [
        (Kind.OBJECT, "panda", ("bear",), "'bear' means the subject 'bear', while 'panda' means the subject 'panda'"),
        (Kind.OBJECT, "dog", ("cat",), "'cat' means the subject 'cat', while 'dog'"),
        (Kind.OBJECT, "rocket", ("plane",), "'plane' means the subject 'airplane', while 'rocket'"),
        (Kind.OBJECT, "hotdog", ("dog",), "'dog' means the subject 'dog', while 'hotdog'"),
        (Kind.OBJECT, "wolf", ("fox", "dog"), "'dog' means the subject 'dog', while 'fox'"),  # two stand in for one
        (Kind.CONCEPT, "twemoji", ("heart",), "'heart' means the subject 'heart', while 'twemoji' means the style"),
        (Kind.CONCEPT, "pig", ("animal",), "'animal' means the subject 'cat', 'dog'"),  # more than the target
    ],
)
def test_a_synonym_that_means_something_else_is_refused(kind, name, synonyms, said):
    with pytest.raises(ExpungeError, match=f"^synonyms: {said}") as error:
        resolve_target(request(kind, name, synonyms), WORLD)
    assert "drop it, and file a request of its own" in str(error.value)


TWOFOLD = World(
    templates={"train": ["{subject} {style}"]},
    factors={
        "subject": {
            "cat": Level(train=["cat", "pet"], group="flat"),
            "dog": Level(train=["dog", "pet"]),
            "orange": Level(train=["tangerine"]),
            "tangerine": Level(train=["mandarin"]),
            "line": Level(train=["line"]),
        },
        "style": {"line": Level(train=["lines"], group="flat"), "oil": Level(train=["oils"], group="flat")},
    },
)


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        (Kind.OBJECT, "pet", "'pet' means the subject 'cat' and the subject 'dog'"),
        (Kind.CONCEPT, "line", "'line' means the subject 'line' and the style 'line'"),
        (Kind.CONCEPT, "flat", "'flat' means the subject 'cat' and the style 'line', 'oil'"),
    ],
)
def test_what_means_several_things_is_said(kind, name, said):
    with pytest.raises(ExpungeError, match=f"target: {said}; file a request for each"):
        resolve_target(request(kind, name), TWOFOLD)


def test_a_name_of_its_own_comes_before_another_things_wording():
    assert resolve_target(request(Kind.OBJECT, "tangerine"), TWOFOLD).levels == ("tangerine",)
    assert resolve_target(request(Kind.STYLE, "line"), TWOFOLD).factor == "style"


@given(worlds(), st.randoms(), st.data())
def test_the_order_of_a_world_and_of_synonyms_decides_nothing(world, shuffle: random.Random, data):
    """Any target with the wordings of its own level as synonyms means that level; with any other's it is refused."""
    subjects = list(world.factors["subject"].items())
    name, level = data.draw(st.sampled_from(subjects))
    synonyms = [*level.train, *level.held_out]
    shuffle.shuffle(synonyms)
    shuffle.shuffle(subjects)
    shuffled = World(templates=world.templates, factors=world.factors | {"subject": dict(subjects)})
    assert resolve_target(request(Kind.OBJECT, name, tuple(synonyms)), shuffled).levels == (name,)
    for other in {each for each, _ in subjects} - {name}:
        with pytest.raises(ExpungeError, match="synonyms: "):
            resolve_target(request(Kind.OBJECT, name, (*synonyms, other)), shuffled)


@pytest.mark.parametrize(
    ("kind", "name", "hint"),
    [
        (Kind.OBJECT, "cats", "Did you mean 'cat'? It draws"),
        (Kind.OBJECT, "a cat", "Did you mean 'cat'?"),
        (Kind.OBJECT, "rabit", "Did you mean 'rabbit'?"),
        (Kind.STYLE, "twemogi", "Did you mean 'twemoji'?"),
        (Kind.CONCEPT, "animals", "Did you mean 'animal'?"),
        (Kind.OBJECT, "c\u0251t", "Did you mean 'cat'? ('\u0251' is U+0251 LATIN SMALL LETTER ALPHA.)"),
        (
            Kind.OBJECT,
            "\u0430\u0440\u0440\u04cf\u0435",
            "Did you mean 'apple'? ('\u0430' is U+0430 CYRILLIC SMALL LETTER A.)",
        ),
    ],
)
def test_a_name_that_comes_near_is_offered(kind, name, hint):
    with pytest.raises(ExpungeError) as error:
        resolve_target(request(kind, name), WORLD)
    assert hint in str(error.value)


def test_nothing_is_offered_where_nothing_comes_near_and_long_lists_are_cut():
    many = World(templates={"train": ["{subject}"]}, factors={"subject": {f"thing{n:03}": Level() for n in range(500)}})
    with pytest.raises(ExpungeError, match="called 'Katze'. It draws subject: thing000, .* and 460 more[.]$") as error:
        resolve_target(request(Kind.OBJECT, "Katze"), many)
    assert len(str(error.value)) < 600


# What can be worked on together


def named(id: str, kind: Kind, target: str, synonyms: tuple[str, ...] = ()) -> TakedownRequest:
    return TakedownRequest(
        id=id, kind=kind, target=target, synonyms=synonyms, filed_at=datetime(2026, 1, 1, tzinfo=UTC)
    )


def styles(*names: str) -> tuple[TakedownRequest, ...]:
    return tuple(named(f"style-{name}", Kind.STYLE, name) for name in names)


CAT = named("object-cat", Kind.OBJECT, "cat")


def test_of_requests_that_are_impossible_together_the_last_is_left_out():
    batch = TakedownBatch(requests=(*styles("noto", "blob", "twemoji", "fluent"), CAT))
    reasons = unworkable(batch, WORLD)
    assert set(reasons) == {"style-fluent"}
    assert reasons["style-fluent"].startswith(
        "target: every other style that the model draws is forgotten or asked for already (blob, noto, twemoji)"
    )


def test_what_was_fulfilled_before_counts():
    batch = TakedownBatch(requests=(*styles("fluent"), CAT), forgotten=styles("noto", "blob", "twemoji"))
    assert set(unworkable(batch, WORLD)) == {"style-fluent"}
    assert unworkable(TakedownBatch(requests=(CAT,), forgotten=batch.forgotten), WORLD) == {}


def test_a_request_for_everything_of_a_kind_is_left_out_alone():
    one = World(
        templates={"train": ["{subject}"]},
        factors={"subject": {name: Level(train=[name], group="pet") for name in ("cat", "dog")}},
    )
    reasons = unworkable(TakedownBatch(requests=(named("all", Kind.CONCEPT, "pet"), CAT)), one)
    assert set(reasons) == {"all"} and "(there is none)" in reasons["all"]


def test_those_that_name_nothing_keep_their_reason_and_take_no_place():
    batch = TakedownBatch(
        requests=(named("u", Kind.OBJECT, "unicorn"), named("p", Kind.OBJECT, "panda", ("bear",)), CAT)
    )
    reasons = unworkable(batch, WORLD)
    assert "no object called 'unicorn'" in reasons["u"] and reasons["p"].startswith("synonyms: 'bear'")
    assert set(reasons) == {"u", "p"}


def test_of_a_forgotten_request_that_is_refused_today_all_that_it_names_stays_forgotten():
    before = (named("a", Kind.OBJECT, "panda", ("bear",)), named("b", Kind.OBJECT, "wolf", ("dog", "fox")))
    found = resolve_forgotten(TakedownBatch(requests=(), forgotten=before), WORLD)
    assert [(each.request_id, *each.levels) for each in found] == [
        ("a", "panda"),
        ("a", "bear"),
        ("b", "dog"),
        ("b", "fox"),
    ]


@given(worlds(), st.data())
def test_whatever_is_asked_something_of_each_kind_is_left(world, data):
    asked = [
        named(f"{kind.value}-{name}", kind, name)
        for kind, factor in ((Kind.OBJECT, "subject"), (Kind.STYLE, "style"))
        for name in world.factors.get(factor, {})
    ]
    batch = TakedownBatch(requests=tuple(data.draw(st.permutations(asked))))
    left_out = unworkable(batch, world)
    assert len(left_out) == sum(factor in world.factors for factor in ("subject", "style"))


# As people type them


def test_targets_are_read_as_typed_and_counted_once():
    found = read_targets(["object:cat", " style : noto ", "object:kitten"], WORLD)
    assert [(each.factor, each.levels, each.request_id) for each in found] == [
        ("subject", ("cat",), "target-1"),
        ("style", ("noto",), "target-2"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cat", "write KIND:NAME"),
        ("images:cat", "write KIND:NAME"),
        ("object:", "write KIND:NAME"),
        ("object:../cat", "^target: holds '..' as in a path or URL.*got '../cat'$"),
        ("object:ca\u200bt", r"^target: holds U\+200B ZERO WIDTH SPACE, which cannot be seen; leave it out"),
        ("object:cats", "Did you mean 'cat'"),
    ],
)
def test_targets_that_cannot_be_read_are_said_in_one_line(text, said):
    with pytest.raises(ExpungeError, match=said) as error:
        read_targets([text], WORLD)
    assert "\n" not in str(error.value)


def wanted(instead: str, kind: Kind = Kind.OBJECT, name: str = "cat") -> TakedownRequest:
    return request(kind, name).model_copy(update={"instead": instead})


def test_a_neighbour_is_found_by_level_or_wording():
    assert resolve_target(wanted("neighbour:doggy"), zoo_world()).instead == "neighbour:dog"
    assert resolve_target(wanted("content"), WORLD).instead == "content"
    assert resolve_target(wanted(""), WORLD).instead == ""


@pytest.mark.parametrize(
    ("instead", "said"), [("neighbour:cat", "the target itself"), ("neighbour:unicorn", "draws no subject called")]
)
def test_a_neighbour_that_cannot_stand_in_is_said(instead, said):
    with pytest.raises(ExpungeError, match=said):
        resolve_target(wanted(instead), WORLD)


def test_a_neighbour_that_is_to_be_forgotten_itself_is_said_before_any_work():
    dog = request(Kind.OBJECT, "dog")
    for requests in ((dog, wanted("neighbour:dog")), (wanted("neighbour:dog"), dog)):
        reasons = unworkable(TakedownBatch(requests=requests), WORLD)
        assert set(reasons) == {wanted("").id} and "is itself to be forgotten" in reasons[wanted("").id]
    earlier = TakedownBatch(requests=(wanted("neighbour:dog"),), forgotten=(dog,))
    assert set(unworkable(earlier, WORLD)) == {wanted("").id}
