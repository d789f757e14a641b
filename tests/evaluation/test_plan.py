"""What is drawn: how many, of what, with which seeds, and how it is cut."""

from collections import Counter

import pytest
from pydantic import ValidationError

from expunge.errors import ExpungeError
from expunge.evaluation.evaluation_settings import PROFILES, EvaluationSettings, named_profile
from expunge.evaluation.plan import label, paired, plan_evaluation
from expunge.pictures.drawing import DrawingSettings
from expunge.pictures.shards import over_the_world, plan_over_world
from expunge.prompts.compositions import COMPOSITIONS
from expunge.prompts.named_targets import read_targets
from expunge.prompts.variants import WORDINGS
from tests.evaluation.conftest import BLOB, CAT, DOG, SMALL, colour_case
from tests.metrics.colour_judges import WORLD

SCENES = [f"composition:{group}" for group in COMPOSITIONS]


def counted(shards):
    counts = Counter()
    for shard in shards:
        assert len(shard.prompts) == len(shard.seeds) <= SMALL.shard_size
        counts[shard.part, shard.target] += len(shard.prompts)
    return counts


def test_every_part_has_as_many_pictures_as_the_settings_say():
    case = colour_case(CAT, BLOB, forgotten=[DOG])
    shards = plan_evaluation(case, SMALL)
    counts = counted(shards)
    assert counts["held_out", ""] == 14 and counts["train", ""] == 12 and counts["reference", ""] == 13
    for target in (CAT, BLOB):
        over_world = sum(target.matches(p) for shard in shards if shard.part == "held_out" for p in shard.prompts)
        assert counts["target", label(target)] + over_world == SMALL.target_pictures
    assert counts["earlier", "object:dog"] == SMALL.earlier_pictures
    assert counts["paraphrases", "object:cat"] == 3
    assert counts["composition:counts", "style:blob"] == 4
    parts = ("target", *WORDINGS, *SCENES)
    assert set(counts) <= {
        *((part, "") for part in ("held_out", "train", "reference")),
        *((part, label(target)) for part in (*parts, "in_place") for target in (CAT, BLOB)),
        ("earlier", "object:dog"),
    }


def test_the_worlds_shards_are_the_same_whatever_the_targets():
    alone, two = (plan_evaluation(colour_case(*targets), SMALL) for targets in ((), (CAT, BLOB)))
    assert [shard for shard in two if not shard.target] == alone


def test_the_reference_asks_with_held_out_wordings_from_other_seeds_and_is_drawn_once():
    shards = plan_evaluation(colour_case(CAT), SMALL)
    reference = [shard for shard in shards if shard.part == "reference"]
    assert shards[-len(reference) :] == reference
    assert paired(shards) == [shard for shard in shards if shard.part not in ("in_place", "reference")]
    assert {prompt.side for shard in reference for prompt in shard.prompts} == {"held_out"}
    seeds = [
        {seed for shard in shards if shard.part == part for seed in shard.seeds} for part in ("reference", "held_out")
    ]
    assert not seeds[0] & seeds[1]


@pytest.mark.parametrize(("instead", "drawn"), [("", None), ("neighbour:apple", {"apple"}), ("content", None)])
def test_in_the_targets_place_its_neighbour_is_drawn_in_every_sentence(instead, drawn):
    cat = CAT.model_copy(update={"instead": instead})
    shards = plan_evaluation(colour_case(cat, DOG), SMALL)
    asked = [p for shard in shards if shard.part in ("held_out", "target") for p in shard.prompts if cat.matches(p)]
    stands = [p for shard in shards if (shard.part, shard.target) == ("in_place", label(cat)) for p in shard.prompts]
    found = {prompt.factors["subject"] for prompt in stands}
    assert len(found) == 1 and not found & {"cat", "dog"} and found == (drawn or found)
    assert [p.factors["style"] for p in stands] == [p.factors["style"] for p in asked if not DOG.matches(p)]


def test_where_nothing_of_its_kind_is_left_nothing_is_drawn_in_a_targets_place():
    every = read_targets([f"object:{name}" for name in WORLD.factors["subject"]], WORLD)
    assert "in_place" not in {shard.part for shard in plan_evaluation(colour_case(*every), SMALL)}


def test_the_train_part_is_the_pool_where_sizes_and_seeds_agree():
    train = [each for each in plan_evaluation(colour_case(CAT), SMALL.with_pool(2, 7)) if each.part == "train"]
    assert train == plan_over_world(WORLD, "train", 2, 7, SMALL.shard_size)


def test_compositions_ask_for_nothing_that_is_gone():
    for shard in plan_evaluation(colour_case(CAT, BLOB), SMALL):
        if shard.part in SCENES:
            assert not any(target.matches(prompt) for target in (CAT, BLOB) for prompt in shard.prompts)
            assert not {"cat", "blob"} & {word for prompt in shard.prompts for word in prompt.text.split()}


def test_compositions_can_be_left_out_but_not_be_one_picture():
    without = plan_evaluation(colour_case(CAT), SMALL.model_copy(update={"composition_pictures": 0}))
    assert without == [shard for shard in plan_evaluation(colour_case(CAT), SMALL) if shard.part not in SCENES]
    with pytest.raises(ValidationError, match="take 0 for none, or at least 2"):
        EvaluationSettings(composition_pictures=1)


def test_another_seed_is_another_plan():
    case = colour_case(CAT)
    one, two = (plan_evaluation(case, SMALL.model_copy(update={"seed": seed})) for seed in (5, 6))
    assert [shard.seeds for shard in one] != [shard.seeds for shard in two]
    assert plan_evaluation(case, SMALL) == one


@pytest.mark.parametrize("count", [2, 11, 12, 13, 24, 31])
def test_strata_are_as_even_as_they_can_be(count):
    prompts = over_the_world(WORLD, "held_out", count, 0)
    assert len(prompts) == count
    strata = Counter(tuple(sorted(prompt.factors.items())) for prompt in prompts)
    assert max(strata.values()) - min(strata.values()) <= 1 and len(strata) == min(count, 12)


def test_profiles():
    (quick, fast), (full, _) = (named_profile(name) for name in PROFILES)
    assert 0 < quick.composition_pictures < full.composition_pictures and fast.steps < DrawingSettings().steps
    assert quick.held_out_pictures < full.held_out_pictures and quick.target_pictures < full.target_pictures
    with pytest.raises(ExpungeError, match="profile: 'thorough' given; there are quick, full"):
        named_profile("thorough")


def test_sizes_by_stratum_go_before_plain_numbers():
    assert EvaluationSettings(held_out_per_stratum=3, held_out_pictures=5).held_out(WORLD) == 36
    assert (SMALL.held_out(WORLD), SMALL.train(WORLD)) == (14, 12)


def test_quantities_that_are_none():
    with pytest.raises(ValidationError, match="prettiness: no such quantity; there are unlearning_accuracy"):
        EvaluationSettings(quantities=("prettiness",))


def test_targets_as_people_type_them():
    cat, blob = read_targets(["object:cat", "style: blob", "object:cat"], WORLD)
    assert (cat.factor, cat.levels) == ("subject", ("cat",))
    assert (blob.factor, blob.levels) == ("style", ("blob",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cat", "write KIND:NAME"),
        ("colour:red", "Kinds: "),
        ("object:", "write KIND:NAME"),
        ("object:zebra", "zebra"),
        ("object:../../etc/passwd", "target: "),
    ],
)
def test_targets_that_are_none(text, message):
    with pytest.raises(ExpungeError, match=message):
        read_targets([text], WORLD)
