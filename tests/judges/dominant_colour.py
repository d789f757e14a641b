"""A detector as another package would write it: what is mostly red on its left is a cat, in the colour world."""

from collections.abc import Sequence

import numpy as np


class Red:
    """Finds red."""

    name = "dominant colour (red)"
    concepts = ("Little  Cat", "kitten")  # the first is a wording of the level "cat"

    def detect(self, pictures: np.ndarray) -> Sequence[bool]:
        left = pictures[:, :, : pictures.shape[2] // 2].reshape(len(pictures), -1, 3).mean(axis=1)
        return [bool(red > 150 and red > 2 * max(green, blue)) for red, green, blue in left]

    def digest(self) -> str:
        return "red"


class Sleepy(Red):
    """Drops a picture."""

    def detect(self, pictures: np.ndarray) -> Sequence[bool]:
        return super().detect(pictures)[1:]
