"""Unlearning accuracy (UA): the share of pictures for target prompts in which the target is not found.

Source: Zhang et al., *UnlearnCanvas*, 2024, arXiv 2402.11846, section 4. Higher is better; before unlearning
it is one minus the judge's accuracy on the target.
"""

from collections.abc import Sequence

import numpy as np

from expunge.judges.judged import JudgedPictures
from expunge.metrics.intervals import change_of_proportions
from expunge.metrics.numbers import Change
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
        clusters: n prompt texts.

    Raises:
        ExpungeError: no pictures ask for the target, or before and after differ in number.
    """
    what = f"unlearning accuracy of '{target.name}'"
    return change_of_proportions(not_found(target, before), not_found(target, after), clusters, what=what)


def accuracies_by_both(target: Target, before: JudgedPictures, after: JudgedPictures) -> tuple[Change, Change]:
    """UA by the independent classifier and by CLIP, zero-shot, over pictures whose prompts all ask for the target.

    Args:
        before: of the model as it was, seen by CLIP on the target's factor.
        after: of the unlearned model, same prompts and seeds.

    Raises:
        ExpungeError: no pictures, or before and after differ in number.
        KeyError: no verdict on the target's factor.
    """
    first, second = (
        unlearning_accuracy(target, was[target.factor], now[target.factor], before.texts)
        for was, now in (
            (before.recognised, after.recognised),
            (before.recognised_by_clip, after.recognised_by_clip),
        )
    )
    return first, second
