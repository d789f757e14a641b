"""From a base model and two picture sets to an unlearned model: what the pipeline's steps call."""

import copy
from dataclasses import dataclass, replace
from typing import TypeVar

from expunge.case import Case
from expunge.metrics.unlearning_accuracy import not_found
from expunge.models.text_to_image import TextToImage
from expunge.pictures.drawing import draw_with_own_seeds
from expunge.pictures.picture_set import PictureSet
from expunge.prompts.pairing import forget_prompts
from expunge.unlearning.batches import LatentSets
from expunge.unlearning.encoding import encode
from expunge.unlearning.gradient_cache import GradientCache, cache_gradients
from expunge.unlearning.loop import Hooks, unlearn
from expunge.unlearning.problem import Objectives, Problem
from expunge.unlearning.trace import Trace
from expunge.unlearning.unlearn_settings import CheckSettings, GradientSettings, UnlearnSettings

Model = TypeVar("Model", bound=TextToImage)


def measure_gradients(
    model: TextToImage,
    forget: PictureSet,
    retain: PictureSet,
    settings: GradientSettings,
    forget_threshold: float,
) -> GradientCache:
    """Full gradients of both objectives at the base model; ``forget_threshold`` is the τ that unlearning will use."""
    trained = copy.deepcopy(model.denoiser).requires_grad_(True)
    sets = LatentSets(encode(model, forget), encode(model, retain))
    problem = Problem(trained, model, Objectives(forget_threshold=forget_threshold), sets)
    return cache_gradients(problem, settings, model.digest())


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
    unlearned = model.with_own_denoiser()
    unlearned.denoiser.requires_grad_(True)
    looked = case.drawn_with(case.drawing.model_copy(update={"steps": min(check.steps, case.drawing.steps)}))
    trace = unlearn(
        unlearned.denoiser,
        model,
        LatentSets(encode(model, sets.forget), encode(model, sets.retain)),
        settings,
        sets.cache,
        replace(hooks, is_forgotten=lambda: least_forgotten(unlearned, looked, check.pictures, settings.seed)),
    )
    unlearned.denoiser.requires_grad_(False)
    return unlearned, trace


def least_forgotten(model: TextToImage, case: Case, pictures: int, seed: int) -> float:
    """UA of the target that is forgotten least, on train-level prompts: a share, 0–1."""
    shares = []
    for target in case.targets:
        prompts = forget_prompts(target, case.world, "train", pictures, seed)
        drawn = draw_with_own_seeds(model, prompts, f"check/{target.name}", case.drawing, "")
        recognised = case.panel().classifiers[target.factor].recognise(drawn.pictures)
        shares.append(float(not_found(target, recognised).mean()))
    return min(shares)
