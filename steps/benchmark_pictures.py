"""Draw the base model's pictures that all targets of a benchmark share."""

from typing import Annotated

from zenml import step

from expunge.benchmark import materials
from expunge.datasets import DiversificationSettings, DrawingSettings
from expunge.models.class_conditional import ClassConditional
from expunge.models.picture_set import PictureSet
from expunge.models.stable_diffusion import StableDiffusion
from expunge.prompts.sources import load_prompt_grid


@step
def benchmark_pictures(
    base: StableDiffusion | ClassConditional,
    prompt_grid: str,
    diversification: DiversificationSettings,
    drawing: DrawingSettings,
    evaluation_drawing: DrawingSettings,
    evaluation_seed: int,
    evaluation_pictures: int,
) -> tuple[
    Annotated[PictureSet, "pool"], Annotated[PictureSet, "held_out_pictures"], Annotated[PictureSet, "train_pictures"]
]:
    """The pool of retain sets, and what the evaluation compares with; given only what they depend on, so that other
    settings of a benchmark take them from the cache."""
    grid = load_prompt_grid(prompt_grid)
    pool, held_out, train = materials.draw_pictures(
        base, grid, diversification, drawing, evaluation_drawing, evaluation_seed, evaluation_pictures
    )
    return pool, held_out, train  # spelt out: ZenML counts the outputs here
