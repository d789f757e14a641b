"""Turn what the judges said into numbers with intervals."""

from typing import Annotated

import pandas as pd
from zenml import step

from expunge.evaluation_service.models import ModelFacts
from expunge.evaluation_service.plan import Shard
from expunge.evaluation_service.profile import EvaluationProfile
from expunge.evaluation_service.result import EvaluationResult
from expunge.evaluation_service.score import Question, score
from expunge.evaluation_service.targets import read_targets
from expunge.metrics.judged import JudgedPictures
from expunge.metrics.judges import load_panel
from expunge.prompts.sources import load_prompt_grid


@step
def score_evaluation(
    model: ModelFacts,
    against: ModelFacts,
    shards: list[Shard],
    judged_before: list[JudgedPictures],
    judged_after: list[JudgedPictures],
    targets: list[str],
    prompt_grid: str,
    judges: str,
    profile: EvaluationProfile,
) -> tuple[Annotated[EvaluationResult, "evaluation_result"], Annotated[pd.DataFrame, "evaluated_pictures"]]:
    """The numbers, and the verdicts on each picture that they rest on."""
    grid = load_prompt_grid(prompt_grid)
    question = Question(model, against, tuple(read_targets(targets, grid)), prompt_grid, judges, profile)
    scores = score(question, shards, judged_before, judged_after, grid, load_panel(judges, grid))
    return scores.result, scores.pictures
