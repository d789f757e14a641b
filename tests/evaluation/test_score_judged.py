import dataclasses

import numpy as np
import pytest

from expunge.errors import ExpungeError
from expunge.evaluation.gate import GateThresholds, judge
from expunge.evaluation.score_judged import evaluate_pictures
from expunge.judges.panel import Panel
from expunge.pictures.picture_set import PictureSet
from expunge.prompts.target import Target
from expunge.takedown.request import Kind
from tests.metrics.colour_judges import COLOURS, WORLD, colour_panel, draw, prompts_for

CAT = Target(request_id="a", kind=Kind.OBJECT, name="cat", factor="subject", levels=("cat",))
BLOB = Target(request_id="b", kind=Kind.STYLE, name="blob", factor="style", levels=("blob",))
STRATA = [(subject, style) for subject in COLOURS["subject"] for style in COLOURS["style"]]
SAMPLING = {"steps": 20, "guidance": 2.0, "scheduler": "ddim"}


def _inputs(targets, instead=None, per_stratum=15):
    """Before, after, train and reference pictures of a model that draws ``instead`` after unlearning."""
    kept = [s for s in STRATA if not any({"subject": s[0], "style": s[1]}[t.factor] in t.levels for t in targets)]
    asked, train = prompts_for(STRATA, "held_out", per_stratum), prompts_for(kept, "train", per_stratum)
    return {
        "targets": targets,
        "world": WORLD,
        "panel": colour_panel(),
        "before": draw(asked, seed=1),
        "after": draw(asked, seed=1, instead=instead),
        "train_before": draw(train, seed=2),
        "train_after": draw(train, seed=2, instead=instead),
        "reference": draw(train, seed=3),
        "sampling": SAMPLING,
        "seed": 0,
    }


def test_an_unchanged_model_changed_nothing():
    result = evaluate_pictures(**_inputs([CAT]))
    assert result.targets[0].numbers["unlearning_accuracy"].after.value == 0
    for change in (
        result.rest["retain_accuracy"],
        result.rest["in_domain"],
        result.rest["cross_domain"],
        result.rest["retain_accuracy_clip"],
        result.rest["frechet_distance"],
        result.rest["alignment_train"],
        result.rest["alignment_held_out"],
    ):
        assert change.difference.value == 0 and change.before == change.after
    assert result.rest["retain_accuracy"].after.value == 1 and result.rest["retain_accuracy_clip"].after.value == 1
    assert result.sampling == SAMPLING
    assert not judge(result, GateThresholds()).passed


def test_a_clean_removal_passes_the_gate():
    inputs = _inputs([CAT], instead={"cat": "pear"}, per_stratum=25)
    result = evaluate_pictures(**inputs)
    scores = result.targets[0]
    assert (scores.request_id, scores.name, scores.kind) == ("a", "cat", "object")
    assert (
        scores.numbers["unlearning_accuracy"].before.value == 0
        and scores.numbers["unlearning_accuracy"].after.value == 1
    )
    assert scores.numbers["unlearning_accuracy_clip"].after.value == 1
    assert (
        scores.numbers["unlearning_accuracy"].after.samples == 75
        and result.rest["retain_accuracy"].after.samples == 225
    )
    assert result.rest["retain_accuracy"].difference.value == 0
    assert result.frechet_features == "colour-clip, 6 features"
    decision = judge(result, GateThresholds())
    assert decision.passed, decision


def test_collateral_damage_shows_where_it_is_and_fails_the_gate():
    """The dog goes with the cat: subjects suffer (in-domain), styles do not (cross-domain)."""
    result = evaluate_pictures(**_inputs([CAT], instead={"cat": "pear", "dog": "apple"}, per_stratum=25))
    assert result.targets[0].numbers["unlearning_accuracy"].after.value == 1
    assert result.rest["retain_accuracy"].after.value == pytest.approx(2 / 3)
    assert result.rest["in_domain"].after.value == pytest.approx(2 / 3) and result.rest["cross_domain"].after.value == 1
    worst = result.collateral[0]
    assert (worst.factor, worst.level, worst.before, worst.after, worst.samples) == (
        "subject",
        "dog",
        1,
        0,
        75,
    )
    assert result.rest["retain_accuracy_clip"].difference.high < 0
    assert result.rest["alignment_train"].difference.high < 0 and result.rest["alignment_held_out"].difference.high < 0
    assert result.rest["frechet_distance"].difference.low > 0
    failed = {condition.name for condition in judge(result, GateThresholds()).conditions if not condition.passed}
    assert failed == {
        "retain accuracy drop",
        "alignment, train wordings drop",
        "alignment, held-out wordings drop",
        "Fréchet distance ratio",
    }


def test_two_targets_are_scored_each_on_its_own_prompts():
    result = evaluate_pictures(**_inputs([CAT, BLOB], instead={"cat": "pear"}))
    cat, blob = result.targets
    assert cat.numbers["unlearning_accuracy"].after.value == 1 and blob.numbers["unlearning_accuracy"].after.value == 0
    assert (
        cat.numbers["unlearning_accuracy"].after.samples == 45
        and blob.numbers["unlearning_accuracy"].after.samples == 60
    )
    assert result.rest["retain_accuracy"].after.samples == 3 * 2 * 15
    assert (
        cat.numbers["in_domain"] == blob.numbers["cross_domain"]
        and cat.numbers["cross_domain"] == blob.numbers["in_domain"]
    )


def test_order_of_pictures_does_not_matter():
    inputs = _inputs([CAT], instead={"cat": "pear", "dog": "apple"})
    order = np.random.default_rng(0).permutation(len(inputs["before"])).tolist()
    shuffled = inputs | {name: inputs[name].select(order) for name in ("before", "after")}
    first, second = evaluate_pictures(**inputs), evaluate_pictures(**shuffled)
    assert second.targets == first.targets and second.collateral == first.collateral
    assert second.rest["retain_accuracy"] == first.rest["retain_accuracy"]
    assert second.rest["frechet_distance"].difference.value == pytest.approx(
        first.rest["frechet_distance"].difference.value
    )
    assert second.rest["alignment_held_out"].difference.low == pytest.approx(
        first.rest["alignment_held_out"].difference.low
    )


def test_each_picture_set_is_embedded_once():
    inputs = _inputs([CAT, BLOB])
    evaluate_pictures(**inputs)
    sets = ("before", "after", "train_before", "train_after", "reference")
    assert inputs["panel"].clip.pictures_seen == sum(len(inputs[name]) for name in sets)


def test_numbers_survive_being_stored():
    result = evaluate_pictures(**_inputs([CAT], instead={"cat": "pear"}))
    assert type(result).model_validate_json(result.model_dump_json()) == result


def _moved(pictures: PictureSet) -> PictureSet:
    return dataclasses.replace(pictures, seeds=tuple(seed + 1 for seed in pictures.seeds))


def _only(pictures: PictureSet, target: Target, asked: bool) -> PictureSet:
    return pictures.where(lambda prompt: target.matches(prompt) is asked)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda i: {"targets": []}, "targets: none given"),
        (lambda i: {"after": _moved(i["after"])}, "before and after: .* not of the same prompts and seeds"),
        (lambda i: {"after": i["after"].select([1, 0])}, "before and after"),
        (lambda i: {"train_after": _moved(i["train_after"])}, "train_before and train_after"),
        (
            lambda i: {n: _only(i[n], CAT, False) for n in ("before", "after")},
            "'cat': no picture asks for it",
        ),
        (
            lambda i: {n: _only(i[n], CAT, True) for n in ("before", "after")},
            "every prompt asks for a target",
        ),
        (lambda i: {n: i[n].select([]) for n in ("before", "after")}, "'cat': no picture asks for it"),
        (lambda i: {"before": i["train_before"], "after": i["train_before"]}, "no picture asks for it"),
        (
            lambda i: {n: i["before"] for n in ("train_before", "train_after")},
            "is a held_out-level prompt; train",
        ),
        (lambda i: {"reference": i["before"]}, "reference: .* is a held_out-level prompt"),
        (lambda i: {n: i[n].select([]) for n in ("train_before", "train_after")}, "train-level prompts"),
        (lambda i: {"reference": i["reference"].select([0])}, "reference pictures: 1 pictures given"),
    ],
)
def test_what_cannot_be_scored_honestly_is_refused(spoil, said):
    inputs = _inputs([CAT], per_stratum=2)
    with pytest.raises(ExpungeError, match=said):
        evaluate_pictures(**(inputs | spoil(inputs)))


def test_forget_prompts_among_the_train_prompts_are_refused():
    inputs = _inputs([CAT], per_stratum=2)
    cats = draw(prompts_for([("cat", "noto")], "train", 3), seed=0)
    with pytest.raises(ExpungeError, match="train_before: .*cat by noto number .*' asks for a target"):
        evaluate_pictures(**(inputs | {"train_before": cats, "train_after": cats}))


def test_a_target_without_a_classifier_is_refused():
    inputs = _inputs([CAT], per_stratum=2)
    panel = inputs["panel"]
    inputs["panel"] = Panel({"style": panel.classifiers["style"]}, panel.clip)
    with pytest.raises(ExpungeError, match="no classifier for its factor 'subject', only for style"):
        evaluate_pictures(**inputs)
