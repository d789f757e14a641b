"""Unlearning accuracy (UA): the share of pictures for target prompts in which the target is not found.

Source: Zhang et al., *UnlearnCanvas*, 2024, arXiv 2402.11846, section 4. Higher is better; before unlearning
it is one minus the judge's accuracy on the target.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from expunge.metrics.intervals import change_of_proportions, proportion
from expunge.metrics.numbers import Change, Interval, complement
from expunge.metrics.sample import Sample
from expunge.prompts.target import Target


def not_found(target: Target, recognised: Sequence[str]) -> np.ndarray:
    """(n,) bool: whether each picture was recognised as something else than any of the target's levels."""
    return np.array([level not in target.levels for level in recognised], dtype=bool)


def unlearning_accuracy(
    target: Target, before: Sequence[str], after: Sequence[str], clusters: Sequence[str] | None = None
) -> Change:
    """UA before and after, 0–1, over pictures whose prompts all ask for the target.

    Args:
        before: n recognised levels of the target's factor, in pictures of the model as it was.
        after: the same of the unlearned model, same prompts and seeds.
        clusters: n names, one for pictures that are alike: ``JudgedPictures.clusters``.

    Raises:
        ExpungeError: no pictures ask for the target, or before and after differ in number.
    """
    what = f"unlearning accuracy of '{target.name}'"
    return change_of_proportions(not_found(target, before), not_found(target, after), clusters, what=what)


def share_that_shows(target: Target, recognised: Sequence[str], clusters: Sequence[str] | None = None) -> Interval:
    """The share of one model's pictures that show the target, as ``unlearning_accuracy`` has it before.

    Args:
        recognised: n recognised levels of the target's factor, in pictures whose prompts all ask for the target.
        clusters: as there.

    Raises:
        ExpungeError: no pictures ask for the target.
    """
    return complement(proportion(not_found(target, recognised), clusters, what=f"share that shows '{target.name}'"))


def by_classifier(sample: Sample) -> Change | None:
    """UA by the classifier of the target's factor, over the pictures that ask for it; None if none do."""
    return _accuracy(sample, sample.asked.was.recognised, sample.asked.now.recognised)


def by_clip(sample: Sample) -> Change | None:
    """UA by CLIP, zero-shot; None where CLIP is the classifier and so no second judge."""
    if sample.panel.one_judge:
        return None
    return _accuracy(sample, sample.asked.was.recognised_by_clip, sample.asked.now.recognised_by_clip)


def _accuracy(sample: Sample, was: Mapping[str, Sequence[str]], now: Mapping[str, Sequence[str]]) -> Change | None:
    if not len(sample.asked):
        return None
    (target,) = sample.targets
    return unlearning_accuracy(target, was[target.factor], now[target.factor], sample.asked.clusters)
