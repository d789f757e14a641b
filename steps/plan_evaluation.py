"""Say what is to be drawn, shard by shard."""

from typing import Annotated

from zenml import step

import materializers  # noqa: F401
from expunge.evaluation import plan
from expunge.evaluation.plan import Shard
from expunge.evaluation.profile import EvaluationProfile
from expunge.prompts.load_world import load_world
from expunge.prompts.named_targets import read_targets


@step
def plan_evaluation(targets: list[str], world: str, profile: EvaluationProfile) -> Annotated[list[Shard], "shards"]:
    """Prompts and seeds over the whole world and for each target; the same for every model."""
    world = load_world(world)
    return plan.plan_evaluation(read_targets(targets, world), world, profile)
