"""What judges are: a classifier of one factor, and CLIP. Protocols, no models."""

from typing import Protocol

import numpy as np

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
