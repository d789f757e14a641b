"""Everything that an evaluation measures: the one table that report, certificate, registry and console read."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from expunge.metrics import (
    alignment_score,
    cmmd,
    content_kept,
    frechet_distance,
    kernel_distance,
    manifold,
    paired_drift,
    proper_picture,
    retain_accuracy,
    unlearning_accuracy,
)
from expunge.metrics.numbers import Change
from expunge.metrics.sample import Sample
from expunge.metrics.units import COSINE, DISTANCE, SHARE, Unit


@dataclass(frozen=True)
class Quantity:
    """One thing that is measured, before and after.

    Attributes:
        name: in ``TargetScores.numbers`` and ``Evaluation.rest``; a name that is missing there was not measured.
        label: how tables call it.
        note: what it is, in a few words.
        unit: how its values are written.
        better: which direction is good; None where neither is by itself.
        of: what it is measured of: each target, the rest, or each of both.
        measure: measures it; None where the sample has nothing to measure it on, always where another does.
        between_features: whether it is measured in the space of the evaluation's features, whose name goes with it.
    """

    name: str
    label: str
    note: str
    unit: Unit
    better: Literal["higher", "lower"] | None
    of: Literal["target", "rest", "both"]
    measure: Callable[[Sample], Change | None] = lambda _: None
    between_features: bool = False

    def told(self, features: str) -> str:
        """The note, with the name of the features where the number means nothing without it."""
        return f"{self.note}; on {features}" if self.between_features and features else self.note


_TABLE = (
    Quantity("unlearning_accuracy", "UA", "a classifier's verdict", SHARE, "higher", "target",
             unlearning_accuracy.by_classifier),
    Quantity("unlearning_accuracy_clip", "UA by CLIP", "zero-shot", SHARE, "higher", "target",
             unlearning_accuracy.by_clip),
    Quantity("pictures_of_nothing", "nothing", "of UA's pictures, those that show nothing", SHARE, "lower", "target",
             proper_picture.pictures_of_nothing),
    Quantity("content_kept", "content kept", "all else that its prompts ask for", SHARE, "higher", "target",
             content_kept.content_kept),
    Quantity("proper_picture", "proper pictures", "something, like the base's own, no repetition", SHARE, "higher",
             "target", proper_picture.proper_picture, between_features=True),
    Quantity("retain_accuracy", "RA", "everything as asked", SHARE, "higher", "rest", retain_accuracy.by_classifiers),
    Quantity("in_domain", "IRA", "the target's factor", SHARE, "higher", "both", retain_accuracy.in_domain),
    Quantity("cross_domain", "CRA", "the other factors", SHARE, "higher", "both", retain_accuracy.cross_domain),
    Quantity("retain_accuracy_clip", "RA by CLIP", "first factor (subject), zero-shot", SHARE, "higher", "rest",
             retain_accuracy.by_clip),
    Quantity("frechet_distance", "FD", "before: two samples of one model; lower is closer", DISTANCE, "lower", "rest",
             frechet_distance.of_rest, between_features=True),
    Quantity("alignment_train", "AS, train", "CLIP cosine, training side", COSINE, "higher", "rest",
             alignment_score.on_train),
    Quantity("alignment_held_out", "AS, held-out", "CLIP cosine, kept-back side", COSINE, "higher", "rest",
             alignment_score.on_held_out),
    Quantity("kernel_distance", "KD", "kernel distance, lower is closer", DISTANCE, "lower", "rest",
             kernel_distance.of_rest, between_features=True),
    Quantity("cmmd", "CMMD", "MMD of CLIP features, lower is closer", DISTANCE, "lower", "rest", cmmd.of_rest),
    Quantity("precision", "precision", "pictures like the reference", SHARE, "higher", "rest", manifold.precision,
             between_features=True),
    Quantity("recall", "recall", "reference like the pictures", SHARE, "higher", "rest", manifold.recall,
             between_features=True),
    Quantity("density", "density", "1: as close as the reference itself", DISTANCE, "higher", "rest",
             manifold.density, between_features=True),
    Quantity("coverage", "coverage", "reference with a picture near it", SHARE, "higher", "rest", manifold.coverage,
             between_features=True),
    Quantity("moved", "moved", "1 − CLIP cosine to the picture before", COSINE, "lower", "rest", paired_drift.moved),
    Quantity("restructured", "restructured", "structural distance to the picture before", COSINE, "lower", "rest",
             paired_drift.restructured),
)  # fmt: skip
QUANTITIES: dict[str, Quantity] = {each.name: each for each in _TABLE}


def quantities_of(what: Literal["target", "rest"]) -> list[Quantity]:
    """The quantities of each target, or of the rest, in the order of the table."""
    return [each for each in _TABLE if each.of in (what, "both")]


def measured(quantities: Iterable[Quantity], sample: Sample) -> dict[str, Change]:
    """The numbers by name, without those that could not be measured."""
    found = ((each.name, each.measure(sample)) for each in quantities)
    return {name: change for name, change in found if change is not None}


def checked_names(numbers: dict) -> dict:
    """The numbers as they are, if all names are in the table.

    Raises:
        ValueError: some are not; the message says which.
    """
    if unknown := sorted(set(numbers) - set(QUANTITIES)):
        raise ValueError(f"{', '.join(unknown)}: no such quantity; there are {', '.join(QUANTITIES)}")
    return numbers
