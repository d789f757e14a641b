"""Everything that an evaluation measures: the one table that report, certificate, registry and console read."""

from dataclasses import dataclass
from typing import Literal

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
    """

    name: str
    label: str
    note: str
    unit: Unit
    better: Literal["higher", "lower"] | None
    of: Literal["target", "rest", "both"]


_TABLE = (
    Quantity("unlearning_accuracy", "UA", "a classifier's verdict", SHARE, "higher", "target"),
    Quantity("unlearning_accuracy_clip", "UA by CLIP", "zero-shot", SHARE, "higher", "target"),
    Quantity("retain_accuracy", "RA", "everything as asked", SHARE, "higher", "rest"),
    Quantity("in_domain", "IRA", "the target's factor", SHARE, "higher", "both"),
    Quantity("cross_domain", "CRA", "the other factors", SHARE, "higher", "both"),
    Quantity("retain_accuracy_clip", "RA by CLIP", "subject, zero-shot", SHARE, "higher", "rest"),
    Quantity("frechet_distance", "FD", "lower is closer", DISTANCE, "lower", "rest"),
    Quantity("alignment_train", "AS, train", "CLIP cosine, training side", COSINE, "higher", "rest"),
    Quantity("alignment_held_out", "AS, held-out", "CLIP cosine, kept-back side", COSINE, "higher", "rest"),
    Quantity("kernel_distance", "KD", "kernel distance, lower is closer", DISTANCE, "lower", "rest"),
    Quantity("cmmd", "CMMD", "MMD of CLIP features, lower is closer", DISTANCE, "lower", "rest"),
    Quantity("precision", "precision", "pictures like the reference", SHARE, "higher", "rest"),
    Quantity("recall", "recall", "reference like the pictures", SHARE, "higher", "rest"),
    Quantity("density", "density", "1: as close as the reference itself", DISTANCE, "higher", "rest"),
    Quantity("coverage", "coverage", "reference with a picture near it", SHARE, "higher", "rest"),
    Quantity("moved", "moved", "1 − CLIP cosine to the picture before", COSINE, "lower", "rest"),
    Quantity("restructured", "restructured", "structural distance to the picture before", COSINE, "lower", "rest"),
)
QUANTITIES: dict[str, Quantity] = {each.name: each for each in _TABLE}


def quantities_of(what: Literal["target", "rest"]) -> list[Quantity]:
    """The quantities of each target, or of the rest, in the order of the table."""
    return [each for each in _TABLE if each.of in (what, "both")]


def checked_names(numbers: dict) -> dict:
    """The numbers as they are, if all names are in the table.

    Raises:
        ValueError: some are not; the message says which.
    """
    if unknown := sorted(set(numbers) - set(QUANTITIES)):
        raise ValueError(f"{', '.join(unknown)}: no such quantity; there are {', '.join(QUANTITIES)}")
    return numbers
