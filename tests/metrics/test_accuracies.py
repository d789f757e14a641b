"""UA and RA on sets small enough to count by hand."""

import numpy as np
import pytest

from expunge.errors import ExpungeError
from expunge.judges.judged import JudgedPictures
from expunge.judges.panel import Panel
from expunge.metrics.retain_accuracy import (
    as_asked,
    collateral,
    cross_domain,
    in_domain,
    retain_accuracy,
)
from expunge.metrics.sample import Pair, Sample
from expunge.metrics.unlearning_accuracy import not_found, unlearning_accuracy
from expunge.prompts.target import Target
from expunge.prompts.world import Prompt
from expunge.takedown.request import Kind

STYLE = Target(request_id="a", kind=Kind.STYLE, name="blob", factor="style", levels=("blob",))
OBJECT = Target(request_id="b", kind=Kind.OBJECT, name="cat", factor="subject", levels=("cat",))
ANIMALS = Target(request_id="c", kind=Kind.CONCEPT, name="animal", factor="subject", levels=("cat", "dog"))


def _prompt(subject, style, number=0, **others):
    factors = {"subject": subject, "style": style} | others
    return Prompt(text=f"{subject} by {style} {number}", factors=factors, side="held_out", template=0)


PROMPTS = [_prompt("dog", "noto"), _prompt("dog", "flat"), _prompt("pear", "noto"), _prompt("pear", "flat")]
RIGHT = {"subject": ["dog", "dog", "pear", "pear"], "style": ["noto", "flat", "noto", "flat"]}
# One dog lost its subject, and both pictures in noto lost their style.
HARMED = {"subject": ["cat", "dog", "pear", "pear"], "style": ["flat", "flat", "flat", "flat"]}


def _sample(targets, before, after):
    """What the domains are measured on; nothing else of a sample is looked at."""
    sides = [JudgedPictures(tuple(PROMPTS), tuple(range(4)), np.ones((4, 2)), found, ("",) * 4, np.ones(4), np.ones(4))
             for found in (before, after)]  # fmt: skip
    rest = Pair(*sides)
    nothing = rest.select([])
    return Sample(tuple(targets), nothing, rest, nothing, nothing.was, nothing.was, nothing.was, Panel({}, None), 0)


def test_unlearning_accuracy_counts_pictures_without_the_target():
    change = unlearning_accuracy(OBJECT, ["cat", "cat", "cat", "dog"], ["dog", "pear", "cat", "dog"])
    assert change.before.value == 0.25 and change.after.value == 0.75
    assert change.difference.value == 0.5


def test_any_level_of_a_concept_is_a_find():
    assert not_found(ANIMALS, ["cat", "dog", "pear"]).tolist() == [False, False, True]


def test_unlearning_accuracy_of_no_pictures_is_refused():
    with pytest.raises(ExpungeError, match="unlearning accuracy of 'cat' before: no samples"):
        unlearning_accuracy(OBJECT, [], [])


def test_retain_accuracy_wants_every_factor_right():
    change = retain_accuracy(PROMPTS, RIGHT, HARMED)
    assert change.before.value == 1 and change.after.value == 0.5
    assert retain_accuracy(PROMPTS, RIGHT, RIGHT).difference.value == 0


def test_domains_of_a_style_and_of_an_object_change_places():
    assert in_domain(_sample([STYLE], RIGHT, HARMED)).after.value == 0.5
    assert cross_domain(_sample([STYLE], RIGHT, HARMED)).after.value == 0.75
    assert in_domain(_sample([OBJECT], RIGHT, HARMED)).after.value == 0.75
    assert cross_domain(_sample([OBJECT], RIGHT, HARMED)).after.value == 0.5


def test_domains_are_pooled_over_targets_and_a_factor_counts_once():
    both = in_domain(_sample([STYLE, OBJECT], RIGHT, HARMED))
    assert both.after.value == pytest.approx((0.5 + 0.75) / 2) and both.after.samples == 8
    twice = in_domain(_sample([OBJECT, ANIMALS], RIGHT, HARMED))
    assert twice.after.samples == 4


def test_domains_without_evidence_are_none():
    only = {"subject": RIGHT["subject"]}
    assert cross_domain(_sample([OBJECT], only, only)) is None
    assert in_domain(_sample([STYLE], only, only)) is None


def test_collateral_is_ranked_by_loss():
    rows = collateral(PROMPTS, RIGHT, HARMED)
    assert [(row.level, row.before, row.after, row.samples) for row in rows] == [
        ("noto", 1.0, 0.0, 2),
        ("dog", 1.0, 0.5, 2),
        ("pear", 1.0, 0.5, 2),
        ("flat", 1.0, 1.0, 2),
    ]
    assert [row.factor for row in rows] == ["style", "subject", "subject", "style"]


def test_factors_without_a_classifier_are_not_asked_but_shown():
    prompts = [_prompt("dog", "noto", background="pink")]
    found = {"subject": ["dog"]}
    assert as_asked(prompts, found, ["subject"]).tolist() == [True]
    assert {row.factor for row in collateral(prompts, found, found)} == {"subject", "style", "background"}


def test_a_prompt_that_nobody_can_judge_is_refused_not_counted_as_right():
    with pytest.raises(ExpungeError, match="nothing in 'dog by noto 0' .* can be judged"):
        retain_accuracy(PROMPTS[:1], {"mood": ["glad"]}, {"mood": ["glad"]})


def test_order_of_pictures_does_not_matter():
    order = np.random.default_rng(0).permutation(4)

    def shuffled(found):
        return {factor: [levels[i] for i in order] for factor, levels in found.items()}

    prompts = [PROMPTS[i] for i in order]
    assert retain_accuracy(prompts, shuffled(RIGHT), shuffled(HARMED)) == retain_accuracy(PROMPTS, RIGHT, HARMED)
    assert collateral(prompts, shuffled(RIGHT), shuffled(HARMED)) == collateral(PROMPTS, RIGHT, HARMED)
