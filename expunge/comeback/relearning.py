"""Relearning: how soon does the target come back when a copy is fine-tuned on a few of its pictures, or on none?

A model that only hides what it knows needs a handful of pictures, or even none of the target at all; one that never
knew needs many. Read each curve beside that of a model that never saw the target.

Plain Adam (Kingma & Ba, ICLR 2015, arXiv 1412.6980) on the denoising loss of ``expunge.unlearning.problem``.
"""

from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch.optim import Adam

from expunge.comeback.trial import Trial
from expunge.metrics.numbers import Interval, complement
from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_set import PictureSet
from expunge.progress import track
from expunge.settings import Settings
from expunge.unlearning.batches import StratifiedSampler, draw_batch, generator_of
from expunge.unlearning.encoding import encode
from expunge.unlearning.problem import Objectives, Problem

HARMLESS = "harmless"


class RelearningSettings(Settings):
    """How a copy is fine-tuned, and how often it is looked at."""

    pictures: tuple[int, ...] = Field(default=(1, 5, 20), min_length=1, description="target pictures, one curve each")
    harmless_pictures: int = Field(default=20, ge=0, description="pictures without the target; 0: no such curve")
    steps: int = Field(default=60, ge=0, le=1_000_000)
    measure_every: int = Field(default=10, ge=1, description="steps between measurements")
    batch_size: int = Field(default=8, ge=1, le=4096)
    learning_rate: float = Field(default=1e-4, gt=0, le=1)
    empty_share: float = Field(default=0.125, ge=0, le=1, description="share of each batch under the empty prompt")
    measured: int = Field(default=40, ge=2, le=100_000, description="pictures drawn at each measurement")

    @field_validator("pictures")
    @classmethod
    def _counts_are_positive(cls, counts: tuple[int, ...]) -> tuple[int, ...]:
        if min(counts) < 1 or len(set(counts)) < len(counts):
            raise ValueError(f"pictures: {counts} given; different numbers of at least 1 are needed")
        return counts


class RelearningPoint(BaseModel):
    """UA on held-out target prompts, 0–1, after so many steps."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    step: int
    unlearning_accuracy: Interval


class RelearningCurve(BaseModel):
    """UA while a copy is fine-tuned.

    Attributes:
        condition: ``target`` or ``harmless``.
        pictures: how many it is fine-tuned on.
        points: from step 0 on; every point rests on the same prompts and seeds.
        losses: mean training loss between one point and the next, squared noise units; one fewer than points.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    condition: str
    pictures: int
    points: tuple[RelearningPoint, ...]
    losses: tuple[float, ...]


class Relearning(BaseModel):
    """One curve per condition; the harmless one last."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    curves: tuple[RelearningCurve, ...]


def relearn(
    model: TextToImage, pictures: PictureSet, trial: Trial, settings: RelearningSettings, progress: str = ""
) -> Relearning:
    """Fine-tune copies on target pictures and on harmless ones, and watch UA. The given model is left as it is.

    Args:
        model: the unlearned model.
        pictures: the original model's; those that ask for the target are relearned (the first ones), the others are
            the harmless ones.
        trial: what was forgotten, and how the measured pictures are drawn and judged.
        settings: numbers of pictures and steps.
        progress: label of the progress bar; none if empty.

    Raises:
        ExpungeError: fewer pictures than asked for.
    """
    asked = trial.with_target(pictures, max(settings.pictures), "relearning")
    conditions = [("target", asked.select(range(count))) for count in settings.pictures]
    if count := settings.harmless_pictures:
        spared = trial.without_target(pictures, count, "relearning")
        conditions.append((HARMLESS, spared.select([i * len(spared) // count for i in range(count)])))
    prompts = trial.asked("held_out", settings.measured)

    def measure(of: TextToImage, step: int) -> RelearningPoint:
        share = trial.share(trial.draw(of, prompts, "relearning"))
        return RelearningPoint(step=step, unlearning_accuracy=complement(share))

    start = measure(model, 0)
    curves = []
    for condition, few in track(conditions, progress):
        twin = model.with_own_denoiser()
        points, losses = [start], []
        tuning = _FineTuning(twin, few, settings, trial.seed)
        for step in range(0, settings.steps, settings.measure_every):
            until = min(step + settings.measure_every, settings.steps)
            losses.append(tuning.run(step, until))
            points.append(measure(twin, until))
        curves.append(
            RelearningCurve(condition=condition, pictures=len(few), points=tuple(points), losses=tuple(losses))
        )
    return Relearning(curves=tuple(curves))


class _FineTuning:
    """Plain Adam on one model's denoiser."""

    def __init__(self, model: TextToImage, pictures: PictureSet, settings: RelearningSettings, seed: int) -> None:
        self.data, self.settings, self.seed = encode(model, pictures), settings, seed
        self.sampler = StratifiedSampler(self.data.strata, settings.batch_size, seed)
        # Only the retain loss is used; what concerns forgetting has no effect.
        self.problem = Problem(model.denoiser.requires_grad_(True), model, Objectives())
        self.optimiser = Adam(self.problem.parameters.values(), lr=settings.learning_rate)

    def run(self, first: int, until: int) -> float:
        """Make the steps ``first`` … ``until`` − 1 and return their mean loss."""
        losses = []
        for step in range(first, until):
            batch = draw_batch(
                self.data,
                self.sampler.batch(step),
                self.problem.process.levels,
                generator_of(self.seed, step),
                self.settings.empty_share,
            )
            loss = self.problem.retain_loss(batch)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self.optimiser.step()
            losses.append(loss.item())
        return sum(losses) / len(losses)
