"""What is measured about a takedown, before and after. The measuring itself lives in ``expunge.metrics``."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from expunge.metrics.numbers import Change, complement
from expunge.metrics.quantities import checked_names
from expunge.metrics.retain_accuracy import CollateralRow

Numbers = Annotated[dict[str, Change], AfterValidator(checked_names)]

DRAWN = 0.5  # share of pictures that must have shown the target before


class TargetScores(BaseModel):
    """How well one target was forgotten, and what that did to its factor and to the others.

    Attributes:
        numbers: by name in ``QUANTITIES``; a missing name means that it was not measured.
        content: content kept of each other factor alone.
        told_by: by quantity, the judge that a number is not told without: the features and limit by which copies of a
            memorised picture are told, or a detector.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    request_id: str
    name: str
    kind: str
    numbers: Numbers
    content: dict[str, Change] = {}
    told_by: dict[str, str] = {}


def was_drawn(change: Change) -> bool:
    """Whether the model drew the target before, by the unfavourable end of UA: else nothing can be gone."""
    return complement(change.before).low >= DRAWN


class Evaluation(BaseModel):
    """All numbers of one run.

    Attributes:
        targets: one entry per request.
        earlier: UA of what earlier runs forgot, before and after this one: whether it came back.
        rest: of everything else, by name in ``QUANTITIES``; a missing name means that it was not measured. With targets
            of both factors in one run, pooled IRA and CRA are one number: read them target by target.
        frechet_features: name and width of the extractor of FD's, KD's and the manifold's features, with a warning if
            there were too few pictures.
        one_judge: whether classifier and CLIP are the same network, so that no second judge looked.
        collateral: retain accuracy (all factors as asked) by level, worst loss first.
        sampling: how the pictures were drawn (steps, guidance, scheduler, seeds).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    targets: tuple[TargetScores, ...]
    earlier: tuple[TargetScores, ...] = ()
    rest: Numbers
    frechet_features: str
    one_judge: bool = False
    collateral: tuple[CollateralRow, ...]
    sampling: dict[str, str | int | float]


class Condition(BaseModel):
    """One threshold of the gate and how it was met."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    rule: str
    measured: str
    passed: bool


class GateDecision(BaseModel):
    """Whether the unlearned model may become champion. Missing evidence means no.

    Attributes:
        approval_within_days: what passed waits so long for a person's approval; None if none is asked for.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    passed: bool
    conditions: tuple[Condition, ...]
    approval_within_days: float | None = None
