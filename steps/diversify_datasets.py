"""Make the forget and the retain set."""

from typing import Annotated

import pandas as pd
from zenml import step

from expunge.datasets import DiversificationSettings, DrawingSettings, diversify
from expunge.metrics.judges import load_panel
from expunge.models.picture_set import PictureSet
from expunge.models.stable_diffusion import StableDiffusion
from expunge.prompts.sources import load_prompt_grid
from expunge.prompts.target import resolve_forgotten, resolve_targets
from expunge.takedown.references import read_references
from expunge.takedown.request import TakedownBatch


@step
def diversify_datasets(
    model: StableDiffusion,
    pool: PictureSet,
    takedowns: TakedownBatch,
    inbox: str,
    prompt_grid: str,
    judges: str,
    settings: DiversificationSettings,
    drawing: DrawingSettings,
) -> tuple[
    Annotated[PictureSet, "forget_set"], Annotated[PictureSet, "retain_set"], Annotated[pd.DataFrame, "diversity"]
]:
    """Paired prompts, strata in balance, nearest neighbours among the retained, diversity measured."""
    grid = load_prompt_grid(prompt_grid)
    targets, references = resolve_targets(takedowns, grid), read_references(inbox, takedowns, model.size)
    forgotten, panel = resolve_forgotten(takedowns, grid), load_panel(judges, grid)
    sets = diversify(model, pool, targets, grid, panel, settings, drawing, references, forgotten)
    return sets.forget, sets.retain, sets.facts
