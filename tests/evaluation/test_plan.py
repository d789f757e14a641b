"""What is drawn: how many, of what, with which seeds, and how it is cut."""

from collections import Counter

import pytest
from pydantic import ValidationError

from expunge.errors import ExpungeError
from expunge.evaluation.plan import label, over_the_world, plan_evaluation
from expunge.evaluation.profile import PROFILES, EvaluationProfile, named_profile
from expunge.prompts.compositions import COMPOSITIONS
from expunge.prompts.named_targets import read_targets
from expunge.prompts.variants import WORDINGS
from tests.evaluation.conftest import BLOB, CAT, SMALL
from tests.metrics.colour_judges import WORLD

SCENES = [f"composition:{group}" for group in COMPOSITIONS]


def test_every_part_has_as_many_pictures_as_the_profile_says():
    counts = Counter()
    for shard in plan_evaluation([CAT, BLOB], WORLD, SMALL):
        assert len(shard.prompts) == len(shard.seeds) <= SMALL.shard_size
        counts[shard.part, shard.target] += len(shard.prompts)
    assert counts["held_out", ""] == 14 and counts["train", ""] == 12
    for target in (CAT, BLOB):
        assert counts["target", label(target)] == 5
    assert counts["paraphrases", "object:cat"] == 3
    assert counts["composition:counts", "object:cat"] == counts["composition:pairs", "style:blob"] == 4
    assert set(counts) <= {
        ("held_out", ""), ("train", ""),
        *((part, label(target)) for part in ("target", *WORDINGS, *SCENES) for target in (CAT, BLOB)),
    }  # fmt: skip


def test_the_grid_is_drawn_the_same_whatever_the_targets():
    alone, two = plan_evaluation([], WORLD, SMALL), plan_evaluation([CAT, BLOB], WORLD, SMALL)
    assert [shard for shard in two if not shard.target] == alone


def test_compositions_ask_for_no_target():
    for shard in plan_evaluation([CAT, BLOB], WORLD, SMALL):
        if shard.part in SCENES:
            assert not any(target.matches(prompt) for target in (CAT, BLOB) for prompt in shard.prompts)
            assert not {"cat", "blob"} & {word for prompt in shard.prompts for word in prompt.text.split()}


def test_compositions_can_be_left_out_but_not_be_one_picture():
    without = plan_evaluation([CAT], WORLD, SMALL.model_copy(update={"composition_pictures": 0}))
    assert without == [shard for shard in plan_evaluation([CAT], WORLD, SMALL) if shard.part not in SCENES]
    with pytest.raises(ValidationError, match="take 0 for none, or at least 2"):
        EvaluationProfile(composition_pictures=1)


def test_another_seed_is_another_plan():
    one, two = (plan_evaluation([CAT], WORLD, SMALL.model_copy(update={"seed": seed})) for seed in (5, 6))
    assert [shard.seeds for shard in one] != [shard.seeds for shard in two]
    assert plan_evaluation([CAT], WORLD, SMALL) == one


@pytest.mark.parametrize("count", [2, 11, 12, 13, 24, 31])
def test_strata_are_as_even_as_they_can_be(count):
    prompts = over_the_world(WORLD, "held_out", count, 0)
    assert len(prompts) == count
    strata = Counter(tuple(sorted(prompt.factors.items())) for prompt in prompts)
    assert max(strata.values()) - min(strata.values()) <= 1 and len(strata) == min(count, 12)


def test_profiles():
    assert named_profile("full") == EvaluationProfile()
    quick, full = PROFILES["quick"], PROFILES["full"]
    assert 0 < quick.composition_pictures < full.composition_pictures
    assert quick.held_out_pictures < full.held_out_pictures and quick.target_pictures < full.target_pictures
    with pytest.raises(ExpungeError, match="profile: 'thorough' given; there are quick, full"):
        named_profile("thorough")


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
