"""Scores of pictures whose truth is known: two patches, judged by their colours."""

import numpy as np
import pytest

from expunge.errors import ExpungeError
from expunge.evaluation.evaluation import TargetScores
from expunge.evaluation.gate import GateThresholds, judge
from expunge.evaluation.plan import paired, plan_evaluation
from expunge.evaluation.score import Judged
from expunge.judges.judged import judge_pictures
from expunge.judges.panel import Panel
from expunge.judges.protocols import NOTHING
from expunge.judges.zero_shot import FEWEST, ZeroShotClassifier
from expunge.metrics.quantities import QUANTITIES
from expunge.prompts.compositions import COMPOSITIONS
from tests.evaluation.conftest import BLOB, CAT, DOG, SMALL, colour_case, scored
from tests.metrics.colour_judges import COLOURS, WORLD, ColourClip, colour_panel, draw

LARGE = SMALL.model_copy(
    update={"held_out_per_stratum": 15, "train_per_stratum": 15, "reference_pictures": 180, "shard_size": 64,
            "wording_pictures": 0, "composition_pictures": 0}
)  # fmt: skip


def values(numbers, end="after"):
    return {name: getattr(change, end).value for name, change in numbers.items()}


def test_an_unchanged_model_changed_nothing():
    found = scored(colour_case(CAT), LARGE).result.evaluation
    assert found.targets[0].numbers["unlearning_accuracy"].after.value == 0
    assert set(found.rest) == {name for name, each in QUANTITIES.items() if each.of != "target"}
    for change in found.rest.values():
        assert change.difference.value == pytest.approx(0)
        assert change.difference.low <= 1e-12 and change.difference.high >= -1e-12
    assert found.rest["retain_accuracy"].after.value == found.rest["retain_accuracy_clip"].after.value == 1


def test_a_forgotten_target_and_an_untouched_rest_pass_the_gate():
    found = scored(colour_case(CAT), LARGE, instead={"cat": "pear"}).result.evaluation
    (cat,) = found.targets
    ua = cat.numbers["unlearning_accuracy"]
    assert (cat.request_id, cat.name, cat.kind) == ("a", "cat", "object")
    assert (ua.before.value, ua.after.value) == (0, 1) and cat.numbers["unlearning_accuracy_clip"].after.value == 1
    assert ua.after.samples == 45 and found.rest["retain_accuracy"].after.samples == 135
    assert found.rest["retain_accuracy"].difference.value == 0
    assert found.frechet_features == "colour-clip, 6 features"
    thresholds = GateThresholds(minimum_target_samples=45)
    assert judge(found, thresholds).passed, judge(found, thresholds)


def test_before_fd_is_the_distance_of_two_samples_of_one_model():
    """The reference is of the same wordings: what it lies away from the pictures before is chance."""
    found = scored(colour_case(), LARGE).result.evaluation.rest["frechet_distance"]
    harmed = scored(colour_case(), LARGE, instead={"dog": "apple"}).result.evaluation.rest["frechet_distance"]
    assert 0 < found.before.value < 0.02 and harmed.before == found.before
    assert harmed.after.value > 10 * found.before.value and harmed.difference.low > 0


def test_collateral_damage_shows_where_it_is_and_fails_the_gate():
    """The dog goes with the cat: subjects suffer (in-domain), styles do not (cross-domain)."""
    found = scored(colour_case(CAT), LARGE, instead={"cat": "pear", "dog": "apple"}).result.evaluation
    after = values(found.rest)
    assert after["retain_accuracy"] == after["in_domain"] == pytest.approx(2 / 3) and after["cross_domain"] == 1
    worst = found.collateral[0]
    assert (worst.factor, worst.level, worst.before, worst.after) == ("subject", "dog", 1, 0)
    assert found.rest["retain_accuracy_clip"].difference.high < 0 < found.rest["frechet_distance"].difference.low
    assert found.rest["alignment_train"].difference.high < 0 and found.rest["alignment_held_out"].difference.high < 0
    assert found.rest["moved"].after.low > 0 and found.rest["coverage"].difference.value < 0
    decision = judge(found, GateThresholds(minimum_target_samples=45))
    assert {condition.name for condition in decision.conditions if not condition.passed} == {
        "retain accuracy drop",
        "alignment, train wordings drop",
        "alignment, held-out wordings drop",
        "Fréchet distance ratio",
    }


def test_two_targets_are_scored_each_on_its_own_prompts():
    found = scored(colour_case(CAT, BLOB), LARGE, instead={"cat": "pear"}).result.evaluation
    cat, blob = (each.numbers for each in found.targets)
    of_cat, of_blob = (each["unlearning_accuracy"].after for each in (cat, blob))
    assert (of_cat.value, of_blob.value) == (1, 0) and (of_cat.samples, of_blob.samples) == (45, 60)
    assert found.rest["retain_accuracy"].after.samples == 3 * 2 * 15
    assert cat["in_domain"] == blob["cross_domain"] and cat["cross_domain"] == blob["in_domain"]


def test_what_was_forgotten_before_is_asked_for_again_and_not_retained():
    found = scored(colour_case(CAT, forgotten=[DOG]), LARGE, instead={"cat": "pear", "dog": "pear"}).result.evaluation
    (dog,) = found.earlier
    told = values(dog.numbers)
    assert (told["unlearning_accuracy"], told["unlearning_accuracy_clip"], told["pictures_of_nothing"]) == (1, 1, 0)
    assert found.rest["retain_accuracy"].after.samples == 2 * 3 * 15
    assert found.rest["retain_accuracy"].difference.value == 0


def test_only_what_is_asked_for_is_measured():
    settings = LARGE.model_copy(update={"quantities": ("unlearning_accuracy", "retain_accuracy")})
    found = scored(colour_case(CAT), settings).result.evaluation
    assert set(found.rest) == {"retain_accuracy"} and set(found.targets[0].numbers) == {"unlearning_accuracy"}


def test_one_judge_is_not_counted_twice():
    clip = ColourClip()
    panel = Panel({factor: ZeroShotClassifier(clip, factor, WORLD) for factor in WORLD.factors}, clip)
    found = scored(colour_case(CAT, panel=panel), LARGE, instead={"cat": "pear"}).result
    assert "unlearning_accuracy_clip" not in found.evaluation.targets[0].numbers
    assert "retain_accuracy_clip" not in found.evaluation.rest and found.evaluation.one_judge
    assert any("the same judge" in warning for warning in found.warnings)
    conditions = {each.name: each.measured for each in judge(found.evaluation, GateThresholds()).conditions}
    assert "by one judge" in conditions["unlearning accuracy: cat"]


class PatternClip(ColourClip):
    """As colours, in another corner of the space: a second judge that agrees, and is not the first."""

    name = "pattern-clip"

    def digest(self) -> str:
        return "patterns"

    @staticmethod
    def _unit(rows):
        return ColourClip._unit(np.concatenate([rows, rows[:, ::-1] / 2], axis=1))


def open_panel() -> Panel:
    first, clip = ColourClip(), PatternClip()
    classifiers = {factor: ZeroShotClassifier(first, factor, WORLD) for factor in WORLD.factors}
    return Panel(classifiers, clip, {factor: ZeroShotClassifier(clip, factor, WORLD) for factor in WORLD.factors})


def test_two_zero_shot_judges_each_say_what_they_see():
    found = scored(colour_case(CAT, panel=open_panel()), LARGE, instead={"cat": "pear"}).result
    numbers = found.evaluation.targets[0].numbers
    for name in ("unlearning_accuracy", "unlearning_accuracy_clip"):
        assert numbers[name].before.value < 0.1 and numbers[name].after.value == 1
    assert not found.evaluation.one_judge and not any("same judge" in each for each in found.warnings)


def test_zero_shot_judges_call_nothing_what_the_base_never_drew():
    """Their limits come from the base's own pictures: here a model that draws grey where the cat was."""
    case = colour_case(CAT, panel=open_panel())
    COLOURS["subject"]["grey"] = (128, 127, 128)
    try:
        scores = scored(case, LARGE, instead={"cat": "grey"})
    finally:
        del COLOURS["subject"]["grey"]
    numbers = scores.result.evaluation.targets[0].numbers
    assert numbers["pictures_of_nothing"].before.value < 0.15 and numbers["pictures_of_nothing"].after.value > 0.9
    asked = scores.pictures[scores.pictures.asked_subject == "cat"]
    assert (asked.subject_by_clip_after == NOTHING).mean() > 0.9
    assert numbers["unlearning_accuracy_clip"].after.value > 0.95


def test_too_few_own_pictures_set_no_limits_and_that_is_said():
    few = SMALL.model_copy(update={"train_pictures": 6, "reference_pictures": 4, "held_out_pictures": 6})
    found = scored(colour_case(CAT, panel=open_panel()), few).result
    assert any(f"({FEWEST} needed)" in warning for warning in found.warnings)
    enough = few.model_copy(update={"reference_pictures": FEWEST})
    assert not any("needed" in each for each in scored(colour_case(CAT, panel=open_panel()), enough).result.warnings)


def test_wordings_and_scenes_are_scored():
    case = colour_case(CAT)
    spared, hurt = (scored(case, SMALL, instead).result for instead in ({"cat": "dog"}, {"cat": "dog", "dog": "apple"}))
    asked = {each.group: each.numbers for each in spared.wordings if each.numbers}
    assert asked and all(numbers["unlearning_accuracy"].after.value == 1 for numbers in asked.values())
    kept, lost = ({each.group: each for each in result.compositions} for result in (spared, hurt))
    assert set(kept) == set(COMPOSITIONS) and kept["pairs"].alignment is None  # dogs are the only other animals
    for group in ("counts", "colours"):
        assert kept[group].structure.value == 0 and kept[group].drift.value == pytest.approx(0, abs=1e-9)
        assert kept[group].alignment.difference.value == 0 and kept[group].alignment.after.samples == 4
        assert lost[group].structure.value > 0.1 and lost[group].drift.low > 0.1
        assert (
            lost[group].alignment.difference.high < 0 and lost[group].alignment.before == kept[group].alignment.before
        )
        assert lost[group].structure_name.endswith("at 32 pixels") and "dog" in lost[group].example.split()


def test_each_picture_is_embedded_once():
    case = colour_case(CAT, BLOB)
    scored(case, LARGE)
    shards = plan_evaluation(case, LARGE)
    assert case.panel().clip.pictures_seen == sum(map(len, (*shards, *paired(shards))))


def test_numbers_survive_being_stored():
    found = scored(colour_case(CAT), LARGE, instead={"cat": "pear"}).result
    assert type(found).model_validate_json(found.model_dump_json()) == found
    with pytest.raises(ValueError, match="prettiness: no such quantity"):
        TargetScores(request_id="a", name="a", kind="object", numbers={"prettiness": found.evaluation.rest["moved"]})


def test_judged_pictures_of_another_plan_are_refused():
    shards, panel = plan_evaluation(colour_case(CAT), SMALL), colour_panel()
    judged = [judge_pictures(draw(list(shard.prompts), seed=0), panel) for shard in shards]
    with pytest.raises(ExpungeError, match="not those of the plan"):
        Judged(shards, judged, judged)


def test_what_cannot_be_scored_honestly_is_refused():
    panel = colour_panel()
    with pytest.raises(ExpungeError, match="no classifier for its factor 'subject', only for style"):
        scored(colour_case(CAT, panel=Panel({"style": panel.classifiers["style"]}, panel.clip)))
    everything = CAT.model_copy(update={"levels": ("cat", "dog", "apple", "pear")})
    with pytest.raises(ExpungeError, match="held-out: every prompt asks for a target"):
        scored(colour_case(everything), LARGE)
