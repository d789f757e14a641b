"""From a base model and two picture sets to an unlearned model: what the pipeline's steps call."""

from dataclasses import dataclass, replace
from typing import TypeVar

from expunge.case import Case
from expunge.metrics.unlearning_accuracy import not_found
from expunge.models.text_to_image import TextToImage
from expunge.pictures.drawing import draw_with_own_seeds
from expunge.pictures.picture_set import PictureSet, concatenate
from expunge.prompts.pairing import forget_prompts
from expunge.unlearning.batches import LatentSets
from expunge.unlearning.encoding import encode
from expunge.unlearning.gradient_cache import GradientCache, cache_gradients
from expunge.unlearning.loop import Hooks, unlearn
from expunge.unlearning.problem import Objectives, Problem
from expunge.unlearning.trace import Trace
from expunge.unlearning.unlearn_settings import CheckSettings, ForgetSettings, GradientSettings, UnlearnSettings

Model = TypeVar("Model", bound=TextToImage)


def measure_gradients(
    model: TextToImage,
    forget: PictureSet,
    retain: PictureSet,
    settings: GradientSettings,
    forgetting: ForgetSettings,
) -> GradientCache:
    """Full gradients of the forget loss that unlearning will use, and of the retain (data) loss, at the base model."""
    objectives = forgetting.objectives()
    problem = Problem(
        model.to_train(forgetting.trained).denoiser,
        model,
        replace(objectives, alignment="data"),
        latent_sets(model, forget, retain, objectives),
        model.denoiser,
    )
    return cache_gradients(problem, settings, model.digest())


def latent_sets(model: TextToImage, forget: PictureSet, retain: PictureSet, objectives: Objectives) -> LatentSets:
    """Both sets, encoded. Where the forget loss learns from pictures of the anchors, those of the retain set are added
    to the forget set, under the sentences that ask for the target."""
    anchors = shown_anchors(forget, retain) if objectives.forget_loss.uses_anchors else None
    return LatentSets(encode(model, forget, anchors), encode(model, retain))


def shown_anchors(forget: PictureSet, retain: PictureSet) -> PictureSet:
    """Retained pictures of what is to be drawn in the target's place, under the sentences that ask for the target."""
    asking = {prompt.paired: prompt for prompt in forget.prompts}
    shown = retain.where(lambda prompt: prompt.text in asking)
    return replace(shown, prompts=tuple(asking[prompt.text] for prompt in shown.prompts))


@dataclass(frozen=True)
class TrainingSets:
    """What a run trains on.

    Attributes:
        forget: forget set.
        retain: retain set.
        cache: gradients of both at θ₀.
    """

    forget: PictureSet
    retain: PictureSet
    cache: GradientCache


def unlearn_model(
    model: Model,
    sets: TrainingSets,
    case: Case,
    settings: UnlearnSettings,
    check: CheckSettings,
    hooks: Hooks = Hooks(),  # noqa: B008
) -> tuple[Model, Trace]:
    """Unlearn the case's targets. The given model is left as it is.

    Returns:
        The unlearned model and the trace of its training.
    """
    unlearned = model.to_train(settings.trained)
    drawing = case.drawing.model_copy(update={"steps": min(check.steps, case.drawing.steps)})
    looked = case.limited(concatenate([sets.forget, sets.retain])).drawn_with(drawing)
    hooks = replace(hooks, is_forgotten=lambda: least_forgotten(unlearned, looked, check.pictures, settings.seed))
    trace = unlearn(
        unlearned.denoiser,
        model,
        latent_sets(model, sets.forget, sets.retain, settings.objectives()),
        settings,
        sets.cache,
        replace(hooks, original=model.denoiser),
    )
    return unlearned.trained(model), trace


def least_forgotten(model: TextToImage, case: Case, pictures: int, seed: int) -> float:
    """UA of the target that is forgotten least, on train-level prompts: a share, 0–1."""
    shares = []
    for target in case.targets:
        prompts = forget_prompts(target, case.world, "train", pictures, seed)
        drawn = draw_with_own_seeds(model, prompts, f"check/{target.name}", case.drawing, "")
        recognised = case.panel().classifiers[target.factor].recognise(drawn.pictures)
        shares.append(float(not_found(target, recognised).mean()))
    return min(shares)
