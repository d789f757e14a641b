"""Where the target is found, and what the tests are given to work with."""

from dataclasses import dataclass

import numpy as np

from expunge.errors import ExpungeError
from expunge.judges.panel import Panel
from expunge.metrics.intervals import proportion
from expunge.metrics.numbers import Interval
from expunge.metrics.unlearning_accuracy import not_found
from expunge.pictures.picture_set import PictureSet
from expunge.prompts.target import Target


@dataclass(frozen=True)
class Finder:
    """Finds one target in pictures, by the classifier of its factor.

    Raises:
        ExpungeError: the panel has no such classifier.
    """

    target: Target
    panel: Panel

    def __post_init__(self) -> None:
        if self.target.factor not in self.panel.classifiers:
            raise ExpungeError(
                f"target '{self.target.name}': no classifier for its factor '{self.target.factor}', only for "
                f"{', '.join(self.panel.classifiers) or 'nothing'}. Add one to the panel."
            )

    def found(self, pictures: np.ndarray) -> np.ndarray:
        """(n,) bool: whether the target is found in each picture. ``pictures``: RGB, uint8, (n, h, w, 3)."""
        return ~not_found(self.target, self.panel.classifiers[self.target.factor].recognise(pictures))

    def share(self, pictures: PictureSet) -> Interval:
        """Share of pictures in which the target is found, 0–1, with Wilson's interval over prompts."""
        texts = [prompt.text for prompt in pictures.prompts]
        return proportion(self.found(pictures.pictures), texts, what=f"share of pictures with '{self.target.name}'")


def pictures_of(target: Target, pictures: PictureSet, at_least: int, what: str) -> PictureSet:
    """Those whose prompt asks for the target.

    Raises:
        ExpungeError: fewer than ``at_least``.
    """
    return _enough(pictures.where(target.matches), at_least, f"{what}: pictures that ask for '{target.name}'")


def pictures_without(target: Target, pictures: PictureSet, at_least: int, what: str) -> PictureSet:
    """Those whose prompt does not ask for the target.

    Raises:
        ExpungeError: fewer than ``at_least``.
    """
    kept = pictures.where(lambda prompt: not target.matches(prompt))
    return _enough(kept, at_least, f"{what}: pictures that do not ask for '{target.name}'")


def _enough(pictures: PictureSet, at_least: int, what: str) -> PictureSet:
    if len(pictures) < at_least:
        raise ExpungeError(f"{what}: {len(pictures)} given, at least {at_least} needed. Draw more, or ask for fewer.")
    return pictures
