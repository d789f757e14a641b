"""What an evaluation found, as it is stored: ``evaluation.json``."""

from pydantic import BaseModel, ConfigDict

from expunge.evaluation.evaluation import Evaluation
from expunge.evaluation.profile import EvaluationProfile
from expunge.evaluation.quality import QualityScores
from expunge.metrics.numbers import Change, Interval
from expunge.models.model_facts import ModelFacts
from expunge.prompts.target import Target


class WordingScores(BaseModel):
    """UA of one target when it is asked for in one other way. Shares, 0–1.

    Attributes:
        target: ``KIND:NAME``.
        group: of ``expunge.prompts.variants.WORDINGS``.
        example: one of its prompts.
        unlearning_accuracy: by the independent classifier; None where the world offers no such wording.
        unlearning_accuracy_clip: by CLIP, zero-shot; None with it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    target: str
    group: str
    example: str
    unlearning_accuracy: Change | None
    unlearning_accuracy_clip: Change | None


class CompositionScores(BaseModel):
    """What became of one target's neighbours in one kind of composition. None where the world offers no such scene.

    No classifier can judge these pictures. A low alignment before says that the model never drew such scenes well: then
    there is little that could have been lost.

    Attributes:
        target: ``KIND:NAME``.
        group: of ``expunge.prompts.compositions.COMPOSITIONS``.
        example: one of its prompts.
        alignment: mean CLIP cosine of each picture and its own prompt, −1–1.
        single_alignment: that of the model measured against, on held-out prompts for one subject, for comparison.
        drift: mean 1 − CLIP cosine of each picture and the one of the same prompt and noise before, 0–2.
        structure: mean structural distance of the same pairs, 0–1.
        structure_name: which distance that is, and of pictures of which size.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    target: str
    group: str
    example: str
    alignment: Change | None
    single_alignment: float
    drift: Interval | None
    structure: Interval | None
    structure_name: str


class EvaluationResult(BaseModel):
    """All numbers of one evaluation and what they rest on. The same inputs give the same result, to the bit.

    Attributes:
        model: what was measured.
        against: what it was measured against: "before" in every number.
        targets: what should have been forgotten; may be none.
        evaluation: UA of each target, retention and quality.
        wordings: UA by wording group, for each target.
        quality: distances between sets of pictures, and each retained picture against its own before; None where there
            are too few pictures for them.
        compositions: alignment and drift by kind of composition, for each target.
        warnings: what makes the numbers mean less than they seem to.
        world: name of the world.
        judges: name of the panel.
        profile: sample sizes, seed and drawing settings.
        prompts_digest: SHA-256 of all prompts and seeds.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    model: ModelFacts
    against: ModelFacts
    targets: tuple[Target, ...]
    evaluation: Evaluation
    quality: QualityScores | None
    wordings: tuple[WordingScores, ...]
    compositions: tuple[CompositionScores, ...]
    warnings: tuple[str, ...]
    world: str
    judges: str
    profile: EvaluationProfile
    prompts_digest: str
