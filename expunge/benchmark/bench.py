"""What all cells share, and what those of one target share: its data and its cached gradients."""

import time
from dataclasses import dataclass

from expunge.benchmark.benchmark_settings import BenchmarkSettings
from expunge.case import Case, resolve_case
from expunge.models.resolver import load_text_to_image
from expunge.models.text_to_image import TextToImage
from expunge.pictures.drawing import draw_over_world
from expunge.pictures.picture_set import PictureSet
from expunge.prompts.target import Target
from expunge.unlearning.diversification import diversify
from expunge.unlearning.job import TrainingSets, measure_gradients


@dataclass(frozen=True)
class Bench:
    """What all cells share.

    Attributes:
        model: the base model.
        case: world, judges and how data are drawn; about no target.
        pool: the model's pictures over the whole world, train side, that retain sets are made of.
        settings: of the benchmark.
    """

    model: TextToImage
    case: Case
    pool: PictureSet
    settings: BenchmarkSettings

    @classmethod
    def of(cls, model: TextToImage, case: Case, settings: BenchmarkSettings) -> "Bench":
        """Draw the pool."""
        sizes = settings.diversification
        pool = draw_over_world(model, case.world, "train", sizes.pool_per_stratum, sizes.seed, case.drawing)
        return cls(model, case, pool, settings)

    @classmethod
    def named(cls, base_model: str, world: str, judges: str, settings: BenchmarkSettings) -> "Bench":
        """A bench made whole, without a pipeline, by the names that ``benchmark_pipeline`` takes.

        Raises:
            ExpungeError: a name is unknown, or what it names cannot be read.
        """
        return cls.of(load_text_to_image(base_model), resolve_case(world, judges, settings.drawing), settings)


@dataclass(frozen=True)
class Materials:
    """What all cells of one target share.

    Attributes:
        case: about that target alone.
        sets: forget and retain set, and gradients at θ₀.
        cache_passes: passes it took to measure the gradients.
        cache_seconds: seconds it took.
    """

    case: Case
    sets: TrainingSets
    cache_passes: int
    cache_seconds: float


def prepare(bench: Bench, target: Target) -> Materials:
    """Draw a target's forget and retain set, and measure the gradients at θ₀."""
    settings, case = bench.settings, bench.case.about([target])
    made = diversify(bench.model, bench.pool, case, settings.diversification)
    started = time.perf_counter()
    threshold = settings.unlearn_settings(settings.entries[0]).forget_threshold  # all entries have the same
    cache = measure_gradients(bench.model, made.forget, made.retain, settings.gradients, threshold)
    seconds = time.perf_counter() - started
    batches = sum(-(-len(each) // settings.gradients.batch_size) for each in (made.forget, made.retain))
    sets = TrainingSets(made.forget, made.retain, cache)
    return Materials(case, sets, settings.gradients.draws * batches, seconds)
