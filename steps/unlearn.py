"""Unlearn the targets."""

from typing import Annotated

import pandas as pd
from zenml import step

from expunge.judges.load_panel import load_panel
from expunge.models.stable_diffusion import StableDiffusion
from expunge.pictures.drawing import DrawingSettings
from expunge.pictures.picture_set import PictureSet
from expunge.prompts.load_world import load_world
from expunge.prompts.target import resolve_targets
from expunge.release.logged_unlearning import unlearn_and_log
from expunge.takedown.request import TakedownBatch
from expunge.unlearning.gradient_cache import GradientCache
from expunge.unlearning.job import CheckSettings
from expunge.unlearning.unlearn_settings import UnlearnSettings


@step
def unlearn(
    model: StableDiffusion,
    forget: PictureSet,
    retain: PictureSet,
    cache: GradientCache,
    takedowns: TakedownBatch,
    world: str,
    judges: str,
    settings: UnlearnSettings,
    check: CheckSettings,
    drawing: DrawingSettings,
) -> tuple[Annotated[StableDiffusion, "unlearned_model"], Annotated[pd.DataFrame, "trace"]]:
    """Losses and the gradients' cosine go to MLflow as it runs; a run that was cut off goes on from its checkpoint."""
    world = load_world(world)
    targets = resolve_targets(takedowns, world)
    unlearned, trace = unlearn_and_log(
        model, forget, retain, cache, targets, world, load_panel(judges, world), settings, check, drawing
    )
    return unlearned, trace.frame()
