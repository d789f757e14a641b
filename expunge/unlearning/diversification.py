"""Forget and retain sets: paired prompts, balanced strata, the target's neighbours always among the retained."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from pydantic import Field

from expunge.judges.panel import Panel
from expunge.metrics.diversity import mean_pairwise_distance, vendi_score
from expunge.metrics.unlearning_accuracy import not_found
from expunge.models.text_to_image import TextToImage
from expunge.pictures.drawing import DrawingSettings, draw_with_own_seeds
from expunge.pictures.picture_set import PictureSet, concatenate
from expunge.prompts.pairing import forget_prompts, nearest_levels, pair_without_target
from expunge.prompts.target import Target
from expunge.prompts.world import Prompt, World
from expunge.settings import Settings


class DiversificationSettings(Settings):
    """Size and make-up of the forget and retain sets."""

    pool_per_stratum: int = Field(default=2, ge=1, le=64, description="pictures of each subject and style in the pool")
    forget_size: int = Field(default=64, ge=1, le=100_000, description="pictures of each target")
    paired_size: int = Field(default=32, ge=1, le=100_000, description="of them, with a counterpart without the target")
    neighbours: int = Field(default=4, ge=1, le=100, description="nearest levels that counterparts are drawn from")
    held_pictures: int = Field(
        default=16, ge=0, le=100_000, description="of each earlier target, what is drawn in its place, to be retained"
    )
    seed: int = Field(default=0, ge=0, description="seed of wordings and initial noise")


@dataclass(frozen=True)
class Datasets:
    """A forget set and a retain set, with their diversity and the neighbours that were chosen."""

    forget: PictureSet
    retain: PictureSet
    facts: pd.DataFrame


def diversify(
    model: TextToImage,
    pool: PictureSet,
    targets: Sequence[Target],
    world: World,
    panel: Panel,
    settings: DiversificationSettings,
    drawing: DrawingSettings,
    references: dict[str, np.ndarray],
    forgotten: Sequence[Target] = (),
) -> Datasets:
    """Build the forget and retain sets of one run.

    The forget set holds, for each target, the pool's pictures of it, freshly drawn ones up to ``forget_size``, and the
    request's own reference pictures; each prompt has its paired sentence, which asks for no target. The retain set
    holds the pool without any target, plus, for ``paired_size`` of each target's prompts, the same sentence with a near
    neighbour in the target's place. What was forgotten before is left out of it, for it would come back; what the model
    now draws in its place is retained instead.

    Args:
        model: the base model.
        pool: its pictures over the whole world, train side.
        targets: what is to be forgotten.
        world: what the model draws.
        panel: judges; its CLIP finds the neighbours and measures diversity.
        settings: sizes and seed.
        drawing: how pictures are drawn.
        references: reference pictures by request id, uint8 ``(n, h, w, 3)`` of the model's size.
        forgotten: what earlier runs made this model forget.
    """
    rng = random.Random(settings.seed)
    gone = [*targets, *forgotten]
    forget: list[PictureSet] = []
    retain = [pool.where(lambda prompt: not any(each.matches(prompt) for each in gone))]
    facts = []
    nearest = [neighbouring_levels(each, gone, world, panel)[: settings.neighbours] for each in gone]
    spared = Spared(gone, nearest, world, random.Random(f"{settings.seed}/anchors"))
    for target, neighbours in zip(targets, nearest, strict=False):
        known = pool.where(target.matches)
        known = replace(known, prompts=tuple(spared.paired(prompt, prompt) for prompt in known.prompts))
        wanted = forget_prompts(target, world, "train", settings.forget_size, settings.seed + 1)
        pairs = [pair_without_target(prompt, target, world, neighbours, rng) for prompt in wanted]
        wanted = [spared.paired(prompt, pair) for prompt, pair in zip(wanted, pairs, strict=True)]
        drawn = (
            draw_with_own_seeds(
                model,
                wanted[len(known) :],
                f"{settings.seed}/{target.name}",
                drawing,
                f"Drawing forget set: {target.name}",
            )
            if len(known) < len(wanted)
            else None
        )
        forget += [each for each in (known, drawn) if each is not None and len(each)]
        if (pictures := references.get(target.request_id)) is not None:
            forget.append(_captioned(pictures, wanted))
        pairs = [pair for pair in pairs if not any(other.matches(pair) for other in gone)][: settings.paired_size]
        salt = f"{settings.seed}/paired/{target.name}"
        if pairs:
            retain.append(draw_with_own_seeds(model, pairs, salt, drawing, f"Drawing retain pairs: {target.name}"))
        facts.append({"set": f"neighbours of {target.name}", "value": ", ".join(neighbours)})
    retain += [_drawn_in_place(model, each, targets, world, panel, settings, drawing) for each in forgotten]
    sets = {"forget": concatenate(forget), "retain": concatenate(retain)}
    for name, made in sets.items():
        features = panel.clip.picture_features(made.pictures)
        facts += [
            {"set": f"{name}: pictures", "value": str(len(made))},
            {"set": f"{name}: mean pairwise CLIP distance", "value": f"{mean_pairwise_distance(features):.4f}"},
            {"set": f"{name}: Vendi score", "value": f"{vendi_score(features):.2f}"},
        ]
    return Datasets(forget=sets["forget"], retain=sets["retain"], facts=pd.DataFrame(facts))


def _drawn_in_place(
    model: TextToImage,
    earlier: Target,
    targets: Sequence[Target],
    world: World,
    panel: Panel,
    settings: DiversificationSettings,
    drawing: DrawingSettings,
) -> PictureSet:
    """What the model draws when asked for an earlier target; pictures in which that is still found are left out."""
    count, seed = settings.held_pictures, settings.seed
    asked = forget_prompts(earlier, world, "train", 4 * count, seed + 2)
    prompts = [prompt for prompt in asked if not any(target.matches(prompt) for target in targets)][:count]
    if not prompts:
        return PictureSet((), (), np.zeros((0, model.size, model.size, 3), np.uint8))
    label = f"Drawing in place of {earlier.name}"
    drawn = draw_with_own_seeds(model, prompts, f"{seed}/held/{earlier.name}", drawing, label)
    gone = not_found(earlier, panel.classifiers[earlier.factor].recognise(drawn.pictures))
    return drawn.select(np.flatnonzero(gone).tolist())


@dataclass(frozen=True)
class Spared:
    """What forget prompts could have asked for instead: the targets, each with its neighbours."""

    targets: Sequence[Target]
    neighbours: Sequence[Sequence[str]]
    world: World
    rng: random.Random

    def paired(self, prompt: Prompt, pair: Prompt) -> Prompt:
        """The prompt with the text of ``pair`` beside it, in which every target has given way to a neighbour."""
        for target, neighbours in zip(self.targets, self.neighbours, strict=True):
            if target.matches(pair):
                pair = pair_without_target(pair, target, self.world, neighbours, self.rng)
        return prompt.model_copy(update={"paired": pair.text})


def neighbouring_levels(target: Target, targets: Sequence[Target], world: World, panel: Panel) -> list[str]:
    """Levels of the target's factor by CLIP likeness to it, none of them one of ``targets``."""
    features = {}
    for name, level in world.factors[target.factor].items():
        mean = panel.clip.text_features(level.train or [name]).mean(axis=0)
        features[name] = mean / np.linalg.norm(mean)
    excluded = [level for other in targets if other.factor == target.factor for level in other.levels]
    return nearest_levels(features, target.levels, excluded)


def _captioned(pictures: np.ndarray, prompts: Sequence[Prompt]) -> PictureSet:
    captions = tuple(prompts[i % len(prompts)] for i in range(len(pictures)))
    return PictureSet(captions, tuple(range(len(pictures))), pictures)
