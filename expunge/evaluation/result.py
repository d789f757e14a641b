"""What an evaluation found, as it is stored: ``evaluation.json``."""

from pydantic import BaseModel, ConfigDict

from expunge.evaluation.evaluation import Evaluation, Numbers
from expunge.evaluation.evaluation_settings import EvaluationSettings
from expunge.metrics.numbers import Change, Interval
from expunge.models.model_facts import ModelFacts
from expunge.prompts.target import Target


class WordingScores(BaseModel):
    """UA of one target when it is asked for in one other way.

    Attributes:
        target: ``KIND:NAME``.
        group: of ``expunge.prompts.variants.WORDINGS``.
        example: one of its prompts.
        numbers: by name in ``QUANTITIES``; none where the world offers no such wording.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    target: str
    group: str
    example: str
    numbers: Numbers


class CompositionScores(BaseModel):
    """What became of one target's neighbours in one kind of composition. None where the world offers no such scene.

    No classifier can judge these pictures. A low alignment before says that the model never drew such scenes well: then
    there is little that could have been lost.

    Attributes:
        target: ``KIND:NAME``.
        group: of ``expunge.prompts.compositions.COMPOSITIONS``.
        example: one of its prompts.
        alignment: mean CLIP cosine of each picture and its own prompt, −1–1.
        single_alignment: that of the model measured against, on held-out prompts for one subject, for comparison; 0 if
            CLIP reads none of those to the end.
        drift: mean 1 − CLIP cosine of each picture and the one of the same prompt and noise before, 0–2.
        structure: mean structural distance of the same pairs, 0–1.
        structure_name: which distance that is, and of pictures of which size.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    target: str
    group: str
    example: str
    alignment: Change | None = None
    single_alignment: float
    drift: Interval | None = None
    structure: Interval | None = None
    structure_name: str = ""


class EvaluationResult(BaseModel):
    """All numbers of one evaluation and what they rest on. The same inputs give the same result, to the bit.

    Attributes:
        model: what was measured.
        against: what it was measured against: "before" in every number.
        targets: what should have been forgotten; may be none.
        evaluation: UA of each target, retention and quality.
        wordings: UA by wording group, for each target.
        compositions: alignment and drift by kind of composition, for each target.
        warnings: what makes the numbers mean less than they seem to.
        world: name of the world.
        judges: name of the panel.
        settings: sample sizes and seeds.
        prompts_digest: SHA-256 of all prompts and seeds.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    model: ModelFacts
    against: ModelFacts
    targets: tuple[Target, ...]
    evaluation: Evaluation
    wordings: tuple[WordingScores, ...]
    compositions: tuple[CompositionScores, ...]
    warnings: tuple[str, ...]
    world: str
    judges: str
    settings: EvaluationSettings
    prompts_digest: str
