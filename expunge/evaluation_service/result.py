"""What an evaluation found, as it is stored: ``evaluation.json``."""

from pydantic import BaseModel, ConfigDict

from expunge.evaluation import Change, Evaluation
from expunge.evaluation_service.models import ModelFacts
from expunge.evaluation_service.profile import EvaluationProfile
from expunge.prompts.target import Target


class WordingScores(BaseModel):
    """UA of one target when it is asked for in one other way. Shares, 0–1.

    Attributes:
        target: ``KIND:NAME``.
        group: of ``expunge.prompts.variants.WORDINGS``.
        example: one of its prompts.
        unlearning_accuracy: by the independent classifier; None where the grid offers no such wording.
        unlearning_accuracy_clip: by CLIP, zero-shot; None with it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    target: str
    group: str
    example: str
    unlearning_accuracy: Change | None
    unlearning_accuracy_clip: Change | None


class EvaluationResult(BaseModel):
    """All numbers of one evaluation and what they rest on. The same inputs give the same result, to the bit.

    Attributes:
        model: what was measured.
        against: what it was measured against: "before" in every number.
        targets: what should have been forgotten; may be none.
        evaluation: UA of each target, retention and quality.
        wordings: UA by wording group, for each target.
        warnings: what makes the numbers mean less than they seem to.
        prompt_grid: name of the grid.
        judges: name of the panel.
        profile: sample sizes, seed and drawing settings.
        prompts_digest: SHA-256 of all prompts and seeds.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    model: ModelFacts
    against: ModelFacts
    targets: tuple[Target, ...]
    evaluation: Evaluation
    wordings: tuple[WordingScores, ...]
    warnings: tuple[str, ...]
    prompt_grid: str
    judges: str
    profile: EvaluationProfile
    prompts_digest: str
