"""Noise injection: does the target come back where drawing is led off the way that the model learnt to avoid it on?

Source: the noise-based probe of arXiv 2505.17013, *When Are Concepts Erased From Diffusion Models?*: fresh noise at
every step explores more ways from noise to picture than the sampler takes. Here it takes the place of a share η of the
noise that the model sees, ε ← √(1 − η²) ε + η z, so that its amount stays right at every level. η = 0 draws as ever.
"""

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from expunge.comeback.shares import Shares
from expunge.comeback.steered_drawing import Seen, draw_steered
from expunge.comeback.trial import Trial
from expunge.metrics.numbers import Interval
from expunge.models.text_to_image import TextToImage
from expunge.pictures.picture_set import PictureSet
from expunge.progress import track
from expunge.settings import Settings


class NoiseSettings(Settings):
    """How much is injected, and how many pictures are drawn."""

    shares: Shares = Field(default=(0.5, 1.0), description="η, of the noise of a step, 0–1")
    pictures: int = Field(default=40, ge=2, le=100_000, description="for each share")


class NoisePoint(BaseModel):
    """Share of pictures in which the target is found, at one share of injected noise.

    Attributes:
        share: η, 0–1.
        found: 0–1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    share: float
    found: Interval


class NoiseInjection(BaseModel):
    """One point for each share."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    points: tuple[NoisePoint, ...]


def noise_injection(model: TextToImage, trial: Trial, settings: NoiseSettings, progress: str = "") -> NoiseInjection:
    """Ask for the target, with noise of its own at every step. The model is left as it is.

    Args:
        model: the unlearned model.
        trial: what was forgotten, and how pictures are drawn and judged.
        settings: shares and number of pictures.
        progress: label of the progress bar; none if empty.
    """
    asked = trial.asked("held_out", settings.pictures)
    texts, seeds = [prompt.text for prompt in asked], [trial.seed + i for i in range(len(asked))]
    points = []
    for share in track(settings.shares, progress):
        drawn = draw_steered(model, texts, seeds, trial.case.drawing, _Injected(share))
        found = trial.share(PictureSet(tuple(asked), tuple(seeds), drawn))
        points.append(NoisePoint(share=share, found=found))
    return NoiseInjection(points=tuple(points))


class _Injected:
    def __init__(self, share: float) -> None:
        self.share = share

    def __call__(self, seen: Seen) -> tuple[Tensor, Tensor]:
        fresh = torch.stack([torch.randn(seen.noise.shape[1:], generator=each) for each in seen.generators])
        return seen.picture, (1 - self.share**2) ** 0.5 * seen.noise + self.share * fresh.to(seen.noise)
