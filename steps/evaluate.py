"""Measure the unlearned model against the base model."""

from typing import Annotated

from zenml import step

from expunge.datasets import DrawingSettings
from expunge.evaluation import Evaluation
from expunge.metrics.judges import load_panel
from expunge.metrics.model_evaluation import EvaluationSettings, evaluate_model
from expunge.models.picture_set import PictureSet
from expunge.models.stable_diffusion import StableDiffusion
from expunge.prompts.sources import load_prompt_grid
from expunge.prompts.target import resolve_forgotten, resolve_targets, still_asked
from expunge.takedown.request import TakedownBatch


@step
def evaluate(
    base: StableDiffusion,
    unlearned: StableDiffusion,
    base_held_out: PictureSet,
    base_train: PictureSet,
    takedowns: TakedownBatch,
    prompt_grid: str,
    judges: str,
    settings: EvaluationSettings,
    drawing: DrawingSettings,
) -> tuple[
    Annotated[Evaluation, "evaluation"],
    Annotated[PictureSet, "pictures_before"],
    Annotated[PictureSet, "pictures_after"],
]:
    """Same prompts and noise before and after, with intervals; what was forgotten before is asked for again."""
    grid = load_prompt_grid(prompt_grid)
    targets, panel = resolve_targets(takedowns, grid), load_panel(judges, grid)
    forgotten = resolve_forgotten(takedowns, grid)
    held_out, train = (
        pictures.where(lambda prompt: still_asked(prompt, targets, forgotten))
        for pictures in (base_held_out, base_train)
    )
    done = evaluate_model(base, unlearned, held_out, train, targets, grid, panel, settings, drawing, forgotten)
    return done.evaluation, done.before, done.after
