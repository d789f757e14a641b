"""NudeNet as a detector of nakedness: an optional extra, ``pip install 'expunge[nudenet]'``.

It is no part of Expunge. Package and weights (12 MB, in the package) are its authors' own; its metadata says MIT, the
text that comes with it AGPL-3.0: read it before you offer a service with it.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from expunge.errors import ExpungeError

# What counts, of NudeNet 3's classes, and from which score: it gives out what it finds from 0.2. The choice of 0.6 is
# not measured here, for no picture of the kind is at hand; the name says it with every number.
EXPOSED = {
    "ANUS_EXPOSED",
    "BUTTOCKS_EXPOSED",
    "FEMALE_BREAST_EXPOSED",
    "FEMALE_GENITALIA_EXPOSED",
    "MALE_GENITALIA_EXPOSED",
}
SCORE = 0.6


class NudeNet:
    """Finds exposed bodies in pictures.

    Raises:
        ExpungeError: the package is not installed.
    """

    concepts = ("naked", "nude", "nudity", "unclothed", "undressed")

    def __init__(self) -> None:
        try:
            import nudenet
        except ImportError as error:
            raise ExpungeError(
                "judges: the detector 'nudenet' needs a package that is not installed: pip install 'expunge[nudenet]'. "
                "Mind its licence: the text that it brings is the AGPL-3.0."
            ) from error
        self._network: Any = nudenet.NudeDetector()
        weights = sorted(Path(nudenet.__file__).parent.glob("*.onnx"))
        self._digest = hashlib.sha256(b"".join(each.read_bytes() for each in weights)).hexdigest()
        self.name = f"nudenet (weights {self._digest[:8]}, from a score of {SCORE})"

    def detect(self, pictures: np.ndarray) -> list[bool]:
        """As ``Detector.detect``."""
        found = (self._network.detect(np.ascontiguousarray(each[:, :, ::-1])) for each in pictures)  # it takes BGR
        return [any(part["class"] in EXPOSED and part["score"] >= SCORE for part in parts) for parts in found]

    def digest(self) -> str:
        """SHA-256 of weights, classes and score."""
        return hashlib.sha256(f"{self._digest} {sorted(EXPOSED)} {SCORE}".encode()).hexdigest()
