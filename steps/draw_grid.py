"""Draw the base model's pictures over the whole prompt grid, on one side of its wordings."""

from typing import Annotated

from pydantic import TypeAdapter
from zenml import step

from expunge import datasets
from expunge.datasets import DrawingSettings
from expunge.models.picture_set import PictureSet
from expunge.models.stable_diffusion import StableDiffusion
from expunge.prompts.grid import Side
from expunge.prompts.sources import load_prompt_grid


@step
def draw_grid(
    model: StableDiffusion, prompt_grid: str, side: str, per_stratum: int, seed: int, drawing: DrawingSettings
) -> Annotated[PictureSet, "grid_pictures"]:
    """Balanced over strata, independent of any target: a second takedown on the same base takes it from the cache.

    Args:
        side: ``train`` or ``held_out``; typed ``str`` because ZenML 0.98 takes no ``Literal`` from a dynamic pipeline.
    """
    checked = TypeAdapter(Side).validate_python(side)
    return datasets.draw_grid(model, load_prompt_grid(prompt_grid), checked, per_stratum, seed, drawing)
