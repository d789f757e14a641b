"""Unlearn the targets."""

from typing import Annotated

import pandas as pd
from zenml import step

from expunge.datasets import DrawingSettings
from expunge.metrics.judges import load_panel
from expunge.models.picture_set import PictureSet
from expunge.models.stable_diffusion import StableDiffusion
from expunge.prompts.sources import load_prompt_grid
from expunge.prompts.target import resolve_targets
from expunge.takedown.request import TakedownBatch
from expunge.unlearning.cache import GradientCache
from expunge.unlearning.job import CheckSettings
from expunge.unlearning.logged import unlearn_and_log
from expunge.unlearning.settings import UnlearnSettings


@step
def unlearn(
    model: StableDiffusion,
    forget: PictureSet,
    retain: PictureSet,
    cache: GradientCache,
    takedowns: TakedownBatch,
    prompt_grid: str,
    judges: str,
    settings: UnlearnSettings,
    check: CheckSettings,
    drawing: DrawingSettings,
) -> tuple[Annotated[StableDiffusion, "unlearned_model"], Annotated[pd.DataFrame, "trace"]]:
    """Losses and the gradients' cosine go to MLflow as it runs; a run that was cut off goes on from its checkpoint."""
    grid = load_prompt_grid(prompt_grid)
    targets = resolve_targets(takedowns, grid)
    unlearned, trace = unlearn_and_log(
        model, forget, retain, cache, targets, grid, load_panel(judges, grid), settings, check, drawing
    )
    return unlearned, trace.frame()
