"""Measure the unlearned model against the base model."""

from typing import Annotated

from zenml import step

from expunge.evaluation.evaluation import Evaluation
from expunge.evaluation.model_evaluation import EvaluationSettings, evaluate_model
from expunge.judges.load_panel import load_panel
from expunge.models.stable_diffusion import StableDiffusion
from expunge.pictures.drawing import DrawingSettings
from expunge.pictures.picture_set import PictureSet
from expunge.prompts.load_world import load_world
from expunge.prompts.target import resolve_forgotten, resolve_targets, still_asked
from expunge.takedown.request import TakedownBatch


@step
def evaluate(
    base: StableDiffusion,
    unlearned: StableDiffusion,
    base_held_out: PictureSet,
    base_train: PictureSet,
    takedowns: TakedownBatch,
    world: str,
    judges: str,
    settings: EvaluationSettings,
    drawing: DrawingSettings,
) -> tuple[
    Annotated[Evaluation, "evaluation"],
    Annotated[PictureSet, "pictures_before"],
    Annotated[PictureSet, "pictures_after"],
]:
    """Same prompts and noise before and after, with intervals; what was forgotten before is asked for again."""
    world = load_world(world)
    targets, panel = resolve_targets(takedowns, world), load_panel(judges, world)
    forgotten = resolve_forgotten(takedowns, world)
    held_out, train = (
        pictures.where(lambda prompt: still_asked(prompt, targets, forgotten))
        for pictures in (base_held_out, base_train)
    )
    done = evaluate_model(base, unlearned, held_out, train, targets, world, panel, settings, drawing, forgotten)
    return done.evaluation, done.before, done.after
