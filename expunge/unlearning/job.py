"""From a base model and two picture sets to an unlearned model: what the pipeline's steps call."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from expunge.case import Case
from expunge.metrics.unlearning_accuracy import not_found
from expunge.models.text_to_image import TextToImage
from expunge.pictures.drawing import draw_with_own_seeds
from expunge.pictures.picture_set import PictureSet
from expunge.prompts.pairing import forget_prompts
from expunge.unlearning.encoding import encode
from expunge.unlearning.gradient_cache import GradientCache, cache_gradients
from expunge.unlearning.loop import unlearn
from expunge.unlearning.safeguard import Probe, make_probe
from expunge.unlearning.trace import Trace, TraceRow
from expunge.unlearning.unlearn_settings import CheckSettings, GradientSettings, UnlearnSettings

Model = TypeVar("Model", bound=TextToImage)
PROBE_SIZE = 32  # pictures of each side on which the safeguard measures a step


def measure_gradients(
    model: TextToImage,
    forget: PictureSet,
    retain: PictureSet,
    settings: GradientSettings,
    forget_threshold: float,
) -> GradientCache:
    """Full gradients of both objectives at the base model; ``forget_threshold`` is the τ that unlearning will use."""
    trained = copy.deepcopy(model.denoiser).requires_grad_(True)
    sets = (encode(model, each) for each in (forget, retain))
    return cache_gradients(
        trained,
        model,
        *sets,
        model_hash=model.digest(),
        forget_threshold=forget_threshold,
        **settings.model_dump(),
    )


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


@dataclass(frozen=True)
class Hooks:
    """Who is told of each step, and where checkpoints are kept; an unfinished run found there goes on."""

    on_step: Callable[[TraceRow], None] | None = None
    checkpoint_folder: Path | None = None


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
        encode(model, sets.forget),
        encode(model, sets.retain),
        settings,
        sets.cache,
        probe=probe_of(model, sets.forget, sets.retain, settings.seed) if settings.safeguard else None,
        is_forgotten=lambda: least_forgotten(unlearned, looked, check.pictures, settings.seed),
        on_step=hooks.on_step,
        checkpoint_folder=hooks.checkpoint_folder,
    )
    unlearned.denoiser.requires_grad_(False)
    return unlearned, trace


def probe_of(model: TextToImage, forget: PictureSet, retain: PictureSet, seed: int) -> Probe:
    """Up to ``PROBE_SIZE`` pictures of each set, spread over it, with noise and its levels of their own."""
    sides = []
    for pictures in (forget, retain):
        chosen = np.linspace(0, len(pictures) - 1, min(PROBE_SIZE, len(pictures))).astype(int)
        sides.append(encode(model, pictures.select(chosen.tolist())))
    return make_probe(*sides, levels=model.levels, seed=seed + 1)


def least_forgotten(model: TextToImage, case: Case, pictures: int, seed: int) -> float:
    """UA of the target that is forgotten least, on train-level prompts: a share, 0–1."""
    shares = []
    for target in case.targets:
        prompts = forget_prompts(target, case.world, "train", pictures, seed)
        drawn = draw_with_own_seeds(model, prompts, f"check/{target.name}", case.drawing, "")
        recognised = case.panel().classifiers[target.factor].recognise(drawn.pictures)
        shares.append(float(not_found(target, recognised).mean()))
    return min(shares)
