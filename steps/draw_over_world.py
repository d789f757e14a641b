"""Draw the base model's pictures over the whole world, on one side of its wordings."""

from typing import Annotated

from pydantic import TypeAdapter
from zenml import step

from expunge.models.stable_diffusion import StableDiffusion
from expunge.pictures.drawing import DrawingSettings
from expunge.pictures.picture_set import PictureSet
from expunge.prompts.load_world import load_world
from expunge.prompts.world import Side
from expunge.unlearning import diversification as datasets


@step
def draw_over_world(
    model: StableDiffusion, world: str, side: str, per_stratum: int, seed: int, drawing: DrawingSettings
) -> Annotated[PictureSet, "world_pictures"]:
    """Balanced over strata, independent of any target: a second takedown on the same base takes it from the cache.

    Args:
        side: ``train`` or ``held_out``; typed ``str`` because ZenML 0.98 takes no ``Literal`` from a dynamic pipeline.
    """
    checked = TypeAdapter(Side).validate_python(side)
    return datasets.draw_over_world(model, load_world(world), checked, per_stratum, seed, drawing)
