"""Say what is to be drawn, shard by shard."""

from typing import Annotated

from zenml import step

import materializers  # noqa: F401
from expunge.case import Case
from expunge.evaluation import plan
from expunge.evaluation.evaluation_settings import EvaluationSettings
from expunge.evaluation.evaluator import check_sizes
from expunge.evaluation.readable import check_readable
from expunge.models.text_to_image import TextToImage
from expunge.pictures.shards import Shard
from steps.caching import BY_CODE


@step(cache_policy=BY_CODE)
def plan_evaluation(
    model: TextToImage, against: TextToImage, case: Case, settings: EvaluationSettings
) -> tuple[Annotated[list[Shard], "shards"], Annotated[list[Shard], "paired"], Annotated[list[str], "cut_off"]]:
    """All shards, those that both models draw, and what the models do not read of them."""
    check_sizes(model, against)
    shards = plan.plan_evaluation(case, settings)
    warnings = check_readable([model, against], shards, case)
    return shards, plan.paired(shards), warnings
