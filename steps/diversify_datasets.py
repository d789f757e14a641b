"""Make the forget and the retain set."""

from typing import Annotated

import pandas as pd
from zenml import step

from expunge.judges.load_panel import load_panel
from expunge.models.stable_diffusion import StableDiffusion
from expunge.pictures.drawing import DrawingSettings
from expunge.pictures.picture_set import PictureSet
from expunge.prompts.load_world import load_world
from expunge.prompts.target import resolve_forgotten, resolve_targets
from expunge.takedown.references import read_references
from expunge.takedown.request import TakedownBatch
from expunge.unlearning.diversification import DiversificationSettings, diversify


@step
def diversify_datasets(
    model: StableDiffusion,
    pool: PictureSet,
    takedowns: TakedownBatch,
    inbox: str,
    world: str,
    judges: str,
    settings: DiversificationSettings,
    drawing: DrawingSettings,
) -> tuple[
    Annotated[PictureSet, "forget_set"], Annotated[PictureSet, "retain_set"], Annotated[pd.DataFrame, "diversity"]
]:
    """Paired prompts, strata in balance, nearest neighbours among the retained, diversity measured."""
    world = load_world(world)
    targets, references = resolve_targets(takedowns, world), read_references(inbox, takedowns, model.size)
    forgotten, panel = resolve_forgotten(takedowns, world), load_panel(judges, world)
    sets = diversify(model, pool, targets, world, panel, settings, drawing, references, forgotten)
    return sets.forget, sets.retain, sets.facts
