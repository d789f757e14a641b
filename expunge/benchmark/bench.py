"""What all cells share, and what those of one target share: its data and its cached gradients."""

import time
from dataclasses import dataclass, field

from expunge.benchmark.benchmark_settings import BenchmarkSettings
from expunge.case import Case, resolve_case
from expunge.models.resolver import load_text_to_image
from expunge.models.text_to_image import TextToImage
from expunge.pictures.drawing import draw_over_world
from expunge.pictures.picture_set import PictureSet
from expunge.prompts.target import Target
from expunge.unlearning.diversification import diversify
from expunge.unlearning.gradient_cache import GradientCache
from expunge.unlearning.job import measure_gradients, shown_anchors
from expunge.unlearning.training_sets import TrainingSets
from expunge.unlearning.unlearn_settings import ForgetSettings


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
class Cached:
    """Gradients at θ₀, and what it took to measure them: passes and seconds."""

    gradients: GradientCache
    passes: int
    seconds: float


@dataclass(frozen=True)
class Materials:
    """What all cells of one target share.

    Attributes:
        bench: what all cells share.
        case: about that target alone.
        forget: forget set.
        retain: retain set.
    """

    bench: Bench
    case: Case
    forget: PictureSet
    retain: PictureSet
    _cached: dict[str, Cached] = field(default_factory=dict)

    @classmethod
    def of(cls, bench: Bench, target: Target) -> "Materials":
        """Draw a target's forget and retain set."""
        case = bench.case.about([target])
        made = diversify(bench.model, bench.pool, case, bench.settings.diversification)
        return cls(bench, case, made.forget, made.retain)

    def cached(self, forgetting: ForgetSettings) -> Cached:
        """The gradients at θ₀ of that forget loss, measured once."""
        key = forgetting.model_dump_json()
        if key not in self._cached:
            started, settings = time.perf_counter(), self.bench.settings.gradients
            cache = measure_gradients(self.bench.model, TrainingSets(self.forget, self.retain), settings, forgetting)
            anchors = (
                len(shown_anchors(self.forget, self.retain)) if forgetting.objectives().forget_loss.uses_anchors else 0
            )
            sizes = (len(self.forget) + anchors, len(self.retain))
            passes = settings.draws * sum(-(-size // settings.batch_size) for size in sizes)
            self._cached[key] = Cached(cache, passes, time.perf_counter() - started)
        return self._cached[key]
