"""Handwritten digits: 1,797 grey pictures of 8×8 pixels in ten classes, as scikit-learn ships them.

Source: Alpaydin and Kaynak, *Optical Recognition of Handwritten Digits*, UCI Machine Learning Repository, 1998,
doi 10.24432/C50P49, the test part; licence CC BY 4.0. Nothing is downloaded: the pictures come with the package.
"""

from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits
from torch import Tensor

from expunge.prompts.world import Level, World

GROUPS = {
    "zero": "round",
    "one": "straight",
    "two": "curved",
    "three": "curved",
    "four": "straight",
    "five": "curved",
    "six": "round",
    "seven": "straight",
    "eight": "round",
    "nine": "round",
}
CLASSES = tuple(GROUPS)  # in the order of the class numbers
SIZE = 8  # pixels
HELD_OUT_EVERY = 5  # every fifth picture is none that a judge was trained on


@dataclass(frozen=True)
class Digits:
    """Pictures and their classes.

    Attributes:
        pictures: grey, −1–1, float32 ``(n, 1, 8, 8)``.
        labels: class numbers, int64 ``(n,)``.
    """

    pictures: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, chosen: Tensor) -> "Digits":
        """The pictures at these indices, or where the mask is true."""
        return Digits(self.pictures[chosen], self.labels[chosen])


def read_digits() -> Digits:
    """All 1,797 pictures."""
    found = load_digits()
    pictures = torch.tensor(found.images, dtype=torch.float32)[:, None] / 8 - 1  # 17 shades, 0–16
    return Digits(pictures, torch.tensor(found.target))


def split_digits() -> tuple[Digits, Digits]:
    """What judges are trained on, and what they are tested on."""
    digits = read_digits()
    held_out = torch.arange(len(digits)) % HELD_OUT_EVERY == 0
    return digits.select(~held_out), digits.select(held_out)


def digits_world() -> World:
    """One prompt for each class, its name. There is no other wording to hold out, so both sides ask in the same one."""
    levels = {name: Level(train=[name], group=group) for name, group in GROUPS.items()}
    return World(templates={"train": ["{subject}"]}, factors={"subject": levels})
