"""What a cell is judged by: the base model's pictures of prompts that ask for the target, and of others."""

from dataclasses import dataclass

import numpy as np

from expunge.benchmark.benchmark_settings import SampleSettings
from expunge.benchmark.materials import Bench
from expunge.pictures.drawing import draw_prompts, draw_with_own_seeds, own_seeds
from expunge.pictures.picture_set import PictureSet, concatenate
from expunge.prompts.pairing import forget_prompts
from expunge.prompts.target import Target
from expunge.prompts.world import Side


@dataclass(frozen=True)
class Judging:
    """The base model's pictures; an unlearned model draws the same prompts from the same noise.

    Attributes:
        held_out: of held-out prompts, with and without the target.
        train: of train-level retain prompts.
        seed: of wordings and noise.
    """

    held_out: PictureSet
    train: PictureSet
    seed: int


def draw_judging(bench: Bench, target: Target, samples: SampleSettings, seed: int) -> Judging:
    """Draw them, as evaluation draws.

    Args:
        bench: whose model draws, and how.
        target: what the cell unlearns.
        samples: how many pictures of each kind; of retain prompts there may be fewer.
        seed: of wordings and noise; the prompts that ask for the target take the next one too.
    """
    prompts = forget_prompts(target, bench.world, "held_out", samples.target_pictures, seed + 1)
    label = f"Drawing before: {target.name}"
    asked = draw_with_own_seeds(
        bench.model, prompts, f"{seed}/target/{target.name}", bench.settings.evaluation_drawing, label
    )
    held_out = _others(bench, target, "held_out", samples.retain_pictures, seed)
    return Judging(concatenate([asked, held_out]), _others(bench, target, "train", samples.train_pictures, seed), seed)


def _others(bench: Bench, target: Target, side: Side, count: int, seed: int) -> PictureSet:
    """``count`` pictures without the target, or all if there are fewer, evenly over the whole world."""
    settings = bench.settings
    each = -(-settings.evaluation_pictures // len(bench.world.strata()))
    prompts = bench.world.sample(side, each, seed)
    noise = own_seeds(prompts, f"{seed}/{side}")
    kept = [i for i, prompt in enumerate(prompts) if not target.matches(prompt)]
    chosen = [kept[i] for i in np.linspace(0, len(kept) - 1, min(count, len(kept))).round().astype(int)]
    return draw_prompts(
        bench.model,
        [prompts[i] for i in chosen],
        [noise[i] for i in chosen],
        settings.evaluation_drawing,
        f"Drawing {side} before: {target.name}",
    )
