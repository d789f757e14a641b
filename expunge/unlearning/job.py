"""From a base model and two picture sets to an unlearned model: what the pipeline's steps call."""

from dataclasses import replace
from typing import TypeVar

from torch import nn

from expunge.case import Case
from expunge.metrics.unlearning_accuracy import not_found
from expunge.models.aside import encoders_aside
from expunge.models.text_to_image import TextToImage
from expunge.models.trained_part import TrainedSettings
from expunge.pictures.drawing import draw_prompts, own_seeds
from expunge.pictures.picture_set import PictureSet, concatenate
from expunge.prompts.pairing import forget_prompts
from expunge.unlearning.batches import LatentSets
from expunge.unlearning.encoding import encode
from expunge.unlearning.gradient_cache import GradientCache, cache_gradients
from expunge.unlearning.loop import Hooks, unlearn
from expunge.unlearning.problem import Objectives, Problem
from expunge.unlearning.ranks import ALONE, Ranks
from expunge.unlearning.sharding import shard
from expunge.unlearning.trace import Trace
from expunge.unlearning.training_sets import TrainingSets
from expunge.unlearning.unlearn_settings import CheckSettings, ForgetSettings, GradientSettings, UnlearnSettings

Model = TypeVar("Model", bound=TextToImage)


def measure_gradients(
    model: TextToImage,
    sets: TrainingSets,
    settings: GradientSettings,
    forgetting: ForgetSettings,
    ranks: Ranks = ALONE,
) -> GradientCache:
    """Full gradients of the forget loss that unlearning will use, and of the retain (data) loss, at the base model."""
    objectives, key = forgetting.objectives(), model.digest() + (sets.first.digest() if sets.first else "")
    twin = _sharded(model, forgetting.trained, ranks) if ranks.sharded else model.to_train(forgetting.trained, False)
    encoded, original = latent_sets(twin, sets.forget, sets.retain, objectives), sets.original(twin.denoiser, ranks)
    return cache_gradients(
        Problem(twin.denoiser, twin, objectives, encoded, original or twin.denoiser, ranks), settings, key, ranks.first
    )


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
    unlearned, trace = train(model, sets, case, settings, check, hooks)
    return unlearned.trained(model), trace


def train(
    model: Model, sets: TrainingSets, case: Case, settings: UnlearnSettings, check: CheckSettings, hooks: Hooks
) -> tuple[Model, Trace]:
    """As `unlearn_model`, by the processes of the hooks together. Sharded, both denoisers are cut into shards, and the
    given model is where it was, so that no process ever holds a whole denoiser where it computes.

    Returns:
        The twin whose denoiser was trained, and the trace.
    """
    twin, own = twin_of(model, settings.trained, hooks.ranks)
    original = sets.original(twin.denoiser, hooks.ranks) or own
    drawing = case.drawing.model_copy(update={"steps": min(check.steps, case.drawing.steps)})
    looked = case.limited(concatenate([sets.forget, sets.retain])).drawn_with(drawing)
    encoded = latent_sets(twin, sets.forget, sets.retain, settings.objectives())
    with encoders_aside(twin, str(twin.device)) as send_back:

        def share() -> float:
            found = least_forgotten(twin, looked, check.pictures, settings.seed, hooks.ranks)
            send_back()
            return found

        hooks = replace(hooks, is_forgotten=share, original=original)
        return twin, unlearn(twin.denoiser, twin, encoded, settings, sets.cache, hooks)


def twin_of(model: Model, trained: TrainedSettings, ranks: Ranks) -> tuple[Model, nn.Module | None]:
    """The model to be trained, and the denoiser at θ₀ beside it; None: that is the trained one, its adapter off.

    Sharded, both are cut, and no process ever has more in memory of its own than its shards: until it is cut, either
    denoiser is what lies in the file that the model was read from.
    """
    if not ranks.sharded:
        return model.to_train(trained), model.denoiser
    twin = _sharded(model, trained, ranks)
    if trained.what == "lora":
        return twin, None
    shard(model.denoiser, ranks.device)
    return twin, model.denoiser


def _sharded(model: Model, trained: TrainedSettings, ranks: Ranks) -> Model:
    """The model with its denoiser in shards, where they compute."""
    twin = model.to_train(trained, to_step=False)
    shard(twin.denoiser, ranks.device)
    return twin.to(ranks.device)


def least_forgotten(model: TextToImage, case: Case, pictures: int, seed: int, ranks: Ranks = ALONE) -> float:
    """UA of the target that is forgotten least, on train-level prompts: a share, 0–1. Each process draws a part."""
    shares = []
    for target in case.targets:
        prompts = forget_prompts(target, case.world, "train", pictures, seed)
        seeds = own_seeds(prompts, f"check/{target.name}")
        # Equally many in each: they wait for each other within a sharded denoiser.
        mine = [(ranks.rank + turn * ranks.size) for turn in range(-(-len(prompts) // ranks.size))]
        places = [place % len(prompts) for place in mine]
        drawn = draw_prompts(model, [prompts[i] for i in places], [seeds[i] for i in places], case.drawing)
        recognised = case.panel().classifiers[target.factor].recognise(drawn.pictures)
        found = not_found(target, recognised)
        counted = sum(bool(each) for place, each in zip(mine, found, strict=True) if place < len(prompts))
        shares.append(ranks.total(counted) / len(prompts))
    return min(shares)
