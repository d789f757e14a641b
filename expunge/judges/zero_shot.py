"""Which of a factor's levels a picture shows, or nothing of these: by CLIP, without having been taught the levels.

The level is the one whose sentences lie nearest (``level_features``). Alone that names a level even of noise, so
three questions go before it. Each is a score, high for a picture that shows a level, and is held against the same score
of pictures that the base model itself drew:

- words: does it fit the level's sentences as the base's own pictures fit theirs? The cosine, in standard deviations
  above that of the base's pictures of other levels, for some sentences lie near to everything;
- likeness: does it lie as near to one of the base's own pictures as they lie to each other? Source: Sun et al.,
  *Out-of-distribution detection with deep nearest neighbors*, ICML 2022, arXiv 2204.06507;
- nothing: is it nearer to a base's own picture than to ``null_pictures``, by the same margin as they are? The
  nearest-neighbour score of Vovk, Gammerman and Shafer, *Algorithmic Learning in a Random World*, 2005, chapter 3.

A limit is the quantile below which a further picture like the base's own lies with a probability of ``MISSED`` at most:
a conformal p-value (Bates et al., *Testing for outliers with conformal p-values*, 2023, arXiv 2104.08279). By
Bonferroni at most a tenth of what the base draws is called nothing. That is over all levels, and of one level it could
be any share; so a level's limit is that of its own pictures where this is lower. Of a level of which the base drew n
pictures each question then refuses ``MISSED`` or 1 / (n + 1), whichever is more: to miss a target seldom takes many.

Differs from the papers: one neighbour and not the k-th, as few pictures show one level; what a base's picture shows is
taken to be what it was asked for.
"""

import copy
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from expunge.judges.features import unit_rows
from expunge.judges.null_pictures import null_pictures
from expunge.judges.protocols import NOTHING, ClipJudge
from expunge.judges.sentences import level_features
from expunge.prompts.world import Prompt, World

MISSED = 1 / 30  # of the base's own pictures, by each of three questions
FEWEST = math.ceil(1 / MISSED) - 1  # own pictures: of fewer no limit is known


@dataclass(frozen=True)
class Limits:
    """What the base's own pictures say about a factor.

    Attributes:
        own: (n, d) features of those pictures, rows of length 1.
        nulls: (m, d) of pictures that show nothing.
        centre: (k,) mean cosine of each level's sentences with own pictures of other levels.
        spread: (k,) its standard deviation.
        words: (k,) below this standard score a picture does not fit the level.
        likeness: (k,) below this cosine with its nearest own picture it is none of the base's kind.
        nothing: (k,) below this difference of the cosines with own and null pictures it is nothing.
    """

    own: np.ndarray
    nulls: np.ndarray
    centre: np.ndarray
    spread: np.ndarray
    words: np.ndarray
    likeness: np.ndarray
    nothing: np.ndarray


class ZeroShotClassifier:
    """A classifier of one factor made of a CLIP and the world's sentences; without limits it always names a level.

    Args:
        clip: the judge.
        factor: what it judges.
        world: whose levels and sentences it knows.

    Raises:
        ExpungeError: the world has no such factor.
    """

    def __init__(self, clip: ClipJudge, factor: str, world: World) -> None:
        self.clip, self.factor = clip, factor
        self.limits: Limits | None = None
        self._world, self._sentences = world, level_features(clip, factor, world)
        self.levels = tuple(world.factors[factor])

    def digest(self) -> str:
        """SHA-256 of CLIP and of the wordings; not of the limits, which follow from what the base draws."""
        facts = f"{self.factor} {self.clip.digest()} {self._world.model_dump_json()}"
        return hashlib.sha256(facts.encode()).hexdigest()

    def recognise(self, pictures: np.ndarray) -> list[str]:
        """The level that each picture shows, or ``NOTHING``. ``pictures``: RGB, uint8, (n, h, w, 3)."""
        return self.recognise_features(self.clip.picture_features(pictures))

    def recognise_features(self, features: np.ndarray) -> list[str]:
        """The same of pictures' features by this classifier's CLIP, (n, d).

        Raises:
            ExpungeError: features are NaN.
        """
        rows = unit_rows(features, f"pictures, judged by {self.factor}", at_least=0)
        cosines = rows @ self._sentences.T
        nearest = cosines.argmax(axis=1)
        shown = np.full(len(rows), True) if self.limits is None else _shown(rows, cosines, nearest, self.limits)
        return [self.levels[i] if sure else NOTHING for i, sure in zip(nearest, shown, strict=True)]

    def limited(self, own: np.ndarray, prompts: Sequence[Prompt], nulls: np.ndarray) -> "ZeroShotClassifier":
        """The same classifier, with limits set on the base's own pictures; those that ask for no level are left out.

        Of fewer than ``FEWEST`` no limit is known, and it still names a level of every picture: then what is gone can
        count as drawn, but nothing that is drawn as gone.

        Args:
            own: (n, d) their features, by this classifier's CLIP.
            prompts: n, what they were asked for.
            nulls: (m, d) ``null_features`` of the same CLIP.

        Raises:
            ExpungeError: features are NaN.
        """
        places = {level: i for i, level in enumerate(self.levels)}
        asked = [places.get(prompt.factors.get(self.factor, ""), -1) for prompt in prompts]
        kept = [i for i, place in enumerate(asked) if place >= 0]
        if len(kept) < FEWEST:
            return self
        what = f"judge '{self.clip.name}', {self.factor}"
        rows, levels = unit_rows(own[kept], what), np.array([asked[i] for i in kept])
        other = copy.copy(self)
        other.limits = _limits(rows, levels, rows @ self._sentences.T, nulls)
        return other


def null_features(clip: ClipJudge) -> np.ndarray:
    """(m, d) features of pictures that show nothing, rows of length 1."""
    return unit_rows(clip.picture_features(null_pictures()), f"judge '{clip.name}', pictures of nothing")


def _limits(own: np.ndarray, levels: np.ndarray, cosines: np.ndarray, nulls: np.ndarray) -> Limits:
    """Limits from own pictures asked for ``levels``, indices (n,), whose ``cosines`` with all levels are (n, k)."""
    others = np.ma.array(cosines, mask=levels[:, None] == np.arange(cosines.shape[1]))
    centre = np.ma.filled(others.mean(axis=0), 0.0)
    spread = np.maximum(np.ma.filled(others.std(axis=0), 0.0), 1e-6)  # 0 where all are alike
    words = (cosines[np.arange(len(own)), levels] - centre[levels]) / spread[levels]
    between = own @ own.T
    np.fill_diagonal(between, -1.0)
    likeness = between.max(axis=1)
    nothing = likeness - (own @ nulls.T).max(axis=1)
    limits = (_of_levels(scores, levels, len(centre)) for scores in (words, likeness, nothing))
    return Limits(own, nulls, centre, spread, *limits)


def _of_levels(scores: np.ndarray, levels: np.ndarray, count: int) -> np.ndarray:
    """(k,) limits of ``count`` levels: that of all scores, or that of a level's own where it is lower."""
    pooled = _limit(scores)
    own = [scores[levels == place] for place in range(count)]
    return np.array([min(pooled, _limit(each)) if len(each) else pooled for each in own])


def _limit(scores: np.ndarray) -> float:
    """The largest limit below which a further score of the same kind lies with a probability of at most ``MISSED``; of
    fewer than ``FEWEST`` scores the lowest."""
    rank = max(1, math.floor(MISSED * (len(scores) + 1)))
    return float(np.sort(scores)[rank - 1])


def _shown(rows: np.ndarray, cosines: np.ndarray, nearest: np.ndarray, limits: Limits) -> np.ndarray:
    """(n,) bool: whether each picture shows the level that is nearest, by all three questions."""
    words = (cosines[np.arange(len(rows)), nearest] - limits.centre[nearest]) / limits.spread[nearest]
    likeness = (rows @ limits.own.T).max(axis=1)
    nothing = likeness - (rows @ limits.nulls.T).max(axis=1)
    scores = ((words, limits.words), (likeness, limits.likeness), (nothing, limits.nothing))
    return np.logical_and.reduce([score >= limit[nearest] for score, limit in scores])
