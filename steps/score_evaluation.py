"""Turn what the judges said into numbers with intervals."""

from typing import Annotated

import pandas as pd
from zenml import step

import materializers  # noqa: F401
from expunge.case import Case
from expunge.evaluation.evaluation_settings import EvaluationSettings
from expunge.evaluation.result import EvaluationResult
from expunge.evaluation.score import Judged, score
from expunge.judges.judged import JudgedPictures
from expunge.models.model_facts import ModelFacts
from expunge.pictures.shards import Shard
from steps.caching import BY_CODE


@step(cache_policy=BY_CODE)
def score_evaluation(
    case: Case,
    settings: EvaluationSettings,
    models: list[ModelFacts],
    shards: list[Shard],
    judged_before: list[JudgedPictures],
    judged_after: list[JudgedPictures],
    cut_off: list[str],
) -> tuple[Annotated[EvaluationResult, "evaluation_result"], Annotated[pd.DataFrame, "evaluated_pictures"]]:
    """The numbers, and the verdicts on each picture that they rest on.

    Args:
        models: what was measured, and what it was measured against.
        cut_off: warnings about prompts that were not read whole.
    """
    scores = score(case, settings, Judged(shards, judged_before, judged_after), *models)
    return scores.warned(cut_off).result, scores.pictures
