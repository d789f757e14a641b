"""Content kept: under prompts for the target, is everything else that was asked for still drawn?

The share of pictures in which each other factor of the prompt is recognised as asked: the object under a forgotten
style, style and background under a forgotten object. Read it beside the share before: no model draws all that is asked.

Factors with a classifier are judged by it, all others by CLIP, zero-shot.
"""

import numpy as np

from expunge.judges.judged import JudgedPictures
from expunge.metrics.intervals import change_of_proportions
from expunge.metrics.numbers import Change
from expunge.metrics.retain_accuracy import as_asked
from expunge.metrics.sample import Sample


def content_kept(sample: Sample) -> Change | None:
    """Share with all other factors as asked; None where the prompts ask for nothing else."""
    return _kept(sample, other_factors(sample))


def by_factor(sample: Sample) -> dict[str, Change]:
    """The same of each other factor alone."""
    kept = {factor: _kept(sample, [factor]) for factor in other_factors(sample)}
    return {factor: change for factor, change in kept.items() if change is not None}


def other_factors(sample: Sample) -> list[str]:
    """Those that every prompt for the target asks for beside it, and that a judge knows."""
    (target,) = sample.targets
    asked = [set(prompt.factors) for prompt in sample.asked.prompts]
    known = set(_verdicts(sample.asked.was))
    return sorted((set.intersection(*asked) & known) - {target.factor}) if asked else []


def _kept(sample: Sample, factors: list[str]) -> Change | None:
    if not factors:
        return None
    was, now = (
        np.asarray(as_asked(each.prompts, _verdicts(each), factors)) for each in (sample.asked.was, sample.asked.now)
    )
    return change_of_proportions(was, now, sample.asked.texts, what="content kept")


def _verdicts(judged: JudgedPictures) -> dict:
    """By factor: the classifier's, or CLIP's where there is none."""
    return {**judged.recognised_by_clip, **judged.recognised}
