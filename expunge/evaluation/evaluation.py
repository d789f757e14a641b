"""What is measured about a takedown, before and after. The measuring itself lives in ``expunge.metrics``."""

from pydantic import BaseModel, ConfigDict

from expunge.metrics.numbers import Change


class TargetScores(BaseModel):
    """How well one target was forgotten, and what that did to its factor and to the others. Shares, 0–1.

    Attributes:
        unlearning_accuracy: UA on held-out prompts that ask for the target, by the independent classifier.
        unlearning_accuracy_clip: the same by CLIP, zero-shot.
        in_domain: IRA of this target alone: its own factor's accuracy on retain prompts. None if there is
            none.
        cross_domain: CRA of this target alone: the other factors' accuracy on the same. None if there is
            none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    request_id: str
    name: str
    kind: str
    unlearning_accuracy: Change
    unlearning_accuracy_clip: Change
    in_domain: Change | None = None
    cross_domain: Change | None = None


class CollateralRow(BaseModel):
    """Retain accuracy of one level of a factor, for the ranked table of what suffered."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    factor: str
    level: str
    before: float
    after: float
    samples: int


class Evaluation(BaseModel):
    """All numbers of one run. Shares are 0–1, cosines −1–1, FD ≥ 0.

    Attributes:
        targets: one entry per request.
        retain_accuracy: RA by the independent classifiers: every factor that has one (subject and style) as
            asked.
        in_domain: IRA as in UnlearnCanvas: on retain prompts, the accuracy of the target's own factor (of
            styles when a style is forgotten, of subjects when an object is), pooled over the targets. None if
            it has no classifier.
        cross_domain: CRA: on the same pictures, the accuracy of the other factors, pooled. None if there are
            none. With targets of both factors in one run, pooled IRA and CRA are one number: read them target
            by target.
        retain_accuracy_clip: RA by CLIP, zero-shot on the subject.
        frechet_distance: FD of retain pictures to the base model's train-level retain pictures.
        frechet_features: name and width of FD's feature extractor, with a warning if there were too few
            pictures.
        alignment_train: AS, mean CLIP cosine of picture and own prompt, train-level retain prompts.
        alignment_held_out: the same on held-out-level retain prompts.
        collateral: retain accuracy (all factors as asked) by level, worst loss first.
        sampling: how the pictures were drawn (steps, guidance, scheduler, seeds).
        earlier: UA of what earlier runs forgot, before and after this one: whether it came back.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    targets: tuple[TargetScores, ...]
    retain_accuracy: Change
    in_domain: Change | None
    cross_domain: Change | None
    retain_accuracy_clip: Change
    frechet_distance: Change
    frechet_features: str
    alignment_train: Change
    alignment_held_out: Change
    collateral: tuple[CollateralRow, ...]
    sampling: dict[str, str | int | float]
    earlier: tuple[TargetScores, ...] = ()


class Condition(BaseModel):
    """One threshold of the gate and how it was met."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    rule: str
    measured: str
    passed: bool


class GateDecision(BaseModel):
    """Whether the unlearned model may become champion. Missing evidence means no."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    passed: bool
    conditions: tuple[Condition, ...]
