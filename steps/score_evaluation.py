"""Turn what the judges said into numbers with intervals."""

from typing import Annotated

import pandas as pd
from zenml import step

import materializers  # noqa: F401
from expunge.evaluation.plan import Shard
from expunge.evaluation.profile import EvaluationProfile
from expunge.evaluation.result import EvaluationResult
from expunge.evaluation.score import Question, score
from expunge.judges.judged import JudgedPictures
from expunge.judges.load_panel import load_panel
from expunge.models.model_facts import ModelFacts
from expunge.prompts.load_world import load_world
from expunge.prompts.named_targets import read_targets


@step
def score_evaluation(
    model: ModelFacts,
    against: ModelFacts,
    shards: list[Shard],
    judged_before: list[JudgedPictures],
    judged_after: list[JudgedPictures],
    targets: list[str],
    world: str,
    judges: str,
    profile: EvaluationProfile,
) -> tuple[Annotated[EvaluationResult, "evaluation_result"], Annotated[pd.DataFrame, "evaluated_pictures"]]:
    """The numbers, and the verdicts on each picture that they rest on."""
    world = load_world(world)
    question = Question(model, against, tuple(read_targets(targets, world)), world, judges, profile)
    scores = score(question, shards, judged_before, judged_after, world, load_panel(judges, world))
    return scores.result, scores.pictures
