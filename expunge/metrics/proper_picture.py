"""Proper pictures: under prompts for the target, is what is drawn a picture at all, and one of its own?

A picture is proper if

- every classifier calls it something, and not ``none``;
- it lies in the manifold of what the model drew before, whatever was asked for: in the ball around one of those
  pictures that reaches to its third nearest other one (precision of Kynkäänniemi et al., NeurIPS 2019, arXiv
  1904.06991);
- no other picture of the target's prompts is nearer to it than the nearest pairs of those before, the nearest
  twentieth aside. Without this a model that draws one and the same picture whatever is asked for would pass. Those
  before are the target's own pictures, or its neighbour's in the same sentences if these lie nearer: who draws cars
  where rockets were need not vary them more than the model ever varied its cars.

A judge alone is fooled by dark bars; the manifold alone by repetition. No model's pictures are all proper by this
measure: read it beside the share before.
"""

from collections.abc import Sequence

import numpy as np

from expunge.judges.judged import JudgedPictures
from expunge.judges.protocols import NOTHING
from expunge.metrics.intervals import change_of_proportions
from expunge.metrics.manifold import PRECISION_NEIGHBOURS, manifold, nearest_others
from expunge.metrics.numbers import Change
from expunge.metrics.sample import Sample
from expunge.prompts.world import PICTURE

ALIKE = 0.05  # quantile of the distances before: what is nearer is a repetition


def proper_picture(sample: Sample) -> Change | None:
    """Share of proper pictures under the target's prompts; None where there are too few to tell."""
    was, now, drawn = sample.asked.was, sample.asked.now, sample.drawn_before.distance_features
    if len(was) <= PRECISION_NEIGHBOURS or len(drawn) <= PRECISION_NEIGHBOURS:
        return None
    enough = [each for each in (was, sample.in_place) if len(each) > PRECISION_NEIGHBOURS]
    apart = min(np.quantile(_nearest(each), ALIKE) for each in enough)
    before, after = (
        named(each)
        & manifold(each.distance_features, drawn, density_k=PRECISION_NEIGHBOURS).precise
        & (_nearest(each) >= apart)
        for each in (was, now)
    )
    return change_of_proportions(before, after, sample.asked.clusters, what="proper pictures")


def pictures_of_nothing(sample: Sample) -> Change | None:
    """Share in which the classifier of the target's factor finds nothing: UA counts them as forgotten."""
    (target,) = sample.targets
    if not len(sample.asked):
        return None
    # Who tells a copy from another picture says "none" of neither: of a memorised picture the other judges say it.
    before, after = (
        ~named(each) if target.factor == PICTURE else _nothing(each.recognised[target.factor])
        for each in (sample.asked.was, sample.asked.now)
    )
    return change_of_proportions(before, after, sample.asked.clusters, what="pictures of nothing")


def named(judged: JudgedPictures) -> np.ndarray:
    """(n,) bool: whether every classifier calls a picture something."""
    return ~np.logical_or.reduce([_nothing(levels) for levels in judged.recognised.values()])


def _nearest(judged: JudgedPictures) -> np.ndarray:
    """(n,) float64 distances in feature space of n ≥ 2 pictures to the nearest other one."""
    return np.sqrt(nearest_others(judged.distance_features.astype(np.float64), [1])[0])


def _nothing(levels: Sequence[str]) -> np.ndarray:
    return np.array([level == NOTHING for level in levels], dtype=bool)
