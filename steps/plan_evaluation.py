"""Say what is to be drawn, shard by shard."""

from typing import Annotated

from zenml import step

from expunge.evaluation_service import plan
from expunge.evaluation_service.plan import Shard
from expunge.evaluation_service.profile import EvaluationProfile
from expunge.evaluation_service.targets import read_targets
from expunge.prompts.sources import load_prompt_grid


@step
def plan_evaluation(
    targets: list[str], prompt_grid: str, profile: EvaluationProfile
) -> Annotated[list[Shard], "shards"]:
    """Prompts and seeds over the whole grid and for each target; the same for every model."""
    grid = load_prompt_grid(prompt_grid)
    return plan.plan_evaluation(read_targets(targets, grid), grid, profile)
