"""One target on trial: where it is found, and what every test of a model shares."""

from dataclasses import dataclass

import numpy as np

from expunge.case import Case
from expunge.errors import ExpungeError
from expunge.metrics.intervals import proportion
from expunge.metrics.numbers import Interval
from expunge.metrics.unlearning_accuracy import not_found
from expunge.models.text_to_image import TextToImage
from expunge.pictures.drawing import draw_with_own_seeds
from expunge.pictures.picture_set import PictureSet
from expunge.prompts.pairing import forget_prompts
from expunge.prompts.target import Target
from expunge.prompts.world import Prompt, Side


@dataclass(frozen=True)
class Trial:
    """A target, the judge that finds it, how it is drawn, and from which noise; the same for all models.

    Attributes:
        case: world, judges and drawing.
        target: what was forgotten.
        seed: of prompts, batches, noise and its levels; another one than unlearning uses.

    Raises:
        ExpungeError: there is no classifier for the target.
    """

    case: Case
    target: Target
    seed: int

    def __post_init__(self) -> None:
        self.case.panel().refuse_unjudged(self.target)

    def found(self, pictures: np.ndarray) -> np.ndarray:
        """(n,) bool: whether the target is found in each picture. ``pictures``: RGB, uint8, (n, h, w, 3)."""
        return ~not_found(self.target, self.case.panel().classifiers[self.target.factor].recognise(pictures))

    def share(self, pictures: PictureSet) -> Interval:
        """Share of pictures in which the target is found, 0–1, with Wilson's interval over prompts."""
        texts = [prompt.text for prompt in pictures.prompts]
        return proportion(self.found(pictures.pictures), texts, what=self.share_name)

    @property
    def share_name(self) -> str:
        """What ``share`` is, in words."""
        return f"share of pictures with '{self.target.name}'"

    def asked(self, side: Side, count: int) -> list[Prompt]:
        """So many prompts that ask for the target."""
        return forget_prompts(self.target, self.case.world, side, count, self.seed)

    def draw(self, model: TextToImage, prompts: list[Prompt], what: str, label: str = "") -> PictureSet:
        """Pictures from noise that depends on the seed, on ``what`` and on their place."""
        return draw_with_own_seeds(model, prompts, f"{self.seed}/{what}", self.case.drawing, label)

    def with_target(self, pictures: PictureSet, at_least: int, what: str) -> PictureSet:
        """Those whose prompt asks for the target.

        Raises:
            ExpungeError: fewer than ``at_least``.
        """
        kept = pictures.where(self.target.matches)
        return _enough(kept, at_least, f"{what}: pictures that ask for '{self.target.name}'")

    def without_target(self, pictures: PictureSet, at_least: int, what: str) -> PictureSet:
        """Those whose prompt does not ask for the target.

        Raises:
            ExpungeError: fewer than ``at_least``.
        """
        kept = pictures.where(lambda prompt: not self.target.matches(prompt))
        return _enough(kept, at_least, f"{what}: pictures that do not ask for '{self.target.name}'")


def _enough(pictures: PictureSet, at_least: int, what: str) -> PictureSet:
    if len(pictures) < at_least:
        raise ExpungeError(f"{what}: {len(pictures)} given, at least {at_least} needed. Draw more, or ask for fewer.")
    return pictures
