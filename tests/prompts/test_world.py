"""Factor worlds: balance, determinism, the two sides of wordings, and worlds that are not fit."""

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from expunge.errors import ExpungeError
from expunge.prompts.load_world import load_world
from expunge.prompts.world import Level, World, read_world
from expunge.zoo.emoji_world import zoo_world
from tests.prompts.worlds import worlds

SIDES = st.sampled_from(["train", "held_out"])
SEEDS = st.integers(0, 1000)


def spread(names: list) -> int:
    """How much more often the most frequent comes up than the rarest, among those that come up."""
    counts = Counter(names).values()
    return max(counts) - min(counts)


@given(worlds(), SIDES, st.integers(1, 9), SEEDS)
def test_samples_are_balanced_over_strata_templates_and_other_factors(world, side, per_stratum, seed):
    prompts = world.sample(side, per_stratum, seed)
    by_stratum: dict[str, list] = {}
    for prompt in prompts:
        by_stratum.setdefault(prompt.stratum, []).append(prompt)
    assert len(by_stratum) == len(world.strata())
    for members in by_stratum.values():
        assert len(members) == per_stratum
        templates = [prompt.template for prompt in members]
        assert len(set(templates)) == min(per_stratum, len(world.templates[side]))
        assert spread(templates) <= 1
        for factor in set(world.factors) - {"subject", "style"}:
            levels = [prompt.factors[factor] for prompt in members]
            assert len(set(levels)) == min(per_stratum, len(world.factors[factor]))
            assert spread(levels) <= 1


@given(worlds(), SIDES, SEEDS)
def test_prompts_say_what_they_ask_for_in_words_of_their_side(world, side, seed):
    for prompt in world.sample(side, 2, seed):
        assert prompt.side == side and set(prompt.factors) == set(world.factors)
        for factor, level in prompt.factors.items():
            assert prompt.words[factor] in world.factors[factor][level].wordings(side)
            assert prompt.words[factor] in prompt.text
        assert f"{side} template{prompt.template}" in prompt.text


@given(worlds(), SIDES, SEEDS)
def test_the_same_seed_gives_the_same_prompts(world, side, seed):
    assert world.sample(side, 3, seed) == world.sample(side, 3, seed)


def test_seeds_and_sides_give_other_prompts():
    world = zoo_world()
    assert world.sample("train", 2, 0) != world.sample("train", 2, 1)
    assert {p.text for p in world.sample("train", 2, 0)} & {p.text for p in world.sample("held_out", 2, 0)} == set()


@given(worlds(), SIDES, SEEDS)
def test_a_new_subject_leaves_all_other_prompts_as_they_were(world, side, seed):
    newcomer = {"newcomer": Level(train=["newcomer"], held_out=["newcomer"])}
    for subjects in (newcomer | world.factors["subject"], world.factors["subject"] | newcomer):
        grown = World(templates=world.templates, factors=world.factors | {"subject": subjects})
        kept = [p for p in grown.sample(side, 3, seed) if p.factors["subject"] != "newcomer"]
        assert kept == world.sample(side, 3, seed)


def test_other_factors_do_not_go_in_step():
    levels = {name: {f"{name}{n}": Level(train=[f"{name}{n}"]) for n in range(3)} for name in ("place", "mood")}
    subjects = {f"subject{n}": Level(train=[f"subject{n}"]) for n in range(40)}
    world = World(templates={"train": ["{subject} {place} {mood}"]}, factors={"subject": subjects, **levels})
    pairs = Counter((p.factors["place"], p.factors["mood"]) for p in world.sample("train", 3, 0))
    assert len(pairs) == 9
    assert max(pairs.values()) < 3 * min(pairs.values())


def test_a_side_without_wordings_or_templates_falls_back_to_names_and_train_templates():
    world = World(templates={"train": ["a {subject}"]}, factors={"subject": {"cat": Level(train=["kitty"])}})
    (prompt,) = world.sample("held_out", 1, 0)
    assert prompt.text == "a cat" and prompt.side == "held_out"


def _says(text: str, words: str) -> bool:
    return re.search(rf"\b{re.escape(words)}\b", text) is not None


@pytest.mark.parametrize(("side", "other"), [("train", "held_out"), ("held_out", "train")])
def test_zoo_prompts_hold_no_wording_of_the_other_side(side, other):
    world = zoo_world()
    foreign = {
        words
        for name in ("subject", "background")
        for level in world.factors[name].values()
        for words in level.wordings(other)
    }
    own = {
        w for name in ("subject", "background") for level in world.factors[name].values() for w in level.wordings(side)
    }
    # "pear" is within the held-out "ripe pear": only what no wording of this side is part of can tell.
    telling = {words for words in foreign if words and not any(_says(each, words) for each in own)}
    assert len(telling) > 40
    texts = {prompt.text for prompt in world.sample(side, 15, 3)}
    assert [(text, words) for text in texts for words in telling if _says(text, words)] == []
    assert set(world.templates[side]) & set(world.templates[other]) == set()


def test_zoo_wordings_are_told_apart():
    for levels in zoo_world().factors.values():
        sides = [(level.train, level.held_out) for level in levels.values()]
        wordings = [set(train) | set(held_out) for train, held_out in sides]
        assert sum(map(len, wordings)) == len(set().union(*wordings))


def test_a_grid_is_read_from_yaml_and_from_the_zoo(tmp_path: Path):
    path = tmp_path / "world.yaml"
    path.write_text(yaml.safe_dump(zoo_world().model_dump(mode="json"), sort_keys=False))
    assert load_world(str(path)) == load_world("zoo") == zoo_world()


GOOD = {
    "templates": {"train": ["{subject} by {style}"]},
    "factors": {"subject": {"cat": {}}, "style": {"noto": {}}},
}
MALFORMED = {
    "no subject": (GOOD | {"factors": {"style": {"noto": {}}}}, "needs the factor 'subject'"),
    "no levels": (GOOD | {"factors": {"subject": {}, "style": {}}}, "'subject' has no levels"),
    "empty factor": (GOOD | {"factors": {"subject": {"cat": {}}, "style": {}}}, "'style' has no levels"),
    "no train template": (
        GOOD | {"templates": {"held_out": ["{subject} {style}"]}},
        "at least one train template",
    ),
    "unknown factor": (GOOD | {"templates": {"train": ["{subject} {style} {mood}"]}}, "names 'mood'"),
    "no name": (GOOD | {"templates": {"train": ["{} {style}"]}}, "names ''"),
    "attribute": (GOOD | {"templates": {"train": ["{subject.x} {style}"]}}, "names 'subject.x'"),
    "open brace": (GOOD | {"templates": {"train": ["{subject {style}"]}}, "template '{subject {style}'"),
    "format": (GOOD | {"templates": {"train": ["{subject:99} {style}"]}}, "formats a factor"),
    "no style": (GOOD | {"templates": {"train": ["a {subject}"]}}, "leaves out 'style'"),
    "bad held-out template": (
        GOOD | {"templates": {"train": ["{subject} {style}"], "held_out": ["by {style}"]}},
        "leaves out 'subject'",
    ),
    "unknown side": (GOOD | {"templates": {"heldout": ["{subject}"]}}, "templates.heldout"),
    "unknown field": (GOOD | {"facets": {}}, "facets"),
    "unknown field of a level": (
        GOOD | {"factors": {"subject": {"cat": {"trian": ["kitty"]}}}},
        "factors.subject.cat.trian",
    ),
    "words that are no list": (
        GOOD | {"factors": {"subject": {"cat": {"train": 3}}}},
        "factors.subject.cat.train",
    ),
    "a level that is nothing": (GOOD | {"factors": {"subject": {"cat": None}}}, "factors.subject.cat"),
    "not a mapping": (["cat"], "valid dictionary"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_grids_are_refused_by_name(name, tmp_path: Path):
    content, said = MALFORMED[name]
    path = tmp_path / "world.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    with pytest.raises(ExpungeError, match=re.escape(said)) as error:
        read_world(path)
    assert str(path) in str(error.value)


def test_the_grid_that_the_malformed_ones_spoil_is_fit(tmp_path: Path):
    (tmp_path / "world.yaml").write_text(yaml.safe_dump(GOOD))
    assert read_world(tmp_path / "world.yaml").strata() == [{"subject": "cat", "style": "noto"}]


@pytest.mark.parametrize("content", [b"templates: [", b"\xff\xfe\x00 binary", None])
def test_files_that_are_no_yaml_or_not_there_are_refused(content, tmp_path: Path):
    path = tmp_path / "world.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ExpungeError, match="world .*world.yaml"):
        load_world(str(path))
