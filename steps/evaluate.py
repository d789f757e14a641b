"""Measure the unlearned model against the base model."""

from typing import Annotated

from zenml import step

import materializers  # noqa: F401
from expunge.case import Case
from expunge.evaluation.evaluation import Evaluation
from expunge.evaluation.model_evaluation import EvaluationSettings, evaluate_case
from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_set import PictureSet
from steps.caching import BY_CODE


@step(cache_policy=BY_CODE)
def evaluate(
    base: TextToImage, unlearned: TextToImage, pool: PictureSet, case: Case, settings: EvaluationSettings
) -> tuple[
    Annotated[Evaluation, "evaluation"],
    Annotated[PictureSet, "pictures_before"],
    Annotated[PictureSet, "pictures_after"],
]:
    """Same prompts and noise before and after, with intervals; what was forgotten before is asked for again."""
    done = evaluate_case(base, unlearned, pool, case, settings)
    return done.evaluation, done.before, done.after
