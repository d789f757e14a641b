"""Detectors as plug-ins: networks that know one concept and say of a picture whether it is there.

A detector is named in ``judges``, behind the panel: ``zoo with nudenet``, by an entry point in the group
``expunge.detectors``, or as ``PACKAGE.MODULE:NAME``. What goes by that name is called without arguments and gives a
``Detector``. Where a level of the world goes by one of its concepts, its word goes for that level before that of the
factor's classifier; the panel's CLIP stays the second judge.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from expunge.errors import ExpungeError
from expunge.judges.protocols import Classifier
from expunge.prompts.world import World
from expunge.takedown.names import same_name

OTHER = "something else"  # what the classifier took for a level that its detector does not find


class Detector(Protocol):
    """Finds one concept.

    Attributes:
        name: how reports call it, with its version or weights where there are several.
        concepts: names of what it finds, as worlds and requests may call it.
    """

    name: str
    concepts: tuple[str, ...]

    def detect(self, pictures: np.ndarray) -> Sequence[bool]:
        """Whether each picture shows it. ``pictures``: RGB, uint8, (n, h, w, 3)."""
        ...

    def digest(self) -> str:
        """SHA-256 of everything that its verdicts depend on."""
        ...


class DetectorJudge:
    """A classifier of one factor, of whose levels some have a detector.

    Args:
        factor: what it judges.
        detectors: by level.
        others: the classifier of the factor; None where there is none, and then only those levels are known.
    """

    def __init__(self, factor: str, detectors: Mapping[str, Detector], others: Classifier | None) -> None:
        self.factor, self.detectors, self.others = factor, detectors, others
        self.levels = tuple(dict.fromkeys([*(others.levels if others else ()), *detectors]))
        found = ", ".join(f"{each.name} for '{level}'" for level, each in detectors.items())
        self.name = f"the detector {found}"

    def digest(self) -> str:
        """SHA-256 of all judges."""
        parts = [f"{level} {each.name} {each.digest()}" for level, each in self.detectors.items()]
        parts.append(self.others.digest() if self.others else "")
        return hashlib.sha256("\n".join([self.factor, *parts]).encode()).hexdigest()

    def recognise(self, pictures: np.ndarray) -> list[str]:
        """As ``Classifier.recognise``, with ``OTHER`` for what only the classifier takes for a detector's level."""
        others = self.others.recognise(pictures) if self.others else [OTHER] * len(pictures)
        return self.over(self.detected(pictures), others)

    def detected(self, pictures: np.ndarray) -> list[str]:
        """The first level of each picture whose detector finds it, or an empty name.

        Raises:
            ExpungeError: a detector answered for another number of pictures than it was shown.
        """
        found = [""] * len(pictures)
        for level, detector in self.detectors.items():
            answers = list(detector.detect(pictures))
            if len(answers) != len(pictures):
                raise ExpungeError(
                    f"judges: the detector '{detector.name}' gave {len(answers)} answers for {len(pictures)} pictures; "
                    "each picture needs one."
                )
            found = [before or (level if there else "") for before, there in zip(found, answers, strict=True)]
        return found

    def over(self, detected: Sequence[str], others: Sequence[str]) -> list[str]:
        """What detectors found, else what the classifier did, if that is none of theirs.

        Args:
            detected: n, as ``detected`` gives them; verdicts of this judge will do.
            others: n levels, by the classifier.
        """
        return [
            seen if seen in self.detectors else OTHER if level in self.detectors else level
            for seen, level in zip(detected, others, strict=True)
        ]


def detector_judges(
    detectors: Sequence[Detector], classifiers: Mapping[str, Classifier], world: World
) -> dict[str, DetectorJudge]:
    """By factor, a judge for the levels that one of the detectors finds, over the classifier that there is.

    A level is found by the first detector one of whose concepts is its name, a wording or its group. A world that has
    none for some detector, because nobody asked for it in this run, does without it.
    """
    judges = {}
    for factor in world.balanced:
        known = {}
        for level, words in world.factors[factor].items():
            names = {same_name(name) for name in (level, *words.train, *words.held_out, words.group) if name}
            found = (each for each in detectors if names & set(map(same_name, each.concepts)))
            if (detector := next(found, None)) is not None:
                known[level] = detector
        if known:
            judges[factor] = DetectorJudge(factor, known, classifiers.get(factor))
    return judges
