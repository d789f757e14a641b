"""What all cells of one target share: its data, cached gradients, and the base model's pictures to be judged by."""

import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from expunge.benchmark.settings import BenchmarkSettings, SampleSettings
from expunge.datasets import (
    DiversificationSettings,
    DrawingSettings,
    diversify,
    draw_grid,
    draw_with_own_seeds,
)
from expunge.metrics.judges import load_panel
from expunge.metrics.panel import Panel
from expunge.models.picture_set import PictureSet, concatenate
from expunge.models.sources import load_text_to_image
from expunge.models.text_to_image import TextToImage
from expunge.prompts.grid import Prompt, PromptGrid
from expunge.prompts.pairing import forget_prompts
from expunge.prompts.sources import load_prompt_grid
from expunge.prompts.target import Target
from expunge.unlearning.cache import KINDS, GradientCache
from expunge.unlearning.job import measure_gradients


@dataclass(frozen=True)
class Bench:
    """What all cells share.

    Attributes:
        model: the base model.
        pool: its pictures over the whole grid, train side, that retain sets are made of.
        held_out: its pictures over the whole grid, held-out side, drawn as evaluation draws.
        train: the same on the train side.
        grid: what the model draws.
        panel: judges.
        settings: of the benchmark.
    """

    model: TextToImage
    pool: PictureSet
    held_out: PictureSet
    train: PictureSet
    grid: PromptGrid
    panel: Panel
    settings: BenchmarkSettings


@dataclass(frozen=True)
class Materials:
    """What all cells of one target share.

    Attributes:
        target: what is unlearned.
        forget: forget set.
        retain: retain set.
        cache: gradients at θ₀.
        cache_passes: passes it took to measure them.
        cache_seconds: seconds it took.
        held_out: the base model's pictures of held-out prompts, with and without the target.
        train: the base model's pictures of train-level retain prompts.
    """

    target: Target
    forget: PictureSet
    retain: PictureSet
    cache: GradientCache
    cache_passes: int
    cache_seconds: float
    held_out: PictureSet
    train: PictureSet


class WatchedCache(GradientCache):
    """A gradient cache that knows whether its gradients were looked at: found out, so that no one has to declare it.

    Attributes:
        read: whether they were.
    """

    def __init__(self, cache: GradientCache) -> None:
        super().__init__(**{each.name: getattr(cache, each.name) for each in fields(cache)})
        object.__setattr__(self, "read", False)

    def __getattribute__(self, name: str) -> Any:
        if name in KINDS:
            object.__setattr__(self, "read", True)
        return super().__getattribute__(name)


def make_bench(settings: BenchmarkSettings, base_model: str, prompt_grid: str, judges: str) -> Bench:
    """A bench made whole, without a pipeline; model, grid and judges by the names that ``benchmark_pipeline`` takes.

    Raises:
        ExpungeError: a name is unknown, or what it names cannot be read.
    """
    model, grid = load_text_to_image(base_model), load_prompt_grid(prompt_grid)
    drawn = (settings.diversification, settings.drawing, settings.evaluation_drawing)
    pictures = draw_pictures(model, grid, *drawn, settings.evaluation_seed, settings.evaluation_pictures)
    return Bench(model, *pictures, grid, load_panel(judges, grid), settings)


def draw_pictures(
    model: TextToImage,
    grid: PromptGrid,
    diversification: DiversificationSettings,
    drawing: DrawingSettings,
    evaluation_drawing: DrawingSettings,
    evaluation_seed: int,
    evaluation_pictures: int = 1,
) -> tuple[PictureSet, PictureSet, PictureSet]:
    """A bench's pool, held-out pictures and train-level pictures; they depend on no target.

    Of the latter two there are ``evaluation_pictures`` at least, equally many of each stratum.
    """
    pool = draw_grid(model, grid, "train", diversification.pool_per_stratum, diversification.seed, drawing)
    each = -(-evaluation_pictures // len(grid.strata()))
    held_out = draw_grid(model, grid, "held_out", each, evaluation_seed, evaluation_drawing)
    return pool, held_out, draw_grid(model, grid, "train", each, evaluation_seed, evaluation_drawing)


def prepare(bench: Bench, target: Target, samples: SampleSettings) -> Materials:
    """Draw a target's data and evaluation pictures, and measure the gradients."""
    settings, model = bench.settings, bench.model
    sets = diversify(
        model, bench.pool, [target], bench.grid, bench.panel, settings.diversification, settings.drawing, {}
    )
    started = time.perf_counter()
    threshold = settings.unlearn_settings(settings.entries[0]).forget_threshold  # all entries have the same
    cache = measure_gradients(model, sets.forget, sets.retain, settings.gradients, threshold)
    seconds = time.perf_counter() - started
    batches = sum(-(-len(each) // settings.gradients.batch_size) for each in (sets.forget, sets.retain))
    return Materials(
        target=target,
        forget=sets.forget,
        retain=sets.retain,
        cache=cache,
        cache_passes=settings.gradients.draws * batches,
        cache_seconds=seconds,
        held_out=_held_out(bench, target, samples),
        train=_spread(bench.train, lambda prompt: not target.matches(prompt), samples.train_pictures),
    )


def _held_out(bench: Bench, target: Target, samples: SampleSettings) -> PictureSet:
    seed, drawing = bench.settings.evaluation_seed, bench.settings.evaluation_drawing
    prompts = forget_prompts(target, bench.grid, "held_out", samples.target_pictures, seed + 1)
    salt, label = f"{seed}/target/{target.name}", f"Drawing before: {target.name}"
    asked = draw_with_own_seeds(bench.model, prompts, salt, drawing, label)
    others = _spread(bench.held_out, lambda prompt: not target.matches(prompt), samples.retain_pictures)
    return concatenate([asked, others])


def _spread(pictures: PictureSet, keep: Callable[[Prompt], bool], count: int) -> PictureSet:
    """``count`` of the kept ones, or all if there are fewer, evenly over the set."""
    kept = pictures.where(keep)
    return kept.select(np.linspace(0, len(kept) - 1, min(count, len(kept))).round().astype(int).tolist())
