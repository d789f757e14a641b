"""Draw the base model's pictures that the retain sets of all targets of a benchmark are made of."""

from typing import Annotated

from zenml import step

import materializers  # noqa: F401
from expunge.benchmark.materials import draw_pool
from expunge.models.adapter import ModelAdapter
from expunge.pictures.drawing import DrawingSettings
from expunge.pictures.picture_set import PictureSet
from expunge.prompts.load_world import load_world
from expunge.unlearning.diversification import DiversificationSettings


@step
def benchmark_pool(
    base: ModelAdapter,
    world: str,
    diversification: DiversificationSettings,
    drawing: DrawingSettings,
) -> Annotated[PictureSet, "pool"]:
    """Given only what it depends on, so that other settings of a benchmark take it from the cache."""
    return draw_pool(base, load_world(world), diversification, drawing)
