"""Measure the unlearned model against the base model."""

from typing import Annotated

from zenml import step

import materializers  # noqa: F401
from expunge.case import Case
from expunge.evaluation import evaluator
from expunge.evaluation.evaluation import Evaluation
from expunge.evaluation.evaluation_settings import EvaluationSettings
from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_set import PictureSet
from expunge.pictures.picture_store import PictureStore
from steps.caching import BY_CODE


@step(cache_policy=BY_CODE)
def evaluate(
    base: TextToImage, unlearned: TextToImage, case: Case, settings: EvaluationSettings
) -> tuple[
    Annotated[Evaluation, "evaluation"],
    Annotated[PictureSet, "pictures_before"],
    Annotated[PictureSet, "pictures_after"],
]:
    """Same prompts and noise before and after, with intervals; what was forgotten before is asked for again."""
    done = evaluator.evaluate(unlearned, base, case, settings, PictureStore())
    return done.evaluation, done.before(), done.after()
