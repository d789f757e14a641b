"""What all cells of one target share: its data and its cached gradients."""

import time
from dataclasses import dataclass, fields
from typing import Any

from expunge.benchmark.benchmark_settings import BenchmarkSettings
from expunge.case import Case
from expunge.judges.load_panel import load_panel
from expunge.judges.panel import Panel
from expunge.models.sources import load_text_to_image
from expunge.models.text_to_image import TextToImage
from expunge.pictures.drawing import DrawingSettings, draw_over_world
from expunge.pictures.picture_set import PictureSet
from expunge.prompts.load_world import load_world
from expunge.prompts.target import Target
from expunge.prompts.world import World
from expunge.unlearning.diversification import DiversificationSettings, diversify
from expunge.unlearning.gradient_cache import KINDS, GradientCache
from expunge.unlearning.job import measure_gradients


@dataclass(frozen=True)
class Bench:
    """What all cells share.

    Attributes:
        model: the base model.
        pool: its pictures over the whole world, train side, that retain sets are made of.
        world: what the model draws.
        panel: judges.
        settings: of the benchmark.
    """

    model: TextToImage
    pool: PictureSet
    world: World
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
    """

    target: Target
    forget: PictureSet
    retain: PictureSet
    cache: GradientCache
    cache_passes: int
    cache_seconds: float


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


def make_bench(settings: BenchmarkSettings, base_model: str, world_name: str, judges: str) -> Bench:
    """A bench made whole, without a pipeline; model, world and judges by the names that ``benchmark_pipeline`` takes.

    Raises:
        ExpungeError: a name is unknown, or what it names cannot be read.
    """
    model, world = load_text_to_image(base_model), load_world(world_name)
    pool = draw_pool(model, world, settings.diversification, settings.drawing)
    return Bench(model, pool, world, load_panel(judges, world), settings)


def draw_pool(
    model: TextToImage, world: World, diversification: DiversificationSettings, drawing: DrawingSettings
) -> PictureSet:
    """A bench's pool: ``pool_per_stratum`` train-level pictures of every stratum; it depends on no target."""
    return draw_over_world(model, world, "train", diversification.pool_per_stratum, diversification.seed, drawing)


def prepare(bench: Bench, target: Target) -> Materials:
    """Draw a target's forget and retain set, and measure the gradients at θ₀."""
    settings, model = bench.settings, bench.model
    case = Case.of(bench.world, bench.panel, settings.drawing).about([target])
    sets = diversify(model, bench.pool, case, settings.diversification)
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
    )
