"""Evaluate a model against the one it was: draw what is missing, then measure."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from expunge.datasets import DrawingSettings, draw_with_own_seeds
from expunge.evaluation import Evaluation
from expunge.metrics.evaluate import evaluate_pictures
from expunge.metrics.panel import Panel
from expunge.models.picture_set import PictureSet, concatenate
from expunge.models.text_to_image import TextToImage
from expunge.prompts.grid import PromptGrid
from expunge.prompts.pairing import forget_prompts
from expunge.prompts.target import Target
from expunge.settings import Settings


class EvaluationSettings(Settings):
    """Sample sizes of the evaluation; intervals shrink with their root."""

    held_out_per_stratum: int = Field(default=2, ge=1, le=64, description="pictures of each subject and style")
    target_pictures: int = Field(default=72, ge=1, le=100_000, description="pictures of each target, at least")
    seed: int = Field(default=1000, ge=0, description="of wordings and noise; another one than training uses")


@dataclass(frozen=True)
class EvaluatedPictures:
    """The numbers, and the held-out-level pictures that they rest on, same prompts and seeds before and after."""

    evaluation: Evaluation
    before: PictureSet
    after: PictureSet


def evaluate_model(
    base: TextToImage,
    unlearned: TextToImage,
    base_held_out: PictureSet,
    base_train: PictureSet,
    targets: Sequence[Target],
    grid: PromptGrid,
    panel: Panel,
    settings: EvaluationSettings,
    drawing: DrawingSettings,
) -> EvaluatedPictures:
    """Draw the unlearned model's pictures, top up those of each target, and score them.

    Args:
        base: the model as it was.
        unlearned: the model as it is.
        base_held_out: the base model's pictures over the whole grid, held-out side.
        base_train: the same on the train side.
        targets: what was to be forgotten.
        grid: what the models draw.
        panel: judges.
        settings: sample sizes.
        drawing: how pictures are drawn; the same before and after.
    """
    extra = _extra_target_pictures(base, base_held_out, targets, grid, settings, drawing)
    before = concatenate([base_held_out, *extra])
    train_before = base_train.where(lambda prompt: not any(target.matches(prompt) for target in targets))
    after, train_after = (
        unlearned.draw_prompts(each.prompts, each.seeds, progress=label, **drawing.model_dump())
        for each, label in ((before, "Drawing held-out prompts"), (train_before, "Drawing train prompts"))
    )
    sampling = {"sampler": base.sampling(), **drawing.model_dump(), "seed": settings.seed}
    evaluation = evaluate_pictures(
        list(targets), grid, panel, before, after, train_before, train_after, train_before, sampling, settings.seed
    )
    return EvaluatedPictures(evaluation, before, after)


def _extra_target_pictures(
    base: TextToImage,
    known: PictureSet,
    targets: Sequence[Target],
    grid: PromptGrid,
    settings: EvaluationSettings,
    drawing: DrawingSettings,
) -> list[PictureSet]:
    extra = []
    for target in targets:
        missing = settings.target_pictures - len(known.where(target.matches))
        if missing > 0:
            prompts = forget_prompts(target, grid, "held_out", missing, settings.seed + 1)
            salt = f"{settings.seed}/target/{target.name}"
            extra.append(draw_with_own_seeds(base, prompts, salt, drawing, f"Drawing before: {target.name}"))
    return extra
