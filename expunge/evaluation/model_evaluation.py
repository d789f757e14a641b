"""Evaluate a model against the one it was: draw what is missing, then measure."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from expunge.case import Case
from expunge.evaluation.evaluation import Evaluation, TargetScores
from expunge.evaluation.score_judged import evaluate_pictures
from expunge.judges.judged import judge_pictures
from expunge.judges.panel import Panel
from expunge.metrics.unlearning_accuracy import accuracies_by_both
from expunge.models.text_to_image import TextToImage
from expunge.pictures.drawing import DrawingSettings, draw_over_world, draw_prompts, draw_with_own_seeds
from expunge.pictures.picture_set import PictureSet, concatenate
from expunge.prompts.pairing import forget_prompts
from expunge.prompts.target import Target
from expunge.prompts.world import World
from expunge.settings import Settings


class EvaluationSettings(Settings):
    """Sample sizes of the evaluation; intervals shrink with their root."""

    held_out_per_stratum: int = Field(default=2, ge=1, le=64, description="pictures of each subject and style")
    target_pictures: int = Field(default=72, ge=1, le=100_000, description="pictures of each target, at least")
    earlier_pictures: int = Field(
        default=40, ge=1, le=100_000, description="pictures of each target that earlier runs forgot"
    )
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
    world: World,
    panel: Panel,
    settings: EvaluationSettings,
    drawing: DrawingSettings,
    earlier: Sequence[Target] = (),
) -> EvaluatedPictures:
    """Draw the unlearned model's pictures, top up those of each target, and score them.

    Args:
        base: the model as it was.
        unlearned: the model as it is.
        base_held_out: the base model's pictures over the whole world, held-out side.
        base_train: the same on the train side.
        targets: what was to be forgotten.
        world: what the models draw.
        panel: judges.
        settings: sample sizes.
        drawing: how pictures are drawn; the same before and after.
        earlier: what earlier runs forgot; it is asked for again, because another run can bring it back.
    """
    extra = _extra_target_pictures(base, base_held_out, targets, world, settings, drawing)
    before = concatenate([base_held_out, *extra])
    train_before = base_train.where(lambda prompt: not any(target.matches(prompt) for target in targets))
    after, train_after = (
        draw_prompts(unlearned, each.prompts, each.seeds, drawing, label)
        for each, label in ((before, "Drawing held-out prompts"), (train_before, "Drawing train prompts"))
    )
    sampling = {"sampler": base.sampling(), **drawing.model_dump(), "seed": settings.seed}
    evaluation = evaluate_pictures(
        list(targets), world, panel, before, after, train_before, train_after, train_before, sampling, settings.seed
    )
    again = tuple(_asked_again(base, unlearned, each, world, panel, settings, drawing) for each in earlier)
    return EvaluatedPictures(evaluation.model_copy(update={"earlier": again}), before, after)


def _asked_again(
    base: TextToImage,
    unlearned: TextToImage,
    target: Target,
    world: World,
    panel: Panel,
    settings: EvaluationSettings,
    drawing: DrawingSettings,
) -> TargetScores:
    prompts = forget_prompts(target, world, "held_out", settings.earlier_pictures, settings.seed + 1)
    salt = f"{settings.seed}/earlier/{target.name}"
    was, now = (
        judge_pictures(draw_with_own_seeds(model, prompts, salt, drawing, f"Asking again for {target.name}"), panel)
        for model in (base, unlearned)
    )
    was, now = (each.seen_by_clip(panel, world, [target.factor]) for each in (was, now))
    by_classifier, by_clip = accuracies_by_both(target, was, now)
    return TargetScores(
        request_id=target.request_id,
        name=target.name,
        kind=target.kind.value,
        numbers={"unlearning_accuracy": by_classifier, "unlearning_accuracy_clip": by_clip},
    )


def _extra_target_pictures(
    base: TextToImage,
    known: PictureSet,
    targets: Sequence[Target],
    world: World,
    settings: EvaluationSettings,
    drawing: DrawingSettings,
) -> list[PictureSet]:
    extra = []
    for target in targets:
        missing = settings.target_pictures - len(known.where(target.matches))
        if missing > 0:
            prompts = forget_prompts(target, world, "held_out", missing, settings.seed + 1)
            salt = f"{settings.seed}/target/{target.name}"
            extra.append(draw_with_own_seeds(base, prompts, salt, drawing, f"Drawing before: {target.name}"))
    return extra


def evaluate_case(
    base: TextToImage, unlearned: TextToImage, pool: PictureSet, case: Case, settings: EvaluationSettings
) -> EvaluatedPictures:
    """``evaluate_model`` of a run's case: of what was forgotten before, only whether it came back is measured.

    Args:
        pool: the base model's pictures over the whole world, train side.
    """
    held_out = draw_over_world(
        base, case.world, "held_out", settings.held_out_per_stratum, settings.seed, case.drawing
    ).where(case.is_measured)
    return evaluate_model(
        base,
        unlearned,
        held_out,
        pool.where(case.is_measured),
        case.targets,
        case.world,
        case.panel(),
        settings,
        case.drawing,
        case.forgotten,
    )
