"""The panel of judges: one classifier per factor, and an independent CLIP. Protocols, no models."""

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from expunge.errors import ExpungeError
from expunge.judges.features import unit_rows
from expunge.prompts.target import Target
from expunge.prompts.world import World

ENSEMBLE = 20  # sentences that stand for a level
NOTHING = "none"  # what a classifier may find in a picture instead of a level


class Classifier(Protocol):
    """Says which level of one factor a picture shows."""

    factor: str
    levels: tuple[str, ...]

    def recognise(self, pictures: np.ndarray) -> list[str]:
        """One of ``levels`` for each picture, or ``NOTHING``. ``pictures``: RGB, uint8, (n, h, w, 3)."""
        ...

    def digest(self) -> str:
        """SHA-256 of everything that its verdicts depend on."""
        ...


class ClipJudge(Protocol):
    """Puts pictures and texts into one space, in which the cosine says how well they fit."""

    name: str

    def picture_features(self, pictures: np.ndarray) -> np.ndarray:
        """(n, d), rows of length 1. ``pictures``: RGB, uint8, (n, h, w, 3)."""
        ...

    def text_features(self, texts: list[str]) -> np.ndarray:
        """(n, d), rows of length 1."""
        ...

    def cut_off(self, texts: list[str]) -> list[bool]:
        """Whether a text is longer than what it reads, one answer each."""
        ...

    def digest(self) -> str:
        """SHA-256 of everything that its features depend on."""
        ...


@dataclass
class Panel:
    """All judges of one evaluation.

    Attributes:
        classifiers: by the factor that each judges.
        clip: the open-vocabulary judge.
        one_judge: whether the classifiers are that same network: then its verdicts are no second opinion.
    """

    classifiers: Mapping[str, Classifier]
    clip: ClipJudge
    one_judge: bool = False

    def digest(self) -> str:
        """SHA-256 over all judges: two panels of one digest say the same of every picture."""
        classifiers = [f"{factor} {judge.digest()}" for factor, judge in sorted(self.classifiers.items())]
        return hashlib.sha256("\n".join([*classifiers, self.clip.digest()]).encode()).hexdigest()

    def refuse_unjudged(self, target: Target) -> None:
        """See that a classifier judges the target's factor.

        Raises:
            ExpungeError: there is none; the message says for what there are some.
        """
        if target.factor not in self.classifiers:
            raise ExpungeError(
                f"target '{target.name}': no classifier for its factor '{target.factor}', only for "
                f"{', '.join(self.classifiers) or 'nothing'}. Add one to the panel."
            )

    def recognise_by_clip(self, pictures: np.ndarray, factor: str, world: World) -> list[str]:
        """The level of ``factor`` that CLIP finds in each picture, without having been taught the levels.

        Args:
            pictures: RGB, uint8, (n, h, w, 3).
        """
        return self.nearest_levels(self.clip.picture_features(pictures), factor, world)

    def nearest_levels(self, features: np.ndarray, factor: str, world: World) -> list[str]:
        """The level whose prompts lie nearest to each picture, by cosine with their mean.

        Each level is embedded in whole sentences, over the train templates and the other factors' levels, and the
        embeddings averaged: prompt ensembling (Radford et al. 2021, arXiv 2103.00020, section 3.1.4).

        Args:
            features: (n, d) of pictures, by this panel's CLIP.

        Raises:
            ExpungeError: the world has no such factor, or features are NaN.
        """
        if factor not in world.factors:
            raise ExpungeError(f"factor: '{factor}' given; the world has {', '.join(world.factors)}.")
        names = list(world.factors[factor])
        texts = self.clip.text_features([text for name in names for text in ensemble(world, factor, name)])
        means = np.asarray(texts, dtype=np.float64).reshape(len(names), ENSEMBLE, -1).mean(axis=1)
        nearest = unit_rows(features, "pictures") @ unit_rows(means, f"prompts of {factor}").T
        return [names[i] for i in nearest.argmax(axis=1)]

    def recognise(self, pictures: np.ndarray) -> dict[str, list[str]]:
        """What every classifier finds, by factor.

        Raises:
            ExpungeError: a classifier answered for another number of pictures than it was shown.
        """
        found = {factor: judge.recognise(pictures) for factor, judge in self.classifiers.items()}
        _answered({f"classifier of {factor}": levels for factor, levels in found.items()}, len(pictures))
        return found


def ensemble(world: World, factor: str, level: str) -> list[str]:
    """``ENSEMBLE`` train-level sentences that name a level, spread over templates and the other factors' levels."""
    rng = random.Random(factor)  # the same sentences around every level, so that only the level differs
    others = {
        name: [each for each, words in levels.items() if words.train] or list(levels)
        for name, levels in world.factors.items()
        if name != factor
    }
    rest = [{name: rng.choice(levels) for name, levels in others.items()} for _ in range(ENSEMBLE)]
    prompts = [world.prompt({factor: level} | each, "train", rng, turn) for turn, each in enumerate(rest)]
    words = world.factors[factor][level]
    if not words.train and words.held_out:  # a level's name is not always how it is asked for
        prompts = [world.reworded(prompt, factor, words.held_out[0]) for prompt in prompts]
    return [prompt.text for prompt in prompts]


def _answered(answers: dict[str, Sequence[str]], pictures: int) -> None:
    for judge, levels in answers.items():
        if len(levels) != pictures:
            raise ExpungeError(f"{judge}: {len(levels)} answers for {pictures} pictures; each picture needs one.")
